"""A layer between SQLite and the disk, in this process: every write can be seen, failed or cut.

SQLite reaches the disk through a table of functions, its VFS (https://www.sqlite.org/vfs.html).
Python's sqlite3 has no way to give it another, so the layer is put under it with ctypes: a copy of
the system's VFS becomes the default, and files opened through it get a copy of their method table
in which writing, truncating and syncing, and in the VFS deleting, ask a handler first.

Works where Python uses a shared SQLite library (Linux, Windows, most builds); where it is built in
and hidden, `Layer.install` returns None, and what needs it is left out and said so.
"""

from __future__ import annotations

import ctypes
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from pathlib import Path
from typing import Any, Literal

Kind = Literal["write", "truncate", "sync", "delete"]

FULL = 13  # SQLITE_FULL
FAILED: dict[Kind, int] = {"write": 778, "truncate": 1546, "sync": 1034, "delete": 2570}
"""SQLITE_IOERR_WRITE, _TRUNCATE, _FSYNC and _DELETE."""

_METHODS = (
    *("close", "read", "write", "truncate", "sync", "file_size", "lock", "unlock"),
    *("check_lock", "control", "sector_size", "characteristics"),
    *("shm_map", "shm_lock", "shm_barrier", "shm_unmap"),  # since version 2
    *("fetch", "unfetch"),  # since version 3
)
_FUNCTIONS = (
    *("open", "delete", "access", "full_path", "dl_open", "dl_error", "dl_sym", "dl_close"),
    *("randomness", "sleep", "time", "last_error"),
    "time_64",  # since version 2
    *("set_call", "get_call", "next_call"),  # since version 3
)
_METHODS_BY_VERSION = {1: 12, 2: 16, 3: 18}


class _Methods(Structure):
    _fields_ = [("version", c_int), *((name, c_void_p) for name in _METHODS)]


class _File(Structure):
    _fields_ = [("methods", c_void_p)]


class _Vfs(Structure):
    _fields_ = [
        *(("version", c_int), ("file_size", c_int), ("path_size", c_int), ("next", c_void_p)),
        *(("name", c_char_p), ("data", c_void_p)),
        *((name, c_void_p) for name in _FUNCTIONS),
    ]


_OPEN = CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p, c_int, c_void_p)
_DELETE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_WRITE = CFUNCTYPE(c_int, c_void_p, c_void_p, c_int, c_int64)
_TRUNCATE = CFUNCTYPE(c_int, c_void_p, c_int64)
_SYNC = CFUNCTYPE(c_int, c_void_p, c_int)


