"""An adapter as the two files that the device loads: GGUF, and a manifest beside it.

The format, the order of rows and the manifest are the library's own (``pocketpref.lora``), so
that nothing is written here that it would not read.
"""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketpref.evaluation.runner import without_nan
from pocketpref.lora import AdapterManifest, lora_bytes, permuted, read_lora
from pocketpref.lora import Base as BaseName

from .base import Shape
from .lora import MODULES, Factor, LoraShape

LICENCE = "Apache-2.0"
_PERMUTED = {"llama": ("q_proj", "k_proj")}
"""Matrices whose rows llama.cpp keeps in another order than transformers, by architecture."""

Numbers = NDArray[np.floating[Any]]
Factors = Mapping[tuple[int, str, str], Factor]


@dataclass(frozen=True, slots=True)
class Made:
    """How an adapter came to be; goes into its manifest.

    Attributes:
        recipe: what was optimized, in words.
        command: that makes it again.
        seed: of the adapter and of the order of examples.
        data: what it was trained on, with licences.
    """

    recipe: str
    command: str
    seed: int
    data: str


def gguf_bytes(
    factors: Factors,
    lora: LoraShape,
    shape: Shape,
    name: str,
    *,
    half: bool = True,
) -> bytes:
    """An adapter as GGUF; the same factors always give the same bytes.

    Args:
        factors: as ``lora.factors`` gives them.
        lora: rank, alpha and targets.
        shape: of the base.
        name: for people.
        half: write float16; else float32.

    Raises:
        FloatingPointError: a factor is not finite in this type.
    """
    pairs: dict[str, tuple[Numbers, Numbers]] = {}
    for layer, module, _ in sorted(key for key in factors if key[2] == "A"):
        a, b = factors[layer, module, "A"], factors[layer, module, "B"]
        heads = permuted_heads(shape, module)
        matrices = (_number(a, half), _number(permuted(b, heads) if heads else b, half))
        if not all(np.isfinite(matrix).all() for matrix in matrices):
            raise FloatingPointError(f"layer {layer} of {name} is not finite")
        pairs[f"blk.{layer}.{MODULES[module]}.weight"] = matrices
    return lora_bytes(pairs, architecture=shape.architecture, alpha=lora.alpha, name=name)


def _number(matrix: Numbers, half: bool) -> Numbers:
    return matrix.astype(np.float16) if half else matrix.astype(np.float32)


def read_gguf(data: bytes, shape: Shape) -> tuple[dict[tuple[int, str, str], Factor], LoraShape]:
    """The inverse of ``gguf_bytes``: factors in transformers' order of rows, in float32.

    Raises:
        AdapterError: it is no adapter.
    """
    names = {ours: peft for peft, ours in MODULES.items()}
    lora = read_lora(data)
    values: dict[tuple[int, str, str], Factor] = {}
    for weight, (a, b) in lora.pairs.items():
        _, layer, module, _ = weight.split(".")
        place, peft = int(layer), names[module]
        values[place, peft, "A"] = a.values(data).astype(np.float32)
        heads = permuted_heads(shape, peft)
        rows = b.values(data).astype(np.float32)
        values[place, peft, "B"] = _unpermuted(rows, heads) if heads else rows
    return values, LoraShape(lora.rank, lora.alpha, tuple(names[t] for t in lora.targets))


def permuted_heads(shape: Shape, module: str) -> int:
    """By how many heads the rows of a module's B are permuted in GGUF; 0 if they are not."""
    if module not in _PERMUTED.get(shape.architecture, ()):
        return 0
    return shape.heads if module == "q_proj" else shape.key_heads


def _unpermuted(rows: Factor, heads: int) -> Factor:
    count, columns = rows.shape
    return rows.reshape(heads, count // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows.shape)


def manifest(
    name: str,
    data: bytes,
    base: BaseName,
    lora: LoraShape,
    made: Made,
    *,
    held_out: Mapping[str, Any],
) -> AdapterManifest:
    """The manifest of an adapter.

    Args:
        name: of the adapter.
        data: its GGUF file.
        base: what it was trained on; the manifest binds it to its hash.
        lora: rank, alpha and targets.
        made: how.
        held_out: figures by name.
    """
    packages = ("torch", "transformers", "peft", "accelerate")
    return AdapterManifest(
        name=name,
        file=f"{name}.gguf",
        base=base,
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        rank=lora.rank,
        alpha=lora.alpha,
        targets=tuple(sorted(MODULES[target] for target in lora.targets)),
        licence=LICENCE,
        recipe=made.recipe,
        made={
            "command": made.command,
            "seed": made.seed,
            "data": made.data,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "versions": {package: version(package) for package in packages},
        },
        held_out=held_out,
    )


def write_json(path: Path, value: Any) -> None:
    """Write JSON as it lies in the repository: bytes, so that every system writes the same."""
    text = json.dumps(without_nan(value), indent=1, ensure_ascii=False)
    path.write_bytes(f"{text}\n".encode())
