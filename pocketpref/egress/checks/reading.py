"""Reading a text as a receiver would who knows the usual disguises.

``fold`` undoes look-alike, full-width, accented and ornamental letters and drops what is invisible,
so that a word is found whatever it is dressed up in. That it was dressed up at all is a finding of
its own (characters.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W_]+(?:'[^\W_]+)*")
_SENTENCE: Final = re.compile(
    r"\S(?:\b[ei]\.[eg]\.|[^.!?\n]|[.!?](?=[^\s.!?\"')\u2019\u201d]))*[.!?]*[\"')\u2019\u201d]*"
)
_ORNATE: Final = re.compile(
    r"(?:.* )?(?:LATIN|INDICATOR) .*\bLETTER "
    r"(?:(?:SMALL CAPITAL|DOTLESS|SCRIPT|TURNED|REVERSED|INVERTED) )?([A-Z])(?: WITH .*)?"
)
_NOTHING_SEEN: Final = {"Mn", "Me", "Cc", "Cf", "Co", "Cs", "Cn"}
_APOSTROPHES: Final = "\u2019\u2018\u02bc\u00b4`"

# Letters of other scripts that are drawn like Latin ones. Unicode's own table (TR 39) is far
# longer; these are the ones with which whole words can be spelled.
_LOOK_ALIKES: Final = dict(
    zip(
        "авсԁеһіјкӏмнорԛгѕтуѵԝхαβεγηικνορστυχωհոսցɑ",  # that is the point
        "abcdehijklmhopqrstyvwxabeynikvopstuxwhnuga",
        strict=True,
    )
)


def _fold_character(character: str) -> str:
    if character in _APOSTROPHES:
        return "'"
    if character in "\n\t":
        return character
    return "".join(map(_base, unicodedata.normalize("NFKD", character).casefold()))


def _base(character: str) -> str:
    if character.isascii():
        return character if character.isprintable() else ""
    if character in _LOOK_ALIKES:
        return _LOOK_ALIKES[character]
    ornate = _ORNATE.fullmatch(unicodedata.name(character, ""))
    if ornate:
        return ornate[1].lower()
    return "" if unicodedata.category(character) in _NOTHING_SEEN else character


class _Folds(dict[int, str]):
    """Code point -> what it folds to, worked out when it is first met."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold_character(chr(code))
        return folded


_FOLDS: Final = _Folds()


def fold(text: str) -> str:
    """A text in plain lower-case letters, without accents, ornaments and invisible characters."""
    return text.translate(_FOLDS)


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text.

    Attributes:
        text: as it is compared: folded, without apostrophes and a possessive ending.
        start: where it begins in the text, in characters.
        end: one past its last character.
    """

    text: str
    start: int
    end: int


def words(text: str) -> list[Word]:
    """The words of a text, in order; parts of compounds with hyphens are words of their own."""
    return [Word(bare(found), start, end) for found, start, end in search(_WORD, text)]


def search(pattern: re.Pattern[str], text: str) -> Iterator[tuple[str, int, int]]:
    """Every match of a pattern in the folded text, and where it stands in the text as it is."""
    folded, origin = _traced(text)
    for found in pattern.finditer(folded):
        if found[0]:
            yield found[0], origin[found.start()], origin[found.end() - 1] + 1


@lru_cache(maxsize=2)
def _traced(text: str) -> tuple[str, list[int]]:
    """The folded text, and from which character each of its characters comes."""
    pieces = [_FOLDS[ord(character)] for character in text]
    return "".join(pieces), [place for place, piece in enumerate(pieces) for _ in piece]


def forget_text() -> None:
    """Drop what was kept of the last texts, so that one need not be read anew by each check."""
    _traced.cache_clear()


def folded_words(folded: str) -> list[str]:
    """Only the words, of a text that is folded already: the quick way for stored texts."""
    found: list[str] = _WORD.findall(folded)
    return [bare(word) if "'" in word else word for word in found]


def bare(word: str) -> str:
    """A folded word without a possessive ending and apostrophes."""
    return word.removesuffix("'s").replace("'", "")


def sentences(text: str) -> list[tuple[int, int]]:
    """Where the sentences of a text begin and end; an ended line ends a sentence, too."""
    return [(s.start(), s.end()) for s in _SENTENCE.finditer(text)]
