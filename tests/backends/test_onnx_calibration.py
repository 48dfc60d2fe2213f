"""The tool that measures the relevance threshold."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import pocketpref
from pocketpref.backends.onnx.embedder import offtopic_prompts, open_embedder
from pocketpref.models.bundled import models_folder

TOOLS = Path(pocketpref.__file__).parent.parent / "tools"
DEBATES = ("Tea or coffee?", "Cats or dogs?", "Sea or mountains?", "Books or films?")


@pytest.fixture
def tool(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(TOOLS))
    return importlib.import_module("calibrate_relevance")


def _pairs(path: Path, prompts: list[str]) -> Path:
    rows = (
        {"prompt": p, "chosen": f"Yes, as to {p}", "rejected": f"No: {p[::-1]}"} for p in prompts
    )
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


def _arguments(tmp_path: Path) -> list[str]:
    debates = [
        f"Debate: {title}\nPosition: the {side}\nWrite a convincing argument."
        for title in DEBATES
        for side in ("first", "second")
    ]
    tasks = _pairs(tmp_path / "tasks.jsonl", offtopic_prompts())
    return ["--tasks", str(tasks), "--debates", str(_pairs(tmp_path / "debates.jsonl", debates))]


def test_the_threshold_is_the_least_that_keeps_false_recall_rare(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (models_folder() / "MANIFEST.toml").read_bytes()
    assert tool.main([*_arguments(tmp_path), "--json", str(tmp_path / "figures.json")]) == 0
    figures = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    threshold = figures["threshold"]
    vectors = list(open_embedder().embed(offtopic_prompts()))
    tops = [max(float(v @ w) for w in vectors if w is not v) for v in vectors]
    assert np.mean([top >= threshold for top in tops]) <= 0.05
    assert np.mean([top >= threshold - 0.01 for top in tops]) > 0.05
    assert f"threshold {threshold:.2f}" in capsys.readouterr().out
    assert (models_folder() / "MANIFEST.toml").read_bytes() == before


def test_the_figures_show_which_edits_are_recalled(tool: ModuleType, tmp_path: Path) -> None:
    tool.main([*_arguments(tmp_path), "--json", str(tmp_path / "figures.json")])
    related = json.loads((tmp_path / "figures.json").read_text("utf-8"))["recalled_related"]
    assert related["question wrapped in courtesies"]["0.30"] == 1.0
    assert related["question first half of its words"]["0.80"] < 1.0
