"""Interfaces for models that wear adapters and for what generates adapters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pocketpref.protocols import LanguageModel
from pocketpref.records import Vector

if TYPE_CHECKING:
    from pocketpref.lora.blend import Blend
    from pocketpref.lora.manifest import HypernetworkManifest


@runtime_checkable
class Adaptable(Protocol):
    """A language model that can wear adapters."""

    def adapted(self, blend: Blend) -> LanguageModel:
        """This model wearing a blend, over the same weights; itself for an empty one.

        Raises:
            AdapterError: the blend cannot be used with this model; the message says why.
        """


class Hypernetwork(Protocol):
    """Writes adapters from profiles."""

    @property
    def manifest(self) -> HypernetworkManifest:
        """What is known of it."""

    def write(self, profile: Vector) -> dict[str, NDArray[np.float32]]:
        """The factors of an adapter.

        Args:
            profile: shape (dimensions,).

        Returns:
            ``KIND.lora_a`` of shape (layers, rank, in) and ``KIND.lora_b`` of shape (layers, out,
            rank) for each kind of matrix, in GGUF's order of rows.

        Raises:
            ModelError: it failed, or the profile is of another length than it takes.
        """
