"""The real program over real pipes, message by message: what the SDK's own client never sends.

Every result is held against the published schema of the version that was agreed on (as the SDK
carries it), every error against the code that the protocol names.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import mcp_types as types
import pytest
from mcp_types.methods import validate_server_result
from mcp_types.version import LATEST_HANDSHAKE_VERSION
from mcp_types.version import OLDEST_SUPPORTED_VERSION as OLDEST

from pocketpref.pocket import Pocket
from tests.server.conftest import begun

NEWEST = types.LATEST_PROTOCOL_VERSION
INITIALIZED = {"jsonrpc": "2.0", "method": "notifications/initialized"}
HUGE = 8_000_000

Message = dict[str, Any]


class Pipe:
    """Both ends of one server's pipes."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._in, self._out = process.stdin, process.stdout
        self._asked = 0

    def send(self, *messages: Message | bytes) -> None:
        for message in messages:
            line = message if isinstance(message, bytes) else json.dumps(message).encode()
            self._in.write(line + b"\n")
        self._in.flush()

    def until(self, number: int | str) -> list[Message]:
        """What is said up to the answer of this number, each of it valid JSON-RPC."""
        said: list[Message] = []
        while not said or said[-1].get("id") != number:
            line = self._out.readline()
            assert line, "the server is gone"
            types.jsonrpc_message_adapter.validate_json(line)
            said.append(json.loads(line))
        return said

    def ask(self, method: str, **params: Any) -> Message:
        """The answer to a request."""
        self._asked += 1
        self.send(request(self._asked, method, **params))
        return self.until(self._asked)[-1]

    def begin(self, version: str) -> Message:
        """Shake hands; gives the answer."""
        answer = self.ask(
            "initialize",
            protocolVersion=version,
            capabilities={},
            clientInfo={"name": "x", "version": "1"},
        )
        self.send(INITIALIZED)
        return answer


def request(number: Any, method: str, **params: Any) -> Message:
    return {"jsonrpc": "2.0", "id": number, "method": method, "params": params}


@contextmanager
def piped(place) -> Iterator[Pipe]:
    server = place.server()
    with subprocess.Popen(
        [server.command, *server.args],
        env=server.env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        yield Pipe(process)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, b"")


@pytest.fixture(scope="module")
def person(lasting_place) -> Iterator[Pocket]:
    with lasting_place.open() as pocket:
        yield begun(pocket)


@pytest.fixture
def pipe(lasting_place, person) -> Iterator[Pipe]:
    """Of a server that was not spoken to yet."""
    with piped(lasting_place) as made:
        yield made


@pytest.fixture(scope="module")
def session(lasting_place, person) -> Iterator[Pipe]:
    """Of one server for all the tests after the handshake: none of them may end it."""
    with piped(lasting_place) as made:
        made.begin(LATEST_HANDSHAKE_VERSION)
        yield made


def whole_session(pipe: Pipe, version: str, **envelope: Any) -> None:
    """Every request that we answer, each answer as this version's schema wants it."""
    asked: Sequence[tuple[str, Message]] = [
        ("tools/list", {}),
        ("tools/call", {"name": "status"}),
        ("tools/call", {"name": "profile", "arguments": {}}),
        ("tools/call", {"name": "profile", "arguments": {"no such": 1}}),
    ]
    for method, params in asked:
        result = pipe.ask(method, **params, **envelope)["result"]
        validate_server_result(method, version, result)
    assert result["isError"] is True


@pytest.mark.parametrize("wanted", [OLDEST, LATEST_HANDSHAKE_VERSION, "2099-01-01"])
def test_nothing_is_told_before_a_handshake_which_agrees_on_a_version(pipe, wanted):
    """One that is known is spoken, and another is answered with ours."""
    pipe.send({"jsonrpc": "2.0", "method": "notifications/roots/list_changed"})
    assert pipe.ask("tools/list")["error"]["code"] == types.INVALID_PARAMS
    agreed = wanted if wanted == OLDEST else LATEST_HANDSHAKE_VERSION
    result = pipe.begin(wanted)["result"]
    assert result["protocolVersion"] == agreed
    assert set(result["capabilities"]) == {"tools"}
    validate_server_result("initialize", agreed, result)
    validate_server_result("ping", agreed, pipe.ask("ping")["result"])
    whole_session(pipe, agreed)


