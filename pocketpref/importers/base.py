"""The entries that readers yield, and checks shared by all formats."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pocketpref.errors import PairError
from pocketpref.records import Feedback, Pair

MAX_NAME_CHARACTERS: Final = 256
"""Longest source id that is kept."""

MAX_USER_CHARACTERS: Final = 200
"""Longest user name, as it is kept."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LATEST_SECOND: Final = 253_402_300_799  # 9999-12-31T23:59:59Z, the end of ``datetime``
_FIRST_MILLISECOND: Final = 1e11  # as seconds it would be the year 5138


@dataclass(frozen=True, slots=True)
class BadEntry:
    """An entry of a file that is no usable pair.

    Attributes:
        line: its line (1-based) in a line-by-line format, or None.
        reason: what is wrong with it; names fields and positions, never quotes the file's text.
    """

    line: int | None
    reason: str


Entry = Feedback | BadEntry


def feedback_from(
    prompt: str, chosen: str, rejected: str, *, created: datetime | None, meta: Mapping[str, Any]
) -> Feedback | PairError:
    """Build imported feedback; a pair that cannot be kept comes back as its error."""
    try:
        pair = Pair(prompt=prompt, chosen=chosen, rejected=rejected)
    except PairError as error:
        return error
    return Feedback(pair=pair, created=created, origin="import", meta=meta)


def is_name(value: object) -> bool:
    """Whether a value is a valid source id: short, printable text."""
    return (
        isinstance(value, str)
        and 0 < len(value) <= MAX_NAME_CHARACTERS
        and bool(value.strip())
        and value.isprintable()  # also False for lone surrogates and control characters
    )


def is_user(value: object) -> bool:
    """Whether a value is a valid user name, also in the normal form that a vault stores."""
    return (
        isinstance(value, str)
        and is_name(value)
        and len(unicodedata.normalize("NFC", value.strip())) <= MAX_USER_CHARACTERS
    )


def named(**values: object) -> dict[str, Any]:
    """Return the values that are valid names or ids."""
    return {key: value for key, value in values.items() if is_name(value)}


def moment_from_epoch(value: object) -> datetime | None:
    """A UTC time from seconds or milliseconds since 1970, or None if the value is no such thing."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    seconds = value / 1000 if _FIRST_MILLISECOND <= value < 1e15 else value
    if not 0 < seconds <= _LATEST_SECOND:  # also False for NaN
        return None
    # Not fromtimestamp: on Windows that ends with the year 3000.
    return _EPOCH + timedelta(seconds=seconds)


def moment_from_iso(value: object) -> datetime | None:
    """A UTC time from ISO 8601 text (without an offset: UTC), or None if it is no such thing."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # OverflowError: an offset that leaves the years 1 to 9999
        return None
