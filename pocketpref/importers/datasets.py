"""Read published preference data sets: a JSON list, or one JSON object a line.

Each format is one function that makes choices of a row. It takes what it needs by ``text``,
``rows_in`` and ``owner``, which name the field that is wrong and nothing else.
"""

from __future__ import annotations

import codecs
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from pocketpref.errors import FileError, PairError
from pocketpref.importers import json_stream, jsonl
from pocketpref.importers.base import (
    BadEntry,
    Entry,
    feedback_from,
    is_user,
    moment_from_iso,
    named,
)
from pocketpref.importers.json_stream import MAX_DOCUMENT_BYTES
from pocketpref.records import Feedback

Row = dict[str, Any]

Choices = Iterator[Feedback | PairError]
"""The choices of a row; one that cannot be kept as its error."""

Convert = Callable[[int, Row], Choices]
"""Makes choices of a row, given with its number."""

_HEAD_BYTES: Final = 4096


class RowError(Exception):
    """A row holds no choice; the message carries no text of it."""


def read_rows(file: BinaryIO, convert: Convert) -> Iterator[Entry]:
    """Read all rows of a file.

    Args:
        file: buffered, at its beginning, binary: a JSON list, or JSON lines.
        convert: makes choices of a row.

    Yields:
        A ``Feedback`` for each choice, a ``BadEntry`` for each that cannot be used, and for each
        row that holds none.

    Raises:
        FileError: a list is no JSON, or ends early.
    """
    head = cast("io.BufferedReader", file).peek(_HEAD_BYTES)
    rows: Iterator[tuple[int, Any]] = (
        enumerate(json_stream.elements(json_stream.read_bytes(file)), start=1)
        if head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"[")
        else jsonl.objects(file)
    )
    for number, row in rows:
        if not isinstance(row, dict):
            yield row if isinstance(row, BadEntry) else BadEntry(number, "not a JSON object")
            continue
        try:
            for found in convert(number, row):
                yield BadEntry(number, str(found)) if isinstance(found, PairError) else found
        except RowError as error:
            yield BadEntry(number, str(error))


def choice(
    prompt: str,
    chosen: str,
    rejected: str,
    *,
    user: str | None = None,
    created: datetime | None = None,
    **meta: object,
) -> Feedback | PairError:
    """Build one choice; of ``meta`` only names and ids are kept."""
    found = feedback_from(prompt, chosen, rejected, created=created, meta=named(**meta))
    return found if isinstance(found, PairError) else replace(found, user=user)


def text(row: Row, key: str) -> str:
    """A text of a row.

    Raises:
        RowError: it is not there, or no text.
    """
    value = row.get(key)
    if not isinstance(value, str):
        raise RowError(f'"{key}" is missing or no text')
    return value


def rows_in(row: Row, key: str) -> list[Row]:
    """The objects in a list of a row.

    Raises:
        RowError: it is not there, or no list of objects.
    """
    value = row.get(key)
    if not isinstance(value, list) or not all(isinstance(inner, dict) for inner in value):
        raise RowError(f'"{key}" is missing or no list of objects')
    return value


def owner(row: Row, key: str) -> str:
    """Return the user of a row.

    Raises:
        RowError: it is missing or no valid name.
    """
    value = row.get(key)
    if not is_user(value):
        raise RowError(f'"{key}" is missing or no short, printable text')
    return str(value)


# AlignX (Li et al., 2025; JinaLeejnl/AlignX), as JSON lines or a JSON list.
#
# A row is one person: four pairs that they judged before, in ``Pair-wise Comparative Feedback``,
# and one that is asked about, in ``prompt``, ``chosen`` and ``rejected``. They come out in this
# order, so that ``pocketpref eval --ordered`` asks what the benchmark asks. What the row says of
# the person in words (``Demographic Information``, ``User-Generated Content``) is no choice and is
# not read.

PAST = "Pair-wise Comparative Feedback"

_ALIGNX_BEGUN = datetime(2025, 1, 1, tzinfo=UTC)
"""Rows have no times, and pairs of one file need an order: the one that is asked about is last."""


def convert_alignx(number: int, row: Row) -> Choices:
    """Choices of one person."""
    for place, pair in enumerate([*rows_in(row, PAST), row]):
        yield choice(
            *(text(pair, "prompt"), text(pair, "chosen"), text(pair, "rejected")),
            user=f"alignx {number}",
            created=_ALIGNX_BEGUN + timedelta(minutes=place),
        )


# FSPO's three data sets (Singh et al., 2025), as JSON lines or a JSON list.
#
# * ELIX (Asap7772/elix_generations_gpt4omini_pref) and Review
#   (Asap7772/steered_reviews_full_autolabel_gpt4o_pref): ``prompt``, ``response_x``,
#   ``response_y``, ``label`` (0: x is preferred, 1: y) and ``scorer_level``, the simulated reader
#   who preferred it.
# * Roleplay (sher222/persona-iterative-responses): ``x``, ``yw`` over ``yl``, and in
#   ``score_persona`` the persona with its ``persona_uuid``; where that is a text, ``level`` names
#   it.


