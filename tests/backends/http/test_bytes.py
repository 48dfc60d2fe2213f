"""What goes over the wire: these bytes, and no others."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import traceback
from itertools import pairwise

import pytest

from pocketpref.backends.http import HttpGenerator, Retries, Timeouts
from pocketpref.egress.api_keys import ApiKey
from pocketpref.egress.disclosure import RemoteGenerator
from pocketpref.errors import DeniedError, InputError, RemoteError, RemoteRefusedError
from tests.backends.http.conftest import QUESTION, Clear, assert_only_approved
from tests.backends.http.peer import DONE, HELLO, OK, answer, chunk, serve, status

SECRET = b"sk-t0p-s3cret-0123456789"

ANTHROPIC = b"".join(
    b"event: %b\ndata: %b\n\n" % (name.encode(), json.dumps({"type": name, **content}).encode())
    for name, content in [
        ("message_start", {"message": {"id": "msg_1", "role": "assistant", "content": []}}),
        ("content_block_start", {"index": 0, "content_block": {"type": "text", "text": ""}}),
        ("ping", {}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "Hel"}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "thinking_delta", "thinking": "?"}}),
        ("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "lo"}}),
        ("content_block_stop", {"index": 0}),
        ("message_delta", {"delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 2}}),
        ("a_name_of_the_future", {"whatever": 1}),
        ("message_stop", {}),
    ]
)


def key(destination: object) -> ApiKey:
    return ApiKey(SECRET)


def test_an_openai_request_is_these_bytes(clear: Clear) -> None:
    """Nothing in the head but the address, the length and the key differs from anybody else's."""
    with serve(answer(HELLO)) as peer:
        disclosure = clear(peer.url("/some/v1"))
        assert list(HttpGenerator(key).generate(disclosure)) == ["Hello", ", you."]
        assert peer.requests() == [
            b"POST /some/v1/chat/completions HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"User-Agent: pocketpref\r\n"
            b"Accept: text/event-stream\r\n"
            b"Accept-Encoding: identity\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: %d\r\n"
            b"Connection: close\r\n"
            b"Authorization: Bearer sk-t0p-s3cret-0123456789\r\n"
            b"\r\n%b" % (peer.port, len(disclosure.body), disclosure.body)
        ]


def test_an_anthropic_request_is_these_bytes(clear: Clear) -> None:
    with serve(answer(ANTHROPIC)) as peer:
        disclosure = clear(peer.url(), dialect="anthropic")
        assert list(HttpGenerator(key).generate(disclosure)) == ["Hel", "lo"]
        assert peer.requests() == [
            b"POST /v1/messages HTTP/1.1\r\n"
            b"Host: 127.0.0.1:%d\r\n"
            b"User-Agent: pocketpref\r\n"
            b"Accept: text/event-stream\r\n"
            b"Accept-Encoding: identity\r\n"
            b"Content-Type: application/json\r\n"
            b"Content-Length: %d\r\n"
            b"Connection: close\r\n"
            b"anthropic-version: 2023-06-01\r\n"
            b"x-api-key: sk-t0p-s3cret-0123456789\r\n"
            b"\r\n%b" % (peer.port, len(disclosure.body), disclosure.body)
        ]


def test_without_a_key_there_is_no_header_for_one(clear: Clear) -> None:
    with serve(answer(HELLO)) as peer:
        list(HttpGenerator().generate(clear(peer.url())))
        (head,) = [request.partition(b"\r\n\r\n")[0].lower() for request in peer.requests()]
        assert b"authorization" not in head
        assert b"x-api-key" not in head
        assert len(head.split(b"\r\n")) == 8


def test_two_requests_have_nothing_of_each_other(clear: Clear) -> None:
    """No cookie comes back, no connection is used again."""
    cookie = OK.replace(b"Connection: close", b"Set-Cookie: id=1; Path=/\r\nETag: x")
    ended = cookie.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(HELLO))
    with serve(answer(HELLO, head=ended)) as peer:
        generator = HttpGenerator(key)
        for _ in range(3):
            list(generator.generate(clear(peer.url())))
        assert len(set(peer.requests())) == 1
        assert len(peer.requests()) == 3
        assert b"id=1" not in peer.requests()[-1]


