"""Queue the requests of many clients to one model; a slow reader delays nobody else.

The model writes one answer at a time. Its pieces are queued as they come, for the client to read at
its own speed: an answer is short, so the queue is bounded by it. An answer whose client has
disconnected is cancelled at its next piece.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from typing import Final

from pocketpref.errors import PocketprefError

MOST_WAITING: Final = 64
"""Requests that may wait; further ones are refused with 503."""

_AT_ONCE_ELSEWHERE: Final = 4

Open = Callable[[], Generator[str, None, None]]


class BusyError(Exception):
    """Too many requests wait already."""


class UnexpectedError(Exception):
    """An answer failed unexpectedly; the message is only the type of the error."""


class _End:
    """Marks the end of a queue."""


class Replies:
    """The request queue, with one worker for the local model and a few for remote ones."""

    def __init__(self) -> None:
        self._here = ThreadPoolExecutor(1, thread_name_prefix="reply")
        self._elsewhere = ThreadPoolExecutor(_AT_ONCE_ELSEWHERE, thread_name_prefix="remote")
        self._waiting = 0
        self._broken_off: set[threading.Event] = set()

    async def pieces(self, begin: Open, *, local: bool) -> AsyncGenerator[str, None]:
        """The pieces of one answer, as they come.

        Args:
            begin: starts the answer; called in a worker thread.
            local: whether the local model answers.

        Raises:
            BusyError: too many wait.
            PocketprefError: the answer failed with it.
            UnexpectedError: the answer failed with another error.
        """
        if self._waiting >= MOST_WAITING:
            raise BusyError
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | _End | BaseException] = asyncio.Queue()
        gone = threading.Event()

        def tell(what: Callable[..., None], *arguments: object) -> None:
            with suppress(RuntimeError):  # the loop has ended: nobody waits any more
                loop.call_soon_threadsafe(what, *arguments)

        def put(item: str | _End | BaseException) -> None:
            tell(queue.put_nowait, item)

        self._waiting += 1
        self._broken_off.add(gone)
        lane = self._here if local else self._elsewhere
        done = lane.submit(_write, begin, put, gone)
        done.add_done_callback(lambda _: tell(self._served))
        try:
            while not isinstance(item := await queue.get(), _End):
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            gone.set()
            self._broken_off.discard(gone)

    def _served(self) -> None:
        self._waiting -= 1

    def close(self) -> None:
        """Cancel all replies, and wait for the workers."""
        for gone in list(self._broken_off):
            gone.set()
        for lane in (self._here, self._elsewhere):
            lane.shutdown(wait=True, cancel_futures=True)


def _write(
    begin: Open, put: Callable[[str | _End | BaseException], None], gone: threading.Event
) -> None:
    if gone.is_set():
        return
    try:
        with closing(begin()) as pieces:
            for piece in pieces:
                if gone.is_set():
                    return
                put(piece)
        put(_End())
    except PocketprefError as error:
        put(error)
    except Exception as error:  # noqa: BLE001 - the last net: a message may quote texts
        put(UnexpectedError(type(error).__name__))
