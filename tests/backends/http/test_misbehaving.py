"""Servers that err, stall, flood, lie and hang up: each ends in a named error, by the clock.

Whatever the other side does, it has got the approved bytes, or a beginning of them, and no others.
"""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketpref.backends.http import HttpGenerator, Retries, Timeouts, transport
from pocketpref.backends.http.limits import MOST_BYTES
from pocketpref.egress.disclosure import Disclosure
from pocketpref.errors import (
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnreachableError,
)
from tests.backends.http.conftest import Clear, assert_only_approved
from tests.backends.http.peer import (
    DONE,
    HELLO,
    OK,
    Line,
    Peer,
    Script,
    answer,
    chunk,
    serve,
    status,
)

QUICK = Timeouts(connect=0.5, first_byte=0.5, between_bytes=0.3, total=1.5)
ONCE = Retries(tries=1)
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"


def frame(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def silence(line: Line) -> None:
    line.wait()


def then_silence(data: bytes) -> Script:
    def script(line: Line) -> None:
        line.send(data)
        line.wait()

    return script


def forever(data: bytes, head: bytes = OK, pause: float = 0.0) -> Script:
    def script(line: Line) -> None:
        line.send(head)
        while True:
            line.send(data)
            time.sleep(pause)

    return script


def dripping(data: bytes, head: bytes = b"") -> Script:
    def script(line: Line) -> None:
        line.send(head)
        line.drip(data, 0.05)

    return script


def resetting(data: bytes) -> Script:
    def script(line: Line) -> None:
        line.send(data)
        time.sleep(0.05)  # a reset overtakes what was sent
        line.reset()

    return script


UNREACHABLE = {
    "hangs up at once": answer(b"", head=b""),
    "resets at once": resetting(b""),
    "says nothing": silence,
    "stops within its head": then_silence(OK[:30]),
    "greets in another protocol": then_silence(b"220 smtp.example ready\r\n"),
    "hangs up within its head": answer(b"", head=OK[:30]),
    "drips its head": dripping(OK * 20),
    "stops after its head": then_silence(OK),
    "stops within an event": then_silence(OK + HELLO[:20]),
    "stops after an event": then_silence(OK + chunk("Hello")),
    "drips for too long": dripping(chunk("Hello") * 20, head=OK),
    "is alive and says nothing": forever(b": ping\n\n", pause=0.05),
    "informs for ever": forever(b"HTTP/1.1 100 Continue\r\n\r\n", head=b"", pause=0.05),
    "ends within an event": answer(chunk("Hello") + HELLO[:20]),
    "ends after an event": answer(chunk("Hello")),
    "ends without a word": answer(b""),
    "resets after an event": resetting(OK + chunk("Hello")),
    "is shorter than it says": answer(
        chunk("Hello"),
        head=OK.replace(b"Connection: close", b"Content-Length: 10000"),
    ),
    "ends within a chunk": answer(b"", head=CHUNKED + frame(chunk("Hello"))[:-30]),
    "ends before the last chunk": answer(b"", head=CHUNKED + frame(chunk("Hello"))),
    "says in HTTP/1.0 that it ends here": answer(
        chunk("Hello"), head=b"HTTP/1.0 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
    ),
}

GARBLED = {
    "speaks another protocol": answer(b"", head=b"220 smtp.example ready\r\n\r\n"),
    "speaks TLS": then_silence(b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"),
    "speaks HTTP/2": answer(b"", head=b"HTTP/2 200\r\n\r\n"),
    "has a status of its own": answer(b"", head=b"HTTP/1.1 9999 OK\r\n\r\n"),
    "wants to speak something else": status(101, "Upgrade: websocket"),
    "folds its head": answer(b"", head=b"HTTP/1.1 200 OK\r\n folded\r\n\r\n"),
    "has two lengths": answer(
        HELLO, head=b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n"
    ),
    "has a head without end": forever(b"X-Filler: " + b"x" * 1000 + b"\r\n"),
    "has a line without end in its head": forever(b"x" * 4096, head=b"HTTP/1.1 200 "),
    "chunks garbage": answer(b"", head=CHUNKED + b"zz\r\nwhat\r\n"),
    "has a chunk of a terabyte in words": answer(b"", head=CHUNKED + b"f" * 40 + b"\r\n"),
    "answers in JSON": answer(b'{"choices": []}', head=JSON),
    "answers with a page": answer(b"<html>", head=JSON.replace(b"application/json", b"text/html")),
    "answers with no type": answer(HELLO, head=b"HTTP/1.1 200 OK\r\n\r\n"),
    "packs its answer": answer(
        gzip.compress(HELLO), head=OK.replace(b"Connection: close", b"Content-Encoding: gzip")
    ),
    "says that it packs its answer": answer(
        HELLO, head=OK.replace(b"Connection: close", b"Content-Encoding: br")
    ),
    "sends a page as events": answer(b"<html>\n<body>\n"),
    "sends no UTF-8": answer(b"data: \xff\xfe\n\n"),
    "sends no JSON": answer(b"data: {'single': 'quotes'}\n\n"),
    "sends a list": answer(b"data: []\n\n"),
    "sends choices that are none": answer(b'data: {"choices": [1]}\n\n'),
    "sends choices as an object": answer(b'data: {"choices": {"a": 1}}\n\n'),
    "sends content that is none": answer(b'data: {"choices": [{"delta": {"content": 5}}]}\n\n'),
    "sends half a character": answer(chunk("\ud83d")),
    "nests too deep": answer(b"data: " + b"[" * 100_000 + b"\n\n"),
    "sends a number without end": answer(b"data: " + b"9" * 10_000 + b"\n\n"),
    "sends a line without end": forever(b"x" * 65536),
    "sends a line of data without end": forever(b"x" * 65536, head=OK + b"data: "),
    "sends an event without end": forever(b"data: " + b"x" * 60_000 + b"\n"),
}


def attempt(
    clear: Clear, *scripts: Script, timeouts: Timeouts = QUICK
) -> tuple[RemoteError, list[str], Peer, Disclosure]:
    """What comes of asking such a server: the error, and the pieces before it."""
    pieces: list[str] = []
    with serve(*scripts) as peer:
        disclosure = clear(peer.url())
        began = time.monotonic()
        generator = HttpGenerator(timeouts=timeouts, retries=ONCE).generate(disclosure)
        with pytest.raises(RemoteError) as caught:
            pieces.extend(generator)  # keeps what came before it fails
        assert time.monotonic() - began < timeouts.total + 4, "no limit held"
        assert_only_approved(peer, disclosure)
    return caught.value, pieces, peer, disclosure


def assert_discreet(error: RemoteError, *secrets: str) -> None:
    """It names the server, explains itself and holds nothing that went over the wire."""
    assert error.message
    assert error.hint
    assert error.__cause__ is None
    assert error.__context__ is None
    for secret in ("Hello", "sky blue", "bearer", *secrets):
        assert secret.lower() not in f"{error.message} {error.hint}".lower()


@pytest.mark.parametrize("script", UNREACHABLE.values(), ids=UNREACHABLE)
def test_a_server_that_stalls_or_hangs_up_is_unreachable(clear: Clear, script: Script) -> None:
    error, pieces, peer, disclosure = attempt(clear, script)
    assert isinstance(error, RemoteUnreachableError)
    assert f"127.0.0.1:{peer.port}" in error.message
    assert_discreet(error)
    assert set(pieces) <= {"Hello"}
    assert peer.bodies() == [disclosure.body]


@pytest.mark.parametrize("script", GARBLED.values(), ids=GARBLED)
def test_a_server_that_cannot_be_understood_is_named_so(clear: Clear, script: Script) -> None:
    error, _, peer, disclosure = attempt(clear, script)
    assert isinstance(error, RemoteGarbledError)
    assert_discreet(error)
    assert peer.bodies() == [disclosure.body]


def test_a_flood_is_dammed(clear: Clear) -> None:
    """It is quick, sound and endless: what ends it is its size, long before the clock does."""
    patient = Timeouts(total=60)
    error, pieces, _, _ = attempt(clear, forever(chunk("Hello " * 5000)), timeouts=patient)
    assert isinstance(error, RemoteGarbledError)
    assert_discreet(error)
    assert MOST_BYTES * 0.9 < sum(map(len, pieces)) <= MOST_BYTES


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (silence, "waiting for 0.5 seconds"),
        (UNREACHABLE["drips its head"], "waiting for 0.5 seconds"),
        (UNREACHABLE["stops after its head"], "waiting for 0.5 seconds"),
        (UNREACHABLE["stops after an event"], "waiting for 0.3 seconds"),
        (UNREACHABLE["drips for too long"], "longer than 1.5 seconds altogether"),
        (UNREACHABLE["is alive and says nothing"], "longer than 1.5 seconds altogether"),
    ],
)
def test_the_limit_that_was_reached_is_named(clear: Clear, script: Script, words: str) -> None:
    """Each of them is its own, and says so."""
    assert words in attempt(clear, script)[0].message


