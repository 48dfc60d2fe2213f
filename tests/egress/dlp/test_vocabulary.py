"""The vocabulary of summaries: what they need to say, and no words for a life."""

from __future__ import annotations

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.egress.attribute_sentence import TOPICS
from pocketpref.egress.dlp.text import (
    SMALL_WORDS,
    about_answers,
    answer_words,
    base_words,
    common,
    folded_words,
)

OF_A_LIFE = """
diabetes cancer pregnant depression insulin therapy hospital doctor nurse surgeon illness disease
disabled wheelchair addiction alcohol sober suicide abortion hiv autism adhd dementia stroke
wife husband mother father daughter son sister brother divorce divorced widow fiance girlfriend
boyfriend married wedding baby custody orphan grandmother
lawyer teacherless plumber carpenter dispatcher soldier pilot farmer accountant waiter janitor
salary mortgage debt bankrupt rent pension unemployed fired resign loan gambling tax
church mosque synagogue jewish muslim christian catholic atheist hindu prayer bible quran
republican democrat socialist communist conservative liberal vote election union protest
gay lesbian straightened transgender bisexual queer sex affair mistress
german french london berlin texas india chinese turkish refugee immigrant citizen visa
prison arrested police crime murder victim abuse violence gun drug heroin
anna michael smith keller johnson jesus maria ahmed google microsoft nordwind tesla
monday january street avenue apartment phone password pin iban passport
""".split()  # noqa: SIM905


def test_it_has_no_words_for_a_life() -> None:
    """No health, family, trade, money, faith, politics, love, origin, crime, name or date."""
    about_answers = {"phone", "sober", "straightened", "teacherless"}
    assert {word for word in OF_A_LIFE if common(word)} <= about_answers


@pytest.mark.parametrize(
    "word",
    [
        *("answers", "planned", "trimming", "using", "replies", "stories", "simplified"),
        *("unhurried", "carefully", "surprisingly", "basically", "easily", "plausibly"),
        *("oversimplifying", "misleadingly", "nonlinear", "analyses", "tied", "longest"),
    ],
)
def test_regular_forms_follow(word: str) -> None:
    assert common(word)


@pytest.mark.parametrize("word", ["answerz", "", "s", "ing", "xshort", "shortx", "tohs", "ed", "b"])
def test_what_is_no_word_is_none(word: str) -> None:
    assert not common(word)


def test_further_words_have_their_forms_too() -> None:
    assert not common("pythons")
    assert common("pythons", {"python"})


def test_it_can_say_what_there_is_to_say(bank: AttributeBank) -> None:
    """Every wording but of values, and every topic, without the bank's help."""
    said = [w for a in bank if a.category != "values" for w in (a.wording, a.opposite)]
    missing = {word for text in (*said, *TOPICS) for word in folded_words(text.lower())}
    assert {word for word in missing if not common(word)} == set()


def test_its_size_bounds_what_a_word_can_carry() -> None:
    """Twelve or thirteen bits a word, all in all, at most: the list may not grow without notice."""
    assert 4000 < len(base_words()) < 2**13


def test_words_about_answers_are_of_the_vocabulary_and_not_small() -> None:
    assert answer_words() < base_words()
    assert not answer_words() & SMALL_WORDS
    assert about_answers("sentences")
    assert not about_answers("money")
