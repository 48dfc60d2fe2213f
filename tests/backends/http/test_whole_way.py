"""The whole way, from a Pocket to the wire: however it ends, the log is complete and true."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import pocketpref
from pocketpref import Pocket
from pocketpref.backends.http import HttpGenerator, Retries, Timeouts
from pocketpref.bootstrap import open as opening
from pocketpref.egress import Destination, Level, Request
from pocketpref.egress.api_keys import ApiKey, ApiKeys
from pocketpref.errors import (
    DeniedError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnreachableError,
)
from pocketpref.records import Message
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.backends.http.certificates import issue
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

SUMMARY = "Prefers short, direct answers."
QUESTION = "Why is the sky blue?"
QUICK = Timeouts(connect=0.5, first_byte=0.5, between_bytes=0.3, total=1.5)


@pytest.fixture
def pocket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Pocket]:
    """As a program would open it, with less patience and a summary."""

    def impatient(keys: ApiKeys) -> HttpGenerator:
        return HttpGenerator(keys, timeouts=QUICK, retries=Retries(tries=2, first=0.01))

    monkeypatch.setattr(opening, "_remote", impatient)
    opened = pocketpref.open(
        "ada",
        path=tmp_path / "vault.db",
        key=KeyFile.make(tmp_path / "key"),
        model=ScriptedModel(),
        embedder=HashEmbedder(),
    )
    with opened as pocket:
        pocket.edit_summary(SUMMARY)
        yield pocket


def to(peer: Peer, model: str = "tiny") -> str:
    return f"openai:{model}@{peer.url()}"


def decisions(pocket: Pocket) -> list[tuple[str, str]]:
    return [
        (entry.event, entry.reason)
        for entry in pocket.egress.log()
        if entry.event in ("allowed", "denied", "finished")
    ]


def silent(line: Line) -> None:
    line.wait()


def flooding(line: Line) -> None:
    line.send(OK + b"data: ")
    while True:
        line.send(b"x" * 65536)


ENDS: dict[str, tuple[Script, type[Exception]]] = {
    "redirects": (status(307, "Location: http://127.0.0.1:1/v1"), RemoteRefusedError),
    "stalls": (silent, RemoteUnreachableError),
    "stalls within its answer": (lambda line: (line.send(OK), line.wait()), RemoteUnreachableError),
    "closes half-way": (answer(chunk("Hello")), RemoteUnreachableError),
    "floods": (flooding, RemoteGarbledError),
    "is malformed": (answer(b"data: {]\n\n"), RemoteGarbledError),
    "is no event stream": (answer(b"<html>\n"), RemoteGarbledError),
    "wants a key": (status(401), RemoteRefusedError),
    "is overloaded": (status(529), RemoteRefusedError),
    "errs within its answer": (answer(b'data: {"error": {}}\n\n' + DONE), RemoteRefusedError),
}


@pytest.mark.parametrize(("script", "kind"), ENDS.values(), ids=ENDS)
def test_a_bad_end_is_named_and_on_the_log(
    pocket: Pocket, script: Script, kind: type[Exception]
) -> None:
    """What arrived is what was shown before, and what the log holds; no byte more."""
    with serve(script) as peer:
        pocket.egress.allow(Destination.parse(to(peer)), Level.SUMMARY, any_summary=True)
        shown = pocket.preview(QUESTION, to=to(peer))
        with pytest.raises(kind) as caught:
            pocket.reply_remotely(QUESTION, to=to(peer))
        assert set(peer.bodies()) == {shown.body}
    assert caught.value.__context__ is None
    assert decisions(pocket) == [("allowed", "granted"), ("finished", kind.__name__)]
    (release,) = [entry for entry in pocket.egress.log() if entry.event == "allowed"]
    assert pocket.egress.released(release.id) == shown.body
    assert release.sent == len(shown.body)
    assert pocket.egress.verify().ok


def test_a_good_end_is_on_the_log(pocket: Pocket) -> None:
    with serve(answer(HELLO)) as peer:
        pocket.egress.allow(Destination.parse(to(peer)), Level.SUMMARY, any_summary=True)
        assert pocket.reply_remotely(QUESTION, to=to(peer)) == "Hello, you."
        assert SUMMARY.encode() in peer.bodies()[0]
    assert decisions(pocket) == [("allowed", "granted"), ("finished", "complete")]


def test_an_answer_that_is_broken_off_is_on_the_log(pocket: Pocket) -> None:
    """Who stops reading has still sent."""
    with serve(lambda line: (line.send(OK + chunk("Hello")), line.wait())) as peer:
        pocket.egress.allow(Destination.parse(to(peer)), Level.NONE)
        pieces = pocket.reply_remotely(QUESTION, to=to(peer), stream=True)
        assert next(iter(pieces)) == "Hello"
        pieces.close()  # type: ignore[attr-defined]  # a generator
        assert peer.lines[0].closed.wait(2)
    assert decisions(pocket) == [("allowed", "granted"), ("finished", "interrupted")]
    assert pocket.egress.verify().ok


def test_a_false_certificate_is_on_the_log(pocket: Pocket, tmp_path: Path) -> None:
    with serve(answer(HELLO), tls=issue(by=None).serving(tmp_path)) as peer:
        pocket.egress.allow(Destination.parse(to(peer)), Level.SUMMARY, any_summary=True)
        with pytest.raises(RemoteUnreachableError, match="does not prove who it is"):
            pocket.reply_remotely(QUESTION, to=to(peer))
        assert peer.requests() == [b""]
    assert decisions(pocket)[-1] == ("finished", "RemoteUnreachableError")


def revoke(pocket: Pocket, peer: Peer) -> str:
    pocket.egress.revoke(Destination.parse(to(peer)))
    return to(peer)


def revoke_elsewhere(pocket: Pocket, peer: Peer) -> str:
    """As another process that has the same vault open."""
    other = pocketpref.open(
        "ada",
        path=pocket.status()["vault"]["path"],
        key=KeyFile(Path(pocket.status()["vault"]["path"]).parent / "key"),
        model=ScriptedModel(),
        embedder=HashEmbedder(),
    )
    with other:
        return revoke(other, peer)


def expire(pocket: Pocket, peer: Peer) -> str:
    soon = timedelta(microseconds=1)
    pocket.egress.allow(Destination.parse(to(peer)), Level.SUMMARY, any_summary=True, expires=soon)
    return to(peer)


def use_up(pocket: Pocket, peer: Peer) -> str:
    pocket.egress.allow(Destination.parse(to(peer)), Level.NONE, daily=1)
    request = Request((Message(role="user", content=QUESTION),))
    pocket.egress.clear(request, pocket.offer(), Destination.parse(to(peer)))
    return to(peer)


def change_summary(pocket: Pocket, peer: Peer) -> str:
    pocket.egress.allow(Destination.parse(to(peer)), Level.SUMMARY, offer=pocket.offer())
    pocket.edit_summary("Likes a formal tone. Dislikes jokes.")
    return to(peer)


DENIED: dict[str, Callable[[Pocket, Peer], str]] = {
    "revoked": revoke,
    "revoked in another process": revoke_elsewhere,
    "expired": expire,
    "used up": use_up,
    "another summary": change_summary,
    "another model": lambda pocket, peer: to(peer, "huge"),
    "another path": lambda pocket, peer: f"openai:tiny@{peer.url('/v2')}",
    "another name for it": lambda pocket, peer: f"openai:tiny@http://localhost:{peer.port}/v1",
    "another dialect": lambda pocket, peer: f"anthropic:tiny@{peer.url()}",
    "https": lambda pocket, peer: f"openai:tiny@https://127.0.0.1:{peer.port}/v1",
}


@pytest.mark.parametrize("change", DENIED.values(), ids=DENIED)
def test_what_is_not_allowed_reaches_nobody_and_is_on_the_log(
    pocket: Pocket, change: Callable[[Pocket, Peer], str]
) -> None:
    with serve(answer(HELLO)) as peer:
        pocket.egress.allow(Destination.parse(to(peer)), Level.SUMMARY, any_summary=True)
        destination = change(pocket, peer)
        with pytest.raises(DeniedError):
            pocket.reply_remotely(QUESTION, to=destination)
        assert peer.lines == [], "not even a connection"
    assert decisions(pocket)[-1][0] == "denied"
    assert pocket.egress.verify().ok


def test_another_port_is_another_destination(pocket: Pocket) -> None:
    with serve(answer(HELLO)) as peer, serve(answer(HELLO)) as other:
        pocket.egress.allow(Destination.parse(to(peer)), Level.SUMMARY, any_summary=True)
        pocket.api_keys.put(Destination.parse(to(peer)), ApiKey(b"sk-mine"))
        with pytest.raises(DeniedError):
            pocket.reply_remotely(QUESTION, to=to(other))
        assert other.lines == []
        pocket.egress.allow(Destination.parse(to(other)), Level.NONE)
        pocket.reply_remotely(QUESTION, to=to(other))
        assert b"sk-mine" not in other.requests()[0]
        assert SUMMARY.encode() not in other.requests()[0]
