"""What makes a GGUF file a LoRA adapter: its matrices, in pairs, and nothing else.

An adapter adds (alpha / rank) B A to a weight matrix W of shape (out, in): A is ``lora_a`` of shape
(rank, in), B is ``lora_b`` of shape (out, rank). Only matrices of layers are taken: of the token
embeddings llama.cpp wants A and B the other way round, and nobody trains those for a person.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from pocketpref.errors import AdapterError
from pocketpref.lora.gguf_reader import FLOAT32, STRING, GgufHeader, Tensor, read_header

_LARGEST: Final = 1000.0
"""Largest magnitude of a number that is taken; those of trained adapters stay below ten. What is
beyond overflows the 16-bit arithmetic of the models."""

_NAME: Final = re.compile(r"(blk\.\d{1,4}\.([a-z_]{1,24})\.weight)\.lora_(a|b)")


@dataclass(frozen=True, slots=True)
class Lora:
    """The contents of an adapter file that was checked.

    Attributes:
        architecture: of the model it was made for, ``llama`` for example.
        alpha: what the product is scaled by, times the rank.
        rank: of every pair.
        targets: the kinds of matrices it changes, in GGUF's words, sorted: ``attn_q``, ``attn_v``.
        pairs: for each changed weight's name its A and B.
    """

    architecture: str
    alpha: float
    rank: int
    targets: tuple[str, ...]
    pairs: Mapping[str, tuple[Tensor, Tensor]]

    def fit(self, shapes: Mapping[str, tuple[int, int]]) -> None:
        """Compare with a base model.

        Args:
            shapes: (out, in) of the base's weights by their names.

        Raises:
            AdapterError: the base has no such weight, or it has another shape.
        """
        for name, (a, b) in self.pairs.items():
            shape = shapes.get(name)
            if shape is None:
                raise AdapterError(f"the adapter changes {name}, which the base does not have")
            if shape != (b.shape[0], a.shape[1]):
                raise AdapterError(f"the adapter's matrices for {name} do not fit the base")


def read_lora(data: bytes) -> Lora:
    """Read an adapter file and check everything that needs no base model.

    Raises:
        AdapterError: it is damaged, or no LoRA adapter; the message says how.
    """
    header = read_header(data)
    if header.value("general.type", STRING) != "adapter":
        raise AdapterError("the file is no adapter")
    if header.value("adapter.type", STRING) != "lora":
        raise AdapterError("the adapter is not of the kind LoRA")
    alpha = header.value("adapter.lora.alpha", FLOAT32)
    if not (math.isfinite(alpha) and 0 < alpha <= _LARGEST):
        raise AdapterError("the adapter's alpha is out of range")
    pairs, targets = _pairs(header)
    ranks = {a.shape[0] for a, _ in pairs.values()}
    if len(ranks) > 1:
        raise AdapterError("the adapter's matrices have different ranks")
    _check_numbers(header, data)
    architecture = str(header.value("general.architecture", STRING))
    return Lora(architecture, alpha, ranks.pop(), targets, pairs)


def _pairs(header: GgufHeader) -> tuple[dict[str, tuple[Tensor, Tensor]], tuple[str, ...]]:
    """A and B of each weight, and the kinds of weights."""
    halves: dict[str, dict[str, Tensor]] = {}
    targets: set[str] = set()
    for tensor in header.tensors:
        match = _NAME.fullmatch(tensor.name)
        if match is None:
            raise AdapterError("the adapter file holds a tensor that belongs to no LoRA")
        weight, target, half = match.groups()
        halves.setdefault(weight, {})[half] = tensor
        targets.add(target)
    pairs: dict[str, tuple[Tensor, Tensor]] = {}
    for weight, found in halves.items():
        if len(found) < 2:
            raise AdapterError(f"the adapter has only one of two matrices for {weight}")
        a, b = pairs[weight] = found["a"], found["b"]
        if a.shape[0] != b.shape[1]:
            raise AdapterError(f"the adapter's matrices for {weight} do not fit one another")
    return pairs, tuple(sorted(targets))


def _check_numbers(header: GgufHeader, data: bytes) -> None:
    """Without the sign, floats are ordered as their bits are; what is no number stands highest."""
    for tensor in header.tensors:
        values = tensor.values(data)
        whole = np.dtype(f"<u{values.itemsize}")
        highest = int((values.view(whole) & np.iinfo(whole).max // 2).max())
        largest = float(np.array(highest, whole).view(values.dtype))
        if not math.isfinite(largest):
            raise AdapterError(f"{tensor.name} holds what is no number")
        if largest > _LARGEST:
            raise AdapterError(f"{tensor.name} holds a number beyond {_LARGEST:,.0f}")