def convert_fspo(_: int, row: Row) -> Choices:
    """The choice of a row."""
    if "yw" in row:
        persona = row.get("score_persona")
        user = owner(persona, "persona_uuid") if isinstance(persona, dict) else owner(row, "level")
        yield choice(text(row, "x"), text(row, "yw"), text(row, "yl"), user=user)
        return
    answers = text(row, "response_x"), text(row, "response_y")
    label = row.get("label")
    if isinstance(label, bool) or label not in (0, 1):
        raise RowError('"label" is neither 0 nor 1')
    preferred = int(label)
    yield choice(
        *(text(row, "prompt"), answers[preferred], answers[1 - preferred]),
        user=owner(row, "scorer_level"),
    )


# LaMP-1, LaMP-2 and LaMP-3 (Salemi et al., 2023): ``SPLIT_questions.json`` and its outputs.
#
# A row is one person: an ``input``, and in ``profile`` what they wrote or rated before. The answers
# are in ``SPLIT_outputs.json`` beside it (``golds``), or in each row's ``output`` where somebody
# has merged the two. A choice is made of the right answer and each other answer that was possible:
#
# * LaMP-1: of two references, the one that the author cited;
# * LaMP-2: of the tags that the input lists, the one that the person gave;
# * LaMP-3: of the scores 1 to 5, the one that the person gave.
#
# In LaMP-2 and LaMP-3 each item of the profile is also such a choice, before the one that is asked
# about. LaMP-4 to 7 ask for texts without alternatives: they hold no choice.

_FIRST, _SECOND = '[1]: "', '" [2]: "'
_TAGS, _FILM, _REVIEW = "tags: [", "] description: ", "review: "
_SCORES: Final = ("1", "2", "3", "4", "5")
_MOST_TAGS: Final = 50
_BEGUN: Final = datetime(2023, 1, 1, tzinfo=UTC)
"""Items have no times that all tasks share: the order is that of the profile, the question last."""


def read_questions(file: BinaryIO, beside: Path | None) -> Iterator[Entry]:
    """Read a file of questions.

    Args:
        file: the questions, at their beginning.
        beside: its path, if it has one: the answers are looked for in the same folder.

    Raises:
        FileError: the file of answers cannot be read.
    """
    answers = read_answers(beside)
    yield from read_rows(file, lambda _, row: convert_lamp(row, answers))


def read_answers(questions: Path | None) -> Mapping[str, str]:
    """Read the answers beside a file of questions, by the question's id; {} if there are none.

    Raises:
        FileError: the file of answers cannot be read.
    """
    if questions is None or "_questions" not in questions.name:
        return {}
    path = questions.with_name(questions.name.replace("_questions", "_outputs"))
    if not path.is_file():
        return {}
    # Raised outside of the handler: a decoder's error holds the file's text.
    with suppress(OSError, ValueError, RecursionError, KeyError, TypeError):
        if path.stat().st_size <= MAX_DOCUMENT_BYTES:
            golds = json.loads(path.read_bytes())["golds"]
            return {str(gold["id"]): str(gold["output"]) for gold in golds}
    raise FileError(f"{path.name} is no file of LaMP's outputs", hint="download it again")


def convert_lamp(row: Row, answers: Mapping[str, str]) -> Choices:
    """Choices of one person."""
    user, asked = owner(row, "id"), text(row, "input")
    right = row.get("output", answers.get(user))
    if not isinstance(right, str):
        raise RowError('there is no "output", and no SPLIT_outputs.json beside the file')
    profile = rows_in(row, "profile")
    # Not regular expressions: on a long text made for it they would take hours.
    head, first, rest = asked.partition(_FIRST)
    if first and _SECOND in rest:
        yield from _cited(head, rest, right, user)
        return
    head, film, rest = asked.partition(_FILM)
    if film and _TAGS in head:
        names = [tag.strip() for tag in head.rpartition(_TAGS)[2].split(",", _MOST_TAGS)]
        given = [(text(item, "description"), item.get("tag")) for item in profile]
        yield from _labelled(head + film, [*given, (rest, right)], names[:_MOST_TAGS], user)
        return
    head, review, rest = asked.partition(_REVIEW)
    if not review:
        raise RowError("no task of LaMP with answers to choose from: LaMP-1, LaMP-2 or LaMP-3")
    given = [(text(item, "text"), item.get("score")) for item in profile]
    yield from _labelled(head + review, [*given, (rest, right)], list(_SCORES), user)


