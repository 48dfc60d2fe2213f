"""Profile-to-PEFT (arXiv 2510.16282): generate a person's adapter from their profile.

A hypernetwork, trained once over many people, maps a person's encoded profile to the LoRA weights
of the local model. Nothing is trained for a person. In the paper, a profile is a summary by the
base model and the two most relevant items of the history, read by a frozen encoder. Ours is the
summary in force and the two newest choices, read by the library's embedder. A choice counts by the
difference of both answers' embeddings: their common subject cancels, and how they were written is
left.

An adapter is generated once there is a summary, and again whenever the profile has changed. Choices
alone say too little: adapters from two of them suited people less than the mean of everybody's
adapters (docs/profile-to-peft.md). The last few are kept, sealed, so that a profile that comes back
need not be read again. Each names the memories of its profile, and is deleted with the first of
them that is forgotten.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import AdapterError, NotFoundError
from pocketpref.lora import Adapter, AdapterManifest, Blend, HypernetworkManifest, lora_bytes
from pocketpref.lora.blend import wearing
from pocketpref.lora.manifest import Hypernetwork
from pocketpref.lora.store import discard, keep, kept
from pocketpref.protocols import Embedder, EmbedderLoader, LanguageModel, MemoryStore, ModelLoader
from pocketpref.records import Pair, RedactedRepr, Vector
from pocketpref.summary import store as summary_store
from pocketpref.summary.evidence import is_evidence

NAME: Final = "profile-to-peft"
"""The method's name in options and reports."""

ITEMS: Final = 2
"""Choices of the history that a profile holds (the paper's number)."""

KEPT: Final = 3
"""Adapters of a person that are kept; one takes about a megabyte for the starter model."""

_LOOKED_AT: Final = 50
"""The newest memories among which evidence is looked for."""

Factors = Mapping[str, NDArray[np.float32]]
"""``KIND.lora_a`` of shape (layers, rank, in) and ``KIND.lora_b`` of shape (layers, out, rank) for
each kind of matrix, in GGUF's order of rows."""


def encode(summary: str, items: Sequence[Pair], embedder: Embedder) -> Vector:
    """Encode a profile as one vector, float32, shape (2 x the embedder's dimensions,).

    Args:
        summary: text of the summary; "" for none.
        items: choices, of which the first ``ITEMS`` count.
        embedder: reads texts.

    Raises:
        ModelError: the embedder failed.
    """
    kept = items[:ITEMS]
    answers = [answer for pair in kept for answer in (pair.chosen, pair.rejected)]
    read = embedder.embed([summary, *answers])
    return join(read[0] if summary else None, read[1::2] - read[2::2])


def join(summary: Vector | None, items: Vector) -> Vector:
    """Join the two halves of a profile; zeros stand for a missing one.

    Args:
        summary: its embedding, shape (dimensions,), or None.
        items: differences of embeddings, shape (n, dimensions), n >= 0.

    Returns:
        Shape (2 x dimensions,).
    """
    said = np.zeros(items.shape[1]) if summary is None else summary
    shown = items.mean(axis=0) if len(items) else np.zeros(items.shape[1])
    return np.concatenate([said, shown]).astype(np.float32)


def written(
    summary: str, items: Sequence[Pair], digest: str, *, network: Hypernetwork, embedder: Embedder
) -> Adapter:
    """Return the adapter that a hypernetwork generates for a profile.

    Args:
        summary: as for ``encode``.
        items: as for ``encode``.
        digest: of the profile, by which the adapter is found again.
        network: what writes.
        embedder: reads the profile.

    Raises:
        AdapterError: the hypernetwork reads profiles with another embedder, or what it wrote is no
            adapter.
        ModelError: the embedder or the hypernetwork failed.
    """
    if embedder.fingerprint != network.manifest.embedder:
        raise AdapterError(
            "the hypernetwork reads profiles with another embedder",
            hint="leave `embedder` out of the configuration",
        )
    return adapter(network.write(encode(summary, items, embedder)), network.manifest, digest)


def adapter(factors: Factors, network: HypernetworkManifest, profile: str) -> Adapter:
    """Return generated factors as an adapter of one person.

    Args:
        factors: what it wrote.
        network: the hypernetwork's manifest.
        profile: digest of the profile, by which the adapter is found again.

    Raises:
        AdapterError: what it wrote is not finite, or is not what its manifest says.
    """
    pairs: dict[str, tuple[NDArray[np.float16], NDArray[np.float16]]] = {}
    for kind in network.targets:
        a = _half_precision(factors, f"{kind}.lora_a", network, rank_axis=1)
        b = _half_precision(factors, f"{kind}.lora_b", network, rank_axis=2)
        pairs |= {f"blk.{n}.{kind}.weight": (a[n], b[n]) for n in range(network.layers)}
    data = lora_bytes(pairs, architecture=network.base.architecture, alpha=network.alpha, name=NAME)
    manifest = AdapterManifest(
        name=NAME,
        file=f"{NAME}.gguf",
        base=network.base,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        rank=network.rank,
        alpha=network.alpha,
        targets=network.targets,
        licence=network.licence,
        recipe="written by a hypernetwork from a profile",
        made={"network": network.sha256, "profile": profile},
    )
    return Adapter(manifest, data, personal=True)


