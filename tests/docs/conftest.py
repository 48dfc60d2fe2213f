"""A reader's place: a home of their own, the files the pages speak of, models that are quick."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import pocketpref
from pocketpref.bootstrap import open as opening
from pocketpref.cli import main
from pocketpref.cli.context import App
from pocketpref.pocket import Pocket
from pocketpref.testing import HashEmbedder, ScriptedModel
from tests.docs.pages import ROOT

PAIR = {"prompt": "Explain DNS", "chosen": "A phone book.", "rejected": "A protocol that ..."}
TASTES = {"short and to the point": {"Yes.": 3.0}}


def _message(role: str, text: str) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    return {"author": {"role": role}, "content": content, "status": "finished_successfully"}


def _conversations() -> list[dict[str, Any]]:
    """A ChatGPT export with one answer that was made again."""
    nodes = {
        "root": (None, None),
        "asked": ("root", _message("user", "Is tea good?")),
        "left": ("asked", _message("assistant", "It depends.")),
        "kept": ("asked", _message("assistant", "Yes.")),
    }
    mapping = {key: {"id": key, "parent": up, "message": m} for key, (up, m) in nodes.items()}
    return [{"id": "c1", "mapping": mapping, "current_node": "kept"}]


class Reader:
    """Somebody who types what the pages say.

    Attributes:
        folder: where they are; the files that the pages name lie there.
        home: where the program keeps things.
    """

    def __init__(self, folder: Path, home: Path) -> None:
        self.folder = folder
        self.home = home
        home.mkdir()
        key = json.dumps(str(home / "key"))
        settings = f'key_custody = "key-file"\nkey_file = {key}\n'
        (home / "config.toml").write_text(settings, "utf-8")

    def lay_out(self, words: Sequence[str]) -> None:
        """Put the files that a command line reads where it will look for them."""
        for name in (word.removeprefix("@") for word in words):
            path = self.folder / name
            if path.suffix in (".json", ".jsonl", ".txt") and not path.exists():
                path.parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / name).is_file():
                    shutil.copy(ROOT / name, path)
                else:
                    path.write_text(self._content(path), "utf-8")

    @staticmethod
    def _content(path: Path) -> str:
        if path.suffix == ".json":
            return json.dumps(_conversations())
        return json.dumps(PAIR) + "\n" if path.suffix == ".jsonl" else f"This is {path.name}.\n"

    def open(self, user: str | None = None, **options: Any) -> Pocket:
        chosen = {**options, "model": ScriptedModel(TASTES), "embedder": HashEmbedder()}
        return pocketpref.open(user, **chosen)

    def remember_something(self) -> None:
        for user in (None, "ada"):
            with self.open(user) as pocket:
                pocket.add("Is tea better than coffee?", "Yes.", "That depends on many things.")

    def type(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Call the program in this process, with quick fakes in the place of the models."""
        environ = {"POCKETPREF_HOME": str(self.home)}
        app = App(environ, self.open, lambda **_: opening.throwaway(model=ScriptedModel(TASTES)))
        stdin = "Explain DNS\n" if "-" in arguments else ""
        with CliRunner().isolation(input=stdin, env=environ) as (_, err, _out):
            return main(arguments, app), err.getvalue().decode()

    def run(self, arguments: Sequence[str]) -> tuple[int, str]:
        """Call the program itself, as a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "pocketpref", *arguments],
            cwd=self.folder,
            env={**os.environ, "POCKETPREF_HOME": str(self.home), "PYTHONPATH": str(ROOT)},
            input="Explain DNS\n",
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
            timeout=120,
        )
        return done.returncode, done.stderr


@pytest.fixture
def reader(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return Reader(folder, home)
