"""LaMP-1, LaMP-2 and LaMP-3 (Salemi et al., 2023): ``SPLIT_questions.json`` and its outputs.

A row is one person: an ``input``, and in ``profile`` what they wrote or rated before. The answers
stand in ``SPLIT_outputs.json`` beside it (``golds``), or in each row's ``output`` where somebody
has merged the two. A choice is made of the right answer and each other answer that was possible:

* LaMP-1: of two references, the one that the author cited;
* LaMP-2: of the tags that the input lists, the one that the person gave;
* LaMP-3: of the scores 1 to 5, the one that the person gave.

In LaMP-2 and LaMP-3 each item of the profile is such a choice, too, before the one that is asked
about. LaMP-4 to 7 ask for texts of which nobody preferred one to another: no choice is in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from pocketpref.errors import FileError
from pocketpref.readers.document import MAX_DOCUMENT_BYTES
from pocketpref.readers.entries import Entry
from pocketpref.readers.rows import Choices, Row, RowError, choice, owner, read_rows, rows_in, text

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
    answers = _answers(beside)
    yield from read_rows(file, lambda _, row: _convert(row, answers))


def _answers(questions: Path | None) -> Mapping[str, str]:
    """Answers by the question's id; none if there is no such file."""
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


def _convert(row: Row, answers: Mapping[str, str]) -> Choices:
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
