"""The same numbers as scikit-learn and scipy, where they have them."""

from __future__ import annotations

import numpy as np
import pytest

from pocketpref.evaluation.predictors.bradley_terry import posterior
from pocketpref.evaluation.runner import calibration, credited, interval, log_loss

pytestmark = pytest.mark.train  # scikit-learn and scipy come with what needs torch

RANDOM = np.random.default_rng(0)
ODDS = RANDOM.normal(0.4, 1.5, 200)
"""Log-odds that the chosen answer wins."""


def test_accuracy_is_scikit_learns() -> None:
    from sklearn.metrics import accuracy_score

    assert credited(ODDS).mean() == accuracy_score(np.ones(200), ODDS > 0)


def test_log_loss_is_scikit_learns() -> None:
    from sklearn.metrics import log_loss as reference

    chosen_first = RANDOM.random(200) < 0.5
    said = 1 / (1 + np.exp(-np.where(chosen_first, ODDS, -ODDS)))
    assert log_loss(ODDS) == pytest.approx(reference(chosen_first, said))


def test_calibration_is_scikit_learns() -> None:
    from sklearn.calibration import calibration_curve

    said = 1 / (1 + np.exp(-np.abs(ODDS)))
    right, mean = calibration_curve(ODDS > 0, said, n_bins=5, strategy="quantile")
    found = calibration(ODDS, bins=5)
    assert [row[1] for row in found] == pytest.approx(right.tolist())
    assert [row[0] for row in found] == pytest.approx(mean.tolist())


def test_intervals_are_scipys_bootstrap_over_people() -> None:
    from scipy.stats import bootstrap

    sizes = RANDOM.integers(1, 30, 40)
    users = np.repeat([f"u{n:02}" for n in range(40)], sizes)
    values = (RANDOM.random(len(users)) < 0.6).astype(float)
    sums = np.array([values[users == name].sum() for name in np.unique(users)])
    counts = np.array([(users == name).sum() for name in np.unique(users)])

    def mean(theirs: np.ndarray, of: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(theirs.sum(axis=axis) / of.sum(axis=axis))

    expected = bootstrap(
        (sums, counts), mean, paired=True, vectorized=True, method="percentile", n_resamples=20_000
    ).confidence_interval
    found = interval(values, users.tolist())
    assert found.mean == values.mean()
    assert found.low == pytest.approx(expected.low, abs=0.006)
    assert found.high == pytest.approx(expected.high, abs=0.006)


def test_the_preference_model_is_scikit_learns_logistic_regression() -> None:
    from sklearn.linear_model import LogisticRegression

    differences = RANDOM.normal(size=(120, 4))
    ridge = 2.5
    # Each pair once either way round: without an intercept that is the same likelihood twice.
    both = np.concatenate([differences, -differences])
    sides = np.repeat([1, 0], 120)
    reference = LogisticRegression(C=1 / (2 * ridge), fit_intercept=False, tol=1e-10)
    reference.fit(both, sides)
    found = posterior(differences, np.zeros(4), np.full(4, ridge**-0.5))
    assert found.mean == pytest.approx(reference.coef_[0], abs=1e-4)
