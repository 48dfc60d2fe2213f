"""Held-out prompts share nothing with training; rewrites do what they say; people choose so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

TEXT = (
    "Rust is what iron becomes when it utilizes oxygen from the air. However, it doesn't happen in "
    "dry places! Many people paint numerous iron things, and they stay whole. Salt makes it faster."
)


def candidates(count: int) -> Any:
    from tools.train.data import Answer, Candidates
    from tools.train.prompts import Prompt
    from tools.train.rewrites import formal, plain, shorter

    made = (TEXT, shorter(TEXT), plain(TEXT), formal(TEXT))
    answers = tuple(Answer(text, "by hand", True) for text in made)
    return [Candidates(Prompt(f"What is {i}?", "train", str(i)), answers) for i in range(count)]


def test_parts_share_no_topic_and_a_topic_stays_in_its_part() -> None:
    from tools.train.palm.main import held_out
    from tools.train.prompts import PARTS, fresh_prompts, guard_prompts, made_prompts

    few, many = made_prompts(1), made_prompts(6)
    every = many + guard_prompts(6) + fresh_prompts(6)
    parts = {part: {p.topic for p in every if p.part == part} for part in PARTS}
    assert {p.part for p in fresh_prompts(6)} == {"test"}
    assert min(map(len, parts.values())) >= 35
    assert sum(map(len, parts.values())) == len({p.topic.lower() for p in every})
    assert len({p.text.lower() for p in every}) == len(every)
    assert {(p.topic, p.part) for p in few} == {(p.topic, p.part) for p in many}
    trained = {p.text for p in many if p.part == "train"}
    held = {part: held_out(part, None, 50) for part in ("tune", "guard", "test")}
    asked = {p.text for prompts in held.values() for p in prompts}
    assert len(asked) == 150
    assert not trained & asked
    for part, prompts in held.items():
        assert {p.part for p in prompts} == {part}
    for part in ("guard", "test"):
        kinds = [p.topic == p.text for p in held[part]]
        assert 0.15 < np.mean(kinds) < 0.3, "requests of other kinds are among them"


def test_rewrites_move_what_they_are_named_after() -> None:
    from pocketpref.methods.palm.traits import brevity, formality, plainness
    from tools.train.data import agrees
    from tools.train.rewrites import RULES

    made = {name: rule(TEXT) for name, rule in RULES.items()}
    assert brevity(made["shorter"]) > brevity(TEXT)
    assert formality(made["formal"]) > formality(TEXT)
    assert plainness(made["plain"]) > plainness(TEXT)
    assert "does not" in made["formal"]
    assert "!" not in made["formal"]
    assert made["listed"].count("\n- ") == 3
    assert made["flowing"] == TEXT
    items = "Here are some tips:\n1. Keep it dry.\n2. Paint it."
    assert RULES["shorter"](items) == items, "a short answer does not end at a colon"
    assert all(agrees(name, TEXT, made[name]) for name in ("shorter", "listed", "plain", "formal"))
    assert not agrees("shorter", made["shorter"], TEXT)
    assert not agrees("listed", TEXT, made["flowing"])


def test_off_topic_and_disagreeing_answers_are_left_out() -> None:
    """The real embedder; what was asked for in one sentence and came out longer is not kept."""
    from pocketpref.backends.onnx.embedder import open_embedder
    from tools.train import data
    from tools.train.prompts import Prompt

    said = {
        "": TEXT,
        "Answer in one sentence.": TEXT + " " + TEXT,
        data.ATTRIBUTES["easy"]: "Llamas live in the mountains. You can go and see a big one.",
        data.ATTRIBUTES["informal"]: "Rust is just iron that met wet air. You can rub it off!",
    }

    def ask(prompts: Any) -> list[Any]:
        return [data.Answer(said[p.partition("\n")[2]], "", False) for p in prompts]

    (found,) = data.candidates([Prompt("What is rust?", "train", "rust")], ask, open_embedder(None))
    made = {answer.made for answer in found.answers}
    assert {"base", "informal", "shorter, from base"} <= made
    assert not {"one sentence", "easy"} & made
    ended = {answer.made: answer.ended for answer in found.answers}
    assert ended["shorter, from base"], "whole sentences may end there"
    assert not ended["base"], "this one was cut short"
    assert len({answer.text for answer in found.answers}) == len(found.answers)


def test_people_choose_by_their_weights() -> None:
    """With the weights that the file gives them, and again the same from the same seed."""
    from pocketpref.methods.palm.traits import REWARDS, rewards
    from tools.train.data import people

    names = list(REWARDS)
    rows = list(people(candidates(30), 40, 10, seed=2, scale=60.0))
    assert len(rows) == 400
    for row in rows:
        weights = np.array([row["meta"]["weights"][name] for name in names])
        assert weights.sum() == pytest.approx(1, abs=1e-3)
        row["gain"] = weights @ (rewards(row["chosen"], names) - rewards(row["rejected"], names))
    clear = [row["gain"] > 0 for row in rows if abs(row["gain"]) > 0.05]
    assert len(clear) > 100
    assert np.mean(clear) > 0.95
    again = list(people(candidates(30), 40, 10, seed=2, scale=60.0))
    assert [r["chosen"] for r in again] == [r["chosen"] for r in rows]
