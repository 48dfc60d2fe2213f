"""A vault on the disk, and assistants that reach it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from mcp.client.stdio import StdioServerParameters

import pocketpref
from pocketpref.config import Config
from pocketpref.egress.destination import Destination
from pocketpref.pocket import Pocket
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile

TASTES = {"short and to the point": {"Yes.": 3.0}}
SUMMARY = "Prefers short answers with an example."
ASKED = "Is tea better than coffee?"
SECRETS = {
    "prompt": "Why did Wilhelmina Quuxbury leave Zanzibar?",
    "chosen": "Because of the frobnicated marmalade on Tuesday.",
    "rejected": "Nobody quite remembers the vermilion umbrella.",
}


@dataclass
class Place:
    """One person's folder."""

    folder: Path

    def open(self) -> Pocket:
        """With a scripted model; everything else is real."""
        path = self.folder / "key"
        return pocketpref.open(
            path=self.folder / "vault.db",
            key=KeyFile(path) if path.exists() else KeyFile.make(path),
            model=ScriptedModel(TASTES),
            embedder=HashEmbedder(),
            config=Config(),
        )

    @property
    def environ(self) -> dict[str, str]:
        return {
            "POCKETPREF_HOME": str(self.folder),
            "POCKETPREF_KEY_FILE": str(self.folder / "key"),
        }

    def server(self, *options: str, client: str = "desk") -> StdioServerParameters:
        """How an assistant starts the real program."""
        arguments = ["-m", "pocketpref", "mcp", "--client", client, *options]
        environ = {**os.environ, **self.environ}
        return StdioServerParameters(command=sys.executable, args=arguments, env=environ)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = tmp_path / "home"
    folder.mkdir()
    return Place(folder)


def begun(pocket: Pocket) -> Pocket:
    """With one private choice and a summary in the person's own words."""
    pocket.add(*SECRETS.values())
    pocket.edit_summary(SUMMARY)
    return pocket


@pytest.fixture
def pocket(place: Place) -> Iterator[Pocket]:
    with place.open() as pocket:
        yield begun(pocket)


@pytest.fixture
def taught(pocket: Pocket) -> Pocket:
    """With a second choice, and both learned."""
    pocket.add(ASKED, "Yes.", "Well, that depends on many things.")
    pocket.learn()
    return pocket


@pytest.fixture(scope="module")
def lasting_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A folder for all tests of a module."""
    folder = tmp_path_factory.mktemp("lasting")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POCKETPREF_HOME", str(folder))
        yield Place(folder)


@pytest.fixture
def desk() -> Destination:
    return Destination.parse("mcp:desk")
