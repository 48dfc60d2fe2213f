"""The examples as programs, on a Pocket with a scripted model."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

import pocketpref
from pocketpref.config import Config
from pocketpref.pocket import Pocket
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.fixture
def example() -> Callable[[str], ModuleType]:
    """Loads an example by its name."""

    def load(name: str) -> ModuleType:
        spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def pocket(tmp_path: Path) -> Iterator[Pocket]:
    with pocketpref.open(
        path=tmp_path / "vault.db",
        key=KeyFile.make(tmp_path / "key"),
        model=ScriptedModel({"short and to the point": {"Yes.": 3.0}}),
        embedder=HashEmbedder(),
        config=Config(),
    ) as pocket:
        yield pocket
