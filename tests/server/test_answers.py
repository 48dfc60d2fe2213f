"""What a program reports about its answers becomes choices, and only what says something does."""

from __future__ import annotations

import pytest

from pocketpref.errors import InputError
from pocketpref.integrations.feedback_session import Answers, record_choice
from pocketpref.summary.evidence import ANSWERED_UNDER, is_evidence
from pocketpref.testing import HashEmbedder, ScriptedModel
from tests.server.conftest import SECRETS

PROMPT = "Is tea good?"


@pytest.fixture
def fresh(pocket):
    pocket.forget(*(memory.id for memory in pocket.memories()))
    return pocket


def pairs(pocket):
    return [(m.pair.chosen, m.pair.rejected, m.origin) for m in pocket.memories()]


def test_the_first_answer_taken_says_nothing(fresh):
    answers = Answers(fresh, PROMPT)
    answers.shown("One.")
    assert answers.went_on() == ()
    assert pairs(fresh) == []


def test_going_on_with_the_last_prefers_it_to_the_one_thrown_away(fresh):
    answers = Answers(fresh, PROMPT, program="notes")
    for text in ("One.", "Two.", "Three."):
        answers.shown(text)
    assert len(answers.went_on()) == 1
    assert pairs(fresh) == [("Three.", "Two.", "chat")]
    assert next(fresh.memories()).meta == {"program": "notes"}


def test_choosing_prefers_it_to_each_other_and_choosing_again_takes_that_back(fresh):
    answers = Answers(fresh, PROMPT)
    for text in ("One.", "Two.", "Two.", "Three."):
        answers.shown(text)
    answers.chose(0)
    assert sorted(pairs(fresh)) == [("One.", "Three.", "chat"), ("One.", "Two.", "chat")]
    answers.chose(3)
    assert {chosen for chosen, _, _ in pairs(fresh)} == {"Three."}
    answers.take_back()
    assert pairs(fresh) == []


def test_rewriting_prefers_the_persons_own_words(fresh):
    answers = Answers(fresh, PROMPT)
    with pytest.raises(InputError) as caught:
        answers.edited("Mine.")
    assert "shown" in caught.value.hint
    answers.shown("One.")
    answers.edited("Mine.")
    assert pairs(fresh) == [("Mine.", "One.", "edit")]
    assert answers.edited(" One. ") == ()  # as it was: nothing is said, and nothing taken back
    assert len(pairs(fresh)) == 1


def test_numbers_that_there_are_not_and_answers_that_are_the_same_are_refused(fresh):
    answers = Answers(fresh, PROMPT)
    assert answers.shown("One.") == 0
    assert answers.shown("One. ") == 1
    for wrong in (-1, 2):
        with pytest.raises(InputError):
            answers.chose(wrong)
    with pytest.raises(InputError) as caught:
        answers.chose(0)
    assert "shown" in caught.value.hint
    assert pairs(fresh) == []


def test_a_choice_among_answers_under_a_summary_is_no_evidence_for_one(fresh):
    answers = Answers(fresh, PROMPT)
    answers.shown("One.", under=["summary-id"])
    answers.shown("Two.")
    answers.went_on()
    assert not is_evidence(next(fresh.memories()))


def test_nothing_of_it_shows_in_its_repr(fresh):
    answers = Answers(fresh, SECRETS["prompt"])
    answers.shown(SECRETS["chosen"])
    assert "Quuxbury" not in repr(answers)
    assert "marmalade" not in repr(answers)


def test_nothing_waits_for_a_model(place, monkeypatch):
    def never(*_, **__):
        raise AssertionError("a model was asked")

    with place.open() as pocket:
        monkeypatch.setattr(ScriptedModel, "likelihoods", never)
        monkeypatch.setattr(HashEmbedder, "embed", never)
        answers = Answers(pocket, PROMPT)
        answers.shown("One.")
        answers.shown("Two.")
        assert answers.went_on()


def test_a_recorded_choice_is_one_memory_for_each_other_answer(fresh):
    ids = record_choice(
        fresh, PROMPT, "One.", ["Two.", "Three."], under=["Concise", "Concise"], meta={"n": 1}
    )
    assert [fresh.memory(name).pair.rejected for name in ids] == ["Two.", "Three."]
    for name in ids:
        assert fresh.memory(name).origin == "chat"
        assert fresh.memory(name).meta == {"n": 1, ANSWERED_UNDER: ["Concise"]}


def test_a_recorded_choice_tells_plain_answers_from_unknown_ones(fresh):
    (plain,) = record_choice(fresh, PROMPT, "One.", ["Two."], under=[])
    (unknown,) = record_choice(fresh, PROMPT, "One.", ["Two."], edited=True)
    assert fresh.memory(plain).meta == {ANSWERED_UNDER: []}
    assert fresh.memory(unknown).meta == {}
    assert fresh.memory(unknown).origin == "edit"
