"""The reranker prefers what the person preferred before."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketpref.errors import InputError
from pocketpref.methods.reranking.bradley_terry import Prior
from pocketpref.methods.reranking.reranker import Reranker
from pocketpref.methods.reranking.style import MEASURES
from pocketpref.records import Pair

COUNT = len(MEASURES)
OPEN = Prior(tuple(MEASURES), np.ones(COUNT), np.zeros(COUNT), np.full(COUNT, 0.5))
"""Nothing is known of people, and everything can be learned of a person."""

ASKING, TELLING = "road house water?", "road house water."


def asks(count: int) -> list[Pair]:
    return [Pair(f"p{n}", f"stone {n} bread gold?", f"stone {n} bread gold.") for n in range(count)]


def test_a_person_who_likes_questions_gets_one() -> None:
    taste = Reranker(asks(20), OPEN)
    assert taste.best([TELLING, ASKING, TELLING + " So."]) == 1
    assert taste.probability(ASKING, TELLING) > 0.6


def test_the_other_way_round_they_get_none() -> None:
    turned = [Pair(pair.prompt, pair.rejected, pair.chosen) for pair in asks(20)]
    assert Reranker(turned, OPEN).best([ASKING, TELLING]) == 1


def test_where_nothing_is_known_the_first_stays() -> None:
    assert Reranker([], OPEN).best([TELLING, ASKING]) == 0
    assert Reranker([], OPEN).probability(TELLING, ASKING) == 0.5


def test_a_choice_more_makes_surer() -> None:
    found = [Reranker(asks(count), OPEN).probability(ASKING, TELLING) for count in (0, 1, 5, 20)]
    assert found == sorted(found)
    assert found[0] < found[1] < found[3]


texts = st.lists(st.text(max_size=60), min_size=1, max_size=5)


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(texts)
def test_the_best_beats_every_other(answers: list[str]) -> None:
    taste = Reranker(asks(5))
    best = answers[taste.best(answers)]
    assert all(taste.probability(best, other) >= 0.5 - 1e-9 for other in answers)
    assert all(
        taste.probability(best, other) + taste.probability(other, best) == pytest.approx(1)
        for other in answers
    )


def test_nothing_is_not_chosen_from() -> None:
    with pytest.raises(InputError):
        Reranker([]).best([])
