"""A Disclosure is made by the door alone, shows nothing by accident, and is sent once."""

from __future__ import annotations

import copy
import pickle
import re
import subprocess
import sys
from dataclasses import FrozenInstanceError, replace
from pathlib import Path

import pytest

import pocketpref
from pocketpref.egress import Request
from pocketpref.egress.disclosure import Disclosure, Level
from pocketpref.errors import DeniedError
from pocketpref.records import Message
from tests.egress.conftest import ASKED, CLAUDE, GPT

MISUSE = """
from pocketpref.egress.disclosure import Disclosure
from pocketpref.backends.http import HttpGenerator

def send(remote: HttpGenerator, prompt: str, made: Disclosure) -> None:
    {line}
"""


@pytest.fixture
def disclosure(door, offer) -> Disclosure:
    door.allow(GPT, Level.SUMMARY, any_summary=True)
    return door.clear(ASKED, offer, GPT)


def test_nobody_else_can_make_one(disclosure) -> None:
    for attempt in (
        Disclosure,
        lambda: Disclosure(disclosure),
        lambda: replace(disclosure, body=b"more"),
        lambda: copy.copy(disclosure),
        lambda: copy.deepcopy(disclosure),
        lambda: pickle.dumps(disclosure),
    ):
        with pytest.raises(TypeError):
            attempt()
    with pytest.raises(FrozenInstanceError):
        disclosure.body = b"more"


def test_only_the_door_names_what_makes_one() -> None:
    package = Path(pocketpref.__file__).parent
    naming = {
        file.relative_to(package).as_posix()
        for file in package.rglob("*.py")
        if re.search(r"\b_cleared\b|object\.__new__\(Disclosure", file.read_text("utf-8"))
    }
    assert naming == {"egress/disclosure.py", "egress/gate.py"}


def test_the_type_checker_refuses_anything_else(tmp_path) -> None:
    uses = [
        ("remote.generate(made)", False),
        ("remote.generate(prompt)", True),
        ("remote.generate({'body': prompt})", True),
        ("Disclosure()", True),
        ("Disclosure(prompt)", True),
        ("made.body = prompt.encode()", True),
    ]
    files = [tmp_path / f"use{number}.py" for number in range(len(uses))]
    for file, (line, _) in zip(files, uses, strict=True):
        file.write_text(MISUSE.format(line=line))
    root = Path(pocketpref.__file__).parent.parent
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", root / ".mypy_cache"]
    done = subprocess.run([*command, *files], check=False, capture_output=True, text=True, cwd=root)
    refused = [file.name in done.stdout for file in files]
    assert refused == [wrong for _, wrong in uses], done.stdout + done.stderr


def test_it_shows_sizes_only(disclosure) -> None:
    assert repr(disclosure) == (
        f"Disclosure('openai:gpt-x@https://api.openai.com/v1', SUMMARY, text=<36 characters>, "
        f"body=<{len(disclosure.body)} bytes>)"
    )


def test_it_is_sent_once(disclosure) -> None:
    assert disclosure.take() == disclosure.body
    with pytest.raises(DeniedError, match="before"):
        disclosure.take()


def test_what_a_host_sends_itself_is_what_stands_in_the_body(door, offer, disclosure) -> None:
    expected = [{"role": "system", "content": offer.summary}, *ASKED.messages]
    assert disclosure.to_openai() == expected == list(disclosure.messages)
    disclosure.to_openai()[0]["content"] = "more"
    assert disclosure.to_openai() == expected
    door.allow(CLAUDE, Level.SUMMARY, any_summary=True)
    host = Request((Message(role="system", content="Be kind."), *ASKED.messages))
    sent = door.clear(host, offer, CLAUDE)
    assert sent.to_anthropic() == {
        "system": f"Be kind.\n\n{offer.summary}",
        "messages": list(ASKED.messages),
    }
    assert door.clear(ASKED, offer, CLAUDE, level=Level.NONE).to_anthropic() == {
        "messages": list(ASKED.messages)
    }
