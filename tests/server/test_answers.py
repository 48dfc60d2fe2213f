"""What a program reports about its answers becomes choices, and only what says something does."""

from __future__ import annotations

import pytest

from pocketpref.errors import InputError
from pocketpref.integrations.feedback_session import Answers, StatementOffer, record_choice
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


# ------------------------------------------------------------------------------ feedback in words

LONG = "Tea is a drink. It is made of leaves, of which there are many kinds. " * 5


@pytest.fixture
def answered(fresh):
    answers = Answers(fresh, PROMPT, program="notes")
    answers.shown(LONG)
    return answers


def test_feedback_in_words_gives_an_offer_and_keeps_nothing(fresh, answered):
    before = fresh.statements()
    offer = answered.said("Shorter, please.")
    assert (offer.statement, offer.scope, offer.rework, offer.choices) == (
        *("Short answers, please.", "unsaid", True),
        (),
    )
    assert fresh.statements() == before
    assert pairs(fresh) == []


@pytest.mark.parametrize(
    "message",
    ["And what about coffee?", "Make the second paragraph of my letter shorter", "", " ", "\ud800"],
)
def test_a_message_about_something_else_keeps_nothing(fresh, answered, message):
    assert answered.said(message, "Another answer.") is None
    assert pairs(fresh) == []
    assert len(answered) == 1


def test_a_reworked_answer_is_preferred_to_the_one_before(fresh, answered):
    offer = answered.said("Kürzer bitte.", "Yes.", under=["short answers"])
    assert pairs(fresh) == [("Yes.", LONG, "chat")]
    (kept,) = fresh.memories()
    assert offer.choices == (kept.id,)
    assert kept.pair.prompt == PROMPT
    assert kept.meta == {"program": "notes", ANSWERED_UNDER: ["short answers"]}
    answered.take_back()
    assert pairs(fresh) == []


def test_a_wish_for_one_answer_only_teaches_nothing(fresh, answered):
    offer = answered.said("Shorter, just this once please.", "Yes.")
    assert (offer.scope, offer.choices) == ("once", ())
    assert pairs(fresh) == []
    with pytest.raises(InputError):
        answered.keep_statement(offer)


def test_a_statement_is_kept_when_the_person_agrees(fresh, answered):
    offer = answered.said("Always answer shorter from now on.")
    assert offer.scope == "always"
    kept = answered.keep_statement(offer)
    assert offer.statement in [s.text for s in fresh.statements() if s.id == kept]
    assert offer.statement in fresh.personalize("How far is the moon?").instruction


def test_feedback_before_any_answer_is_refused(fresh):
    with pytest.raises(InputError) as caught:
        Answers(fresh, PROMPT).said("Shorter, please.")
    assert "shown" in caught.value.hint


def test_an_offer_shows_no_text_in_its_repr():
    offer = StatementOffer("Marmalade, please.", "always", rework=False, rest="Quuxbury")
    assert "Marmalade" not in repr(offer)
    assert "Quuxbury" not in repr(offer)


# ------------------------------------------------------------------------------ what stays out


def test_words_of_a_statement_are_not_stored_with_a_choice(fresh):
    fresh.state("Marmalade measurements, please")
    used = fresh.personalize(PROMPT)
    assert any("Marmalade" in name for name in used.attributes)
    answers = Answers(fresh, PROMPT)
    answers.shown("One.", under=used.attributes)
    answers.shown("Two.", under=used.attributes)
    answers.went_on()
    (kept,) = fresh.memories()
    assert kept.meta == {ANSWERED_UNDER: ["a statement"]}
    assert not is_evidence(kept)


def test_a_choice_under_a_statement_holds_back_no_summary(fresh):
    fresh.state("Prefers short answers with a plain example at the end.")
    (kept,) = record_choice(
        fresh, PROMPT, "One.", ["Two."], under=fresh.personalize(PROMPT).attributes
    )
    assert fresh.memory(kept)
    shown = fresh.preview(PROMPT, to="openai:gpt-5")
    assert [f for f in shown.findings if f.check in ("copied", "echoed")] == []


def test_what_a_model_was_told_is_not_recorded_as_the_prompt(fresh):
    fresh.state("Metric units, please")
    told = fresh.personalize(PROMPT)
    assert "Metric units" in told.prompt
    answers = Answers(fresh, told.prompt)
    answers.shown("One.")
    answers.shown("Two.")
    answers.went_on()
    assert next(fresh.memories()).pair.prompt == PROMPT
