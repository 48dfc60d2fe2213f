"""Contenders of ``bench_scoring`` in processes of their own.

A process of its own gives each contender its own peak of memory and its own threads: torch and
llama.cpp bring an OpenMP each. Pairs travel through a pipe, so that no text of a person stands in
an argument list or in a file.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pocketpref.errors import ModelError, PocketprefError

_STATUS = Path("/proc/self/status")
_PATIENCE = 2.0  # seconds for a contender to end by itself


def peak_memory() -> int:
    """Most memory that this process has had resident, in bytes; mapped weights count.

    Linux is asked for VmHWM: its ``getrusage`` also counts the parent that started the process.
    """
    if _STATUS.is_file():
        for line in _STATUS.read_text("ascii").splitlines():
            if line.startswith("VmHWM:"):
                return 1024 * int(line.split()[1])
    if sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most


class Worker:
    """A contender in a process of its own; ``call`` runs one of its methods there."""

    def __init__(self, name: str, make: Callable[..., object], *arguments: object) -> None:
        """Start it and wait until it is ready.

        Args:
            name: for messages.
            make: called in the new process; must pickle.
            *arguments: what it is called with; must pickle.

        Raises:
            ModelError: it did not start.
        """
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._name = name
        self._process = context.Process(target=_serve, args=(theirs, make, arguments), daemon=True)
        self._process.start()
        theirs.close()
        self._answer()

    def call(self, method: str, *arguments: object, **options: object) -> Any:
        """Run a method of the contender and return what it returns.

        Raises:
            ModelError: it failed, or its process has ended.
        """
        self._pipe.send((method, arguments, options))
        return self._answer()

    def memory(self) -> int:
        """Its peak of memory so far, in bytes."""
        return int(self.call(_MEMORY))

    def stop(self) -> None:
        """End the process: by itself if it waits for a call, else at once."""
        self._pipe.close()
        self._process.join(_PATIENCE)
        self._process.terminate()
        self._process.join()

    def _answer(self) -> Any:
        try:
            result, message, hint = self._pipe.recv()
        except (EOFError, ConnectionError):
            message, hint = "its process has ended", "was there enough memory?"
        if message is not None:
            raise ModelError(f"{self._name}: {message}", hint=hint)
        return result


_MEMORY = "peak_memory"


def _serve(pipe: Connection, make: Callable[..., object], arguments: tuple[object, ...]) -> None:
    """Answer calls until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    # What libraries print must not stand in the report.
    os.dup2(2, 1)
    contender: object = None

    def run(method: str, given: tuple[object, ...], options: dict[str, object]) -> object:
        return getattr(contender, method)(*given, **options)

    try:
        contender = make(*arguments)
        pipe.send((None, None, None))
        while True:
            method, given, options = pipe.recv()
            result = peak_memory() if method == _MEMORY else run(method, given, options)
            pipe.send((result, None, None))
    except PocketprefError as error:
        pipe.send((None, error.message, error.hint))
    except (EOFError, ConnectionError):
        return
