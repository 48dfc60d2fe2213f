"""Makes broken inputs out of sound ones, for `parsers.py`.

Half of the changes know nothing of the format (bits, cuts, repetitions, splices); the other half
do, so that a case comes past the first check: values of wrong types in JSON, odd tokens in TOML,
lengths and kinds in binary frames. Many put in ``MARKER``, a word that no message of ours holds,
so that an error that quotes its input is noticed.
"""

from __future__ import annotations

import json
import math
import random
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

MARKER: Final = "Quixotrybble"
MAX_CASE_BYTES: Final = 512 * 1024

# Larger ones are kept because they are large; changed further, they would only take time.
_MAX_BASE_BYTES: Final = 100_000

Form = Literal["json", "lines", "toml", "text", "binary", "learned", "frames"]
Way = Callable[[bytes, random.Random], bytes]

_TOKENS: Final = (
    *(b"\0", b"\n", b"\r", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8"),
    *(b'"', b"'", b"\\", b"\\u0000", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"=", b"."),
    *(b"null", b"true", b"NaN", b"-Infinity", b"1e999", b"-1", b"9" * 400, b"9" * 5000),
    *(b"hf:", b"../", b"~", b".gguf", b"PK\x03\x04", b"PK\x05\x06", MARKER.encode()),
)
_ODD_TEXTS: Final = (
    *("", " ", "\0", "\ud800", "\u2028", "\x1b[31m", MARKER, MARKER * 60, f"{MARKER} {MARKER}"),
    *("~nobody-of-that-name/x", "2026-13-45", "0001-01-01T00:00:00+23:59", "\u0301\u0327" * 400),
    *("9999-12-31T23:59:59.999999-23:59", "1", "-1", "user", "assistant", "import", "default"),
)
_ODD_NUMBERS: Final = (
    *(0, -1, 1, 2, 2**31, 2**63, -(2**64), 10**400, 1e11, 1e15, 1e308, -0.0, 5e-324, 0.5),
    *(math.nan, math.inf, -math.inf, 253_402_300_800, 10**4000),
)
_ODD_TOML: Final = (
    *(b"inf", b"nan", b"-1", b"1979-05-27", b"07:32:00", b"[]", b"{}", b'""', b"true", b"1" * 5000),
    *(b"0x" + b"f" * 5000, b"[" * 3000, b"{a=" * 500, b"[" * 60 + b"]" * 60, b"a" + b".a" * 600),
    *(
        b'"\\u0000"',
        b'"\\uD800"',
        b'"\\u001b[31m"',
        b"'~nobody-of-that-name/x'",
        b'"""',
        b"{a=1,a=2}",
    ),
    *(f'"{MARKER}"'.encode(), MARKER.encode(), f"[{MARKER}]".encode(), f"{MARKER}=1\n".encode()),
)
_TOML_TOKEN: Final = re.compile(rb"\"[^\"\n]*\"|'[^'\n]*'|\[\[?[^\[\]\n]*\]\]?|[\w.-]+|=")
_NUMBER: Final = re.compile(rb"-?\d+(?:\.\d+)?")
_INTEGERS: Final = (0, 1, 7, 8, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 2**20, 2**20 + 1, 2**31 - 1, 2**32 - 1)
_FRAME: Final = struct.Struct("<BI")
_LENGTH: Final = struct.Struct("<I")
_ID_BYTES: Final = 12


class Mutator:
    """An endless supply of cases, the same for the same seed."""

    def __init__(self, corpus: Sequence[bytes], form: Form, dice: random.Random) -> None:
        self._corpus = [case for case in corpus if len(case) <= _MAX_BASE_BYTES]
        self._dice = dice
        self._knowing = _KNOWING[form]

    def case(self) -> bytes:
        """A new case: something of the corpus, changed once or a few times."""
        case = self._dice.choice(self._corpus)
        for _ in range(self._dice.choice((1, 1, 1, 2, 2, 4))):
            if self._dice.random() < 0.05:
                case = _splice(case, self._dice.choice(self._corpus), self._dice)
            ways = self._knowing if self._dice.random() < 0.6 else _PLAIN
            case = self._dice.choice(ways)(case, self._dice)
        return case[:MAX_CASE_BYTES]


# ------------------------------------------------------------------------------ knowing nothing


def _span(case: bytes, dice: random.Random, most: int) -> tuple[int, int]:
    start = dice.randint(0, len(case))
    return start, min(len(case), start + dice.randint(0, most))


def _flip(case: bytes, dice: random.Random) -> bytes:
    changed = bytearray(case)
    for _ in range(dice.randint(1, 4) if case else 0):
        changed[dice.randrange(len(case))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut(case: bytes, dice: random.Random) -> bytes:
    start, end = _span(case, dice, 64)
    return case[:start] + case[end:]


def _truncate(case: bytes, dice: random.Random) -> bytes:
    return case[: dice.randint(0, len(case))]


def _repeat(case: bytes, dice: random.Random) -> bytes:
    start, end = _span(case, dice, 200)
    return case[:end] + case[start:end] * dice.choice((1, 2, 10, 100)) + case[end:]


def _swap(case: bytes, dice: random.Random) -> bytes:
    start, middle = _span(case, dice, 80)
    end = min(len(case), middle + dice.randint(0, 80))
    return case[:start] + case[middle:end] + case[start:middle] + case[end:]


def _insert_noise(case: bytes, dice: random.Random) -> bytes:
    start, end = _span(case, dice, 8)
    return case[:start] + dice.randbytes(dice.randint(1, 16)) + case[end:]


def _insert_token(case: bytes, dice: random.Random) -> bytes:
    start, end = _span(case, dice, 12)
    return case[:start] + dice.choice(_TOKENS) + case[dice.choice((start, end)) :]


def _nest(case: bytes, dice: random.Random) -> bytes:
    start, _ = _span(case, dice, 0)
    opening, closing = dice.choice(((b"[", b"]"), (b'{"a":', b"}"), (b"(", b")")))
    depth = dice.choice((3, 33, 300, 3000)) if dice.random() < 0.98 else 50_000
    return case[:start] + opening * depth + closing * dice.choice((0, depth)) + case[start:]


def _splice(case: bytes, other: bytes, dice: random.Random) -> bytes:
    return case[: dice.randint(0, len(case))] + other[dice.randint(0, len(other)) :]


_PLAIN: Final[tuple[Way, ...]] = (
    *(_flip, _flip, _cut, _cut, _truncate, _repeat, _swap),
    *(_insert_noise, _insert_token, _insert_token, _nest),
)

# ------------------------------------------------------------------------------ knowing JSON


def _odd_value(dice: random.Random) -> Any:
    kind = dice.randrange(4)
    if kind == 0:
        return dice.choice(_ODD_TEXTS)
    if kind == 1:
        return dice.choice(_ODD_NUMBERS)
    if kind == 2:
        return dice.choice((None, True, False, [], {}, [[]], {"": {}}, [None], {MARKER: MARKER}))
    value: Any = MARKER
    for _ in range(dice.choice((2, 31, 40, 300))):
        value = [value] if dice.random() < 0.5 else {"a": value}
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container in a document with each of its keys."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        holder = waiting.pop()
        keys = list(holder) if isinstance(holder, dict) else range(len(holder))
        for key in keys:
            found.append((holder, key))
            if isinstance(holder[key], (dict, list)):
                waiting.append(holder[key])
    return found


def _change_value(document: Any, dice: random.Random) -> Any:
    places = _places(document) if isinstance(document, (dict, list)) else []
    if not places:
        return _odd_value(dice)
    (holder, key), (other, place) = dice.choice(places), dice.choice(places)
    match dice.randrange(5):
        case 0 | 1:
            holder[key] = _odd_value(dice)
        case 2:  # a value of this document in a wrong place
            holder[key] = json.loads(_written(other[place], dice))
        case 3:
            del holder[key]
        case _ if isinstance(holder, dict):
            holder[dice.choice((MARKER, "", str(place)))] = holder.pop(key)
        case _:
            holder.append(holder[key])
    return document


def _written(value: Any, dice: random.Random) -> bytes:
    text = json.dumps(value, ensure_ascii=dice.random() < 0.5)
    return text.encode("utf-8", "surrogatepass")


def _json(case: bytes, dice: random.Random) -> bytes:
    try:
        return _written(_change_value(json.loads(case), dice), dice)
    except (ValueError, RecursionError):  # an earlier change broke it
        return _number(case, dice)


def _line(case: bytes, dice: random.Random) -> bytes:
    lines = case.split(b"\n")
    place = dice.randrange(len(lines))
    lines[place] = _json(lines[place], dice)
    return b"\n".join(lines)


def _number(case: bytes, dice: random.Random) -> bytes:
    numbers = list(_NUMBER.finditer(case))
    if not numbers:
        return _insert_token(case, dice)
    found = dice.choice(numbers)
    extreme = str(dice.choice(_ODD_NUMBERS)).encode()
    return case[: found.start()] + extreme + case[found.end() :]


# ------------------------------------------------------------------------------ knowing TOML


def _toml_token(case: bytes, dice: random.Random) -> bytes:
    tokens = list(_TOML_TOKEN.finditer(case))
    if not tokens:
        return _insert_token(case, dice)
    found = dice.choice(tokens)
    new = dice.choice(_ODD_TOML) if dice.random() < 0.7 else dice.choice(tokens).group()
    return case[: found.start()] + new + case[found.end() :]


def _toml_line(case: bytes, dice: random.Random) -> bytes:
    lines = case.split(b"\n")
    place = dice.randrange(len(lines))
    match dice.randrange(3):
        case 0:
            del lines[place]
        case 1:
            lines.insert(dice.randrange(len(lines)), lines[place])
        case _:
            lines[place] = dice.choice(_ODD_TOML) + b" = " + dice.choice(_ODD_TOML)
    return b"\n".join(lines)


# ------------------------------------------------------------------------------ knowing bytes


def _integer(case: bytes, dice: random.Random) -> bytes:
    """Write an extreme number over some bytes, the way lengths and costs stand in headers."""
    size = dice.choice((1, 2, 4, 8))
    early = dice.random() < 0.7  # that is where headers are
    start = dice.randint(0, min(len(case), 48) if early else len(case))
    order: Literal["little", "big"] = dice.choice(("little", "big"))
    number = dice.choice(_INTEGERS) & ((1 << 8 * size) - 1)
    return case[:start] + number.to_bytes(size, order) + case[start + size :]


def _learned(case: bytes, dice: random.Random) -> bytes:
    """Change the JSON behind a length, and mostly make the length fit again."""
    if len(case) < _LENGTH.size:
        return _insert_noise(case, dice)
    (length,) = _LENGTH.unpack_from(case)
    end = _LENGTH.size + length
    content = _json(case[_LENGTH.size : end], dice)
    size = len(content) if dice.random() < 0.95 else dice.choice(_INTEGERS)
    return _LENGTH.pack(size) + content + case[end:]


def _frame(case: bytes, dice: random.Random) -> bytes:
    frames = _frames(case)
    if not frames:
        return _integer(case, dice)
    place = dice.randrange(len(frames))
    kind, content = frames[place]
    match dice.randrange(8):
        case 0:
            del frames[place]
        case 1:
            frames.insert(dice.randrange(len(frames)), frames[place])
        case 2:
            frames[place] = (
                dice.randrange(256) if dice.random() < 0.3 else dice.randrange(4),
                content,
            )
        case 3:
            frames[place] = kind, dice.choice(_PLAIN)(content, dice)
        case _:
            frames[place] = kind, _content(kind, content, dice)
    return b"".join(_FRAME.pack(kind, len(content)) + content for kind, content in frames)


def _content(kind: int, content: bytes, dice: random.Random) -> bytes:
    if kind == 2:  # a memory: its id, then JSON
        return content[:_ID_BYTES] + _json(content[_ID_BYTES:], dice)
    if kind == 3:
        return _learned(content, dice)
    return dice.choice(_ODD_TEXTS).encode("utf-8", "surrogatepass")


def _frames(case: bytes) -> list[tuple[int, bytes]]:
    found, position = [], 0
    while position + _FRAME.size <= len(case):
        kind, size = _FRAME.unpack_from(case, position)
        position += _FRAME.size
        found.append((kind, case[position : position + size]))
        position += size
    return found


_KNOWING: Final[dict[Form, tuple[Way, ...]]] = {
    "json": (_json, _json, _json, _number),
    "lines": (_line, _line, _line, _number),
    "toml": (_toml_token, _toml_token, _toml_line),
    "text": (_insert_token, _repeat, _swap),
    "binary": (_integer, _flip),
    "learned": (_learned, _learned, _learned, _integer),
    "frames": (_frame, _frame, _frame, _integer),
}
