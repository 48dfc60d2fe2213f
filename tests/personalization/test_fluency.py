"""A reply that loops, echoes its instruction, is noise or leaves the subject is found out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from pocketpref.personalization.fluency import best_sound_reply, problem_of
from pocketpref.personalization.frames import Instruction
from pocketpref.records import Vector
from pocketpref.testing import HashEmbedder

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


def test_best_sound_reply_passes_over_a_problem_with_a_higher_score() -> None:
    replies = [GOOD, "no " * 40, f"{GOOD} That is all."]
    assert best_sound_reply(QUESTION, replies, lambda text: text.count("no")) == 0
    assert best_sound_reply(QUESTION, replies, len) == 2


def test_best_sound_reply_compares_all_when_none_is_sound() -> None:
    assert best_sound_reply(QUESTION, ["", "no " * 40], len) == 1


def test_best_sound_reply_needs_a_reply() -> None:
    with pytest.raises(ValueError, match="no replies"):
        best_sound_reply(QUESTION, [], len)


class SubjectEmbedder(HashEmbedder):
    """Embeds a text by whether it is about windows."""

    def embed(self, texts: Sequence[str]) -> Vector:
        about = ["window" in text or "glass" in text for text in texts]
        return np.array([[1.0, 0.0] if it_is else [0.0, 1.0] for it_is in about], dtype=np.float32)


def test_reply_about_something_else_is_off_topic() -> None:
    embedder = SubjectEmbedder()
    reply = "Whales are mammals and live in the sea."
    assert problem_of(QUESTION, reply, embedder=embedder) == "off-topic"
    assert problem_of(QUESTION, "Wipe the glass.", embedder=embedder) is None
    assert best_sound_reply(QUESTION, [reply, "Wipe the glass."], len, embedder=embedder) == 1