STATUSES = [400, 401, 402, 403, 404, 405, 413, 422, 429, 451, 500, 501, 502, 503, 504, 529, 599]


@pytest.mark.parametrize("code", [*STATUSES, 201, 204, 206])
def test_another_status_is_a_refusal_with_its_number(clear: Clear, code: int) -> None:
    """The server's words are not repeated: they may quote the request."""
    quoting = json.dumps({"error": {"message": "sky blue?", "code": "sky_blue", "type": "Hello"}})
    script = status(code, "Content-Type: application/json", body=quoting.encode())
    error, pieces, peer, disclosure = attempt(clear, script)
    assert isinstance(error, RemoteRefusedError)
    assert error.status == code
    assert str(code) in error.message
    assert_discreet(error, "sky_blue", "whatever")
    assert pieces == []
    assert peer.bodies() == [disclosure.body]


@pytest.mark.parametrize(
    ("code", "body", "words"),
    [
        (400, {"code": "context_length_exceeded", "type": "invalid_request_error"}, "too long"),
        (400, {"code": 400, "type": "exceed_context_size_error"}, "too long"),
        (401, {"code": "invalid_api_key"}, "key"),
        (404, {"type": "not_found_error"}, "no such model"),
        (429, {"code": "insufficient_quota", "type": "insufficient_quota"}, "no credit"),
        (529, {"type": "overloaded_error"}, "overloaded"),
    ],
)
def test_known_codes_are_put_into_words(clear: Clear, code: int, body: dict, words: str) -> None:
    script = status(code, body=json.dumps({"error": body}).encode())
    assert words in attempt(clear, script)[0].message


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b'{"error": "x"}', b'{"error": {"code": ["x"]}}', b"[" * 50_000, b"\xff"],
)
def test_an_explanation_that_is_none_changes_nothing(clear: Clear, body: bytes) -> None:
    error = attempt(clear, status(400, body=body))[0]
    assert isinstance(error, RemoteRefusedError)
    assert_discreet(error)


