"""Several programs at one vault: each use is counted once, and what one revokes none may use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pocketpref.egress.disclosure import Level
from pocketpref.errors import DeniedError
from tests.egress.conftest import ASKED, GPT

PROGRAM = """
import json, sys
from pocketpref.attributes import AttributeBank
from pocketpref.egress import Destination, EgressGate, Known, Offer, Request
from pocketpref.errors import DeniedError
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile

path, key, action, times = sys.argv[1:]
gpt = Destination.parse("openai:gpt-x")
with Vault.open(path, KeyFile(key), busy_seconds=60) as vault:
    door = EgressGate(vault.store("ada"), (), Known(list, (), ()))
    sys.stdin.readline()
    if action == "revoke":
        print(door.revoke(gpt))
    else:
        cleared, denied = [], 0
        request = Request(({"role": "user", "content": "Why?"},))
        while len(cleared) + denied < int(times) and not (action == "clear-until" and denied == 3):
            try:
                cleared.append(door.clear(request, Offer(), gpt).release)
            except DeniedError:
                denied += 1
        print(json.dumps(cleared))
"""


class Program:
    """A process of its own, ready before it is told to go."""

    def __init__(self, path: Path, key: Path, action: str, times: int = 0) -> None:
        command = [sys.executable, "-c", PROGRAM, str(path), str(key), action, str(times)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def result(self) -> object:
        said, _ = self._process.communicate(timeout=120)
        assert self._process.returncode == 0
        return json.loads(said)


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """The other processes look at the real one."""
    return lambda: datetime.now(UTC)


@pytest.fixture
def start(path, key, vault):
    return lambda action, times=0: Program(path, key.path, action, times)


def test_processes_share_the_uses_of_a_day(door, start) -> None:
    """Four at once, each trying eight times, with ten allowed: ten leave, and all is logged."""
    door.allow(GPT, Level.NONE, daily=10)
    programs = [start("clear", 8) for _ in range(4)]
    for program in programs:
        program.go()
    cleared = [release for program in programs for release in program.result()]
    assert len(cleared) == len(set(cleared)) == 10
    events = [entry.event for entry in door.log()]
    assert (events.count("allowed"), events.count("denied")) == (10, 22)
    assert door.verify().ok
    assert door.verify().kept == 10


def test_what_another_process_revokes_is_over_at_once(door, offer, start) -> None:
    program = start("revoke")
    door.allow(GPT, Level.NONE)
    door.clear(ASKED, offer, GPT)
    program.go()
    assert program.result() == 1
    with pytest.raises(DeniedError):
        door.clear(ASKED, offer, GPT)


def test_revoking_ends_a_process_that_is_clearing(door, start) -> None:
    """After the moment of revoking nothing more is cleared, however often it is tried."""
    door.allow(GPT, Level.NONE)
    program = start("clear-until", 5_000)
    program.go()
    while not any(entry.event == "allowed" for entry in door.log()):
        pass
    door.revoke(GPT)
    cleared = program.result()
    events = [entry.event for entry in door.log()]
    revoked = events.index("revoked")
    assert 1 <= len(cleared) == events.count("allowed") == events[:revoked].count("allowed")
    assert events[revoked + 1 :] == ["denied"] * 3
    assert door.verify().ok
