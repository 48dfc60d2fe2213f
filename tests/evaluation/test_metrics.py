"""Accuracies and intervals, against cases worked out by hand."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest

from pocketpref.evaluation.runner import calibration, credited, interval, log_loss, without_nan


def test_right_counts_one_wrong_none_and_a_tie_a_half() -> None:
    assert credited([2.0, -0.1, 0.0, 1e-12]).tolist() == [1.0, 0.0, 0.5, 1.0]


def test_the_mean_weighs_outcomes_and_not_people() -> None:
    found = interval([1, 1, 1, 0], ["a", "a", "a", "b"])
    assert found.mean == 0.75


def test_people_are_drawn_again_as_wholes() -> None:
    """Two people, one always right and one never: drawn are (a,a), (a,b), (b,a), (b,b)."""
    found = interval([1] * 50 + [0] * 50, ["a"] * 50 + ["b"] * 50)
    assert (found.mean, found.low, found.high) == (0.5, 0.0, 1.0)


def test_the_interval_is_that_of_all_possible_draws() -> None:
    """Four people of unlike numbers of pairs: all 256 draws are enumerated here."""
    values = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0]
    users = ["a", "a", "b", "b", "b", "c", "d"]
    names = "abcd"
    sums = {n: sum(v for v, u in zip(values, users, strict=True) if u == n) for n in names}
    sizes = {n: users.count(n) for n in names}
    means = [
        sum(sums[n] for n in draw) / sum(sizes[n] for n in draw)
        for draw in product(names, repeat=4)
    ]
    found = interval(values, users)
    # Between neighbouring values of the exact distribution the resamples may fall on either side.
    for end, share in ((found.low, 0.025), (found.high, 0.975)):
        assert np.quantile(means, max(share - 0.015, 0)) <= end <= np.quantile(means, share + 0.015)


def test_pairs_of_one_person_do_not_make_an_interval_narrower() -> None:
    """The same ten people asked a hundred times as much are still ten people."""
    values, users = [1, 0, 1, 1, 0, 1, 0, 1, 1, 1], list("abcdefghij")
    once, often = interval(values, users), interval(np.repeat(values, 100), np.repeat(users, 100))
    assert often.high - often.low == pytest.approx(once.high - once.low)


def test_one_person_has_no_interval() -> None:
    found = interval([1, 0], ["a", "a"])
    assert found.mean == 0.5
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert math.isnan(interval([], []).mean)


def test_log_loss_of_knowing_nothing_is_that_of_a_coin() -> None:
    assert log_loss([0.0, 0.0]) == pytest.approx(math.log(2))
    assert log_loss([math.log(3)]) == pytest.approx(-math.log(0.75))


def test_calibration_compares_what_was_said_with_what_happened() -> None:
    odds = [math.log(3)] * 3 + [-math.log(3)]
    assert calibration(odds, bins=1) == [(pytest.approx(0.75), 0.75, 4)]


def test_what_is_not_a_number_is_none_wherever_it_lies() -> None:
    found = without_nan({"low": math.nan, "rows": [{"high": math.nan}, 1.5, "nan"], "none": None})
    assert found == {"low": None, "rows": [{"high": None}, 1.5, "nan"], "none": None}