def test_the_newest_version_needs_no_handshake(pipe):
    meta = {
        types.PROTOCOL_VERSION_META_KEY: NEWEST,
        types.CLIENT_INFO_META_KEY: {"name": "x", "version": "1"},
        types.CLIENT_CAPABILITIES_META_KEY: {},
    }
    found = pipe.ask("server/discover", _meta=meta)["result"]
    assert NEWEST in found["supportedVersions"]
    validate_server_result("server/discover", NEWEST, found)
    whole_session(pipe, NEWEST, _meta=meta)


REFUSED: Sequence[tuple[str, Message, int]] = [
    ("no/such", {}, types.METHOD_NOT_FOUND),
    ("prompts/list", {}, types.METHOD_NOT_FOUND),
    ("resources/read", {"uri": "file:///etc/passwd"}, types.METHOD_NOT_FOUND),
    ("logging/setLevel", {"level": "debug"}, types.METHOD_NOT_FOUND),
    ("tools/list", {"cursor": "2"}, types.INVALID_PARAMS),
    ("tools/list", {"cursor": 2}, types.INVALID_PARAMS),
    ("tools/call", {}, types.INVALID_PARAMS),
    ("tools/call", {"name": ["status"]}, types.INVALID_PARAMS),
    ("tools/call", {"name": "status", "arguments": ["x"]}, types.INVALID_PARAMS),
    ("tools/call", {"name": "no_such_tool"}, types.INVALID_PARAMS),
    ("initialize", {}, types.INVALID_PARAMS),
]


def test_what_is_asked_wrongly_is_refused_by_the_code_that_the_protocol_names(session):
    found = [session.ask(method, **params)["error"]["code"] for method, params, _ in REFUSED]
    assert found == [code for *_, code in REFUSED]
    whole_session(session, LATEST_HANDSHAKE_VERSION)


NO_REQUEST: Sequence[Message | bytes] = [
    b"{",
    b"7",
    b"[]",
    json.dumps(
        [request(1, "ping"), request(2, "ping")]
    ).encode(),  # a batch: only 2025-03-26 had it
    {"jsonrpc": "1.0", "id": 1, "method": "ping"},
    {"id": 1, "method": "ping"},
    {"jsonrpc": "2.0", "id": [1], "method": "ping"},
    {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": [1]},
    {"jsonrpc": "2.0", "id": 1, "result": {}},  # the answer to nothing
    {"jsonrpc": "2.0", "id": 1, "error": {"code": 1, "message": "x"}},
    {"jsonrpc": "2.0", "method": "notifications/no_such"},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 77}},
    {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {}},
]


def test_what_is_no_request_gets_no_answer_and_ends_nothing(session):
    session.send(*NO_REQUEST, request("last", "ping"))
    assert session.until("last") == [{"jsonrpc": "2.0", "id": "last", "result": {}}]
    whole_session(session, LATEST_HANDSHAKE_VERSION)


def test_a_cancelled_call_is_answered_at_most_once_and_done_at_most_once(session, person):
    before = person.counts().memories
    choice = {"prompt": "Tea?", "chosen": "Yes.", "rejected": "No."}
    cancel = {
        "jsonrpc": "2.0",
        "method": "notifications/cancelled",
        "params": {"requestId": "gone", "reason": "changed my mind"},
    }
    call = request("gone", "tools/call", name="remember_choice", arguments=choice)
    session.send(call, cancel, request("last", "tools/call", name="status"))
    said = session.until("last")
    assert len([one for one in said if one["id"] == "gone"]) <= 1
    assert person.counts().memories - before in (0, 1)


def test_a_line_of_megabytes_is_refused_by_its_length_and_the_session_goes_on(session):
    arguments = {"prompt": "x" * HUGE}
    result = session.ask("tools/call", name="personalize", arguments=arguments)["result"]
    assert result["isError"] is True
    assert "prompt must be a text of at most" in result["content"][0]["text"]
    assert len(json.dumps(result)) < 1000
    assert session.ask("ping")["result"] == {}
