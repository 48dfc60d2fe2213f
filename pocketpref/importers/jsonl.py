"""Read pair files: one JSON object a line, ``{"user", "prompt", "chosen", "rejected", "meta"}``.

``user`` and ``meta`` are optional. ``meta`` is kept as it is; where ``meta.time`` is ISO 8601 text
it becomes the time of the choice. Lines end with LF or CRLF, blank lines are skipped, a byte order
mark at the beginning is allowed. A line that is no pair is reported with its number and reason, and
reading goes on.
"""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, BinaryIO, Final

from pocketpref.errors import PairError
from pocketpref.importers.base import BadEntry, Entry, feedback_from, is_user, moment_from_iso
from pocketpref.records import Feedback

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""Longest line that is parsed; three texts of the longest size kept fit well into it."""

MAX_META_DEPTH: Final = 32
MAX_META_CHARACTERS: Final = 100_000
_MAX_DIGITS: Final = 64
_SKIP_BYTES: Final = 1024 * 1024
_KEYS: Final = ("prompt", "chosen", "rejected")


class LineError(Exception):
    """A line is no pair; the message carries no text of it."""


def read_pairs(file: BinaryIO) -> Iterator[Entry]:
    """Read a pair file line by line; at most one line is in memory.

    Args:
        file: at its beginning, binary.

    Yields:
        A ``Feedback`` or ``BadEntry`` for every line that is not blank.
    """
    for number, record in objects(file):
        try:
            yield record if isinstance(record, BadEntry) else parse_pair(record)
        except (LineError, PairError) as error:
            yield BadEntry(number, str(error))


def objects(file: BinaryIO) -> Iterator[tuple[int, dict[str, Any] | BadEntry]]:
    """Number and object of every line that is not blank; at most one line is in memory."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = file.readline(_SKIP_BYTES)
            yield number, BadEntry(number, f"longer than {MAX_LINE_BYTES // 1024**2} MiB")
        elif line.strip():
            try:
                record: dict[str, Any] | BadEntry = parse_line(line)
            except LineError as error:
                record = BadEntry(number, str(error))
            yield number, record


def is_pair_object(value: object) -> bool:
    """Whether a JSON value has the keys of a pair (used to recognize the format)."""
    return isinstance(value, dict) and all(key in value for key in _KEYS)


def parse_pair(record: dict[str, Any]) -> Feedback:
    """Build feedback from the object of a line.

    Raises:
        LineError: a field is missing or of another type.
        PairError: the pair cannot be kept.
    """
    for key in _KEYS:
        if key not in record:
            raise LineError(f'the key "{key}" is missing')
    user, meta = record.get("user"), record.get("meta")
    if user is not None and not is_user(user):
        raise LineError('"user" must be a short, printable, non-empty text')
    meta = {} if meta is None else meta
    check_meta(meta)
    found = feedback_from(
        *(record[key] for key in _KEYS), created=moment_from_iso(meta.get("time")), meta=meta
    )
    if isinstance(found, PairError):
        raise found
    return replace(found, user=user)


def parse_line(line: bytes) -> dict[str, Any]:
    """Parse one line.

    Raises:
        LineError: it is no JSON object in UTF-8.
    """
    try:
        record = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise LineError("not valid UTF-8") from None
    except RecursionError:
        raise LineError("nested too deeply") from None
    except ValueError:  # JSONDecodeError is one; its ``doc`` is the person's text
        raise LineError("not valid JSON") from None
    if not isinstance(record, dict):
        raise LineError("not a JSON object")
    return record


def unique_keys(items: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; refuse one that has a key twice."""
    found = dict(items)
    if len(found) != len(items):
        raise LineError("a key is repeated in one object")
    return found


def refuse_constant(_: str) -> float:
    """Refuse NaN and Infinity."""
    raise LineError("NaN and Infinity are not JSON")


def bounded_integer(digits: str) -> int:
    """Build a whole number; refuse one that takes long to convert."""
    if len(digits) > _MAX_DIGITS:
        raise LineError(f"a number with more than {_MAX_DIGITS} digits")
    return int(digits)


# Stricter than Python's reader: what it lets pass would not survive being written again.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=unique_keys, parse_constant=refuse_constant, parse_int=bounded_integer
)


def check_meta(meta: object) -> None:
    """Accept only what can be written as JSON again, within bounds.

    Raises:
        LineError: it is no object, too deep, too long, or holds what JSON or UTF-8 cannot.
    """
    if not isinstance(meta, dict):
        raise LineError('"meta" must be an object')
    _check_depth(meta)
    try:
        text = json.dumps(meta, ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise LineError('"meta" is no valid Unicode text (lone surrogates)') from None
    except ValueError:  # 1e999 is read as infinity
        raise LineError('"meta" holds a number that is too large') from None
    if len(text) > MAX_META_CHARACTERS:
        raise LineError(f'"meta" has more than {MAX_META_CHARACTERS:,} characters')


def _check_depth(meta: dict[str, Any]) -> None:
    level: list[Any] = [meta]
    for _ in range(MAX_META_DEPTH):
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return
    raise LineError('"meta" is nested too deeply')
