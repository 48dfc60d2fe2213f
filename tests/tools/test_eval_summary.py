"""The evaluation of summaries: who is judged on what, and what stands in the report."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import eval_summary
import pytest
from eval_summary_people import people
from eval_summary_styles import CASES, understanding

from pocketpref.attributes import AttributeBank
from pocketpref.testing import HashEmbedder, ScriptedModel

TASTES = {"short and to the point": {"brief": 4.0, "lengthy": -4.0}}


@pytest.fixture
def options(tmp_path: Path) -> argparse.Namespace:
    """Three people with 40 choices of short answers each, on 10 prompts."""
    rows = [
        {
            "user": f"user{user}",
            "prompt": f"question {number % 10}",
            "chosen": f"brief {number}",
            "rejected": f"lengthy {number}",
        }
        for user in range(3)
        for number in range(40)
    ]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = [str(path), "--cache", str(tmp_path), "--users", "2", "--pairs", "24"]
    return eval_summary._parse([*argv, "--held-out", "12", "--drafts", "0", "--history", "2"])


def test_past_and_future_share_no_prompt(options):
    found = list(people(options))
    assert [person.name for person in found] == ["user0", "user1"]
    for person in found:
        past = {feedback.pair.prompt for feedback in person.past}
        assert past.isdisjoint(pair.prompt for pair in person.future)
        assert (len(person.past), len(person.future)) == (24, 12)


def test_long_answers_can_be_left_out(options):
    options.short = 7
    found = list(people(options))
    assert not found or all(len(f.pair.chosen) <= 7 for person in found for f in person.past)


def test_a_taste_that_can_be_found_is_found_and_beats_everything_else(options, monkeypatch):
    monkeypatch.setattr(eval_summary, "open_embedder", lambda _: HashEmbedder())
    bank = AttributeBank(AttributeBank.standard()[n] for n in ("Concise", "Formal", "Humor"))
    report: dict[str, Any] = eval_summary._evaluate(options, ScriptedModel(TASTES), bank)
    conditions = report["conditions"]
    assert conditions["chosen"]["margin"]["mean"] == pytest.approx(8.0)
    assert conditions["placebo"]["margin"]["mean"] == 0.0
    assert conditions["chosen"]["pairs"] == 24
    assert conditions["history"]["pairs"] == 4
    assert report["best_above"]["best"]["none"]["mean"] == pytest.approx(8.0)
    assert report["best_above"]["best"]["another"]["mean"] == 0.0
    assert all(size > 100 for size in report["history_tokens"])
    (first, _) = report["people"]
    assert abs(first["tokens"]["placebo"] - first["tokens"]["best"]) <= 1


def test_a_model_that_follows_wordings_understands_every_form():
    bank = AttributeBank.standard()
    tastes: dict[str, dict[str, float]] = {}
    for case in CASES:
        words = dict.fromkeys(set(case.like.split()) - set(case.unlike.split()), 1.0)
        tastes[bank[case.attribute].wording] = tastes.get(bank[case.attribute].wording, {}) | words
    found = understanding(ScriptedModel(tastes), bank)
    # A scripted model reads the last turn only.
    assert found["user turn, 'Attributes: <...>'"]["between_right"] == 1.0
    assert found["system, 'The user prefers ...'"]["between_mean"] == 0.0


def test_pairs_of_equal_margin_are_half_right():
    assert [eval_summary._credit(m) for m in (2.0, 0.0, -1.0)] == [1.0, 0.5, 0.0]
