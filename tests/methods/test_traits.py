"""Traits of answers: what more of each means, on texts where nobody would disagree."""

from __future__ import annotations

import numpy as np
import pytest

from pocketpref.methods.palm import traits
from pocketpref.methods.palm.traits import (
    KNOWN,
    REWARDS,
    brevity,
    detail,
    formality,
    grade,
    plainness,
)

TEXTS = [
    "",
    " \n\t",
    "!!!",
    "42",
    "a",
    "Yes.",
    "日本語の文です。",
    "word " * 50_000,
    "x" * 100_000,
    "\ud800",
    "- a\n- b\n" * 500,
    "🙂" * 300,
]


@pytest.mark.parametrize("name", KNOWN)
@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_a_reward_lies_between_0_and_1_whatever_the_text(name: str, text: str) -> None:
    assert 0.0 <= KNOWN[name](text) <= 1.0


@pytest.mark.parametrize("name", KNOWN)
def test_what_has_no_words_earns_nothing(name: str) -> None:
    """Or else the best policy for somebody who likes it short would be to say nothing."""
    assert [KNOWN[name](text) for text in ("", "...", "1 + 1 = 2")] == [0.0, 0.0, 0.0]


def test_of_two_long_answers_the_shorter_is_still_the_briefer() -> None:
    lengths = [1, 3, 10, 49, 110, 247, 600, 5000]
    rewards = [brevity("word " * length) for length in lengths]
    assert rewards == sorted(rewards, reverse=True)
    assert len(set(rewards)) == len(rewards)
    assert [round(brevity("word " * n), 2) for n in (49, 110, 247)] == [0.73, 0.5, 0.27]
    assert brevity("word " * 30) + detail("word " * 30) == pytest.approx(1)


def test_the_readability_index_is_that_of_its_formula() -> None:
    """3 sentences, 12 words, 46 letters."""
    text = "The cat sat on the mat. It was warm there. Purring followed."
    assert grade(text) == pytest.approx(4.71 * 46 / 12 + 0.5 * 12 / 3 - 21.43)


def test_plain_words_in_short_sentences_are_plainer() -> None:
    plain = "We boil the water. Then we add salt. Wait ten minutes. Then eat."
    hard = (
        "Subsequent to bringing the aqueous medium to its characteristic boiling temperature, "
        "introduce an appropriate quantity of sodium chloride, whereupon approximately ten minutes "
        "of uninterrupted observation are recommended."
    )
    assert plainness(plain) > plainness(hard) + 0.5
    listed = "\n".join(f"- item number {i} on the list" for i in range(40))
    assert plainness(listed) > 0.5  # a list is not one long sentence


def test_formal_writing_is_more_formal_than_talk() -> None:
    formal = (
        "The committee approved the allocation of funds for the renovation of the library in "
        "accordance with the recommendations of the report."
    )
    talk = "Oh wow, I totally get why you're mad! They really shouldn't have done that to you, huh?"
    assert formality(formal) > 0.9
    assert formality(talk) < 0.1
    straight, curly = "It's what you don't say.", "It’s what you don’t say."  # noqa: RUF001
    assert formality(straight) == formality(curly)


def test_rewards_come_in_the_order_of_their_names() -> None:
    text = "A short answer."
    found = traits.rewards(text, ["formality", "brevity"])
    assert np.array_equal(found, [formality(text), brevity(text)])
    with pytest.raises(KeyError):
        traits.rewards(text, ["charm"])
    assert set(REWARDS) < set(KNOWN)
