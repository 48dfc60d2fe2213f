"""The benchmark of waiting threads, run for one way with one busy program beside it."""

from __future__ import annotations

import json

import psutil
import pytest

from tools.bench import waiting as bench_waiting


def test_a_run_times_every_way_under_every_load(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each in a process of its own; what was kept busy beside them is gone afterwards."""
    name = "300 rounds (ours)"
    monkeypatch.setattr(bench_waiting, "WAYS", {name: bench_waiting.WAYS[name]})
    monkeypatch.setattr(bench_waiting, "LOADS", (1,))
    assert bench_waiting.main(["--repeats", "1"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert (row["beside"], row["way"], row["token_of_best"]) == (1, name, 1)
    assert row["batch_ms"] > row["token_ms"] > 0
    assert not [p for p in psutil.Process().children() if "while True" in " ".join(p.cmdline())]