def test_the_environment_changes_nothing(
    clear: Clear, monkeypatch: pytest.MonkeyPatch, tmp_path
) -> None:
    """Proxies, keys and a netrc file of the environment are not looked at."""
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password hidden")
    with serve(answer(HELLO)) as trap, serve(answer(HELLO)) as peer:
        proxy = f"http://127.0.0.1:{trap.port}"
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy)
        for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY"):
            monkeypatch.setenv(name, "sk-of-the-environment")
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
        list(HttpGenerator().generate(clear(peer.url())))
        assert trap.requests() == []
        assert b"uthorization" not in peer.requests()[0]
        assert b"sk-of" not in peer.requests()[0]


def test_a_disclosure_is_sent_once(clear: Clear) -> None:
    """One entry of the log stands for one sending."""
    with serve(answer(HELLO)) as peer:
        disclosure = clear(peer.url())
        list(HttpGenerator().generate(disclosure))
        with pytest.raises(DeniedError):
            list(HttpGenerator().generate(disclosure))
        assert len(peer.requests()) == 1


@pytest.mark.parametrize("bad", [b"two words", b"line\r\nX-More: 1", b"", b"\xff", b"x" * 4097])
def test_a_key_that_could_be_more_than_a_key_is_not_sent(clear: Clear, bad: bytes) -> None:
    with serve(answer(HELLO)) as peer:
        with pytest.raises(InputError) as caught:
            list(HttpGenerator(lambda destination: bad).generate(clear(peer.url())))
        assert peer.lines == []
        assert caught.value.__context__ is None
        assert repr(bad) not in str(caught.value)


def test_the_key_is_asked_for_by_destination(clear: Clear) -> None:
    asked = []
    with serve(answer(HELLO)) as peer:
        disclosure = clear(peer.url())
        list(HttpGenerator(asked.append).generate(disclosure))
    assert asked == [disclosure.destination]


def everything(error: BaseException) -> str:
    return "".join(traceback.format_exception(error)) + repr(error) + str(vars(error))


