"""The local server, driven by the official client and by rude ones over real sockets."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import openai
import pytest

from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from pocketpref.errors import StorageError
from pocketpref.server.auth_middleware import MOST_BODY_BYTES
from pocketpref.server.openai.app import serve
from tests.backends.http.peer import HELLO, answer
from tests.backends.http.peer import serve as serve_peer
from tests.server.conftest import ASKED, SECRETS

TOKEN = "t" * 40
LATE = threading.Event()


class Served:
    """A server in a thread of this process."""

    def __init__(self, pocket, token=TOKEN):
        self.errors = []
        self.up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(pocket, token), daemon=True)
        self._thread.start()
        assert self.up.wait(20)

    def _run(self, pocket, token):
        serve(pocket, 0, token, ready=self._ready)

    def _ready(self, port, stop):
        self.port, self.stop = port, stop
        self.up.set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/v1"

    def client(self, key=TOKEN, **options):
        return openai.OpenAI(base_url=self.url, api_key=key, max_retries=0, timeout=30, **options)

    def close(self):
        self.stop()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def raw(self, data, wait=10):
        """What comes back for bytes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=wait) as line:
            line.sendall(data)
            found = b""
            with suppress(ConnectionResetError):  # what it has not read is not waited for
                while (part := line.recv(65536)) and b"}" not in found:
                    found += part
            return found

    def post(self, body, path="/v1/chat/completions", **headers):
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(line):
            head = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
            line.request("POST", path, body, head | headers)
            reply = line.getresponse()
            return reply.status, reply.read().decode(), dict(reply.getheaders())


@contextmanager
def served(pocket, token=TOKEN):
    server = Served(pocket, token)
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def server(taught):
    with served(taught) as server:
        yield server


def ask(client, prompt=ASKED, model="pocketpref", **options):
    messages = [{"role": "user", "content": prompt}]
    return client.chat.completions.create(model=model, messages=messages, **options)


# ------------------------------------------------------------------------------ good clients


def test_an_openai_client_is_answered_with_and_without_what_was_learned(server, taught):
    taught.state("Answers that are short and to the point")
    client = server.client()
    assert "Yes." in ask(client).choices[0].message.content
    assert "Yes." not in ask(client, model="pocketpref-plain").choices[0].message.content
    pieces = [chunk.choices[0] for chunk in ask(client, stream=True, seed=3)]
    text = "".join(piece.delta.content or "" for piece in pieces)
    assert "Yes." in text
    assert pieces[-1].finish_reason == "stop"
    assert [model.id for model in client.models.list()] == ["pocketpref", "pocketpref-plain"]


@pytest.mark.parametrize(("name", "told"), [("pocketpref", True), ("pocketpref-exact", False)])
def test_the_name_of_the_model_picks_the_method(taught, name, told):
    taught.state("Metric units, please")  # said by the default method, not by this one
    model = taught._components.model()
    with served(taught) as server:
        ask(server.client(), model=name)
    assert ("Metric units" in model.conversations[-1][-1]["content"]) is told


def test_a_reply_leaves_nothing_of_what_the_model_was_told(taught):
    taught.state("Metric units, please")
    before = taught.counts()
    with served(taught) as server:
        text = ask(server.client()).choices[0].message.content
    assert "Metric units" not in text
    assert taught.counts() == before


def test_a_field_of_an_unknown_name_is_ignored(server):
    status, _, _ = server.post(json.dumps(GOOD | {"chat_template_kwargs": {"Žquux77": 1}}))
    assert status == 200


def test_system_and_history_reach_the_model(taught):
    model = taught._components.model()
    with served(taught) as server:
        server.client().chat.completions.create(
            model="pocketpref-plain",
            messages=[
                {"role": "developer", "content": "Be kind."},
                {"role": "user", "content": "One?"},
                {"role": "assistant", "content": "Two."},
                {"role": "user", "content": [{"type": "text", "text": "Three?"}]},
            ],
            temperature=0.5,
            max_tokens=7,
        )
    roles = [(m["role"], m["content"]) for m in model.conversations[-1]]
    assert roles == [
        *(("system", "Be kind."), ("user", "One?")),
        *(("assistant", "Two."), ("user", "Three?")),
    ]


