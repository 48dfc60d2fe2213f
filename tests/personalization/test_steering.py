"""Steering vectors combine what is liked, never beyond the measured strength."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pocketpref.personalization.steering import (
    PoleSteering,
    SteeringVectors,
    direction_between,
)

FORMAL = np.array([1.0, 0.0], dtype=np.float32)
SIMPLE = np.array([0.0, 2.0], dtype=np.float32)
VECTORS = SteeringVectors(
    "model",
    12,
    {"formality": FORMAL, "difficulty": SIMPLE},
    {
        "formality:high": PoleSteering("formality", 0.5, with_order=False),
        "formality:low": PoleSteering("formality", -0.5, with_order=True),
        "difficulty:low": PoleSteering("difficulty", 1.0, with_order=False),
    },
)


def test_vector_for_nothing_liked_is_none() -> None:
    assert VECTORS.vector({}) is None
    assert VECTORS.vector({"length:low": 1.0}) is None
    assert VECTORS.vector({"formality:high": 0.0}) is None


def test_opposite_poles_have_opposite_vectors() -> None:
    high, low = VECTORS.vector({"formality:high": 1.0}), VECTORS.vector({"formality:low": 1.0})
    assert high is not None
    assert low is not None
    np.testing.assert_allclose(high, 0.5 * FORMAL)
    np.testing.assert_allclose(high, -low)


def test_vector_grows_with_certainty() -> None:
    vector = VECTORS.vector({"formality:high": 0.5})
    assert vector is not None
    np.testing.assert_allclose(vector, 0.25 * FORMAL)


def test_several_poles_together_stay_within_the_greatest_strength() -> None:
    vector = VECTORS.vector({"formality:high": 1.0, "difficulty:low": 1.0})
    assert vector is not None
    np.testing.assert_allclose(vector, (0.5 * FORMAL + SIMPLE) / 1.5)


def test_certainty_above_one_counts_as_one() -> None:
    vector = VECTORS.vector({"formality:high": 7.0})
    assert vector is not None
    np.testing.assert_allclose(vector, 0.5 * FORMAL)


def test_without_order_names_the_poles_that_the_vector_does_alone() -> None:
    liked = {"formality:low": 1.0, "difficulty:low": 1.0, "length:low": 1.0}
    assert VECTORS.without_order(liked) == {"difficulty:low"}


def test_vectors_survive_json() -> None:
    again = SteeringVectors.from_json(json.loads(json.dumps(VECTORS.to_json())))
    assert again.poles == VECTORS.poles
    assert (again.model, again.layer) == (VECTORS.model, VECTORS.layer)
    np.testing.assert_array_equal(again.directions["formality"], FORMAL)


@pytest.mark.parametrize(
    "change",
    [
        {"version": 0},
        {"directions": {"formality": [1.0, float("nan")]}},
        {"directions": {"formality": [1.0], "difficulty": [1.0, 2.0]}},
        {"directions": {"formality": [[1.0], [2.0]], "difficulty": [[1.0], [2.0]]}},
        {"directions": {"formality": [1.0, 2.0]}},
        {"poles": {"formality:high": {"direction": "formality"}}},
        {"directions": None},
    ],
)
def test_malformed_vectors_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"vector|direction|version"):
        SteeringVectors.from_json({**VECTORS.to_json(), **change})


def test_direction_counts_every_question_the_same() -> None:
    short = np.array([[1.0, 0.0]], dtype=np.float32)
    long = np.array([[3.0, 0.0]] * 9, dtype=np.float32)
    zero = np.zeros((2, 2), dtype=np.float32)
    np.testing.assert_allclose(direction_between([short, long], [zero, zero]), [2.0, 0.0])


def test_direction_needs_the_same_questions_in_both_styles() -> None:
    with pytest.raises(ValueError, match="one answer in either style"):
        direction_between([FORMAL[None]], [])
