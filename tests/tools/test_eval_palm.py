"""Regret on simulated people falls with what is known of them, and the tools' reports say so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pocketpref.methods.palm.portfolio import Portfolio
from tests.methods.test_palm import described, written
from tools.bench import adapters as bench_adapters
from tools.eval import palm as eval_palm
from tools.eval.palm import World, curves


@pytest.fixture
def world(tmp_path: Path) -> World:
    portfolio = Portfolio.load(written(tmp_path / "portfolio", described()))
    questions = np.random.default_rng(0).normal(0, 0.2, (60, 3))
    return World(portfolio, questions)


def test_regret_falls_with_choices_and_is_none_at_the_true_weights(world: World) -> None:
    report = curves(world, 32.0, [0, 10, 20], people=12)
    for kind in ("random pairs", "picked pairs"):
        regret = report[kind]["regret"]
        assert regret[0] == report["no policy"] > 0.1
        assert regret[20] < 0.4 * regret[0]
        assert report[kind]["weights off by"][20] < report[kind]["weights off by"][0]
    corner = np.array([1.0, 0.0, 0.0])
    assert world.regret(corner, "brief") == 0
    assert world.regret(corner, None) == pytest.approx(0.5)


def test_people_who_toss_a_coin_lose_nothing_they_care_for_and_seldom_get_a_policy(
    world: World,
) -> None:
    report = curves(world, 0.0, [20], people=20)
    assert report["random pairs"]["with a policy"] <= 0.2


def test_the_report_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    folder = written(tmp_path / "portfolio", described())
    rows = [
        {"chosen": "Yes. " * i, "rejected": f"It is, in the end, a matter of {i} opinions. " * 3}
        for i in range(1, 9)
    ]
    answers = tmp_path / "answers.jsonl"
    answers.write_text("\n".join(map(json.dumps, rows)))
    target = tmp_path / "report.json"
    arguments = ["--portfolio", str(folder), "--answers", str(answers), "--json", str(target)]
    assert eval_palm.main([*arguments, "--people", "2", "--pairs", "0,3", "--strictness", "8"]) == 0
    report = json.loads(target.read_text())
    assert report["questions"] == 8
    assert set(report["strictness"]["8"]["random pairs"]["regret"]) == {"0", "3"}


def test_cycles_are_counted_with_the_memory_they_leave(tmp_path: Path) -> None:
    target = tmp_path / "cycles.json"
    assert bench_adapters.main(["--cycles", "5", "--json", str(target)]) == 0
    report = json.loads(target.read_text())["cycles"]
    assert report["cycles"] == 5
    assert len(report["resident_mib"]) == 5
