"""Event streams: read as the standard says, within limits, however they are cut."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketpref.backends.http.dialects import LONGEST, Event, events
from pocketpref.errors import RemoteGarbledError


def read(*chunks: bytes) -> list[tuple[str, str]]:
    return [tuple(event) for event in events(chunks)]


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: one\n\ndata: two\n\n", [("message", "one"), ("message", "two")]),
        (b"data: one\r\n\r\ndata: two\r\r", [("message", "one"), ("message", "two")]),
        (b"event: ping\ndata: {}\n\n", [("ping", "{}")]),
        (b"data: a\ndata: b\n\n", [("message", "a\nb")]),
        (b"data:tight\n\n", [("message", "tight")]),
        (b"data:  two spaces\n\n", [("message", " two spaces")]),
        (b"data\n\n", [("message", "")]),
        (b": keep-alive\n\n: again\n\ndata: x\n\n", [("message", "x")]),
        (b"id: 7\nretry: 100\ndata: x\n\n", [("message", "x")]),
        (b"event: lost\n\ndata: x\n\n", [("message", "x")]),
        (b"\xef\xbb\xbfdata: x\n\n", [("message", "x")]),
        (b"data: cut off", []),
        (b"data: cut off\n", []),
        (b"", []),
        ("data: 你好\n\n".encode(), [("message", "你好")]),
    ],
)
def test_streams_are_read_as_the_standard_says(stream: bytes, expected: list) -> None:
    assert read(stream) == expected


@pytest.mark.parametrize(
    "stream",
    [
        b"<html>\n",
        b"datas: x\n\n",
        b" data: x\n\n",
        b"Data: x\n\n",
        b'{"choices": []}\n',
        b"data: \xff\xfe\n\n",
        b"data: \xed\xa0\x80\n\n",
        b"\xff",
        b"\x00\n",
    ],
)
def test_what_is_no_event_stream_is_refused(stream: bytes) -> None:
    """Browsers pass over what they do not know; here it means that something else answers."""
    if b"\n" not in stream:
        assert read(stream) == []  # no line yet
        stream += b"\n"
    with pytest.raises(RemoteGarbledError) as caught:
        read(stream)
    assert caught.value.__context__ is None


def test_an_error_ends_the_reading_after_what_was_whole() -> None:
    reading = events([b"data: good\n\nbad\n\ndata: more\n\n"])
    assert next(reading) == Event("message", "good")
    with pytest.raises(RemoteGarbledError):
        next(reading)


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * LONGEST + b"\n\n"],
        [b"x" * (LONGEST // 8)] * 9,
        [b"data: " + b"x" * 1000 + b"\n"] * 1100,
        [b":" + b"x" * 1000 + b"\n"] * 1100,
    ],
    ids=["line", "line without end", "event of many lines", "comments without end"],
)
def test_what_is_over_long_is_refused(chunks: list[bytes]) -> None:
    with pytest.raises(RemoteGarbledError):
        read(*chunks)


def test_a_long_line_in_single_bytes_costs_no_more_than_its_length() -> None:
    """In pieces of one byte; work that grows with the square would not end before the test does."""
    content = b"data: " + b"x" * (LONGEST - 6) + b"\n\n"
    (event,) = events(content[place : place + 1] for place in range(len(content)))
    assert len(event.data) == LONGEST - 6


PARTS = st.sampled_from(
    [
        b"data: ",
        b"data:",
        b"event: ",
        b"id: 1",
        b": hm",
        b"x",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        "ü€😀".encode(),
    ]
)


@given(st.lists(PARTS, max_size=30).map(b"".join), st.lists(st.integers(0, 80), max_size=20))
def test_the_cuts_between_chunks_mean_nothing(stream: bytes, cuts: list[int]) -> None:
    """The same events or the same refusal, wherever the network cuts, also within a character."""
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    chunks = [stream[a:b] for a, b in pairwise(places)]

    def outcome(pieces: list[bytes]) -> tuple[list[Event], bool]:
        found: list[Event] = []
        try:
            for event in events(pieces):
                found.append(event)  # noqa: PERF402 - kept if reading fails half-way
        except RemoteGarbledError:
            return found, False
        return found, True

    assert outcome(chunks) == outcome([stream])
    assert outcome([stream[n : n + 1] for n in range(len(stream))]) == outcome([stream])


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(stream: bytes) -> None:
    with suppress(RemoteGarbledError):
        list(events([stream]))
