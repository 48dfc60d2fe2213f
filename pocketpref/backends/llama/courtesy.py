"""Replies go first: scoring in the background steps aside while a reply is being written.

A person waits for a reply and for nothing else. Both would run on the same cores, and each batch of
scoring takes longer than a token of a reply; so scoring looks up before every batch, and waits as
long as tokens are being drawn. A reply that its reader leaves standing holds up nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_GRACE = 0.1
"""Seconds without a token after which a reply counts as standing still."""

_LOOK = 0.01
"""Seconds between two looks."""


class Courtesy:
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


courtesy = Courtesy()
