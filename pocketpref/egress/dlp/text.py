"""Normalize text and undo the usual disguises.

``fold`` undoes look-alike, full-width, accented and ornamental letters and drops what is invisible,
so that a word is found whatever it is dressed up in. That it was dressed up at all is a finding of
its own (form.py).
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
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


def base_letter(character: str) -> str:
    """What a decomposed character looks like in plain ASCII, if like anything; "" if unseen."""
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
        character = chr(code)
        if character in _APOSTROPHES:
            folded = "'"
        elif character in "\n\t":
            folded = character
        else:
            folded = "".join(map(base_letter, unicodedata.normalize("NFKD", character).casefold()))
        self[code] = folded
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


# The words that a summary may use: those that say how answers should be.
#
# A list of common English words would let a diagnosis, a trade or a town through, and a hostile
# summarizer may write words that stand nowhere in the memory. So everything is foreign that is not
# on a list made for this one purpose (``vocabulary.txt``). It also bounds what choosing words can
# carry: at most log2 of the list's length for each word.


def listed(text: str) -> frozenset[str]:
    """The words of a list."""
    return frozenset(text.split())


SMALL_WORDS: Final = listed(
    """
    a about above after again all also although always am an and another any are around as ask
    asked asks at back be because been before being best better between both but by can come
    could did do does doing done dont down each either else enough even ever every few first
    follow followed for from get give given gives giving go good had has have having he her here
    him his how however i if im in instead into is isnt it its just keep last least less let
    like liked likes little long made make makes making many may me mean might more most much
    must my need needed needs never no nor not nothing now of off often on once one ones only or
    other our out over own people person prefer preferred prefers put rather really same say see
    set she should show since small so some something state still such take tend than that the
    their them themselves then there these they thing things this those though through time to
    too turn two under unless until up use used user uses using usually very want wants was way
    ways we well were what when where whether which while who why will with without would write
    you your
    """
)
"""Words that say little by themselves: no sign of a copy, and no sign of a name."""

FIRST_NAMES: Final = listed(
    """
    art august bill bliss charity chase clay cliff clip dale dawn dean drew earl earnest ernest
    faith flora frank gene glen grace grant guy harmony heath holly honor hope iris ivy jack joy
    june lance lark mark max may melody mercy merit miles misty norm olive pat patience pearl
    penny prudence ray reed rich rob robin rose ruby sage serenity sky sue summer ted trinity
    victor violet wade will
    """
)
"""Words that are also first names."""

NAMES_THAT_ARE_WORDS: Final = FIRST_NAMES | listed(
    """
    archer banks bell berry best bishop bond bridges brown burns butler carver chambers church
    cook cross fields fisher forge foster good green grey hall hardy hood knight lane long love
    major marks mills moody noble page parish park pope potter power price reading rivers savage
    sharp short small stark sterling stone story strong swift temple underhill ward waters wells
    west wild wise wolf wood woods wright young
    """
)
"""Words that are also names of people: a capital letter within a sentence makes them one."""

_ENDINGS: Final = (
    ("ies", "y"),
    ("es", ""),
    ("s", ""),
    ("ied", "y"),
    ("ed", "e"),
    ("ed", ""),
    ("ing", "e"),
    ("ing", ""),
    ("ically", "ic"),
    ("iness", "y"),
    ("ness", ""),
    ("al", ""),
    ("able", "e"),
    ("able", ""),
    ("ion", "e"),
    ("ion", ""),
    ("ily", "y"),
    ("bly", "ble"),
    ("ly", ""),
)
_PREFIXES: Final = ("un", "non", "over", "under", "mis")
_SHORTEST_STEM: Final = 3
_DOUBLED: Final = ("ed", "ing")


@functools.cache
def base_words() -> frozenset[str]:
    """The list as it is shipped, in base forms, with the small words."""
    return frozenset().union(SMALL_WORDS, *(words for _, words in _sections()))


@functools.cache
def answer_words() -> frozenset[str]:
    """Those of them that say how answers are."""
    return frozenset().union(*(words for about, words in _sections() if about)) - SMALL_WORDS


@functools.cache
def _sections() -> tuple[tuple[bool, frozenset[str]], ...]:
    """Whether each section of the file is about answers, and its words."""
    listed = resources.files(__package__).joinpath("vocabulary.txt").read_text("utf-8")
    sections = re.split(r"^# (====|----) .*$", listed, flags=re.MULTILINE)[1:]
    pairs = zip(sections[::2], sections[1::2], strict=True)
    return tuple((line == "====", frozenset(folded_words(fold(text)))) for line, text in pairs)


def about_answers(word: str) -> bool:
    """Whether a folded word, or what it is a regular form of, says how answers are."""
    return any(form in answer_words() for form in _forms(word))


def common(word: str, more: Collection[str] = ()) -> bool:
    """Whether a folded word, or what it is a regular form of, may be used.

    Args:
        word: as ``Word`` holds it.
        more: folded words that may be used besides, with their regular forms.
    """
    listed = base_words()
    return any(form in listed or form in more for form in _forms(word))


def _forms(word: str) -> Iterator[str]:
    yield word
    yield from _stems(word)
    for prefix in _PREFIXES:
        rest = word.removeprefix(prefix)
        if rest != word and len(rest) > _SHORTEST_STEM:
            yield rest
            yield from _stems(rest)


def _stems(word: str) -> Iterator[str]:
    for ending, instead in _ENDINGS:
        if not word.endswith(ending):
            continue
        stem = word.removesuffix(ending)
        if len(stem) < _SHORTEST_STEM:
            continue
        yield stem + instead
        if ending in _DOUBLED and stem[-1] == stem[-2]:  # planned, trimming
            yield stem[:-1]
        if ending == "ly" and stem.endswith(("ed", "ing")):  # repeatedly, surprisingly
            yield from _stems(stem)