class Step:
    """One change that SQLite is about to make on the disk.

    Attributes:
        kind: what.
        file: name of the file, without folder.
        offset: where, of a write; the new length, of a truncation.
        size: bytes to be written.
    """

    def __init__(self, kind: Kind, file: str, offset: int = 0, size: int = 0) -> None:
        self.kind: Kind = kind
        self.file = file
        self.offset = offset
        self.size = size
        self._data = 0
        self._write: Callable[[int], object] | None = None

    @property
    def data(self) -> bytes:
        """What is to be written."""
        return ctypes.string_at(self._data, self.size) if self._data else b""

    def tear(self) -> None:
        """Write the first half, as a disk does that loses power; nothing for other kinds."""
        if self._write is not None:
            self._write(self.size // 2)


Handler = Callable[[Step], int]
"""Told of a step before it is made: 0 lets it be made, another number fails it with that code."""


class Layer:
    """The layer of this process; there is at most one.

    Attributes:
        handler: decides on every step; None lets all of them pass.
        steps: how many there were.
    """

    _installed: Layer | None = None

    def __init__(self, library: ctypes.CDLL) -> None:
        self.handler: Handler | None = None
        self.steps = 0
        self._names: dict[int, str] = {}
        self._tables: dict[int, _Methods] = {}
        self._kept: list[Any] = []  # ctypes does not keep callbacks alive
        library.sqlite3_vfs_find.restype = POINTER(_Vfs)
        library.sqlite3_vfs_register.argtypes = [POINTER(_Vfs), c_int]
        library.sqlite3_initialize()
        below: _Vfs = library.sqlite3_vfs_find(None).contents
        self._vfs = _Vfs()
        version = min(below.version, 3)
        size = ctypes.sizeof(_Vfs) - {1: 4, 2: 3, 3: 0}[version] * ctypes.sizeof(c_void_p)
        ctypes.memmove(ctypes.byref(self._vfs), ctypes.byref(below), size)
        self._vfs.version, self._vfs.name, self._vfs.next = version, b"torture", None
        self._vfs.open = self._keep(_OPEN(self._opener(_OPEN(below.open))))
        self._vfs.delete = self._keep(_DELETE(self._deleter(_DELETE(below.delete))))
        library.sqlite3_vfs_register(ctypes.byref(self._vfs), 1)

    @classmethod
    def install(cls) -> Layer | None:
        """Put the layer under everything this process opens from now on; None if it cannot be."""
        if cls._installed is None:
            library = _library()
            if library is None:
                return None
            cls._installed = cls(library)
        return cls._installed if cls._installed._works() else None

    def _works(self) -> bool:
        """Whether it is Python's SQLite that it lies under, and no other copy of the library."""
        before = self.steps
        with tempfile.TemporaryDirectory() as folder:
            db = sqlite3.connect(Path(folder) / "probe.db")
            db.execute("CREATE TABLE probe (one)")
            db.close()
        found, self.steps = self.steps > before, before
        return found

    def _keep(self, callback: Any) -> Any:
        self._kept.append(callback)
        return ctypes.cast(callback, c_void_p)

    def _ask(self, step: Step) -> int:
        self.steps += 1
        return 0 if self.handler is None else self.handler(step)

    # ------------------------------------------------------------------------------ the VFS

    def _opener(self, below: Any) -> Callable[..., int]:
        def opened(vfs: int, name: int | None, file: int, flags: int, out: int | None) -> int:
            code = int(below(vfs, name, file, flags, out))
            head = _File.from_address(file)
            if code == 0 and head.methods:
                text = ctypes.string_at(name).decode() if name else "temporary"
                self._names[file] = Path(text).name
                head.methods = self._table(head.methods)
            return code

        return opened

    def _deleter(self, below: Any) -> Callable[..., int]:
        def deleted(vfs: int, name: int, sync: int) -> int:
            step = Step("delete", Path(ctypes.string_at(name).decode()).name)
            return self._ask(step) or int(below(vfs, name, sync))

        return deleted

    def _table(self, address: int) -> int:
        """Where the copy of a table of methods is in which ours stand."""
        if address not in self._tables:
            below, table = _Methods.from_address(address), _Methods()
            version = min(below.version, 3)
            size = (1 + _METHODS_BY_VERSION[version]) * ctypes.sizeof(c_void_p)
            ctypes.memmove(ctypes.byref(table), address, size)
            table.version = version
            table.write = self._keep(_WRITE(self._writer(_WRITE(below.write))))
            table.truncate = self._keep(_TRUNCATE(self._truncater(_TRUNCATE(below.truncate))))
            table.sync = self._keep(_SYNC(self._syncer(_SYNC(below.sync))))
            self._tables[address] = table
        return ctypes.addressof(self._tables[address])

    def _writer(self, below: Any) -> Callable[..., int]:
        def written(file: int, data: int, size: int, offset: int) -> int:
            step = Step("write", self._names[file], offset, size)
            step._data = data
            step._write = lambda part: below(file, data, part, offset)
            return self._ask(step) or int(below(file, data, size, offset))

        return written

    def _truncater(self, below: Any) -> Callable[..., int]:
        def truncated(file: int, size: int) -> int:
            return self._ask(Step("truncate", self._names[file], size)) or int(below(file, size))

        return truncated

    def _syncer(self, below: Any) -> Callable[..., int]:
        def synced(file: int, flags: int) -> int:
            return self._ask(Step("sync", self._names[file])) or int(below(file, flags))

        return synced


def _library() -> ctypes.CDLL | None:
    import _sqlite3

    module = getattr(_sqlite3, "__file__", None)
    names = ["sqlite3.dll"] if sys.platform == "win32" else [module]
    for name in names:
        if name is not None:
            try:
                library = ctypes.CDLL(name)
                if library.sqlite3_vfs_find and library.sqlite3_vfs_register:
                    return library
            except (OSError, AttributeError):
                continue
    return None
