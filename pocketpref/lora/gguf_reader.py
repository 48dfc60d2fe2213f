"""The header of a GGUF adapter, read by ourselves before native code sees a byte of the file.

llama.cpp trusts what it parses: a key of an unexpected type aborts the process, and a file of
another model of the same shape loads without a word. So everything that it will look at is looked
at here first, with bounds, and whatever an adapter has no need of is refused.

The layout (GGUF version 3, little-endian): magic, version, number of tensors, number of keys; the
keys, each a string, a type and a value; the tensors, each a name, its sizes, a type and an offset;
padding; the data. Sizes stand innermost first, as in ggml.
"""

from __future__ import annotations

import struct
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
    found = _keys(cursor, keys)
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


def _keys(cursor: _Cursor, count: int) -> dict[str, tuple[int, Any]]:
    found: dict[str, tuple[int, Any]] = {}
    for _ in range(count):
        name = cursor.text(_MOST_KEY_BYTES)
        kind = cursor.number("<I")
        if name in found:
            raise AdapterError("the adapter file says a key twice")
        if name.startswith("adapter.alora"):
            raise AdapterError("the adapter file is an aLoRA, which switches itself on and off")
        found[name] = (kind, _value(cursor, kind))
    return found


def _value(cursor: _Cursor, kind: int) -> Any:
    if kind != ARRAY:
        return _item(cursor, kind)
    inner, count = cursor.number("<I"), cursor.number("<Q")
    if count > _MOST_ITEMS:
        raise AdapterError("the adapter file holds a list that is too long")
    return [_item(cursor, inner) for _ in range(count)]


def _item(cursor: _Cursor, kind: int) -> Any:
    if kind == STRING:
        return cursor.text(_MOST_TEXT_BYTES)
    if kind not in _SCALARS:
        raise AdapterError("the adapter file holds metadata of an unknown type")
    return cursor.number(_SCALARS[kind])


def _tensors(cursor: _Cursor, count: int) -> tuple[Tensor, ...]:
    """The tensors, which must lie one after the other and fill the file."""
    described = [_describe(cursor) for _ in range(count)]
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


def _describe(cursor: _Cursor) -> Tensor:
    """One entry of the list of tensors; its offset is still relative to the data."""
    name = cursor.text(_MOST_NAME_BYTES)
    if cursor.number("<I") != 2:
        raise AdapterError("the adapter file holds a tensor that is no matrix")
    columns, rows = cursor.number("<Q"), cursor.number("<Q")
    kind, offset = cursor.number("<I"), cursor.number("<Q")
    if kind not in TENSOR_TYPES:
        raise AdapterError("the adapter file holds a tensor of a type other than F32 and F16")
    if not 0 < columns <= MAX_BYTES or not 0 < rows <= MAX_BYTES or rows * columns > MAX_BYTES:
        raise AdapterError("the adapter file holds a tensor of an impossible size")
    return Tensor(name, (rows, columns), kind, offset)


def _padded(place: int) -> int:
    return -(-place // ALIGNMENT) * ALIGNMENT
