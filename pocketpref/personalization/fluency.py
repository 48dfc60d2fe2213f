"""Check that a reply is fluent, keeps to the question and does not repeat its instruction.

Used where a personalized reply could be worse than a plain one: when the best of several replies
is chosen, and when a way to personalize is compared with others. It needs no language model; the
subject is compared with an embedder where there is one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final, Literal

from pocketpref.personalization.frames import Instruction
from pocketpref.protocols import Embedder

Problem = Literal["empty", "loops", "noise", "echo", "off-topic"]

_TOKEN: Final = re.compile(r"\w+|[^\w\s]")

LOOP_WORDS: Final = 24
"""Shorter texts are not checked for loops: three list items may well begin alike."""

DISTINCT_SHARE: Final = 0.55
"""Least share of 4-grams that occur once only. Answers of the corpus in
``tests/data/tastes.jsonl`` have 0.86 and more; a small model that loops has less than 0.4."""

SPACED_SHARE: Final = 0.06
"""Words a character from which on a text counts as written with spaces: English has 0.17, German
0.14, Japanese and Chinese below 0.02."""

NOISE_SHARE: Final = 0.5
"""Most characters, spaces left out, that may be neither letters nor digits."""

SUBJECT_COSINE: Final = 0.25
"""Least cosine between question and reply with the bundled embedder. On 62 answers of the corpus an
answer has 0.37 or more with its own question (median 0.77), and 95 % of the cosines with other
questions are below 0.23."""


def problem_of(
    question: str,
    reply: str,
    *,
    instruction: Instruction | None = None,
    embedder: Embedder | None = None,
    least_cosine: float = SUBJECT_COSINE,
) -> Problem | None:
    """Return the first thing that is wrong with a reply, or None for a sound one.

    Args:
        question: what was asked, without any instruction.
        reply: what the model wrote.
        instruction: what the model was told about the person; a reply must not repeat it.
        embedder: compares the subjects of question and reply; None leaves that out.
        least_cosine: below it a reply is off-topic; the default was measured with the bundled
            embedder.

    Raises:
        ModelError: the embedder failed.
    """
    if not reply.strip():
        return "empty"
    if _is_noise(reply):
        return "noise"
    if _loops(reply):
        return "loops"
    if instruction is not None and _echoes(reply, instruction):
        return "echo"
    if embedder is not None and question.strip():
        asked, said = embedder.embed([question, reply])
        if float(asked @ said) < least_cosine:
            return "off-topic"
    return None


def best_sound_reply(
    question: str,
    replies: Sequence[str],
    score: Callable[[str], float],
    *,
    instruction: Instruction | None = None,
    embedder: Embedder | None = None,
) -> int:
    """Return the place of the reply with the highest score among those without a problem.

    Where every reply has a problem, all of them are compared. Of equal scores the first wins.

    Args:
        question: what was asked, without any instruction.
        replies: of the model to it; at least one.
        score: how well a reply suits the person (the posterior's, for one).
        instruction: what the model was told about the person.
        embedder: compares the subjects; None leaves that out.

    Raises:
        ValueError: there are no replies.
        ModelError: the embedder failed.
    """
    if not replies:
        raise ValueError("there are no replies to choose from")
    places = [
        place
        for place, reply in enumerate(replies)
        if problem_of(question, reply, instruction=instruction, embedder=embedder) is None
    ]
    return max(places or range(len(replies)), key=lambda place: score(replies[place]))


def _is_noise(reply: str) -> bool:
    visible = [character for character in reply if not character.isspace()]
    # Symbols are what code and formulas are made of, so that a fenced block is left out.
    if "```" in reply:
        return False
    odd = sum(not character.isalnum() for character in visible)
    return odd > NOISE_SHARE * len(visible)


def _loops(reply: str) -> bool:
    """Whether a text repeats itself: the same line three times, or few distinct 4-grams."""
    lines = Counter(line.strip() for line in reply.splitlines() if len(line.strip()) > 20)
    if lines and max(lines.values()) >= 3:
        return True
    # Characters rather than words where a script puts no spaces between them.
    spaced = len(reply.split()) > SPACED_SHARE * len(reply)
    words = _TOKEN.findall(reply.casefold()) if spaced else list("".join(reply.split()))
    if len(words) < LOOP_WORDS:
        return False
    grams = Counter(zip(words, words[1:], words[2:], words[3:], strict=False))
    return len(grams) < DISTINCT_SHARE * sum(grams.values())


def _echoes(reply: str, instruction: Instruction) -> bool:
    """Whether a text holds a line of the instruction, word for word."""
    said = " ".join(reply.casefold().split())
    lines = (*instruction.orders, *instruction.clauses, *instruction.statements)
    wanted = (" ".join(line.casefold().split()).rstrip(" .!") for line in lines)
    return any(len(line) > 15 and line in said for line in wanted)