def test_an_explanation_without_end_is_not_waited_for(clear: Clear) -> None:
    head = b"HTTP/1.1 500 No\r\nContent-Type: text/plain\r\n\r\n"
    assert isinstance(attempt(clear, forever(b"x" * 999, head=head))[0], RemoteRefusedError)
    assert isinstance(attempt(clear, then_silence(head))[0], RemoteRefusedError)


@pytest.mark.parametrize("code", [300, 301, 302, 303, 304, 305, 307, 308])
@pytest.mark.parametrize("where", ["/v1/elsewhere", "http://127.0.0.1:{port}/v1/chat/completions"])
def test_a_redirect_is_refused_and_nothing_goes_there(clear: Clear, code: int, where: str) -> None:
    """Neither to another host nor to the same one: the address that was allowed is the address."""
    with serve(answer(HELLO)) as other:
        script = status(code, "Location: " + where.format(port=other.port))
        error, pieces, peer, disclosure = attempt(clear, script)
        assert isinstance(error, RemoteRefusedError)
        assert error.status == code
        assert "another address" in error.message
        assert str(other.port) not in error.message
        assert_discreet(error, "elsewhere")
        assert pieces == []
        assert peer.bodies() == [disclosure.body]
        assert other.requests() == []


@pytest.mark.parametrize(
    "event",
    [
        b'data: {"error": {"message": "sky blue", "type": "overloaded_error"}}\n\n',
        b'event: error\ndata: {"error": {"message": "sky blue", "code": 500}}\n\n',
        b'event: error\ndata: {"message": "sky blue"}\n\n',
    ],
)
def test_an_error_in_the_middle_of_an_answer_is_one(clear: Clear, event: bytes) -> None:
    error, pieces, _, _ = attempt(clear, answer(chunk("Hello") + event + DONE))
    assert isinstance(error, RemoteRefusedError)
    assert pieces == ["Hello"]
    assert_discreet(error)


def test_a_server_that_answers_before_it_has_read_everything_is_heard(clear: Clear) -> None:
    """A request that is too large is refused while it is still being sent."""

    def script(line: Line) -> None:
        line.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
        time.sleep(0.05)
        line.wait()

    with serve(script, eager=True) as peer:
        disclosure = clear(peer.url(), "x" * 4_000_000)
        with pytest.raises(RemoteRefusedError) as caught:
            list(HttpGenerator(timeouts=QUICK, retries=ONCE).generate(disclosure))
        assert caught.value.status == 413
        assert_only_approved(peer, disclosure)


