"""Silence: while it holds, every attempt to use a network is an error.

Two fences, because neither sees everything:

- ``silence()`` is told by Python itself (audit events, PEP 578) what this process's Python code is
  about to do, on every system, until the block ends. What native code asks of the system directly,
  and what other programs do that are started meanwhile, it does not see.
- ``cut_off()`` has the kernel refuse every new socket but those between programs on this machine
  (``AF_UNIX``), on Linux: to all threads of this process, native code included, and to whatever it
  starts, until they end. There is no way back.

Both guard against libraries that call home and against mistakes of ours. Hostile code in this
process could ask another program on the machine to send something for it.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pocketpref.errors import DeniedError

_TO_AN_ADDRESS = frozenset({"socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg"})
_ABOUT_A_NAME = frozenset(
    {"socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"}
)
_PROBE = "pocketpref.offline"
_AF_UNIX = 1  # on every system that has it


@contextmanager
def silence() -> Iterator[None]:
    """While the block lasts, Python code that tries to use a network gets a ``DeniedError``.

    In every thread of the process. Sockets between programs on this machine (``AF_UNIX``), by which
    for example the keyring is reached, work as ever, and so do connections that exist already.

    Raises:
        DeniedError: from whatever tries; or at once, if this process forbids new audit hooks.
    """
    _watch.begin()
    try:
        yield
    finally:
        _watch.end()


class _Watch:
    """The hook: installed once, since Python never removes one, and idle but in a block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._heard = False
        self._blocks = 0

    def begin(self) -> None:
        with self._lock:
            if not self._heard:
                sys.addaudithook(self._see)
                sys.audit(_PROBE)
            self._blocks += self._heard
        if not self._heard:  # an earlier hook may refuse others, and Python then says nothing
            raise DeniedError(
                "this process cannot be watched: it forbids audit hooks",
                hint="run it where nothing can be reached: unshare -rn pocketpref ...",
            )

    def end(self) -> None:
        with self._lock:
            self._blocks -= 1

    def _see(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == _PROBE:
            self._heard = True
        elif self._blocks and (
            arguments[0].family != _AF_UNIX if event in _TO_AN_ADDRESS else event in _ABOUT_A_NAME
        ):
            # Not the address: who leaks something may do so in the name that is looked up.
            raise DeniedError(
                f"something tried to use a network ({event}), and nothing may",
                hint="if that was meant, leave out --offline, or the silence() around it",
            )


_watch = _Watch()


# ---------------------------------------------------------------------------------- the kernel

_PR_SET_NO_NEW_PRIVS = 38  # linux/prctl.h
_SET_MODE_FILTER, _ALL_THREADS = 1, 1  # linux/seccomp.h
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050000 | errno.EACCES
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06  # linux/bpf_common.h
_NUMBER, _ARCHITECTURE, _FIRST_ARGUMENT = 0, 4, 16  # struct seccomp_data, little-endian
_OTHER_ABI = 0x40000000  # x86-64 knows its calls by a second set of numbers, from here on
_IO_URING_SETUP = 425  # opens sockets in ways that the filter would not see

# Machine to audit architecture, numbers of socket(2) and of seccomp(2).
_KNOWN = {"x86_64": (0xC000003E, 41, 317), "aarch64": (0xC00000B7, 198, 277)}


def cut_off() -> bool:
    """Have the kernel refuse this process, and all that it starts, every network for good.

    Returns:
        Whether it does: on Linux (x86-64 and arm64), unless seccomp is switched off.
    """
    known = _KNOWN.get(platform.machine())
    if sys.platform != "linux" or known is None or sys.maxsize < 2**32:
        return False
    architecture, socket_call, seccomp_call = known
    lines = _filter(architecture, socket_call)
    code = ctypes.create_string_buffer(b"".join(bytes(_Line(*line)) for line in lines))
    program = _Program(len(lines), ctypes.addressof(code))
    libc = ctypes.CDLL(None)
    # Without it only an administrator may filter: a program that gains rights would run filtered.
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    refused: int = libc.syscall(
        ctypes.c_long(seccomp_call), _SET_MODE_FILTER, _ALL_THREADS, ctypes.byref(program)
    )
    return refused == 0


def _filter(architecture: int, socket_call: int) -> list[tuple[int, int, int, int]]:
    """The filter as (operation, lines to skip if true, if false, operand); see seccomp(2)."""
    return [
        (_LOAD, 0, 0, _ARCHITECTURE),
        (_EQUAL, 0, 7, architecture),
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 5, 0, _OTHER_ABI),
        (_EQUAL, 4, 0, _IO_URING_SETUP),
        (_EQUAL, 0, 2, socket_call),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_EQUAL, 0, 1, _AF_UNIX),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]


class _Line(ctypes.Structure):
    """``struct sock_filter``."""

    _fields_ = (
        ("code", ctypes.c_ushort),
        ("jump_true", ctypes.c_ubyte),
        ("jump_false", ctypes.c_ubyte),
        ("operand", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    """``struct sock_fprog``."""

    _fields_ = (("length", ctypes.c_ushort), ("lines", ctypes.c_void_p))
