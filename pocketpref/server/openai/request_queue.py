"""Answers for many clients from one Pocket: in the order of asking, none held up by a slow reader.

The model writes one answer at a time. What it writes is put into a queue as it comes, for the
client to read as slowly as it likes: an answer is short, so the queue is bounded by it. An answer
whose client is gone is broken off at its next piece.
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
"""Requests that may wait; the next one is told to come back later."""

_AT_ONCE_ELSEWHERE: Final = 4

Open = Callable[[], Generator[str, None, None]]


class BusyError(Exception):
    """Too many requests wait already."""


class UnexpectedError(Exception):
    """An answer failed in a way that has no name; the message is the kind of error and no more."""


class _End:
    """Stands in a queue behind the last piece."""


class Replies:
    """The line that requests stand in, and who serves it."""

    def __init__(self) -> None:
        self._here = ThreadPoolExecutor(1, thread_name_prefix="reply")
        self._elsewhere = ThreadPoolExecutor(_AT_ONCE_ELSEWHERE, thread_name_prefix="remote")
        self._waiting = 0
        self._broken_off: set[threading.Event] = set()

    async def pieces(self, begin: Open, *, local: bool) -> AsyncGenerator[str, None]:
        """The pieces of one answer, as they come.

        Args:
            begin: begins the answer; called in a thread, when it is its turn.
            local: whether this machine's model gives it.

        Raises:
            BusyError: too many wait.
            PocketprefError: what the answer failed with.
            UnexpectedError: it failed with anything else.
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
        """Break off what is being written, and wait for its end."""
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
