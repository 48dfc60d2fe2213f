"""Blends of adapters, each with its own scale, and their fingerprints.

The weighted sum of several low-rank products is itself one: the matrices A stand below, the scaled
matrices B beside one another. So a blend is made into a single adapter. llama.cpp could add several
by itself, but in an order that depends on where they lie in memory: the last digits, and with a
sampler the words, would differ from run to run. One adapter also costs less with every token.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import AdapterError
from pocketpref.lora.lora_file import Lora, lora_bytes
from pocketpref.lora.manifest import Adapter
from pocketpref.protocols import LanguageModel
from pocketpref.records import RedactedRepr

MOST_PARTS: Final = 8
_LARGEST_SCALE: Final = 2.0

Key = tuple[tuple[str, float], ...]
"""What a model wears: (sha256 of the adapter, scale) of each part, sorted; () for none."""


@dataclass(frozen=True, slots=True, repr=False)
class Blend(RedactedRepr):
    """A weighted set of adapters; without parts the bare model.

    Attributes:
        parts: adapters and their scales, ordered by hash however they were named. A scale
            multiplies alpha / rank.

    Raises:
        AdapterError: a scale is out of range, an adapter stands there twice, or there are too many.
    """

    parts: tuple[tuple[Adapter, float], ...] = ()

    def __post_init__(self) -> None:
        ordered = sorted(self.parts, key=lambda part: part[0].manifest.sha256)
        object.__setattr__(self, "parts", tuple(ordered))
        if len(self.parts) > MOST_PARTS:
            raise AdapterError(f"more than {MOST_PARTS} adapters cannot be put on together")
        if len({adapter.manifest.sha256 for adapter, _ in self.parts}) < len(self.parts):
            raise AdapterError("the same adapter cannot be put on twice")
        for adapter, scale in self.parts:
            if not (math.isfinite(scale) and 0 < scale <= _LARGEST_SCALE):
                raise AdapterError(
                    f"the scale of the adapter {adapter.manifest.name} is out of range",
                    hint=f"scales lie above 0 and go up to {_LARGEST_SCALE:g}",
                )

    @property
    def key(self) -> Key:
        """The same for the same adapters and scales, in whatever order they were named."""
        return tuple((adapter.manifest.sha256, scale) for adapter, scale in self.parts)

    @property
    def personal(self) -> bool:
        """Whether one of them was made from a person's choices."""
        return any(adapter.personal for adapter, _ in self.parts)

    def fingerprint(self, base: str) -> str:
        """Tells the model of this fingerprint wearing this blend from all others."""
        if not self.parts:
            return base
        return hashlib.sha256(f"{base} {self.key!r}".encode()).hexdigest()


def merged(parts: Sequence[tuple[Lora, bytes, float]]) -> bytes:
    """One adapter file that does what several do together, to be loaded at scale 1.

    Args:
        parts: what was read of each adapter, its file, and its scale. All fit the same base.
    """
    names = sorted({name for lora, _, _ in parts for name in lora.pairs})
    return lora_bytes(
        {name: _stacked(name, parts) for name in names},
        architecture=parts[0][0].architecture,
        alpha=0.0,  # llama.cpp then divides by no rank, which here differs between matrices
        name="blend",
    )


def _stacked(
    name: str, parts: Sequence[tuple[Lora, bytes, float]]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A and B of one weight: sum_i scale_i alpha_i / rank_i B_i A_i as one product."""
    above: list[NDArray[Any]] = []
    beside: list[NDArray[Any]] = []
    for lora, data, scale in parts:
        if name in lora.pairs:
            a, b = lora.pairs[name]
            above.append(a.values(data).astype(np.float32))
            factor = np.float32(scale * lora.alpha / lora.rank)
            beside.append(b.values(data).astype(np.float32) * factor)
    return np.vstack(above), np.hstack(beside)


@runtime_checkable
class Adaptable(Protocol):
    """A language model that can wear adapters."""

    def adapted(self, blend: Blend) -> LanguageModel:
        """This model wearing a blend, over the same weights; itself for an empty one.

        Raises:
            AdapterError: the blend cannot be used with this model; the message says why.
        """


def wearing(model: LanguageModel, blend: Blend) -> LanguageModel:
    """A view of a model that wears a blend, over the same weights.

    Raises:
        AdapterError: the model takes no adapters, or not these; the message says why.
    """
    if not isinstance(model, Adaptable):
        raise AdapterError("the model in use takes no adapters")
    return model.adapted(blend)
