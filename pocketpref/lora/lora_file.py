"""Read, check and write LoRA adapters as GGUF files.

An adapter adds (alpha / rank) B A to a weight matrix W of shape (out, in): A is ``lora_a`` of shape
(rank, in), B is ``lora_b`` of shape (out, rank). Only matrices of layers are taken: of the token
embeddings llama.cpp wants A and B the other way round, and nobody trains those for a person.

The file is read here before native code sees a byte of it. llama.cpp trusts what it parses: a key
of an unexpected type aborts the process, and a file for another model of the same shape loads
without a word. So everything that llama.cpp will read is checked first, with bounds, and whatever
an adapter does not need is refused.

GGUF version 3, little-endian: magic, version, number of tensors, number of keys; the keys, each a
string, a type and a value; the tensors, each a name, its sizes, a type and an offset; padding; the
data. The innermost size comes first, as in ggml.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import AdapterError

MAGIC: Final = b"GGUF"
VERSION: Final = 3
ALIGNMENT: Final = 32

MAX_BYTES: Final = 256 * 2**20
"""Largest adapter that is read; rank 16 on every matrix of a model of 7 billion takes 80 MB."""

_MOST_TENSORS: Final = 4096
_MOST_KEYS: Final = 256
_MOST_KEY_BYTES: Final = 256
_MOST_TEXT_BYTES: Final = 65_536
_MOST_ITEMS: Final = 4096
_MOST_NAME_BYTES: Final = 63  # GGML_MAX_NAME less the closing zero

STRING: Final = 8
ARRAY: Final = 9
FLOAT32: Final = 6
UINT32: Final = 4
_SCALARS: Final = {
    0: "<B",
    1: "<b",
    2: "<H",
    3: "<h",
    UINT32: "<I",
    5: "<i",
    FLOAT32: "<f",
    7: "<?",
    10: "<Q",
    11: "<q",
    12: "<d",
}

TENSOR_TYPES: Final[dict[int, np.dtype[Any]]] = {0: np.dtype("<f4"), 1: np.dtype("<f2")}
"""Types of tensors that are taken: F32 and F16."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A matrix of the file.

    Attributes:
        name: as it stands in the file.
        shape: (rows, columns); the file's sizes turned round.
        kind: a key of ``TENSOR_TYPES``.
        offset: where it begins, in bytes from the beginning of the file.
    """

    name: str
    shape: tuple[int, int]
    kind: int
    offset: int

    @property
    def size(self) -> int:
        """How many bytes its numbers take."""
        return self.shape[0] * self.shape[1] * TENSOR_TYPES[self.kind].itemsize

    def values(self, data: bytes) -> NDArray[Any]:
        """A view of its numbers, shape ``shape``."""
        count = self.shape[0] * self.shape[1]
        flat = np.frombuffer(data, TENSOR_TYPES[self.kind], count, self.offset)
        return flat.reshape(self.shape)

    def largest(self, data: bytes) -> float:
        """Largest magnitude of its numbers; not finite if one of them is no number."""
        values = self.values(data)
        # Without the sign, floats are ordered as their bits are, and what is no number is highest.
        whole = np.dtype(f"<u{values.itemsize}")
        highest = int((values.view(whole) & np.iinfo(whole).max // 2).max())
        return float(np.array(highest, whole).view(values.dtype))


@dataclass(frozen=True, slots=True)
class GgufHeader:
    """What an adapter file says of itself.

    Attributes:
        keys: its metadata: type and value of each key.
        tensors: its matrices, in the order of the file.
    """

    keys: dict[str, tuple[int, Any]]
    tensors: tuple[Tensor, ...]

    def value(self, key: str, kind: int) -> Any:
        """A value of the metadata.

        Raises:
            AdapterError: there is none, or it is of another type.
        """
        found = self.keys.get(key)
        if found is None or found[0] != kind:
            raise AdapterError(f"the adapter file does not say its {key} in the right form")
        return found[1]


def read_header(data: bytes) -> GgufHeader:
    """Read and check the header of an adapter.

    Raises:
        AdapterError: the file is no GGUF file of this version, is truncated, claims more than it
            holds, or has what no adapter needs.
    """
    if len(data) > MAX_BYTES:
        raise AdapterError(f"the adapter file has more than {MAX_BYTES // 2**20} MiB")
    cursor = _Cursor(data)
    if cursor.take(4) != MAGIC:
        raise AdapterError("the adapter file is no GGUF file")
    if (version := cursor.number("<I")) != VERSION:
        raise AdapterError(f"the adapter file has GGUF version {version}, not {VERSION}")
    tensors, keys = cursor.number("<Q"), cursor.number("<Q")
    if not 0 < tensors <= _MOST_TENSORS or not 0 < keys <= _MOST_KEYS:
        raise AdapterError("the adapter file claims an impossible number of tensors or keys")
    found = cursor.keys(keys)
    if "general.alignment" in found and found["general.alignment"] != (UINT32, ALIGNMENT):
        raise AdapterError(f"the adapter file is not aligned to {ALIGNMENT} bytes")
    return GgufHeader(found, _tensors(cursor, tensors))


class _Cursor:
    """Reads forward, never beyond the end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> bytes:
        if count > len(self.data) - self.place:
            raise AdapterError("the adapter file is truncated")
        self.place += count
        return self.data[self.place - count : self.place]

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self, most: int) -> str:
        length = self.number("<Q")
        if length > most:
            raise AdapterError("the adapter file holds a name or text that is too long")
        raw = self.take(length)
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            text = "\0"
        if "\0" in text:  # C would read a part of it only
            raise AdapterError("the adapter file holds a name or text that is none")
        return text

    def item(self, kind: int) -> Any:
        if kind == STRING:
            return self.text(_MOST_TEXT_BYTES)
        if kind not in _SCALARS:
            raise AdapterError("the adapter file holds metadata of an unknown type")
        return self.number(_SCALARS[kind])

    def value(self, kind: int) -> Any:
        if kind != ARRAY:
            return self.item(kind)
        inner, count = self.number("<I"), self.number("<Q")
        if count > _MOST_ITEMS:
            raise AdapterError("the adapter file holds a list that is too long")
        return [self.item(inner) for _ in range(count)]

    def keys(self, count: int) -> dict[str, tuple[int, Any]]:
        found: dict[str, tuple[int, Any]] = {}
        for _ in range(count):
            name, kind = self.text(_MOST_KEY_BYTES), self.number("<I")
            if name in found:
                raise AdapterError("the adapter file says a key twice")
            if name.startswith("adapter.alora"):
                raise AdapterError("the adapter file is an aLoRA, which switches itself on and off")
            found[name] = (kind, self.value(kind))
        return found

    def tensor(self) -> Tensor:
        """One entry of the list of tensors; its offset is still relative to the data."""
        name = self.text(_MOST_NAME_BYTES)
        if self.number("<I") != 2:
            raise AdapterError("the adapter file holds a tensor that is no matrix")
        columns, rows = self.number("<Q"), self.number("<Q")
        kind, offset = self.number("<I"), self.number("<Q")
        if kind not in TENSOR_TYPES:
            raise AdapterError("the adapter file holds a tensor of a type other than F32 and F16")
        if not 0 < columns <= MAX_BYTES or not 0 < rows <= MAX_BYTES or rows * columns > MAX_BYTES:
            raise AdapterError("the adapter file holds a tensor of an impossible size")
        return Tensor(name, (rows, columns), kind, offset)


