"""What the program's own process gives up before anything private is in its memory."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from pocketpref.cli.console import note

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def no_core_dumps() -> None:
    """Have a crash leave no copy of the memory behind, here and in programs started from here.

    On Linux the process also ceases to be dumpable: a limit does not keep the kernel from piping a
    dump to a crash reporter (core(5)). Other programs of the same user can then no longer attach to
    it or read its memory (ptrace(2)). What the system does not permit is left out: the program
    works all the same.
    """
    if sys.platform == "win32":
        import msvcrt

        # No error box and no Windows Error Reporting, which would keep a dump.
        msvcrt.SetErrorMode(msvcrt.SEM_FAILCRITICALERRORS | msvcrt.SEM_NOGPFAULTERRORBOX)
    else:
        import resource

        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


@contextmanager
def without_network(wanted: bool, *, own_process: bool) -> Iterator[None]:
    """Make every attempt to use a network an error, by Python's means and by the kernel's.

    Args:
        wanted: ``--offline``; without it nothing changes.
        own_process: whether this process is the program's own: what the kernel is told cannot be
            taken back.
    """
    from pocketpref.silence import cut_off, silence

    if not wanted:
        yield
        return
    with silence():
        if own_process and cut_off():
            note("offline: the system refuses this program, and all that it starts, every network")
        else:
            note(
                "offline: Python code that tries to use a network fails; native code is not "
                "watched here"
            )
        yield
