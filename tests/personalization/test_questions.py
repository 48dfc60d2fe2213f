"""Questions tell much, differ from one another, and are the same at every call."""

import numpy as np
import pytest
from numpy.typing import NDArray

from pocketpref.errors import InputError
from pocketpref.personalization.posterior import infer
from pocketpref.personalization.prior import FEATURES
from pocketpref.personalization.questions import (
    bundled_questions,
    differences_of_questions,
    pick_questions,
)

NOBODY = infer(np.zeros((0, len(FEATURES))))


def test_bundled_questions_have_two_different_short_answers() -> None:
    bank = bundled_questions()

    assert len(bank) >= 30
    assert all(one.answers[0] != one.answers[1] for one in bank)
    assert max(len(answer.split()) for one in bank for answer in one.answers) <= 90


def test_equal_answers_are_never_asked_about() -> None:
    differences = np.zeros((3, len(FEATURES)))
    differences[1, 0] = 1.0

    assert pick_questions(NOBODY, differences, 1) == (1,)


def test_the_first_picked_question_tells_most_by_a_slow_reference() -> None:
    differences = np.random.default_rng(0).normal(size=(4, len(FEATURES)))
    differences *= np.array([0.1, 3.0, 0.5, 1.0])[:, None]
    random = np.random.default_rng(1)
    shares = np.exp(NOBODY.log_probabilities)
    odds = np.concatenate(
        [
            (h.mean + random.standard_normal((int(20_000 * share), h.root.shape[1])) @ h.root.T)
            @ differences.T
            for share, h in zip(shares, NOBODY.hypotheses, strict=True)
        ]
    )
    right = 1 / (1 + np.exp(-odds))

    def entropy(p: NDArray[np.float64]) -> NDArray[np.float64]:
        return -p * np.log(p) - (1 - p) * np.log(1 - p)

    told = entropy(right.mean(axis=0)) - entropy(right.clip(1e-12, 1 - 1e-12)).mean(axis=0)

    assert pick_questions(NOBODY, differences, 1) == (int(np.argmax(told)),)


def test_picked_questions_have_different_prompts_and_contrasts() -> None:
    bank = bundled_questions()

    picked = pick_questions(
        NOBODY, differences_of_questions(bank), 5, prompts=[one.prompt for one in bank]
    )

    assert len({bank[place].prompt for place in picked}) == 5
    assert len({bank[place].contrast for place in picked}) >= 3


def test_asked_questions_are_left_out_and_the_rest_is_stable() -> None:
    differences = differences_of_questions(bundled_questions())
    first = pick_questions(NOBODY, differences, 3)

    assert first == pick_questions(NOBODY, differences, 3)
    assert not set(first) & set(pick_questions(NOBODY, differences, 3, asked=first))


def test_an_empty_bank_gives_no_questions() -> None:
    assert pick_questions(NOBODY, np.zeros((0, len(FEATURES))), 5) == ()


@pytest.mark.parametrize("count", [0, 9])
def test_an_impossible_count_is_an_input_error(count: int) -> None:
    with pytest.raises(InputError):
        pick_questions(NOBODY, np.zeros((1, len(FEATURES))), count)


def test_five_answers_by_one_taste_move_predictions_towards_it() -> None:
    bank = bundled_questions()
    differences = differences_of_questions(bank)
    shorter_first = np.where(differences[:, :1] < 0, 1.0, -1.0) * differences
    asked: list[int] = []
    for _ in range(5):
        posterior = infer(shorter_first[asked])
        asked += pick_questions(posterior, differences, 1, asked=asked)
    later = [
        place for place, one in enumerate(bank) if one.contrast == "length" and place not in asked
    ]

    before = NOBODY.log_odds(shorter_first[later])
    after = infer(shorter_first[asked]).log_odds(shorter_first[later])

    assert (after > before + 0.3).all()
    assert np.mean(after > 0) > 0.7