def _tensors(cursor: _Cursor, count: int) -> tuple[Tensor, ...]:
    """The tensors, which must lie one after the other and fill the file."""
    described = [cursor.tensor() for _ in range(count)]
    if len({tensor.name for tensor in described}) < count:
        raise AdapterError("the adapter file holds a tensor twice")
    start = _padded(cursor.place)
    expected = 0
    placed = []
    for tensor in described:
        if tensor.offset != expected:
            raise AdapterError("the adapter file's tensors do not lie one after the other")
        placed.append(Tensor(tensor.name, tensor.shape, tensor.kind, start + tensor.offset))
        expected += _padded(tensor.size)
    end = placed[-1].offset + placed[-1].size
    if end > len(cursor.data):
        raise AdapterError("the adapter file is truncated")
    if len(cursor.data) > _padded(end):
        raise AdapterError("the adapter file goes on behind its last tensor")
    return tuple(placed)


def _padded(place: int) -> int:
    return -(-place // ALIGNMENT) * ALIGNMENT


# What makes a GGUF file a LoRA adapter: its matrices, in pairs, and nothing else.

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
    for tensor in header.tensors:
        largest = tensor.largest(data)
        if not math.isfinite(largest):
            raise AdapterError(f"{tensor.name} holds what is no number")
        if largest > _LARGEST:
            raise AdapterError(f"{tensor.name} holds a number beyond {_LARGEST:,.0f}")
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


# Writing.

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
