"""Server-sent events (WHATWG HTML, section 9.2), read strictly and within limits."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import NamedTuple

from pocketpref.errors import RemoteGarbledError

LONGEST = 1 << 20
"""Bytes of one line, and of one event. The events of language models have a few hundred."""

_END_OF_LINE = re.compile(rb"\r\n|\n|\r")
_FIELDS = ("data", "event", "id", "retry")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event.

    Attributes:
        name: what it calls itself; "message" if it does not.
        data: its lines of data, joined by line feeds.
    """

    name: str
    data: str


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The complete events of a stream; one that the stream's end cuts off is none.

    Stricter than browsers, which pass over whatever they do not know: a field of another name, or
    bytes that are no UTF-8, end the reading.

    Args:
        chunks: the stream, cut anywhere.

    Raises:
        RemoteGarbledError: this is no such stream, or a line or an event is over-long.
    """
    name, data, size = "", list[str](), 0
    for line in _lines(chunks):
        if not line:
            if data:
                yield Event(name or "message", "\n".join(data))
            name, data, size = "", [], 0
            continue
        size += len(line)
        if size > LONGEST:
            raise _garbled("an event of it is over-long")
        field, value = _field(line)
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    pending = bytearray()
    first, after_return = True, False
    for chunk in chunks:
        # A line may end in two bytes, with the cut between them.
        fresh = chunk[1:] if after_return and chunk.startswith(b"\n") else chunk
        after_return = chunk.endswith(b"\r") or (after_return and not chunk)
        head, *others = _END_OF_LINE.split(fresh)
        pending += head
        for other in others:
            line = bytes(pending)
            yield line.removeprefix(_BYTE_ORDER_MARK) if first else line
            first, pending = False, bytearray(other)
        if len(pending) > LONGEST:
            raise _garbled("a line of it is over-long")


def _field(line: bytes) -> tuple[str, str]:
    """Name and value; the name of a comment is empty."""
    text = None
    # Raised outside of the handler: UnicodeDecodeError holds the bytes.
    with suppress(UnicodeDecodeError):
        text = line.decode("utf-8")
    if text is None:
        raise _garbled("it is no UTF-8")
    name, _, value = text.partition(":")
    if name and name not in _FIELDS:
        raise _garbled("a line of it is none of an event stream")
    return name, value.removeprefix(" ")


def _garbled(what: str) -> RemoteGarbledError:
    return RemoteGarbledError(
        f"the answer cannot be understood: {what}",
        hint="check that the address is that of the API, and that it fits the kind of destination",
    )
