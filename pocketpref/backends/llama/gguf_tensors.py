"""Read the weights of a GGUF file as float32 matrices, with ggml's reader and converters."""

from __future__ import annotations

import ctypes
import mmap
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.backends.llama.bindings import library
from pocketpref.errors import ModelDamagedError
from pocketpref.records import Matrix32

_RESIDENT_BYTES = 2**30
"""Converted matrices of a model up to this size are kept; those of a larger one are made anew each
time they are used, which costs it little: it computes much longer with each."""

_FLOAT32 = 0  # GGML_TYPE_F32


class Tensors:
    """Named matrices of one file. Frees itself with ``close``.

    Attributes:
        elements: how many weights the file holds.
        quantized: whether some of them are quantized.
    """

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            ModelDamagedError: it is not a GGUF file.
        """
        ggml = _ggml()
        self._header = ggml.gguf_init_from_file(str(path).encode(), _InitParams(True, None))
        if not self._header:
            raise ModelDamagedError(
                f"{path.name} is not a whole GGUF file",
                hint="it may be truncated or of another kind; `pocketpref models pull` fetches it",
            )
        with path.open("rb") as file:
            self._data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._start = ggml.gguf_get_data_offset(self._header)
        self._places = self._read_places()
        self.elements = sum(rows * columns for _, _, (rows, columns) in self._places.values())
        self.quantized = any(_traits(kind).is_quantized for kind, _, _ in self._places.values())
        self._keeps = 4 * self.elements <= _RESIDENT_BYTES
        self._kept: dict[str, Matrix32] = {}

    def close(self) -> None:
        """Free everything; a second call does nothing."""
        if self._header:
            _ggml().gguf_free(self._header)
            self._header = None
            self._data.close()
            self._kept.clear()

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def shapes(self) -> dict[str, tuple[int, int]]:
        """(rows, columns) of every matrix by its name."""
        return {name: shape for name, (_, _, shape) in self._places.items()}

    def matrix(self, name: str) -> Matrix32:
        """A matrix, shape (rows, columns); a vector has one row.

        Raises:
            ModelDamagedError: there is no such tensor, or it is of a kind that cannot be read.
        """
        found = self._kept.get(name)
        if found is None:
            kind, offset, shape = self._place(name)
            found = self._floats(kind, offset, shape[0] * _row_bytes(kind, shape[1]), shape)
            if self._keeps:
                self._kept[name] = found
        return found

    def vector(self, name: str) -> Matrix32:
        """A vector, shape (columns,)."""
        return np.asarray(self.matrix(name)[0])

    def rows(self, name: str, wanted: list[int]) -> Matrix32:
        """Some rows of a matrix, shape (len(wanted), columns), without converting the others."""
        if name in self._kept:
            return np.asarray(self._kept[name][wanted])
        kind, offset, (_, columns) = self._place(name)
        size = _row_bytes(kind, columns)
        return np.concatenate(
            [self._floats(kind, offset + row * size, size, (1, columns)) for row in wanted]
        )

    def _floats(self, kind: int, offset: int, size: int, shape: tuple[int, int]) -> Matrix32:
        begin = self._start + offset
        raw = np.frombuffer(self._data, np.uint8, size, begin)
        if kind == _FLOAT32:
            return raw.view(np.float32).reshape(shape).copy()
        result = np.empty(shape, np.float32)
        to_float = _traits(kind).to_float
        if not to_float:
            raise ModelDamagedError("the model holds weights of an unknown kind")
        to_float(raw.ctypes.data, result.ctypes.data, result.size)
        return result

    def _place(self, name: str) -> tuple[int, int, tuple[int, int]]:
        if name not in self._places:
            raise ModelDamagedError(f"the model has no weights named {name}")
        return self._places[name]

    def _read_places(self) -> dict[str, tuple[int, int, tuple[int, int]]]:
        """Type, offset and shape of every tensor."""
        ggml = _ggml()
        places = {}
        for i in range(ggml.gguf_get_n_tensors(self._header)):
            name = ggml.gguf_get_tensor_name(self._header, i).decode()
            kind = ggml.gguf_get_tensor_type(self._header, i)
            offset = ggml.gguf_get_tensor_offset(self._header, i)
            sizes = ggml.gguf_get_tensor_ne(self._header, i)
            shape = (sizes[1] * sizes[2] * sizes[3], sizes[0])
            places[name] = (int(kind), int(offset), shape)
        return places


class _InitParams(ctypes.Structure):
    """``struct gguf_init_params``."""

    _fields_ = (("no_alloc", ctypes.c_bool), ("context", ctypes.c_void_p))


_ToFloat = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)


class _Traits(ctypes.Structure):
    """The beginning of ``struct ggml_type_traits``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("block_size", ctypes.c_int64),
        ("block_size_interleave", ctypes.c_int64),
        ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", _ToFloat),
    )


def _traits(kind: int) -> Any:
    return _ggml().ggml_get_type_traits(kind).contents


def _row_bytes(kind: int, columns: int) -> int:
    traits = _traits(kind)
    return int(columns // traits.block_size * traits.type_size)


@cache
def _ggml() -> Any:
    """The library below llama.cpp, which reads files; its functions are in ggml's gguf.h."""
    folder = Path(library().__file__).parent / "lib"  # first, for it says how threads wait
    from llama_cpp._ctypes_extensions import load_shared_library

    ggml = load_shared_library("ggml-base", folder)
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int64
    for name, result, arguments in (
        ("gguf_init_from_file", pointer, [text, _InitParams]),
        ("gguf_free", None, [pointer]),
        ("gguf_get_data_offset", ctypes.c_size_t, [pointer]),
        ("gguf_get_n_tensors", number, [pointer]),
        ("gguf_get_tensor_name", text, [pointer, number]),
        ("gguf_get_tensor_type", ctypes.c_int, [pointer, number]),
        ("gguf_get_tensor_offset", ctypes.c_size_t, [pointer, number]),
        ("gguf_get_tensor_ne", ctypes.POINTER(ctypes.c_int64), [pointer, number]),
        ("ggml_get_type_traits", ctypes.POINTER(_Traits), [ctypes.c_int]),
    ):
        function = getattr(ggml, name)
        function.restype, function.argtypes = result, arguments
    return ggml
