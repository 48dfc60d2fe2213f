"""Writing a LoRA adapter as the bytes of a GGUF file, in memory."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketpref.lora.gguf_reader import ALIGNMENT, FLOAT32, MAGIC, STRING, TENSOR_TYPES, VERSION

Matrix = NDArray[np.floating[Any]]


def lora_bytes(
    pairs: Mapping[str, tuple[Matrix, Matrix]], *, architecture: str, alpha: float, name: str
) -> bytes:
    """A GGUF file of a LoRA adapter.

    Args:
        pairs: for each weight's GGUF name (``blk.0.attn_q.weight``) A of shape (rank, in) and B of
            shape (out, rank), float32 or float16. For architecture ``llama`` B of ``attn_q`` and
            ``attn_k`` must stand in GGUF's order of rows (``permuted``).
        architecture: the base's, as GGUF calls it.
        alpha: the product B A is scaled by alpha / rank.
        name: for people.
    """
    tensors: list[tuple[str, Matrix]] = [
        (f"{weight}.lora_{half}", np.ascontiguousarray(matrix))
        for weight, (a, b) in pairs.items()
        for half, matrix in (("a", a), ("b", b))
    ]
    head = [
        MAGIC + struct.pack("<IQQ", VERSION, len(tensors), 5),
        *(
            _text(key) + struct.pack("<I", STRING) + _text(value)
            for key, value in (
                ("general.architecture", architecture),
                ("general.type", "adapter"),
                ("general.name", name),
                ("adapter.type", "lora"),
            )
        ),
        _text("adapter.lora.alpha") + struct.pack("<If", FLOAT32, alpha),
        *_descriptions(tensors),
    ]
    parts = [_filled(b"".join(head)), *(_filled(matrix.tobytes()) for _, matrix in tensors)]
    return b"".join(parts)


def permuted(b: Matrix, heads: int) -> Matrix:
    """B of a query or key projection in the order of rows that GGUF has for ``llama``.

    llama.cpp rotates neighbouring rows of a head, transformers its two halves; the converter of
    weights reorders the rows, so what is added to them must be reordered too.

    Args:
        b: shape (heads x width, rank), in transformers' order.
        heads: attention heads of this projection (for keys those of keys).
    """
    rows, rank = b.shape
    return b.reshape(heads, 2, rows // heads // 2, rank).swapaxes(1, 2).reshape(rows, rank)


def _descriptions(tensors: Iterable[tuple[str, Matrix]]) -> Iterable[bytes]:
    kinds = {dtype: kind for kind, dtype in TENSOR_TYPES.items()}
    offset = 0
    for name, matrix in tensors:
        rows, columns = matrix.shape
        yield _text(name) + struct.pack("<IQQIQ", 2, columns, rows, kinds[matrix.dtype], offset)
        offset += -(-matrix.nbytes // ALIGNMENT) * ALIGNMENT


def _text(text: str) -> bytes:
    raw = text.encode()
    return struct.pack("<Q", len(raw)) + raw


def _filled(content: bytes) -> bytes:
    return content + bytes(-len(content) % ALIGNMENT)
