"""A model as a judge: either order, ties where the order decides, and what it is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketpref.backends.llama import LlamaModel
from pocketpref.records import Likelihoods, Message, Pair
from pocketpref.testing import ScriptedModel
from tools.eval.judging import Ruling, agreement, judge, ties, win_rate


class Judge(ScriptedModel):
    """Likes answers that are worth more, and the place that it is told to like."""

    def __init__(self, worth: dict[str, float], first: float = 0.0) -> None:
        super().__init__()
        self._worth = worth
        self._first = first
        self.asked: list[str] = []

    def likelihoods(
        self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
    ) -> Likelihoods:
        assert list(answers) == ["A", "B"]
        rows = []
        for context in contexts:
            text = context[-1]["content"]
            self.asked.append(text)
            first, second = (
                text.partition(f"Answer {letter}: ")[2].partition("\n")[0] for letter in "AB"
            )
            lean = self._worth[first] - self._worth[second] + self._first
            rows.append([lean / 2, -lean / 2])
        return Likelihoods(np.array(rows), np.array([1, 1]))


def test_the_better_answer_wins_from_either_place() -> None:
    model = Judge({"good": 1.0, "bad": 0.0}, first=0.5)
    won, lost = judge(model, "q", "good", "bad"), judge(model, "q", "bad", "good")
    assert (won.lean, won.agrees, won.score) == (1.0, True, 1.0)
    assert (lost.lean, lost.agrees, lost.score) == (-1.0, True, -1.0)


def test_where_the_place_decides_it_is_a_tie() -> None:
    found = judge(Judge({"good": 1.0, "bad": 0.0}, first=3.0), "q", "good", "bad")
    assert (found.lean, found.agrees, found.score) == (1.0, False, 0.0)
    assert ties([found, Ruling(1.0, agrees=True)]) == 0.5


@given(st.floats(-9, 9), st.floats(-9, 9), st.floats(-9, 9))
def test_exchanging_the_answers_turns_the_verdict_round(
    one: float, other: float, first: float
) -> None:
    model = Judge({"one": one, "other": other}, first)
    there, back = judge(model, "q", "one", "other"), judge(model, "q", "other", "one")
    assert there.lean == pytest.approx(-back.lean)
    assert there.agrees == back.agrees


def test_the_reader_is_told_only_if_there_is_one() -> None:
    model = Judge({"a": 1.0, "b": 0.0})
    judge(model, "q", "a", "b", "They like it short.")
    judge(model, "q", "a", "b")
    assert ["They like it short." in text for text in model.asked] == [True, True, False, False]


def test_a_win_rate_counts_a_tie_half() -> None:
    found = [Ruling(2.0, True), Ruling(-2.0, True), Ruling(2.0, False), Ruling(1.0, True)]
    assert win_rate(found, "aabb").mean == pytest.approx((1 + 0 + 0.5 + 1) / 4)


def test_a_judge_that_likes_what_people_like_agrees_with_them() -> None:
    pairs = [Pair("q", "good", "bad"), Pair("p", "bad", "good")]
    assert agreement(Judge({"good": 1.0, "bad": 0.0}), pairs, "ab").mean == 0.5


def test_the_starter_model_judges_and_tells_a_verdict_for_each(model: LlamaModel) -> None:
    """Not whether it judges well: docs/evaluation.md says what it is worth."""
    answers = ("Use a password manager.", "blue blue blue blue blue", "Write them on your door.")
    found = [
        judge(model, "How do I keep passwords safe?", one, other)
        for one, other in ((answers[0], answers[1]), (answers[0], answers[2]))
    ]
    again = judge(model, "How do I keep passwords safe?", answers[1], answers[0])
    assert found[0].lean == pytest.approx(-again.lean, abs=0.2)
    assert all(np.isfinite(ruling.lean) for ruling in found)
