"""Profile-to-PEFT (arXiv 2510.16282): from what is known of a person straight to an adapter.

A hypernetwork, trained once over many people, maps a person's encoded profile to the LoRA weights
of the local model. Nothing is trained for a person. What the paper calls a profile is a summary by
the base model and the two most relevant items of the history, read by a frozen encoder. Ours is the
summary in force and the two newest choices, read by the library's embedder. A choice counts by the
difference of both answers' embeddings: what they have in common, which is what they are about,
cancels, and what is left is how they were written.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import AdapterError
from pocketpref.lora import Adapter, AdapterManifest, HypernetworkManifest, lora_bytes
from pocketpref.lora.manifest import Hypernetwork
from pocketpref.protocols import Embedder
from pocketpref.records import Pair, Vector

NAME: Final = "profile-to-peft"
"""How the method is called in options and reports."""

ITEMS: Final = 2
"""Choices of the history that a profile holds (the paper's number)."""

Factors = Mapping[str, NDArray[np.float32]]
"""``KIND.lora_a`` of shape (layers, rank, in) and ``KIND.lora_b`` of shape (layers, out, rank) for
each kind of matrix, in GGUF's order of rows."""


def encode(summary: str, items: Sequence[Pair], embedder: Embedder) -> Vector:
    """A profile as one vector, float32, shape (2 x the embedder's dimensions,).

    Args:
        summary: what is said of the person; "" for nothing.
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
    """The two halves of a profile, either of which may be missing (zeros then).

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
    """The adapter that a hypernetwork writes for a profile.

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
    """What a hypernetwork wrote, as an adapter of one person.

    Args:
        factors: what it wrote.
        network: what is known of it.
        profile: digest of the profile, by which the adapter is found again.

    Raises:
        AdapterError: what it wrote is not finite, or is not what its manifest says.
    """
    pairs = {
        f"blk.{layer}.{kind}.weight": (a[layer], b[layer])
        for kind in network.targets
        for a, b in [_halves(factors, kind, network)]
        for layer in range(network.layers)
    }
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


def _halves(
    factors: Factors, kind: str, network: HypernetworkManifest
) -> tuple[NDArray[Any], NDArray[Any]]:
    """A and B of one kind of matrix for all layers, in float16."""
    found = []
    for name, place in ((f"{kind}.lora_a", 1), (f"{kind}.lora_b", 2)):
        values = factors.get(name)
        if values is None or values.ndim != 3:
            raise AdapterError(f"the hypernetwork writes no {name}")
        if values.shape[0] != network.layers or values.shape[place] != network.rank:
            raise AdapterError(f"the hypernetwork writes {name} in another shape than it says")
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
            half = values.astype(np.float16)
        if not np.isfinite(half).all():
            raise AdapterError(f"the hypernetwork writes a {name} that is no number")
        found.append(half)
    return found[0], found[1]
