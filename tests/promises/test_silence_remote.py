"""When something may leave: the real program, real sockets, and nobody else is spoken to."""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.backends.http.peer import HELLO, Peer, answer, serve
from tests.promises.stage import Stage, network_calls, strace_missing, under_strace

PROMPT = "Why is the sky blue?"

# The terminal becomes the controlling one, so that Ctrl-C is a signal.
_AT_THE_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, "-m", "pocketpref", *sys.argv[1:]])
"""


@pytest.fixture
def peer() -> Iterator[Peer]:
    with serve(answer(HELLO)) as peer:
        yield peer


@pytest.fixture
def to(peer: Peer) -> str:
    return f"openai:tiny@{peer.url()}"


def _watched(stage: Stage, log: Path, *arguments: str) -> tuple[int, list[str]]:
    """Run the program under strace; its exit code and what it had to do with a network."""
    if reason := strace_missing():
        pytest.skip(reason)
    watched = Stage(stage.root, stage.props, under_strace(log))
    return watched.run(*arguments).code, network_calls(log.read_text())


def test_a_refused_request_makes_no_call_at_all(tmp_path: Path, peer: Peer, to: str) -> None:
    """Neither does asking what would leave, and allowing it."""
    stage = Stage.build(tmp_path)
    for number, (code, arguments) in enumerate(
        [
            (1, ("remote", PROMPT, "--to", "openai:gpt-5")),
            (0, ("egress", "preview", PROMPT, "--to", "openai:gpt-5")),
            (0, ("egress", "allow", to, "--level", "attributes")),
            (0, ("egress", "log")),
            (0, ("egress", "verify")),
        ]
    ):
        assert _watched(stage, tmp_path / f"trace-{number}", *arguments) == (code, [])
    assert peer.lines == []


def test_an_allowed_request_goes_to_its_destination_and_nowhere_else(
    tmp_path: Path, peer: Peer, to: str
) -> None:
    """One connection, no name looked up, and what the preview showed."""
    stage = Stage.build(tmp_path)
    stage.must("egress", "allow", to, "--level", "attributes")
    shown = json.loads(stage.must("egress", "preview", PROMPT, "--to", to, "--json").out)
    code, calls = _watched(stage, tmp_path / "trace", "remote", PROMPT, "--to", to)
    assert code == 0
    connects = [line for line in calls if re.search(r"\bconnect\(", line)]
    assert len(connects) == 1
    assert f"sin_port=htons({peer.port})" in connects[0]
    families = {word for line in calls for word in re.findall(r"\bAF_\w+", line)}
    assert families == {"AF_INET"}
    assert peer.bodies() == [shown["body"].encode()]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals like these")
@pytest.mark.parametrize(("letter", "sent"), [("n", 0), ("o", 1), ("\x03", 0)])
def test_at_a_terminal_the_person_decides(
    tmp_path: Path, peer: Peer, to: str, letter: str, sent: int
) -> None:
    """Shown the bytes and asked; no, Ctrl-C and a closed terminal send nothing."""
    stage = Stage.build(tmp_path)
    words = _at_a_terminal(stage, letter, "remote", PROMPT, "--to", to)
    assert "This would leave your machine (nothing allows it)" in words
    assert f'"content":"{PROMPT}"' in words
    assert ("Hello, you." in words) == bool(sent)
    assert len(peer.lines) == sent


def _at_a_terminal(stage: Stage, typed: str, *arguments: str) -> str:
    """Run the program at a pseudo-terminal, answer its question, and return all it wrote."""
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", _AT_THE_TERMINAL, *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**stage.environ, "COLUMNS": "2000"},
        cwd=stage.work,
        start_new_session=True,
    )
    os.close(theirs)
    heard = _hear(ours, until="Send it?")
    answer = typed.encode() + (b"" if typed == "\x03" else b"\n")
    os.write(ours, answer)
    while process.poll() is None:
        heard += _hear(ours, seconds=3)
        if typed == "\x03" and process.poll() is None:
            # Python may lose a signal that comes just before it waits for input: press it again.
            with suppress(OSError):  # it has just ended
                os.write(ours, answer)
    heard += _hear(ours, seconds=1)
    os.close(ours)
    return heard.replace("\r\n", "\n")


def _hear(terminal: int, until: str | None = None, seconds: float = 120) -> str:
    """What is written there until some words come, the time is up, or the other side is closed."""
    heard, end = b"", time.monotonic() + seconds
    while time.monotonic() < end and not (until and until.encode() in heard):
        if select.select([terminal], [], [], 0.2)[0]:
            try:
                piece = os.read(terminal, 65536)
            except OSError:  # the other side is closed
                break
            if not piece:
                break
            heard += piece
    return heard.decode("utf-8", "replace")
