"""The preference model, against equations that can be solved by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pocketpref.evaluation.predictors.bradley_terry import log_losses, posterior

tables = arrays(np.float64, st.tuples(st.integers(1, 12), st.just(3)), elements=st.floats(-30, 30))


def test_the_mode_solves_its_equation() -> None:
    """n pairs of difference 1 under N(0, 1 / r): n sigmoid(-b) = r b."""
    for pairs, ridge in ((1, 1.0), (10, 0.5), (200, 3.0)):
        found = posterior(np.ones((pairs, 1)), np.zeros(1), np.array([ridge**-0.5]))
        b = found.mean[0]
        assert pairs / (1 + np.exp(b)) == pytest.approx(ridge * b, rel=1e-6)
        p = 1 / (1 + np.exp(-b))
        assert found.covariance[0, 0] == pytest.approx(1 / (pairs * p * (1 - p) + ridge))


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(tables)
def test_no_other_weights_are_better(differences: np.ndarray) -> None:
    mean, precision = np.array([0.5, -0.2, 0.0]), np.array([1.0, 4.0, 0.3])
    at = posterior(differences, mean, precision**-0.5).mean

    def loss(b: np.ndarray) -> float:
        return float(log_losses(b, differences).sum() + 0.5 * precision @ (b - mean) ** 2)

    random = np.random.default_rng(0)
    for size in (1e-3, 0.1, 1.0):
        for step in random.normal(size=(10, 3)):
            assert loss(at) <= loss(at + size * step) + 1e-7


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(tables)
def test_exchanging_the_answers_turns_every_weight_round(differences: np.ndarray) -> None:
    args = np.zeros(3), np.ones(3)
    one, other = posterior(differences, *args), posterior(-differences, *args)
    np.testing.assert_allclose(one.mean, -other.mean, atol=1e-6)


def test_a_weight_of_two_is_a_pair_twice() -> None:
    random = np.random.default_rng(1)
    table = random.normal(size=(5, 3))
    args = np.zeros(3), np.ones(3)
    weighted = posterior(table, *args, counts=np.array([2.0, 1, 1, 1, 0]))
    doubled = posterior(np.concatenate([table[:4], table[:1]]), *args)
    np.testing.assert_allclose(weighted.mean, doubled.mean, atol=1e-8)


def test_what_is_not_known_weakens_a_judgement_and_never_turns_it() -> None:
    table = np.random.default_rng(2).normal(size=(4, 3))
    found = posterior(table, np.zeros(3), np.ones(3))
    for difference in np.random.default_rng(3).normal(size=(50, 3)):
        plain = float(difference @ found.mean)
        assert abs(found.score(difference)) < abs(plain)
        assert np.sign(found.score(difference)) == np.sign(plain)


def test_separable_choices_do_not_break_it() -> None:
    found = posterior(np.full((100, 1), 1e6), np.zeros(1), np.array([1e-3**-0.5]))
    assert np.isfinite(found.mean).all()
    assert found.mean[0] > 0
