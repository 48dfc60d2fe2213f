"""Time and size limits of one HTTP exchange."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields

from pocketpref.errors import RemoteGarbledError, RemoteUnreachableError

MOST_BYTES = 64 << 20
"""Bytes that are read of one answer, TLS aside. A token costs about 300 as an event."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long to wait, in seconds.

    Attributes:
        connect: for a connection, and again for TLS.
        first_byte: from the end of the request to the first byte of the answer's body. A local
            server reads the whole prompt in this time.
        between_bytes: for each further piece of the body, and for each part of the request to be
            taken.
        total: for all of it: every try, the pauses between them, and the time that whoever reads
            the answer takes.

    Raises:
        ValueError: one of them is not above zero.
    """

    connect: float = 10.0
    first_byte: float = 120.0
    between_bytes: float = 60.0
    total: float = 900.0

    def __post_init__(self) -> None:
        if not all(getattr(self, field.name) > 0 for field in fields(self)):
            raise ValueError("every timeout is above zero")


class TransferWatch:
    """Watches over one call of ``generate``: its clock, and the bytes that arrive.

    Attributes:
        where: host and port of the other side, for messages.
        timeouts: the limits.
        hung_up: whether the other side has ended the connection.
    """

    def __init__(self, where: str, timeouts: Timeouts, most_bytes: int = MOST_BYTES) -> None:
        self.where = where
        self.timeouts = timeouts
        self.hung_up = False
        self._most_bytes = most_bytes
        self._bytes = 0
        self._allowed = timeouts.total
        self._end = time.monotonic() + timeouts.total
        self._limit = self._end

    def allow(self, seconds: float) -> None:
        """From now on, wait this long for whatever comes next."""
        self._allowed = seconds
        self._limit = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds that may still be waited, above zero.

        Raises:
            RemoteUnreachableError: none are left.
        """
        left = min(self._limit, self._end) - time.monotonic()
        if left <= 0:
            raise self.late()
        return left

    def permits(self, pause: float) -> bool:
        """Whether there is time to wait so many seconds and then try again."""
        return time.monotonic() + pause < self._end

    def count(self, data: bytes) -> bytes:
        """What arrived, counted.

        Raises:
            RemoteGarbledError: it is too much.
        """
        self._bytes += len(data)
        self.hung_up = not data
        if self._bytes > self._most_bytes:
            raise RemoteGarbledError(
                f"{self.where} sent more than {self._most_bytes:,} bytes",
                hint="no answer is that long: something else answers there",
            )
        return data

    def late(self) -> RemoteUnreachableError:
        """The error for running out of time."""
        if time.monotonic() >= self._end:
            what = f"took longer than {self.timeouts.total:g} seconds altogether"
        else:
            what = f"kept us waiting for {self._allowed:g} seconds"
        return RemoteUnreachableError(f"{self.where} {what}", hint="try again, or ask another one")

    def gone(self) -> RemoteUnreachableError:
        """The error for a connection that ended before the answer did."""
        return RemoteUnreachableError(
            f"{self.where} hung up before its answer was complete", hint="try again"
        )
