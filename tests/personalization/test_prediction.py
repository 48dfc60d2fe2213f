"""Evidence, drift and topics work together, and `rank` infers nothing twice."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketpref.errors import InputError
from pocketpref.personalization.evidence import Evidence
from pocketpref.personalization.prediction import PreferencePredictor

START = datetime(2026, 1, 1, tzinfo=UTC)
SHORT = "It takes four minutes."
LONG = "It takes four minutes, counted from the moment that the water boils. " * 5
COOKING, SCIENCE, OTHER = np.eye(3, dtype=np.float32)


def choices(likes_short: bool, count: int, first_day: int = 0) -> list[Evidence]:
    texts = (SHORT, LONG) if likes_short else (LONG, SHORT)
    return [
        Evidence("choice", f"q{day}", *texts, START + timedelta(days=day))
        for day in range(first_day, first_day + count)
    ]


def near(topic: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Prompts of a topic: unit vectors with a cosine of 0.5 to one another."""
    own = np.pad(np.eye(count, dtype=np.float32), ((0, 0), (3, 12 - count)))
    return (np.pad(topic, (0, 12))[None] + own) / np.float32(np.sqrt(2))


def test_nobody_has_a_ranking_of_the_prior() -> None:
    ranked = PreferencePredictor([]).rank([SHORT, LONG])

    assert ranked.sum() == pytest.approx(1)


def test_one_choice_moves_the_ranking_towards_it() -> None:
    before = PreferencePredictor([]).rank([SHORT, LONG])[0]

    assert PreferencePredictor(choices(True, 1)).rank([SHORT, LONG])[0] > before


def test_two_topics_with_two_tastes_are_ranked_apart() -> None:
    evidence = choices(True, 6) + choices(False, 6, first_day=6)
    predictor = PreferencePredictor(evidence, np.concatenate([near(COOKING, 6), near(SCIENCE, 6)]))

    cooking = predictor.rank([SHORT, LONG], np.pad(COOKING, (0, 12)))[0]
    science = predictor.rank([SHORT, LONG], np.pad(SCIENCE, (0, 12)))[0]

    assert cooking > 0.6
    assert science < 0.4


def test_the_posterior_of_a_topic_is_inferred_once() -> None:
    predictor = PreferencePredictor(
        choices(True, 12), np.concatenate([near(COOKING, 6), near(SCIENCE, 6)])
    )
    prompt = np.pad(COOKING, (0, 12))

    assert predictor.posterior(prompt) is predictor.posterior(near(COOKING, 2)[1])
    assert predictor.posterior(np.pad(OTHER, (0, 12))) is predictor.posterior()


def test_vectors_follow_their_evidence_into_order() -> None:
    evidence = choices(True, 6) + choices(False, 6, first_day=6)
    vectors = np.concatenate([near(COOKING, 6), near(SCIENCE, 6)])
    prompt = np.pad(COOKING, (0, 12))

    backwards = PreferencePredictor(evidence[::-1], vectors[::-1].copy())

    assert np.allclose(
        backwards.counts(prompt), PreferencePredictor(evidence, vectors).counts(prompt)
    )


def test_a_missing_vector_is_an_input_error() -> None:
    with pytest.raises(InputError):
        PreferencePredictor(choices(True, 2), near(COOKING, 1))


def test_answers_of_code_and_of_blanks_are_ranked() -> None:
    ranked = PreferencePredictor(choices(True, 3)).rank(
        ["", "   \n", "```python\nx = 1\n```", SHORT]
    )

    assert np.isfinite(ranked).all()