def _cited(head: str, rest: str, right: str, user: str) -> Choices:
    if right.strip() not in ("[1]", "[2]"):
        raise RowError("the answer is neither [1] nor [2]")
    first, _, second = rest.partition(_SECOND)
    references = first, second.strip().removesuffix('"')
    place = int(right.strip() == "[2]")
    yield choice(head.strip(), references[place], references[1 - place], user=user)


def _labelled(head: str, items: list[tuple[str, object]], labels: list[str], user: str) -> Choices:
    """Each item's label over every other one, the question last."""
    for place, (body, label) in enumerate(items):
        given = str(label).strip() if isinstance(label, (str, int)) else ""
        if given not in labels:
            continue  # an old label that can no longer be chosen
        for other in labels:
            if other != given:
                yield choice(
                    *(head + body, given, other),
                    user=user,
                    created=_BEGUN + timedelta(minutes=place),
                    ranking=f"{user} {place}",
                )


# PrefEval's multiple-choice questions (Zhao et al., 2025): ``mcq_options/TOPIC.json``.
#
# A row has a stated ``preference``, a ``question``, and four ``classification_task_options``, of
# which the first one follows the preference: it is preferred over each of the others. Every row has
# another preference, so that nothing is learned from one row for the next; the preference itself is
# kept in ``meta``, where it is short.


def convert_prefeval(_: int, row: Row) -> Choices:
    """Choices of a question."""
    question, preference = text(row, "question"), text(row, "preference")
    options = row.get("classification_task_options")
    if not isinstance(options, list) or len(options) < 2:
        raise RowError('"classification_task_options" is missing or no list of texts')
    if not all(isinstance(option, str) for option in options):
        raise RowError('"classification_task_options" is missing or no list of texts')
    for other in options[1:]:
        yield choice(question, options[0], other, preference=preference)


# PRISM: ``conversations.jsonl`` (Kirk et al., 2024; HannahRoseKirk/prism-alignment).
#
# A row is a conversation of one ``user_id``. Its ``conversation_history`` holds messages with
# ``turn``, ``role`` ("user" or "model"), ``content`` and, for answers, ``if_chosen`` and ``score``.
# In each turn the person chose one answer and went on from it: it is preferred over each other one
# of the turn. As with chats of one's own, the prompt is the person's message without the turns
# before it. ``generated_datetime`` is the time of the choice.


def convert_prism(_: int, row: Row) -> Choices:
    """Choices of a conversation."""
    user, conversation = owner(row, "user_id"), text(row, "conversation_id")
    created = moment_from_iso(row.get("generated_datetime"))
    turns: dict[int, list[Row]] = defaultdict(list)
    for message in rows_in(row, "conversation_history"):
        turn = message.get("turn")
        if not isinstance(turn, int) or isinstance(turn, bool):
            raise RowError('"turn" is missing or no number')
        turns[turn].append(message)
    for number, (turn, messages) in enumerate(turns.items(), start=1):
        prompts = [text(m, "content") for m in messages if m.get("role") == "user"]
        answers = [m for m in messages if m.get("role") == "model"]
        chosen = [text(m, "content") for m in answers if m.get("if_chosen") is True]
        if len(prompts) != 1 or not chosen:
            raise RowError(f"turn {number}: not one prompt, or no answer was chosen")
        for other in answers:
            left = text(other, "content")
            if left.strip() != chosen[0].strip():
                yield choice(
                    *(prompts[0], chosen[0], left),
                    user=user,
                    created=created,
                    ranking=f"{conversation} {turn}",
                    over=other.get("model_name"),
                )


# TL;DR comparisons: ``comparisons/batchN.json`` (Stiennon et al., 2020; one object a line).
#
# A row has the post in ``info`` (``title``, ``post`` and ``subreddit``; for news ``article``), two
# ``summaries`` with their ``text``, which one was preferred in ``choice`` (0 or 1), and by whom in
# ``worker``. Summaries of one post stay together in an evaluation.

_ASKED = "Summarize this in one or two sentences."


def convert_tldr(_: int, row: Row) -> Choices:
    """The choice of a row."""
    info = row.get("info")
    if not isinstance(info, dict):
        raise RowError('"info" is missing or no object')
    summaries = [text(summary, "text").strip() for summary in rows_in(row, "summaries")]
    label = row.get("choice")
    if len(summaries) != 2 or isinstance(label, bool) or label not in (0, 1):
        raise RowError('two "summaries" and a "choice" of 0 or 1 are needed')
    preferred = int(label)
    body = text(info, "post" if isinstance(info.get("post"), str) else "article")
    title = info.get("title")
    heading = f"\nTitle: {title}" if isinstance(title, str) and title.strip() else ""
    prompt = f"{_ASKED}{heading}\n\n{body.strip()}"
    yield choice(
        *(prompt, summaries[preferred], summaries[1 - preferred]),
        user=owner(row, "worker"),
        ranking=info.get("id"),
        batch=row.get("batch"),
        split=row.get("split"),
    )
