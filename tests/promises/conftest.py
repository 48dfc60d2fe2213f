"""The main job, told once by the real program and judged by several tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.promises.story import Story, tell


@pytest.fixture(scope="session")
def story(prepared_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The whole main job with planted texts, through the command line, with the starter model."""
    return tell(tmp_path_factory.mktemp("story"), prepared_path)