def test_embeddings_are_those_of_recall_in_either_form(server, taught):
    texts = ["one", "two"]
    found = server.client().embeddings.create(model="pocketpref", input=texts)
    vectors = np.array([row.embedding for row in found.data])
    np.testing.assert_allclose(vectors, taught.embed(texts), atol=1e-6)
    plain = server.client().embeddings.create(
        model="pocketpref", input="one", encoding_format="float"
    )
    np.testing.assert_allclose(plain.data[0].embedding, vectors[0], atol=1e-6)


def test_a_remote_model_is_asked_through_the_door_and_no_other_way(taught):
    with serve_peer(answer(HELLO)) as peer, served(taught) as server:
        model = f"openai:tiny@{peer.url()}"
        with pytest.raises(openai.PermissionDeniedError):
            ask(server.client(), model=model)
        assert peer.lines == []
        taught.egress.allow(Destination.parse(model), Level.NONE)
        assert model in [one.id for one in server.client().models.list()]
        assert ask(server.client(), model=model).choices[0].message.content
        assert len(peer.lines) == 1
        assert [entry.event for entry in taught.egress.log()][-2:] == ["allowed", "finished"]


def test_answers_are_as_the_server_describes_them(server):
    status, _, _ = server.post(b"", path="/v1/openapi.json")
    assert status == 405
    with closing(http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)) as line:
        line.request("GET", "/v1/openapi.json", headers={"Authorization": f"Bearer {TOKEN}"})
        said = json.load(line.getresponse())

    def schema(path, where):
        operation = said["paths"][path]["post"]
        asked = operation["requestBody"] if where == "asked" else operation["responses"][where]
        return asked["content"]["application/json"]["schema"]

    requests = {
        "/v1/chat/completions": GOOD | {"max_tokens": 5, "temperature": 0.5},
        "/v1/embeddings": {"model": "pocketpref", "input": ["one", "two"]},
    }
    for path, request in requests.items():
        jsonschema.validate(request, schema(path, "asked"))
        status, body, _ = server.post(json.dumps(request), path=path)
        assert status == 200
        jsonschema.validate(json.loads(body), schema(path, "200"))
        for model, wanted in ((7, 400), ("", 400), ("x" * 501, 400), ("other", 404)):
            status, body, _ = server.post(json.dumps(request | {"model": model}), path=path)
            assert status == wanted
            jsonschema.validate(json.loads(body), schema(path, "default"))


# ------------------------------------------------------------------------------ who may ask


@pytest.mark.parametrize("key", ["wrong", "", TOKEN + "x", TOKEN[:-1]])
def test_a_wrong_token_is_told_nothing(server, key):
    status, body, _ = server.post(b"{}", Authorization=f"Bearer {key}")
    assert status == 401
    assert "token" in body


def test_without_a_token_the_guard_still_looks_where_a_request_comes_from(taught):
    with served(taught, None) as server:
        assert ask(server.client("any")).choices
        assert server.post(b"{}", Origin="https://evil.example")[0] == 403


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1"},
        {"Host": "127.0.0.1:80"},
        {"Host": "localhost.evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
    ids=str,
)
def test_a_page_of_another_origin_or_name_is_refused_with_the_right_token(server, headers):
    status, body, found = server.post(json.dumps({"model": "pocketpref"}), **headers)
    assert status == 403
    assert "access-control-allow-origin" not in {name.lower() for name in found}
    assert "Yes." not in body


def test_no_answer_may_be_cached_or_framed(server):
    _, _, headers = server.post(b"{}")
    found = {name.lower(): value for name, value in headers.items()}
    assert found["cache-control"] == "no-store"
    assert "server" not in found


