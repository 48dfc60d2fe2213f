"""The evaluation of summaries: who is judged on what, and what stands in the report."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.testing import HashEmbedder, ScriptedModel
from tools.eval import summary as eval_summary
from tools.eval.summary_known import MATCHES, TOLD_APART, apart, known_people, plain_texts
from tools.eval.summary_people import people
from tools.eval.summary_styles import CASES, understanding

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
    return eval_summary._parse([*argv, "--held-out", "12", "--drafts", "0", "--history"])


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
    assert conditions["placebo"]["margin"]["mean"] == conditions["none"]["margin"]["mean"] == 0.0
    assert conditions["chosen"]["pairs"] == conditions["history"]["pairs"] == 24
    assert conditions["chosen"]["absolute_accuracy"]["mean"] == 1.0
    assert conditions["none"]["absolute_accuracy"]["mean"] < 1.0
    assert report["above"]["best"]["none"]["margin"]["mean"] == pytest.approx(8.0)
    assert report["above"]["best"]["another"]["margin"]["mean"] == 0.0
    assert all(size > 100 for size in report["history_tokens"])
    (first, _) = report["people"]
    assert abs(first["tokens"]["placebo"] - first["tokens"]["best"]) <= 1


def test_fewer_choices_are_judged_on_the_same_pairs_and_found_once(options, monkeypatch):
    monkeypatch.setattr(eval_summary, "open_embedder", lambda _: HashEmbedder())
    options.curve = (8, 16)
    bank = AttributeBank(AttributeBank.standard()[n] for n in ("Concise", "Formal"))
    report = eval_summary._evaluate(options, ScriptedModel(TASTES), bank)
    assert [report["curve"][count]["in_force"] for count in (8, 16)] == [0, 2]
    few, more = (report["curve"][count]["conditions"]["chosen"] for count in (8, 16))
    assert (few["margin"]["mean"], few["pairs"], more["pairs"]) == (0.0, 24, 24)
    monkeypatch.delattr(eval_summary, "SummarizeRun")  # whoever searches again fails
    assert eval_summary._evaluate(options, ScriptedModel(TASTES), bank) == report


@pytest.fixture
def known(tmp_path: Path) -> argparse.Namespace:
    """Options for known people over public answers of two sentences."""
    rows = [
        {
            "user": "u",
            "prompt": f"question {n % 20}",
            "chosen": f"This is answer {n}. It has an end and a beginning.",
            "rejected": f"- a list {n}",
        }
        for n in range(100)
    ]
    path = tmp_path / "public.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    argv = [str(path), "--cache", str(tmp_path), "--known", "--pairs", "40", "--short", "90"]
    return eval_summary._parse([*argv, "--held-out", "20"])


def test_known_people_like_one_of_two_styles_and_their_opposites_the_other(known):
    found = list(known_people(known))
    assert len(found) == 2 * len(TOLD_APART)
    for one, other in zip(found[::2], found[1::2], strict=True):
        assert one.name == " to ".join(other.name.split(" to ")[::-1])
        assert (len(one.past), len(one.future)) == (len(other.past), 20)
        past = {feedback.pair.prompt for feedback in one.past}
        assert past.isdisjoint(pair.prompt for pair in one.future)
        turned = [(p.prompt, p.rejected, p.chosen) for p in other.future]
        agree = sum((p.prompt, p.chosen, p.rejected) in turned for p in one.future)
        # Some choices of each are against their taste.
        assert agree >= len(one.future) / 2


def test_what_is_told_apart_is_tried_on_answers_that_nobody_is_shown(known):
    known.pairs, known.held_out = 10, 5
    shown = {f.pair.chosen for p in known_people(known) for f in p.past}
    tried = [text for _, text in plain_texts(known)[15:23]]
    assert tried
    assert not any(text in answer for text in tried for answer in shown)
    bank = AttributeBank.standard()
    liked = MATCHES[6][0].name
    model = ScriptedModel({bank[liked].wording: {"joke,": 2.0, "Haha,": 2.0, "tss!": 2.0}})
    found = apart(known, model, bank)
    assert len(found) == 2 * len(MATCHES)
    assert found["Humor to not Modest"] == {"margin": 2.0, "right": 1.0}
    assert found["not Modest to Humor"]["right"] == 0.0


@pytest.mark.parametrize("style", dict.fromkeys(s for match in MATCHES for s in match))
def test_every_style_changes_a_text_in_more_than_one_way_or_leaves_it(style):
    text = "You are going to like this. It is good because people want to."
    written = {style.write(text, draw) for draw in range(12)}
    assert all(written)
    assert len(written) in (1, 4, 6, 12)
    bank = AttributeBank.standard()
    assert style.name.removeprefix("not ") in [a.name for a in bank]


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