def _half_precision(
    factors: Factors, name: str, network: HypernetworkManifest, *, rank_axis: int
) -> NDArray[np.float16]:
    """One half of a kind of matrix for all layers, in float16."""
    values = factors.get(name)
    if values is None or values.ndim != 3:
        raise AdapterError(f"the hypernetwork writes no {name}")
    if values.shape[0] != network.layers or values.shape[rank_axis] != network.rank:
        raise AdapterError(f"the hypernetwork writes {name} in another shape than it says")
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        half = values.astype(np.float16)
    if not np.isfinite(half).all():
        raise AdapterError(f"the hypernetwork writes a {name} that is no number")
    return half


@dataclass(frozen=True, slots=True, repr=False)
class AdapterProfile(RedactedRepr):
    """The profile that an adapter is generated from.

    Attributes:
        summary: the text in force.
        items: the newest choices.
        sources: ids of all memories that it was made of.
    """

    summary: str
    items: tuple[Pair, ...]
    sources: tuple[str, ...]

    def digest(self, network: HypernetworkManifest) -> str:
        """Hash of the profile and the hypernetwork, hex."""
        said = repr((network.sha256, self.summary, self.sources)).encode()
        return hashlib.sha256(said).hexdigest()


class Tailoring:
    """The adapter of one Pocket's person. Safe to use from several threads."""

    def __init__(
        self,
        store: MemoryStore,
        model: ModelLoader,
        embedder: EmbedderLoader,
        hypernetwork: Callable[[], Hypernetwork | None],
    ) -> None:
        """Build the service.

        Args:
            store: the person's part of the vault.
            model: loads the model that replies.
            embedder: loads what encodes the profile.
            hypernetwork: loads the hypernetwork for that model; None if it has none.
        """
        self._store = store
        self._model = model
        self._embedder = embedder
        self._hypernetwork = hypernetwork
        self._lock = threading.RLock()
        self._worn: tuple[str, LanguageModel] | None = None

    def network(self) -> HypernetworkManifest | None:
        """Return the manifest of the hypernetwork for the model in use, or None.

        Raises:
            AdapterError: the hypernetwork cannot be read.
        """
        found = self._hypernetwork()
        return None if found is None else found.manifest

    def profile(self) -> AdapterProfile | None:
        """Return the present profile, or None without a summary.

        Raises:
            VaultError: the vault cannot be read.
        """
        summary = summary_store.current(self._store)
        if summary is None:
            return None
        newest = islice(self._store.memories(), _LOOKED_AT)
        items = list(islice(filter(is_evidence, newest), ITEMS))
        sources = (*summary.sources, *(item.id for item in items))
        return AdapterProfile(
            summary.text,
            tuple(item.pair for item in items),
            tuple(dict.fromkeys(sources)),
        )

    def adapter(self) -> Adapter | None:
        """Return the adapter for the person's profile, generated if needed; None without a profile.

        Raises:
            AdapterError: there is no hypernetwork for the model in use, or it wrote no adapter.
            ModelError: the embedder or the hypernetwork failed.
            VaultError: the vault cannot be read or written.
        """
        network, profile = self._hypernetwork(), self.profile()
        if network is None:
            raise AdapterError(
                "there is no hypernetwork for this model",
                hint="use the starter model, or train one: docs/training.md",
            )
        if profile is None:
            return None
        with self._lock:
            digest = profile.digest(network.manifest)
            known: list[str] = []  # those that a hypernetwork generated, the oldest first
            for name, one in kept(self._store).items():
                if one.manifest.made.get("profile") == digest:
                    return one
                if "profile" in one.manifest.made:
                    known.append(name)
            made = written(
                profile.summary,
                profile.items,
                digest,
                network=network,
                embedder=self._embedder(),
            )
            for name in known[: max(0, len(known) + 1 - KEPT)]:
                discard(self._store, name)
            # A choice that was forgotten meanwhile: the adapter is used once, and not kept.
            with suppress(NotFoundError):
                keep(self._store, made, profile.sources)
            return made

    def model(self) -> LanguageModel:
        """Return the local model with the person's adapter, or bare if there is none.

        Raises:
            AdapterError: there is no hypernetwork for the model in use, or it cannot wear what it
                writes.
            ModelError: a model is missing or failed.
            VaultError: the vault cannot be read or written.
        """
        adapter = self.adapter()
        model = self._model()
        if adapter is None:
            return model
        with self._lock:
            if self._worn is None or self._worn[0] != adapter.manifest.sha256:
                worn = wearing(model, Blend(((adapter, 1.0),)))
                self._worn = (adapter.manifest.sha256, worn)
            return self._worn[1]