# ------------------------------------------------------------------------------ bad requests

GOOD = {"model": "pocketpref", "messages": [{"role": "user", "content": "Žquux77"}]}


@pytest.mark.parametrize(
    "change",
    [
        {"messages": []},
        {"messages": "Žquux77"},
        {"messages": [{"role": "user"}]},
        {"messages": [{"role": "tool", "content": "Žquux77"}]},
        {"messages": [{"role": "user", "content": "\ud800 Žquux77"}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
        {"messages": [{"role": "assistant", "content": "Žquux77"}]},
        {"messages": [{"role": "user", "content": " "}]},
        {"model": "Žquux77"},
        {"model": "mcp:desk"},
        {"model": 7},
        {"stream": "yes"},
        {"temperature": "hot"},
        {"temperature": 1e400},
        {"top_p": 2},
        {"max_tokens": 0},
        {"max_tokens": True},
        {"n": 2},
        {"tools": [{"type": "function"}]},
        {"response_format": {"type": "json_object"}},
    ],
    ids=str,
)
def test_what_cannot_be_done_is_refused_by_name_and_not_quoted(server, change):
    status, body, _ = server.post(json.dumps(GOOD | change))
    assert status == (404 if change.get("model") in ("Žquux77", "mcp:desk") else 400)
    assert json.loads(body)["error"]["message"]
    assert "quux77" not in body


@pytest.mark.parametrize(
    "body", [b"", b"not json", b"[]", b"\xff", b"[" * 200_000, b'{"messages":' * 1000], ids=len
)
def test_what_is_no_object_is_refused(server, body):
    assert server.post(body)[0] == 400


def test_too_much_is_refused_whether_it_says_so_or_not(server):
    claimed = (
        f"POST /v1/embeddings HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nContent-Length: {MOST_BODY_BYTES + 1}\r\n\r\n"
    )
    assert server.raw(claimed.encode()).startswith(b"HTTP/1.1 413")
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
        f"Authorization: Bearer {TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ).encode()
    chunk = b"100000\r\n" + b"x" * 0x100000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as line:
        line.sendall(head)
        found = b""
        for _ in range(MOST_BODY_BYTES // 0x100000 + 2):
            try:
                line.sendall(chunk)
            except OSError:
                break
        with suppress(OSError):
            found = line.recv(65536)
    assert found.startswith(b"HTTP/1.1 413") or found == b""
    assert ask(server.client()).choices


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x01\x02\x03\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /v1/models HTTP/1.1\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
    ],
    ids=range(5),
)
def test_what_is_no_http_ends_its_own_connection_alone(server, data, capfd):
    assert b" 200 " not in server.raw(data).split(b"\r\n")[0]
    assert ask(server.client()).choices
    assert "".join(capfd.readouterr()) == ""


def test_a_header_that_stands_twice_is_refused(server):
    data = (
        f"GET /v1/models HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nHost: evil\r\n"
        f"Authorization: Bearer {TOKEN}\r\n\r\n"
    )
    assert server.raw(data.encode()).startswith(b"HTTP/1.1 400")


# ------------------------------------------------------------------------------ many at once


def test_fifty_streams_get_their_own_answers(taught):
    with served(taught) as server:
        client, found, failed = server.client(), {}, []

        def one(number):
            try:
                chunks = ask(client, f"Question {number}?", stream=True)
                text = "".join(c.choices[0].delta.content or "" for c in chunks)
                found[number] = text
            except openai.OpenAIError as error:
                failed.append(error)

        threads = [threading.Thread(target=one, args=(number,)) for number in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert failed == []
    assert len(found) == 50
    for number, text in found.items():
        assert re.search(rf"Question {number}\?", text), text


def test_who_is_too_many_is_told_to_come_back(taught, monkeypatch):
    monkeypatch.setattr("pocketpref.server.openai.request_queue.MOST_WAITING", 2)
    go, begun = threading.Event(), threading.Event()

    def slow(*_, **__):
        begun.set()
        go.wait(20)
        yield "at last"

    monkeypatch.setattr(taught, "reply", slow)
    with served(taught) as server:
        results = []
        threads = [
            threading.Thread(target=lambda: results.append(server.post(json.dumps(GOOD))))
            for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        assert begun.wait(10)
        time.sleep(0.5)
        status, _, headers = server.post(json.dumps(GOOD))
        go.set()
        for thread in threads:
            thread.join(30)
    assert status == 503
    assert headers.get("retry-after") == "5"
    assert [result[0] for result in results] == [200, 200]


def test_a_slow_reader_holds_nobody_up_and_one_who_is_gone_is_not_written_for(taught, monkeypatch):
    written, ended = [], threading.Event()

    def long(prompt, **_):
        try:
            for number in range(2000):
                written.append(number)
                yield "word " * 100
                if prompt == "slow":
                    time.sleep(0.005)
        finally:
            ended.set()

    monkeypatch.setattr(taught, "reply", long)
    request = json.dumps(
        {"model": "pocketpref", "stream": True, "messages": [{"role": "user", "content": "slow"}]}
    ).encode()
    with served(taught) as server:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\n"
            f"Authorization: Bearer {TOKEN}\r\nContent-Length: {len(request)}\r\n\r\n"
        ).encode()
        line = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        line.sendall(head + request)
        assert line.recv(1000)
        line.close()
        assert ended.wait(20), "it is written on for nobody"
        gone_after = len(written)
        assert gone_after < 2000
        # A reader who takes nothing, and one behind them who is answered all the same.
        idle = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        fast = request.replace(b'"slow"', b'"idle"')
        idle.sendall(head.replace(str(len(request)).encode(), str(len(fast)).encode()) + fast)
        text = ask(server.client(), "quick").choices[0].message.content
        assert text.count("word") == 200_000
        idle.close()


def test_an_error_on_the_way_reaches_the_client_as_one(taught, monkeypatch):
    def broken(*_, **__):
        yield "first "
        raise ValueError(SECRETS["chosen"])

    monkeypatch.setattr(taught, "reply", broken)
    with served(taught) as server:
        status, body, _ = server.post(json.dumps(GOOD))
        assert status == 500
        streamed = server.post(json.dumps(GOOD | {"stream": True}))[1]
    assert "ValueError" in body
    assert "ValueError" in streamed
    assert "[DONE]" not in streamed
    assert "marmalade" not in body + streamed


def test_a_port_that_is_taken_is_named(server, pocket):
    with pytest.raises(StorageError, match=str(server.port)):
        serve(pocket, server.port, TOKEN)


# ------------------------------------------------------------------------------ the real program


def test_the_real_program_answers_and_ends_cleanly(place):
    environ = {**os.environ, **place.environ}
    with subprocess.Popen(
        [sys.executable, "-m", "pocketpref", "serve", "--port", "0"],
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        said = process.stderr.readline()
        port = int(re.search(r"127\.0\.0\.1:(\d+)/v1", said)[1])
        key_file = re.search(r"in (.+)$", process.stderr.readline().strip())[1]
        token = Path(key_file).read_text().strip()
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=token, timeout=120)
        chunks = ask(client, "Name three colours.", stream=True, max_tokens=12, seed=1)
        times = [(time.monotonic(), chunk) for chunk in chunks]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert "".join(c.choices[0].delta.content or "" for _, c in times).strip()
    assert all(a <= b for (a, _), (b, _) in pairwise(times))
    assert process.returncode == 130
    assert out == ""
    assert "Traceback" not in err
    assert "colours" not in err
    assert place.folder.joinpath("server-token").stat().st_mode & 0o077 == 0 or sys.platform == (
        "win32"
    )
