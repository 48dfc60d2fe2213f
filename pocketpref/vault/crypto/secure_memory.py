"""Hold keys in memory, each on its own page and wiped after use.

A `Secret` is erased when it is told to, when its ``with`` statement ends, when nobody refers to it
any more, when the interpreter exits, and in every process that Python forks from this one. Where
the system permits it, its page is locked, so that it is never swapped out. On Linux a core dump
leaves the page out. Its ``repr`` shows nothing, and it cannot be copied or pickled.

What Python cannot promise:

- ``bytes`` and ``str`` cannot be wiped. What passed through one on its way in or out (a decoded key
  file, a typed passphrase, what ``unwrap`` returns, ``bytes(secret)``) lies in freed memory until
  something else is written there.
- The cryptography library copies a key into the state of its ciphers, and erases it on its own
  terms.
- A laptop that sleeps to disk also writes locked pages; and whoever may read this process's memory
  (a debugger, an administrator) can read the page like any other.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from types import TracebackType
from typing import NoReturn, Self

from pocketpref.errors import VaultError
from pocketpref.vault.crypto.sealing import KEY_BYTES

_living: weakref.WeakSet[Secret] = weakref.WeakSet()


class Secret:
    """A few secret bytes, at least one. Make one with `Secret.random` or `Secret.taking`.

    Attributes:
        locked: whether the system keeps it out of the swap; it may refuse.
    """

    __slots__ = ("__weakref__", "_erase", "_view", "locked")

    def __init__(self, content: bytes | bytearray) -> None:
        page = _own_page(len(content))
        self.locked = _locker()(ctypes.addressof(ctypes.c_char.from_buffer(page)), len(page))
        page[:] = content
        self._view = memoryview(page).toreadonly()
        # A finalizer runs once: at wipe(), when nobody refers to the secret any more, or at exit.
        self._erase = weakref.finalize(self, _erase, page, self._view)
        _living.add(self)

    @classmethod
    def random(cls, size: int = KEY_BYTES) -> Self:
        """A fresh random key of ``size`` bytes."""
        return cls(os.urandom(size))

    @classmethod
    def taking(cls, content: bytes | bytearray) -> Self:
        """Take bytes over. A ``bytearray`` is wiped at its old place; ``bytes`` cannot be."""
        secret = cls(content)
        if isinstance(content, bytearray):
            content[:] = bytes(len(content))
        return secret

    def view(self) -> memoryview:
        """The bytes themselves, read-only, without a copy.

        It is always the same view. It lasts as long as the secret, and wiping releases it: whoever
        still holds it gets a ``ValueError`` then, rather than a key of zeros.

        Raises:
            VaultError: the secret was wiped.
        """
        if not self._erase.alive:
            raise VaultError(
                "the key is no longer in memory: it was wiped, or this process was forked",
                hint="open the vault again, in the process that uses it",
            )
        return self._view

    def __bytes__(self) -> bytes:
        return bytes(self.view())

    def __len__(self) -> int:
        return len(self.view())

    def wipe(self) -> None:
        """Overwrite it with zeros and give the page back. May be called again."""
        self._erase()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return "Secret(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never copied or pickled")


def _own_page(size: int) -> mmap.mmap:
    """Allocate a page that holds nothing else, so that it can be locked and kept out of dumps."""
    if sys.platform == "win32":
        page = mmap.mmap(-1, size)
    else:
        # Python's default, MAP_SHARED, would let a forked child wipe the page of its parent.
        page = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANON)
    if sys.platform == "linux":
        with suppress(OSError):  # kernels of sandboxes that do not know it
            page.madvise(mmap.MADV_DONTDUMP)
    return page


@cache
def _locker() -> Callable[[int, int], bool]:
    """The system's way to keep memory out of the swap; unlocking comes with giving it back."""
    try:
        if sys.platform == "win32":
            function = ctypes.WinDLL("kernel32").VirtualLock
        else:
            function = ctypes.CDLL(None).mlock
    except (OSError, AttributeError):
        return lambda address, size: False
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
    # VirtualLock says yes by a number other than 0, mlock by 0.
    return lambda address, size: bool(function(address, size)) == (sys.platform == "win32")


def _erase(page: mmap.mmap, view: memoryview) -> None:
    page[:] = bytes(len(page))
    with suppress(BufferError):  # somebody reads from the view right now: it shows zeros to them
        view.release()
        page.close()


def wipe_all() -> None:
    """Wipe every secret of this process."""
    for secret in list(_living):
        secret.wipe()


if sys.platform != "win32":
    os.register_at_fork(after_in_child=wipe_all)
