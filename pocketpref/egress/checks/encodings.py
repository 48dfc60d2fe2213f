"""Writing that is meant for a decoder: base64, hexadecimal, Morse, spaced and spelled letters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pocketpref.egress.checks.finding import Finding
from pocketpref.egress.checks.known import Known
from pocketpref.egress.checks.reading import search

_HEXADECIMAL: Final = re.compile(
    r"\b(?:0x)?(?=[a-f\s:-]*\d)(?:[0-9a-f]{2}[\s:-]?){4,}[0-9a-f]{0,2}\b|\b[0-9a-f]{10,}\b",
    re.IGNORECASE,
)
_BASE_64: Final = re.compile(r"(?<![\w+/=-])[A-Za-z0-9+/_-]{8,}={0,2}(?![\w+/=])")
_ESCAPES: Final = re.compile(
    r"(?:%[0-9a-f]{2}){2,}|(?:\\x[0-9a-f]{2})+|(?:\\u[0-9a-f]{4})+|&(?:#x?[0-9a-f]+|[a-z]+);"
    r"|=[0-9A-F]{2}(?==[0-9A-F]{2})|\bU\+[0-9a-f]{4,6}\b",
    re.IGNORECASE,
)
_BINARY: Final = re.compile(r"\b[01]{5,}(?:\s+[01]{5,})*\b")
_MARKS: Final = r"[.\u00b7\u2022\u2013\u2014_-]{1,6}"
_MORSE: Final = re.compile(rf"(?<!\w){_MARKS}(?:[ /|]+{_MARKS}){{2,}}(?!\w)")
_NATO: Final = re.compile(
    r"\b(?:(?:alfa|alpha|bravo|charlie|delta|echo|foxtrot|golf|hotel|india|juliett?|kilo|lima|mike"
    r"|november|oscar|papa|quebec|romeo|sierra|tango|uniform|victor|whiskey|x-?ray|yankee|zulu)"
    r"\W+){2,}"
)
_SPACED: Final = re.compile(r"(?<!\w)(?:[^\W_][\s.,;:_\-*|/\\]{1,3}){3,}[^\W_](?!\w)")
_MIXED: Final = re.compile(r"[a-z][A-Z]|[A-Za-z]\d|\d[A-Za-z]|[+=]")
_LEET: Final = re.compile(r"\b(?=\w*[a-z])\w*[0-9@$!|+]\w[\w@$!|+]*|\b\w*[a-z]\w*[0-9@$|+]\b")


def encoded(text: str, known: Known) -> Iterator[Finding]:
    """Runs that somebody decodes, whatever stands in them."""
    for pattern, what in (
        (_HEXADECIMAL, "hexadecimal"),
        (_ESCAPES, "escaped characters"),
        (_BINARY, "binary digits"),
        (_MORSE, "Morse code"),
    ):
        for found in pattern.finditer(text):
            yield Finding(found.start(), found.end(), "encoded", what)
    for found in _BASE_64.finditer(text):
        if _MIXED.search(found[0]):
            yield Finding(found.start(), found.end(), "encoded", "looks like base64")


def spelled(text: str, known: Known) -> Iterator[Finding]:
    """Words spelled letter by letter, with blanks or signs between, or by their radio names."""
    for pattern, reason in (
        (_SPACED, "single letters in a row"),
        (_NATO, "letters by their radio names"),
        (_LEET, "digits and signs in the place of letters"),
    ):
        for _, start, end in search(pattern, text):
            yield Finding(start, end, "spelled", reason)
