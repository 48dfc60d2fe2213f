"""A taste that turned is followed after a few choices; one that stays is left alone."""

import numpy as np
from numpy.typing import NDArray

from pocketpref.personalization.measures import measures
from pocketpref.personalization.posterior import infer
from pocketpref.personalization.prediction import drift_weights
from pocketpref.personalization.prior import FEATURES, shipped_prior

SHORT = "It takes four minutes."
LONG = "It takes four minutes, counted from the moment that the water boils. " * 5


def chosen(signs: list[int]) -> NDArray[np.float64]:
    """Differences of choices for the short (1) or the long answer (-1), a little different each."""
    prior = shipped_prior()
    short, long = prior.features(measures(SHORT)), prior.features(measures(LONG))
    jitter = np.random.default_rng(0).normal(0, 0.2, size=(len(signs), len(FEATURES)))
    return np.nan_to_num(short - long) * np.array(signs)[:, None] + jitter


def p_short(rows: NDArray[np.float64]) -> float:
    counts = drift_weights(rows, np.ones(len(rows)))
    return infer(rows, counts).probability(SHORT, LONG)


def test_a_turned_taste_is_followed_after_ten_choices_against_sixty() -> None:
    assert p_short(chosen([-1] * 60 + [1] * 10)) > 0.7


def test_a_taste_that_stays_keeps_its_old_choices() -> None:
    rows = chosen([1] * 70)

    assert drift_weights(rows, np.ones(70)).min() > 0.7


def test_one_contrary_choice_is_no_turn() -> None:
    rows = chosen([1] * 30 + [-1])

    assert drift_weights(rows, np.ones(31)).min() > 0.7
    assert p_short(rows) > 0.7


def test_weights_never_rise_with_age() -> None:
    weights = drift_weights(chosen([-1] * 60 + [1] * 10), np.ones(70))

    assert (np.diff(weights) >= 0).all()
    assert weights[-1] == 1


def test_few_choices_are_all_kept() -> None:
    assert (drift_weights(chosen([1, -1]), np.ones(2)) == 1).all()
    assert drift_weights(np.zeros((0, len(FEATURES))), np.zeros(0)).shape == (0,)
