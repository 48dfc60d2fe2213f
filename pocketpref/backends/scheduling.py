"""Choose thread counts, and give replies priority over scoring."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import psutil

# Replies go first: scoring in the background steps aside while a reply is being written.
#
# A person waits for a reply and for nothing else. Both would run on the same cores, and each batch
# of scoring takes longer than a token of a reply; so scoring looks up before every batch, and waits
# as long as tokens are being drawn. A reply that its reader leaves standing holds up nothing.

_GRACE = 0.1
"""Seconds without a token after which a reply counts as standing still."""

_LOOK = 0.01
"""Seconds between two looks."""


class ReplyPriority:
    """Who computes now. One for the whole process, whatever models are loaded."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._drawing = 0
        self._last = float("-inf")

    @contextmanager
    def replying(self) -> Iterator[None]:
        """While one step of a reply is computed."""
        with self._lock:
            self._drawing += 1
        try:
            yield
        finally:
            with self._lock:
                self._drawing -= 1
                self._last = time.monotonic()

    def wanted(self) -> bool:
        """Whether a step of a reply is being computed now."""
        return self._drawing > 0

    def step_aside(self) -> None:
        """Return when no reply is being written."""
        while self._drawing or time.monotonic() - self._last < _GRACE:
            time.sleep(_LOOK)


courtesy = ReplyPriority()


WAITING: Final = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "300"}
"""What OpenMP is told: threads that wait spin 300 rounds, some microseconds, and then sleep.

ggml's threads meet several hundred times for each batch. While they spin on a core that another
program wants, both lose: beside two busy programs on two cores, learning took twice as long. To
wake one up costs more than what is computed between two meetings where a batch is one token: with
sleep alone, replies came at a third of the speed (``tools/bench/waiting.py``). The second name is
GNU's; other runtimes know the first alone.
"""


def threads() -> int:
    """The cores this process may use, without hyper-threads.

    Two threads on one core share its arithmetic units; matrix products gain nothing from them.
    """
    try:
        usable = len(os.sched_getaffinity(0))  # Linux, where a container may hold us to fewer
    except AttributeError:  # macOS and Windows
        usable = os.cpu_count() or 1
    return max(1, min(usable, psutil.cpu_count(logical=False) or usable))


def unsaid_waiting() -> dict[str, str]:
    """``WAITING``, or nothing if the user has said any of it: what they said stands alone."""
    return {} if any(name in os.environ for name in WAITING) else dict(WAITING)


@contextmanager
def patient_threads() -> Iterator[None]:
    """Load a library that computes with OpenMP in here: it is told ``WAITING``, and nobody else is.

    It reads the environment once, when it is loaded.
    """
    told = unsaid_waiting()
    os.environ.update(told)
    try:
        yield
    finally:
        for name in told:
            del os.environ[name]
