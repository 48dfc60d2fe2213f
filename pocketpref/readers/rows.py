"""Rows of preference data as researchers publish it: a list, or one JSON object a line.

Each format is one function that makes choices of a row. It takes what it needs by ``text``,
``rows_in`` and ``owner``, which name the field that is wrong and nothing else.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, BinaryIO, Final, cast

from pocketpref.errors import PairError
from pocketpref.readers import document, jsonl
from pocketpref.readers.entries import BadEntry, Entry, feedback_from, is_user, named
from pocketpref.records import Feedback

Row = dict[str, Any]

Choices = Iterator[Feedback | PairError]
"""What a row holds; a choice that cannot be kept as its error."""

Convert = Callable[[int, Row], Choices]
"""Makes choices of a row, given with its number."""

_HEAD_BYTES: Final = 4096


class RowError(Exception):
    """Why a row holds no choice; carries no text of it."""


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
    for number, row in _rows(file):
        if isinstance(row, BadEntry):
            yield row
        else:
            yield from _converted(number, row, convert)


def _rows(file: BinaryIO) -> Iterator[tuple[int, Row | BadEntry]]:
    head = cast("io.BufferedReader", file).peek(_HEAD_BYTES)
    if not head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
        yield from jsonl.objects(file)
        return
    for number, row in enumerate(document.elements(document.read_bytes(file)), start=1):
        yield number, row if isinstance(row, dict) else BadEntry(number, "not a JSON object")


def _converted(number: int, row: Row, convert: Convert) -> Iterator[Entry]:
    try:
        for choice in convert(number, row):
            if isinstance(choice, PairError):
                yield BadEntry(number, str(choice))
            else:
                yield choice
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
    """One choice; of ``meta`` only what can stand as a name or an id is kept."""
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
    """Whose a row is.

    Raises:
        RowError: it is not there, or cannot stand as a name.
    """
    value = row.get(key)
    if not is_user(value):
        raise RowError(f'"{key}" is missing or no short, printable text')
    return str(value)
