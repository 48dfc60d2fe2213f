"""What the tests of the training toolkit share: the starter in torch, once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def float_path(starter_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The starter in float32, as llama.cpp runs it."""
    from tools.train.check import float_copy

    return float_copy(starter_path, tmp_path_factory.mktemp("float"))


@pytest.fixture(scope="module")
def base(starter_path: Path) -> Any:
    """The starter in torch, in float32; one adapter for each module of tests."""
    from tools.train.base import load_base

    return load_base(starter_path)