def test_a_server_that_takes_nothing_is_given_up(clear: Clear) -> None:
    """It accepts the connection and never reads: the request stays in the buffers."""
    stop = threading.Event()
    with serve(lambda line: stop.wait(10), eager=True) as peer:
        disclosure = clear(peer.url(), "x" * 8_000_000)
        with pytest.raises(RemoteUnreachableError) as caught:
            list(HttpGenerator(timeouts=QUICK, retries=ONCE).generate(disclosure))
        stop.set()
        assert_discreet(caught.value)
        assert_only_approved(peer, disclosure)


def test_a_port_where_nobody_listens_is_unreachable(clear: Clear) -> None:
    with serve(silence) as peer:
        disclosure = clear(peer.url())
    with pytest.raises(RemoteUnreachableError) as caught:
        list(HttpGenerator(timeouts=QUICK).generate(disclosure))
    assert_discreet(caught.value)


def test_a_name_that_nobody_has_is_unreachable(clear: Clear) -> None:
    """``.invalid`` is reserved for that (RFC 6761)."""
    disclosure = clear("https://nobody.invalid/v1")
    with pytest.raises(RemoteUnreachableError) as caught:
        list(HttpGenerator(timeouts=QUICK).generate(disclosure))
    assert_discreet(caught.value)


@pytest.mark.parametrize("answer", ["192.0.2.1", "2001:db8::1", "0.0.0.0", "::ffff:192.0.2.1"])
def test_plain_text_goes_nowhere_when_localhost_is_somewhere_else(
    clear: Clear, monkeypatch: pytest.MonkeyPatch, answer: str
) -> None:
    """A name server or a hosts file may say what it likes: not even a connection is tried."""
    asked, tried = [], []

    def lying(host: str, port: int, **more: object) -> list[object]:
        asked.append(host)
        return [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (answer, port))]

    def connecting(family: int, address: tuple[str, int], seconds: float) -> None:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "getaddrinfo", lying)
    monkeypatch.setattr(transport, "connected", connecting)
    disclosure = clear("http://localhost:8080/v1")
    with pytest.raises(RemoteUnreachableError):
        list(HttpGenerator(timeouts=QUICK).generate(disclosure))
    assert asked == ["localhost"]
    assert tried == []
    with pytest.raises(RemoteUnreachableError):
        list(HttpGenerator(timeouts=QUICK).generate(clear("https://localhost:8080/v1")))
    assert tried == [(answer, 8080)], "under TLS it is tried, and has to prove itself"


def test_an_address_that_does_not_answer_is_not_the_only_one(
    clear: Clear, monkeypatch: pytest.MonkeyPatch
) -> None:
    """localhost is often tried on IPv6 first, where nobody listens."""
    with serve(answer(HELLO)) as peer:
        found = [
            (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", peer.port, 0, 0)),
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", peer.port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *names, **more: found)
        disclosure = clear(f"http://localhost:{peer.port}/v1")
        assert "".join(HttpGenerator().generate(disclosure)) == "Hello, you."


def test_what_a_server_quotes_in_its_head_is_not_logged(
    clear: Clear, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    attempt(clear, status(500, "X-Echo: sky blue", "Set-Cookie: id=1"))
    assert "sky blue" not in caplog.text
    assert "Echo" not in caplog.text


def test_generating_is_lazy(clear: Clear) -> None:
    with serve(answer(HELLO)) as peer:
        HttpGenerator().generate(clear(peer.url()))
        assert peer.lines == []


def test_every_script_here_would_be_noticed_if_it_did_well(clear: Clear) -> None:
    """The tests above can fail: a server that behaves ends in no error."""
    with serve(answer(HELLO)) as peer:
        disclosure = clear(peer.url())
        assert "".join(HttpGenerator().generate(disclosure)) == "Hello, you."
        assert peer.bodies() == [disclosure.body]


HEADS = [OK, CHUNKED, JSON, b"HTTP/1.1 200 OK\r\n", b"Content-Length: 5\r\n", b"\r\n"]
EVENTS = [b"data: ", b"event: error\n", b'{"choices": [', b'{"error": {}}', HELLO, DONE, b"\n\n"]
PIECES = st.sampled_from([*HEADS, *EVENTS, b"5\r\n", b"0\r\n\r\n"])


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(PIECES | st.binary(max_size=20), max_size=12).map(b"".join))
def test_whatever_a_server_says_ends_in_text_or_in_a_named_error(
    clear: Clear, content: bytes
) -> None:
    with serve(answer(content, head=b"")) as peer:
        disclosure = clear(peer.url())
        try:
            list(HttpGenerator(timeouts=QUICK, retries=ONCE).generate(disclosure))
        except RemoteError as error:
            assert_discreet(error)
        assert peer.bodies() == [disclosure.body]