@pytest.mark.parametrize("code", [401, 500, 307])
def test_neither_key_nor_text_show_in_errors_and_logs(
    clear: Clear, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """Every logger at its most talkative, the HTTP library's own included."""
    caplog.set_level(logging.NOTSET)
    for name in list(logging.root.manager.loggerDict):
        caplog.set_level(logging.NOTSET, logger=name if not name.startswith("httpcore2") else None)
    with serve(status(code, body=QUESTION.encode())) as peer:
        generator = HttpGenerator(key, retries=Retries(tries=1))
        with pytest.raises(RemoteError) as caught:
            list(generator.generate(clear(peer.url())))
    shown = everything(caught.value) + caplog.text + repr(generator) + str(vars(generator))
    for secret in (SECRET.decode(), "sky blue", "Täglich"):
        assert secret not in shown
    assert "httpcore2" not in caplog.text


def test_an_overloaded_server_is_asked_again_with_the_same_bytes(clear: Clear) -> None:
    scripts = (status(429, "Retry-After: 0"), status(503), answer(HELLO))
    with serve(*scripts) as peer:
        disclosure = clear(peer.url())
        generator = HttpGenerator(key, retries=Retries(tries=3, first=0.05))
        assert "".join(generator.generate(disclosure)) == "Hello, you."
        assert peer.bodies() == [disclosure.body] * 3
        assert len(set(peer.requests())) == 1


@pytest.mark.parametrize("script", [status(429), status(500), status(529)])
def test_it_is_given_up_after_so_many_tries(clear: Clear, script) -> None:
    with serve(script) as peer:
        disclosure = clear(peer.url())
        with pytest.raises(RemoteRefusedError):
            list(HttpGenerator(retries=Retries(tries=3, first=0.02)).generate(disclosure))
        assert_only_approved(peer, disclosure)
        assert len(peer.requests()) == 3


QUOTA = b'{"error": {"code": "insufficient_quota"}}'


@pytest.mark.parametrize(
    "script",
    [
        *(status(400), status(401), status(404), status(307, "Location: /")),
        status(429, body=QUOTA),
        status(429, "Retry-After: 31"),
        status(503, "Retry-After: 99999999999999999999"),
        status(429, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"),
        answer(b"", head=b""),
        answer(b"data: no JSON\n\n"),
    ],
)
def test_what_will_not_pass_is_not_tried_again(clear: Clear, script) -> None:
    with serve(script) as peer:
        with pytest.raises(RemoteError):
            list(HttpGenerator(retries=Retries(first=0.01)).generate(clear(peer.url())))
        assert len(peer.requests()) == 1


def test_nothing_is_tried_again_once_an_answer_has_begun(clear: Clear) -> None:
    """The person has read the beginning: a second one would be another answer."""
    overloaded = b'data: {"error": {"type": "overloaded_error"}}\n\n'
    with serve(answer(chunk("Once") + overloaded), answer(HELLO)) as peer:
        pieces = []
        with pytest.raises(RemoteError):
            pieces.extend(HttpGenerator(retries=Retries(first=0.01)).generate(clear(peer.url())))
        assert len(peer.requests()) == 1


def test_no_pause_reaches_beyond_the_end(clear: Clear) -> None:
    """The limit on the whole holds for the pauses, too: it fails at once, with the reason."""
    with serve(status(429, "Retry-After: 20")) as peer:
        generator = HttpGenerator(timeouts=Timeouts(total=2), retries=Retries(longest=30))
        with pytest.raises(RemoteRefusedError) as caught:
            list(generator.generate(clear(peer.url())))
        assert "20 seconds" in str(caught.value.hint)
        assert len(peer.requests()) == 1


def test_importing_the_back_end_loads_no_http_library() -> None:
    """It is loaded when something is first sent; ``import pocketpref`` does not even get here."""
    code = (
        "import sys, pocketpref.backends.http as http; http.HttpGenerator()\n"
        "print(sorted({'httpcore2', 'httpx2', 'httpx', 'h11', 'ssl', 'anyio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_it_is_a_remote_generator() -> None:
    assert isinstance(HttpGenerator(), RemoteGenerator)


@pytest.mark.parametrize(
    "stream",
    [
        chunk("Hello") + b'data: {"choices": [{"delta": {}, "finish_reason": "stop"}]}\n\n',
        chunk("Hello") + b'data: {"choices": [], "usage": {"total_tokens": 3}}\n\n' + DONE,
        b'data: {"choices": [{"delta": {"role": "assistant"}}]}\n\n' + chunk("Hello") + DONE,
        b'data: {"choices": [{"delta": {"content": null}}]}\n\n' + chunk("Hello") + DONE,
        b'data: {"choices": [{"delta": {"refusal": "Hello"}}]}\n\n' + DONE,
        b": OPENROUTER PROCESSING\n\n" + chunk("Hello") + DONE,
        chunk("Hel") + chunk("") + chunk("lo") + DONE + b"anything after the end",
        b'data: {"choices": [{"delta": {"content": "Hello"}}], "error": null}\n\n' + DONE,
    ],
)
def test_servers_that_differ_in_small_things_are_understood(clear: Clear, stream: bytes) -> None:
    with serve(answer(stream)) as peer:
        assert "".join(HttpGenerator().generate(clear(peer.url()))) == "Hello"


def test_pauses_lie_between_nothing_and_their_ceiling_and_are_spread() -> None:
    """Full jitter: a crowd that was turned away does not come back at one moment."""
    from pocketpref.backends.http.dialects import Refusal

    retries = Retries(tries=10, first=1.0, longest=5.0)
    for tried, ceiling in enumerate([1, 2, 4, 5, 5], start=1):
        drawn = [retries.pause(tried, Refusal(503)) or 0.0 for _ in range(500)]
        assert 0 <= min(drawn) < 0.1 * ceiling
        assert 0.9 * ceiling < max(drawn) <= ceiling
        gaps = [b - a for a, b in pairwise(sorted(drawn))]
        assert max(gaps) < 0.1 * ceiling
    asked = [retries.pause(1, Refusal(429, asked=3.0)) for _ in range(100)]
    assert all(pause is not None and 3 <= pause <= 4 for pause in asked)
    assert retries.pause(10, Refusal(503)) is None
