"""Processes for the dangerous part: one that crashes or hangs is killed, and is a finding."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, TypeVar
from unittest import mock

T = TypeVar("T")

_READY = [
    "tools.torture.victim",
    "tools.torture.faults",
    "tools.torture.power",
]  # what a process needs imported


def context() -> Any:
    """How processes are started: where possible, forked off one that has imported everything."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver

    forked = multiprocessing.get_context("forkserver")
    forked.set_forkserver_preload(_READY)
    # The server imports before it is told where this program found its modules.
    known = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    with mock.patch.dict(os.environ, {"PYTHONPATH": known}):
        forkserver.ensure_running()
    return forked


class CrashError(Exception):
    """A process crashed or hung."""


def run_each(
    work: Callable[..., T], jobs: Iterable[tuple[Any, ...]], processes: int, patience: float
) -> Iterator[tuple[tuple[Any, ...], T | CrashError]]:
    """Do each job in a process of its own, some at a time; yields them as they are done.

    Args:
        work: called with a job's parts; must pickle, as must they and what it returns.
        jobs: what it is called with.
        processes: how many at a time.
        patience: seconds after which one is taken to hang, and killed.
    """
    starts, waiting = context(), iter(jobs)
    running: dict[Connection, tuple[Any, tuple[Any, ...], float]] = {}
    while True:
        while len(running) < processes and (job := next(waiting, None)) is not None:
            ours, theirs = starts.Pipe(duplex=False)
            process = starts.Process(target=_work, args=(theirs, work, job), daemon=True)
            process.start()
            theirs.close()
            running[ours] = process, job, time.monotonic() + patience
        if not running:
            return
        until = min(end for _, _, end in running.values())
        for pipe in wait(list(running), max(0.0, until - time.monotonic())):
            assert isinstance(pipe, Connection)
            process, job, _ = running.pop(pipe)
            yield job, _answer(pipe)
            _end(process, pipe)
        for pipe in [p for p, (_, _, end) in running.items() if end < time.monotonic()]:
            process, job, _ = running.pop(pipe)
            yield job, CrashError("it hung")
            _end(process, pipe)


def _work(pipe: Connection, work: Callable[..., T], job: tuple[Any, ...]) -> None:
    pipe.send(work(*job))
    pipe.close()


def _answer(pipe: Connection) -> Any:
    try:
        return pipe.recv()
    except EOFError:
        return CrashError("the process crashed")


def _end(process: Any, pipe: Connection) -> None:
    process.join(1.0)
    process.kill()
    process.join()
    pipe.close()


def run_alone(work: Callable[..., T], *job: Any, patience: float) -> T:
    """Do one job in a process of its own.

    Raises:
        CrashError: it crashed or hung.
    """
    ((_, answer),) = run_each(work, [job], 1, patience)
    if isinstance(answer, CrashError):
        raise answer
    return answer
