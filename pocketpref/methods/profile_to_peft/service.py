"""An adapter for one person, written by a hypernetwork and worn by the model (Profile-to-PEFT).

It is written once there is a summary, and again whenever the profile has changed: the summary in
force, or the newest choices. Choices alone say too little: what was written of two of them suited
people less than the mean of everybody's adapters (docs/profile-to-peft.md). The last few are kept,
sealed, so that a profile that comes back need not be read again. Each names the memories that its
profile was made of, and goes with the first of them that is forgotten.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

from pocketpref.errors import AdapterError, NotFoundError
from pocketpref.lora import Adapter, Blend, HypernetworkManifest
from pocketpref.lora.blend import wearing
from pocketpref.lora.manifest import Hypernetwork
from pocketpref.lora.store import discard, keep, kept
from pocketpref.methods.profile_to_peft import encoding
from pocketpref.protocols import EmbedderLoader, LanguageModel, MemoryStore, ModelLoader
from pocketpref.records import Pair, RedactedRepr
from pocketpref.summary import store as summary_store
from pocketpref.summary.evidence import is_evidence

KEPT: Final = 3
"""Adapters of a person that are kept; one takes about a megabyte for the starter model."""

_LOOKED_AT: Final = 50
"""The newest memories among which those are looked for that say something of the person."""


@dataclass(frozen=True, slots=True, repr=False)
class AdapterProfile(RedactedRepr):
    """What an adapter is written from.

    Attributes:
        summary: the text in force.
        items: the newest choices.
        sources: ids of all memories that it was made of.
    """

    summary: str
    items: tuple[Pair, ...]
    sources: tuple[str, ...]

    def digest(self, network: HypernetworkManifest) -> str:
        """Tells it from other profiles, and what is written from it by other hypernetworks; hex."""
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
        """What is known of the hypernetwork for the model in use; None if there is none.

        Raises:
            AdapterError: there is one that cannot be read.
        """
        found = self._hypernetwork()
        return None if found is None else found.manifest

    def profile(self) -> AdapterProfile | None:
        """What an adapter would be written from now; None as long as there is no summary.

        Raises:
            VaultError: the vault cannot be read.
        """
        summary = summary_store.current(self._store)
        if summary is None:
            return None
        newest = islice(self._store.memories(), _LOOKED_AT)
        items = list(islice(filter(is_evidence, newest), encoding.ITEMS))
        sources = (*summary.sources, *(item.id for item in items))
        return AdapterProfile(
            summary.text,
            tuple(item.pair for item in items),
            tuple(dict.fromkeys(sources)),
        )

    def adapter(self) -> Adapter | None:
        """The person's adapter, written now if there is none for their profile; None for none.

        Raises:
            AdapterError: there is no hypernetwork for the model in use, or it wrote no adapter.
            ModelError: the embedder or the hypernetwork failed.
            VaultError: the vault cannot be read or written.
        """
        network, profile = self._writer(), self.profile()
        if profile is None:
            return None
        with self._lock:
            digest = profile.digest(network.manifest)
            known = self._kept()
            for adapter in known.values():
                if adapter.manifest.made.get("profile") == digest:
                    return adapter
            made = encoding.written(
                profile.summary,
                profile.items,
                digest,
                network=network,
                embedder=self._embedder(),
            )
            self._keep(made, profile.sources, known)
            return made

    def model(self) -> LanguageModel:
        """The local model, wearing the person's adapter, or bare if there is none.

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

    def _writer(self) -> Hypernetwork:
        found = self._hypernetwork()
        if found is None:
            raise AdapterError(
                "there is no hypernetwork for this model",
                hint="use the starter model, or train one: docs/training.md",
            )
        return found

    def _kept(self) -> dict[str, Adapter]:
        """Those that a hypernetwork wrote, the oldest first."""
        found = kept(self._store).items()
        return {name: one for name, one in found if "profile" in one.manifest.made}

    def _keep(self, adapter: Adapter, sources: Sequence[str], known: dict[str, Adapter]) -> None:
        """Seal it, and remove the oldest of more than ``KEPT``."""
        for name in list(known)[: max(0, len(known) + 1 - KEPT)]:
            discard(self._store, name)
        # A choice that was forgotten meanwhile: the adapter is used once, and not kept.
        with suppress(NotFoundError):
            keep(self._store, adapter, sources)
