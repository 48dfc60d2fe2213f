"""A policy learns what its weighting asks for: the whole recipe, small, on the real model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

ONLY = np.array([1.0])
LONG = (
    "Rust is the reddish layer that grows on iron when it meets water and air for a long time. "
    "It weakens the metal, and it spreads from one place to the next until nothing is left."
)
PLAIN = "Rust is old iron. It is red and it comes from wet air."
ELSEWHERE = "Llamas live high up. You see?"
TOPICS = ("rust", "iron that turned red", "the rust on a car", "rust on iron")


def comparer(base: Any, traits: tuple[str, ...], *texts: str) -> Any:
    from pocketpref.backends.onnx.embedder import open_embedder
    from tools.train.data import Answer, Candidates
    from tools.train.palm.policy import Comparer
    from tools.train.prompts import Prompt

    answers = tuple(Answer(text, "by hand", True) for text in texts)
    sets = [Candidates(Prompt(f"What is {t}?", "train", t), answers) for t in TOPICS]
    return Comparer(sets, traits, base.tokens, open_embedder(None))


def test_a_policy_for_brevity_comes_to_prefer_short_answers(
    base: Any, float_path: Path, tmp_path: Path
) -> None:
    """By the library's own likelihoods with the exported adapter, against the base's."""
    from tools.train.check import compare
    from tools.train.loop import Plan
    from tools.train.lora import LoraShape
    from tools.train.palm.policy import Recipe, Trainer
    from tools.train.scoring import log_likelihoods

    compared = comparer(base, ("brevity",), LONG, "Rust is old iron.").compare(ONLY, 8, 0)
    plan = Plan(epochs=2, batch=2, micro=2, rate=2e-3, warmup=0.0)
    recipe = Recipe(dtype="float32", lora=LoraShape(rank=4), plan=plan)
    trainer = Trainer(base, lambda weights: compared, recipe, tmp_path)
    path = trainer.train(ONLY, "brevity")
    rows = [row for one in compared for row in one.rows]
    now = log_likelihoods(trainer._scorer, rows).numpy().reshape(-1, 2)
    (kept,) = tmp_path.glob("brevity/reference-*.npy")
    moved = now - np.load(kept).reshape(-1, 2)
    assert len(compared) == len(TOPICS)
    assert (moved[:, 0] - moved[:, 1] > 1).all()
    found = compare(base, trainer._model, path, float_path)
    assert found.effect > 0.5
    assert found.apart < 0.1 + 0.02 * found.effect  # factors are kept in 16 bits


def test_the_best_answer_to_the_point_is_set_against_the_worst_and_the_plain_one(base: Any) -> None:
    """What says something else earns most here, and is only ever the worse one."""
    texts = (PLAIN, LONG, "Rust is old iron.", ELSEWHERE)
    found = comparer(base, ("brevity", "plainness"), *texts).compare(np.array([0.5, 0.5]), 99, 0)
    said = [[base.tokens.text(row.answer[:-1]).strip() for row in one.rows] for one in found]
    assert said == [["Rust is old iron.", LONG], ["Rust is old iron.", PLAIN]] * len(TOPICS)
    for one in found:
        assert np.mean(one.gains) > 0
        assert one.rows[0].context == one.rows[1].context
        assert all(row.answer[-1] == base.tokens.end for row in one.rows)


def test_a_weighting_has_comparisons_of_its_own(base: Any) -> None:
    """Neither the best in one trait nor the best in the other is what suits both."""
    texts = (LONG, "It is rust.", "Rust is iron oxide and reddish.")
    found = comparer(base, ("brevity", "formality"), *texts)
    better = [
        base.tokens.text(found.compare(np.array(weights), 1, 0)[0].rows[0].answer[:-1]).strip()
        for weights in ((1.0, 0.0), (0.0, 1.0))
    ]
    assert better[0] == "It is rust."
    assert better[1] == LONG
