"""A reply that loops, echoes its instruction, is noise or leaves the subject is found out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pocketpref.personalization.fluency import problem_of, sound_replies
from pocketpref.personalization.frames import Instruction

CORPUS = Path(__file__).parent.parent / "data" / "tastes.jsonl"
QUESTION = "How do I clean a window?"
GOOD = "Wipe it with warm water and a drop of soap, then dry it with a soft cloth."


def test_sound_reply_has_no_problem() -> None:
    assert problem_of(QUESTION, GOOD) is None


@pytest.mark.parametrize("reply", ["", " \n"])
def test_empty_reply_is_empty(reply: str) -> None:
    assert problem_of(QUESTION, reply) == "empty"


@pytest.mark.parametrize(
    "reply",
    [
        "It is a good idea to wipe the glass. " * 8,
        "\n".join(["- Wipe the glass with a soft cloth."] * 3),
        "窓を水で拭いてください。" * 8,
    ],
    ids=["sentence", "line", "script-without-spaces"],
)
def test_repeating_reply_loops(reply: str) -> None:
    assert problem_of(QUESTION, reply) == "loops"


def test_symbols_are_noise_and_code_is_not() -> None:
    assert problem_of(QUESTION, "&&%% -- ## !! ((") == "noise"
    assert problem_of(QUESTION, "```\n{}();[]{};\n```") is None


def test_reply_that_repeats_its_instruction_is_an_echo() -> None:
    told = Instruction(("Answer in one or two short sentences.",), ("very short indeed, please",))
    reply = f"Answer in one or two short sentences. {GOOD}"
    assert problem_of(QUESTION, reply, instruction=told) == "echo"
    assert problem_of(QUESTION, GOOD, instruction=told) is None


def test_every_answer_of_the_corpus_passes() -> None:
    entries = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    found = {problem_of(entry["question"], entry["answer"]) for entry in entries}
    assert found == {None}


def test_sound_replies_leaves_out_what_has_a_problem() -> None:
    assert sound_replies(QUESTION, ["", GOOD, "no " * 40]) == [1]


def test_sound_replies_keeps_all_when_none_is_sound() -> None:
    assert sound_replies(QUESTION, ["", " "]) == [0, 1]
