"""Real adapters over the starter model, with random weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pocketpref.lora import Adapter, AdapterManifest, Base, lora_bytes

Pairs = dict[str, tuple[NDArray[np.floating], NDArray[np.floating]]]
QV = ("attn_q", "attn_v")
ALL = (*QV, "attn_k", "attn_output", "ffn_down", "ffn_gate", "ffn_up")


def random_pairs(
    shapes: Mapping[str, tuple[int, int]],
    seed: int = 0,
    *,
    rank: int = 4,
    targets: Sequence[str] = QV,
    size: float = 0.02,
    dtype: type = np.float16,
) -> Pairs:
    """A and B for every layer's matrices of these kinds."""
    rng = np.random.default_rng(seed)
    pairs: Pairs = {}
    for name, (rows, columns) in shapes.items():
        if name.startswith("blk.") and name.split(".")[2] in targets:
            a = rng.normal(0, columns**-0.5, (rank, columns)).astype(dtype)
            pairs[name] = a, rng.normal(0, size, (rows, rank)).astype(dtype)
    return pairs


def adapter_of(
    pairs: Pairs, base_sha256: str, *, alpha: float = 8.0, name: str = "random"
) -> Adapter:
    """An adapter with a manifest that says the truth."""
    data = lora_bytes(pairs, architecture="llama", alpha=alpha, name=name)
    manifest = AdapterManifest(
        name=name,
        file=f"{name}.gguf",
        base=Base("starter", base_sha256, "llama"),
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        rank=next(iter(pairs.values()))[0].shape[0],
        alpha=alpha,
        targets=tuple(sorted({weight.split(".")[2] for weight in pairs})),
        licence="Apache-2.0",
        recipe="random numbers",
    )
    return Adapter(manifest, data)


def with_data(adapter: Adapter, data: bytes) -> Adapter:
    """The same manifest for other bytes, its hash and size set right."""
    digest = hashlib.sha256(data).hexdigest()
    return Adapter(replace(adapter.manifest, sha256=digest, size=len(data)), data)
