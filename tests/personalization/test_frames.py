"""Instruction lines reach the model in the place that a frame names, and nothing else changes."""

from __future__ import annotations

import pytest

from pocketpref.personalization.frames import (
    DEFAULT_SYSTEM,
    FRAMES,
    QUESTION_ORDER,
    Frame,
    Instruction,
    frame_named,
)
from pocketpref.records import Message

SHORT = Instruction(("Answer in one short sentence.",), ("very short",))
TALK = [
    Message(role="system", content="You are a cook."),
    Message(role="user", content="How do I boil an egg?"),
    Message(role="assistant", content="In hot water."),
    Message(role="user", content="For how long?  \n"),
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
@pytest.mark.parametrize(
    "nothing", [Instruction(), Instruction((" ",), ("\n",)), Instruction(statements=("",))]
)
def test_messages_without_words_stay_the_same_to_the_letter(
    frame: Frame, nothing: Instruction
) -> None:
    assert frame.apply(TALK, nothing) == TALK


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_apply_leaves_the_given_messages_alone(frame: Frame) -> None:
    before = [dict(message) for message in TALK]
    framed = frame.apply(TALK, SHORT)
    assert framed != TALK
    assert before == TALK


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.name)
def test_earlier_turns_are_never_changed(frame: Frame) -> None:
    framed = frame.apply(TALK, SHORT)
    assert framed[1:-1] == TALK[1:-1]
    assert len(framed) == len(TALK)


@pytest.mark.parametrize("frame", [f for f in FRAMES if f.place in ("question", "opening")])
def test_question_frame_changes_the_last_user_turn_alone(frame: Frame) -> None:
    framed = frame.apply(TALK, SHORT)
    assert framed[:-1] == TALK[:-1]
    assert TALK[-1]["content"] in framed[-1]["content"]


def test_question_order_ends_the_question() -> None:
    (message,) = QUESTION_ORDER.apply([Message(role="user", content="Why?")], SHORT)
    assert message["content"] == "Why?\n\nAnswer in one short sentence."


def test_question_preference_is_put_in_parentheses() -> None:
    (message,) = frame_named("question-preference").apply(
        [Message(role="user", content="Why?")], SHORT
    )
    assert message["content"] == "Why?\n\n(The user prefers answers that are very short.)"


def test_opening_order_precedes_the_question() -> None:
    (message,) = frame_named("opening-order").apply([Message(role="user", content="Why?")], SHORT)
    assert message["content"] == "Answer in one short sentence.\n\nWhy?"


def test_system_frame_extends_the_system_prompt_of_the_host() -> None:
    framed = frame_named("system-order").apply(TALK, SHORT)
    assert framed[0]["content"] == "You are a cook.\n\nAnswer in one short sentence."
    assert framed[1:] == TALK[1:]


@pytest.mark.parametrize("given", [[], [Message(role="system", content=" ")]])
def test_system_frame_without_a_system_prompt_keeps_a_helpful_assistant(
    given: list[Message],
) -> None:
    question = Message(role="user", content="Why?")
    framed = frame_named("system-order").apply([*given, question], SHORT)
    expected = f"{DEFAULT_SYSTEM} Answer in one short sentence."
    assert framed == [Message(role="system", content=expected), question]


def test_both_frame_says_it_twice() -> None:
    framed = frame_named("both-order").apply(TALK, SHORT)
    assert framed[0]["content"].endswith("Answer in one short sentence.")
    assert framed[-1]["content"].endswith("Answer in one short sentence.")


def test_question_frame_without_a_user_turn_changes_nothing() -> None:
    alone = [Message(role="system", content="You are a cook.")]
    assert QUESTION_ORDER.apply(alone, SHORT) == alone


def test_statements_come_first_and_verbatim() -> None:
    said = Instruction(("Use bullet points.",), (), ("Metric units, please!",))
    assert said.text("order") == "Metric units, please! Use bullet points."


def test_statements_without_a_full_stop_become_sentences() -> None:
    said = Instruction(("Use bullet points",), (), ("keep it\nshort", "日本語で。"))
    assert said.text("order") == "keep it short. 日本語で。 Use bullet points."


def test_preference_form_joins_clauses_after_statements() -> None:
    said = Instruction(("A.", "B."), ("very short", "casual"), ("Metric units",))
    expected = "Metric units. The user prefers answers that are very short; casual."
    assert said.text("preference") == expected


def test_statements_alone_are_not_put_into_a_preference() -> None:
    assert Instruction(statements=("Short",)).text("preference") == "Short."


def test_clauses_must_match_the_orders() -> None:
    with pytest.raises(ValueError, match="one clause for each order"):
        Instruction(("A.", "B."), ("very short",))


def test_instruction_repr_shows_no_text() -> None:
    assert "secret" not in repr(Instruction(("secret",), ("secret",), ("secret",)))


def test_frame_names_are_distinct() -> None:
    assert len({frame.name for frame in FRAMES}) == len(FRAMES)
