"""Pair files: one JSON object a line, ``{"user", "prompt", "chosen", "rejected", "meta"}``.

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

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""Longest line that is parsed; three texts of the longest size kept fit well into it."""

MAX_META_DEPTH: Final = 32
MAX_META_CHARACTERS: Final = 100_000
_MAX_DIGITS: Final = 64
_SKIP_BYTES: Final = 1024 * 1024
_KEYS: Final = ("prompt", "chosen", "rejected")


class _LineError(Exception):
    """Why a line is no pair; carries no text of the line."""


def read_pairs(file: BinaryIO) -> Iterator[Entry]:
    """Read a pair file line by line; at most one line is in memory.

    Args:
        file: at its beginning, binary.

    Yields:
        A ``Feedback`` or ``BadEntry`` for every line that is not blank.
    """
    for number, record in objects(file):
        yield record if isinstance(record, BadEntry) else _read_record(number, record)


def objects(file: BinaryIO) -> Iterator[tuple[int, dict[str, Any] | BadEntry]]:
    """Number and object of every line that is not blank; at most one line is in memory."""
    number = 0
    while line := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(codecs.BOM_UTF8)
        if len(line) > MAX_LINE_BYTES:
            _skip_line(file, line)
            yield number, BadEntry(number, f"longer than {MAX_LINE_BYTES // 1024**2} MiB")
        elif line.strip():
            yield number, _read_line(number, line)


def is_pair_object(value: object) -> bool:
    """Whether a JSON value has the keys of a pair (used to recognize the format)."""
    return isinstance(value, dict) and all(key in value for key in _KEYS)


def _skip_line(file: BinaryIO, piece: bytes) -> None:
    while piece and not piece.endswith(b"\n"):
        piece = file.readline(_SKIP_BYTES)


def _read_line(number: int, line: bytes) -> dict[str, Any] | BadEntry:
    try:
        return _parse(line)
    except _LineError as error:
        return BadEntry(number, str(error))


def _read_record(number: int, record: dict[str, Any]) -> Entry:
    try:
        return _feedback(record)
    except (_LineError, PairError) as error:
        return BadEntry(number, str(error))


def _feedback(record: dict[str, Any]) -> Entry:
    for key in _KEYS:
        if key not in record:
            raise _LineError(f'the key "{key}" is missing')
    user, meta = record.get("user"), record.get("meta")
    if user is not None and not is_user(user):
        raise _LineError('"user" must be a short, printable, non-empty text')
    meta = {} if meta is None else meta
    _check_meta(meta)
    found = feedback_from(
        *(record[key] for key in _KEYS), created=moment_from_iso(meta.get("time")), meta=meta
    )
    if isinstance(found, PairError):
        raise found
    return replace(found, user=user)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = _DECODER.decode(line.decode("utf-8"))
    except UnicodeDecodeError:
        raise _LineError("not valid UTF-8") from None
    except RecursionError:
        raise _LineError("nested too deeply") from None
    except ValueError:  # JSONDecodeError is one; its ``doc`` is the person's text
        raise _LineError("not valid JSON") from None
    if not isinstance(record, dict):
        raise _LineError("not a JSON object")
    return record


def _object(items: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(items)
    if len(found) != len(items):
        raise _LineError("a key stands twice in one object")
    return found


def _constant(_: str) -> float:
    raise _LineError("NaN and Infinity are not JSON")


def _integer(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise _LineError(f"a number with more than {_MAX_DIGITS} digits")
    return int(digits)


# Stricter than Python's reader: what it lets pass would not survive being written again.
_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_int=_integer
)


def _check_meta(meta: object) -> None:
    """Accept only what can be written as JSON again, within bounds.

    Raises:
        _LineError: it is no object, too deep, too long, or holds what JSON or UTF-8 cannot.
    """
    if not isinstance(meta, dict):
        raise _LineError('"meta" must be an object')
    _check_depth(meta)
    try:
        text = json.dumps(meta, ensure_ascii=False, allow_nan=False)
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise _LineError('"meta" is no valid Unicode text (lone surrogates)') from None
    except ValueError:  # 1e999 is read as infinity
        raise _LineError('"meta" holds a number that is too large') from None
    if len(text) > MAX_META_CHARACTERS:
        raise _LineError(f'"meta" has more than {MAX_META_CHARACTERS:,} characters')


def _check_depth(meta: dict[str, Any]) -> None:
    level: list[Any] = [meta]
    for _ in range(MAX_META_DEPTH):
        level = [inner for value in level for inner in _inner(value)]
        if not level:
            return
    raise _LineError('"meta" is nested too deeply')


def _inner(value: Any) -> list[Any]:
    values = value.values() if isinstance(value, dict) else value
    return [inner for inner in values if isinstance(inner, (dict, list))]
