"""A real vault, Pocket and command line, with a scripted model and embedder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import pocketpref
from pocketpref.bootstrap import open as opening
from pocketpref.cli import main
from pocketpref.cli.context import App
from pocketpref.config import Config
from pocketpref.pocket import Pocket
from pocketpref.records import Feedback, Pair
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile

# The rule the scripted model follows: told to be short, it favours "Yes."
TASTES = {"short and to the point": {"Yes.": 3.0}}


@dataclass
class Result:
    """What one command did."""

    code: int
    out: str
    err: str


@dataclass
class Desk:
    """One person's place at the command line."""

    home: Path
    model: ScriptedModel
    environ_more: dict[str, str] = field(default_factory=dict)

    @property
    def environ(self) -> dict[str, str]:
        key = str(self.home / "key")
        return {
            "POCKETPREF_HOME": str(self.home),
            "POCKETPREF_KEY_FILE": key,
            **self.environ_more,
        }

    def open(self, user: str | None = None, **_: Any) -> Pocket:
        path = self.home / "vault.db"
        key_path = self.home / "key"
        key = KeyFile(key_path) if key_path.exists() else KeyFile.make(key_path)
        return pocketpref.open(
            user, path=path, key=key, model=self.model, embedder=HashEmbedder(), config=Config()
        )

    def throwaway(self, **_: Any) -> AbstractContextManager[Pocket]:
        return opening.throwaway(model=self.model, config=Config())

    @property
    def app(self) -> App:
        return App(self.environ, self.open, self.throwaway)

    def run(self, *arguments: str, stdin: str | bytes = "", app: App | None = None) -> Result:
        with CliRunner().isolation(input=stdin, env=self.environ) as (out, err, _):
            code = main(arguments, app or self.app)
            return Result(code, out.getvalue().decode(), err.getvalue().decode())

    def teach(self, prompt: str = "Is tea better than coffee?", user: str | None = None) -> str:
        """Remember and learn one choice of the short answer."""
        with self.open(user) as pocket:
            memory_id = pocket.add(prompt, "Yes.", "Well, that depends on many things.")
            pocket.learn()
        return memory_id


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("POCKETPREF_HOME", str(tmp_path / "home"))
    return Desk(tmp_path / "home", ScriptedModel(TASTES))


@pytest.fixture
def pairs_of() -> Callable[[Pocket], list[tuple[str, str, str]]]:
    """The remembered pairs, the newest first."""

    def pairs(pocket: Pocket) -> list[tuple[str, str, str]]:
        found = [m.pair for m in pocket.memories()]
        return [(p.prompt, p.chosen, p.rejected) for p in found]

    return pairs


@pytest.fixture
def feedback() -> Callable[..., Feedback]:
    def make(prompt: str, chosen: str = "Yes.", rejected: str = "No, not at all.") -> Feedback:
        return Feedback(Pair(prompt, chosen, rejected))

    return make


@pytest.fixture
def spawn(tmp_path: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Start the real program as a process of its own, with an empty home."""

    def start(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        own = {
            **os.environ,
            "POCKETPREF_HOME": str(tmp_path / "home"),
            "POCKETPREF_KEY_FILE": str(tmp_path / "home" / "key"),
            **(env or {}),
        }
        return subprocess.Popen(
            [sys.executable, "-m", "pocketpref", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=own,
        )

    return start
