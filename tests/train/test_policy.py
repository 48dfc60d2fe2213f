"""A policy learns what its weighting asks for: the whole recipe, small, on the real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

LONG = (
    "Rust is the reddish layer that grows on iron when it meets water and air for a long time. "
    "It weakens the metal, and it spreads from one place to the next until nothing is left."
)
TOPICS = ("rust", "an echo", "glass", "soap")


def prepared(base: Any, traits: tuple[str, ...]) -> Any:
    from tools.train.data import Answer, Candidates
    from tools.train.policy import comparisons
    from tools.train.prompts import Prompt

    sets = [
        Candidates(
            Prompt(f"What is {topic}?", "train", topic),
            (Answer(LONG, "by hand", True), Answer("It is old iron.", "by hand", True)),
        )
        for topic in TOPICS
    ]
    return comparisons(sets, traits, base.tokens, 8, seed=0)


def test_a_policy_for_brevity_comes_to_prefer_short_answers(
    base: Any, float_path: Path, tmp_path: Path
) -> None:
    """By the library's own likelihoods with the exported adapter, against the base's."""
    from tools.train.check import compare
    from tools.train.loop import Plan
    from tools.train.lora import LoraShape
    from tools.train.policy import Recipe, Trainer
    from tools.train.scoring import log_likelihoods

    compared = prepared(base, ("brevity",))
    plan = Plan(epochs=2, batch=2, micro=2, rate=2e-3, warmup=0.0)
    recipe = Recipe(dtype="float32", lora=LoraShape(rank=4), plan=plan)
    trainer = Trainer(base, compared, recipe, tmp_path)
    path = trainer.train(np.array([1.0]), "brevity")
    rows = [row for one in compared for row in one.rows]
    now = log_likelihoods(trainer._scorer, rows).numpy().reshape(-1, 2)
    (kept,) = tmp_path.glob("reference-*.npy")
    moved = now - np.load(kept).reshape(-1, 2)
    gains = np.array([one.gains[0] for one in compared])
    assert ((moved[:, 0] - moved[:, 1]) * np.sign(gains) > 1).all()
    found = compare(base, trainer._model, path, float_path)
    assert found.effect > 0.5
    assert found.apart < 0.1 + 0.02 * found.effect  # factors are kept in 16 bits


def test_comparisons_are_between_the_farthest_answers_in_each_trait(base: Any) -> None:
    compared = prepared(base, ("brevity", "formality"))
    assert len(compared) == len({repr(one) for one in compared})
    for one in compared:
        assert max(one.gains) > 0
        assert one.rows[0].context == one.rows[1].context
        assert all(row.answer[-1] == base.tokens.end for row in one.rows)
