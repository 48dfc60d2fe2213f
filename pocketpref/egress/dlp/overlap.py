"""Detect words copied from the memory: in a row, one by one, or scattered.

Five words in a row of a stored text are a copy of it (memory_index.py says why five), also with one
word exchanged or put in, and so are four when small words are left out. A run is no copy if all of
it is in the wording of an attribute, for that is the program's own text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pocketpref.egress.dlp.context import ECHO, Finding, Known
from pocketpref.egress.dlp.text import SMALL_WORDS, Word, fold, folded_words, sentences, words
from pocketpref.records import Attribute

# Words of the memory that are hidden in the letters of other words.
#
# Looked for: names and uncommon words of the memory, which are what is worth hiding. They are found
# across the borders of words, backwards, under every shift of the alphabet, and as first or last
# letters of words, sentences and lines, also of each second or third. Who agrees with the receiver
# on some other rule (the third letter of each fifth word) is not found out; see docs/egress.md.

LONGEST: Final = 24
"""Letters of a hidden word at most."""


@dataclass(frozen=True, slots=True)
class Least:
    """Letters from which on a hidden word is taken for no accident.

    Against 204 harmless summaries and the words of 5,000 real texts, shorter ones were found by
    accident in more than one summary of a hundred (``tools/attack/summaries.py``).

    Attributes:
        name: of a name.
        word: of an uncommon word.
    """

    name: int
    word: int


ACROSS: Final = Least(name=6, word=8)
SHIFTED: Final = Least(name=5, word=6)
STREWN: Final = Least(name=5, word=6)
FRAMED: Final = Least(name=4, word=5)
HEADS: Final = Least(name=3, word=4)

_ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz"
_MIRRORED: Final = str.maketrans(_ALPHABET, _ALPHABET[::-1])
_SHIFTED: Final = tuple(
    str.maketrans(_ALPHABET, _ALPHABET[n:] + _ALPHABET[:n]) for n in range(1, 26)
)

Letter = tuple[str, int, int]
"""A folded letter or digit, and where in the text the thing it stands for begins and ends."""


def across(text: str, known: Known) -> Iterator[Finding]:
    """Stored words whose letters stand in a row across words, forwards or backwards."""
    letters = [(c, w.start, w.end) for w in words(text) for c in w.text]
    for start, end in (*_hidden(letters, known, ACROSS), *_hidden(letters[::-1], known, ACROSS)):
        yield Finding(start, end, "across", "the letters of a word of the memory, across words")


def shifted(text: str, known: Known) -> Iterator[Finding]:
    """Words that another alphabet (Caesar's, ROT13, Atbash) or reading backwards makes stored."""
    ways = [(word, way) for word in words(text) for way in other_readings(word.text)]
    for place in _worth_hiding([way for _, way in ways], known, SHIFTED):
        word, _ = ways[place]
        reason = "a word of the memory in another alphabet, or backwards"
        yield Finding(word.start, word.end, "shifted", reason)


def other_readings(word: str) -> Iterator[str]:
    """The word backwards, and forwards and backwards in every other alphabet."""
    yield word[::-1]
    for alphabet in (*_SHIFTED, _MIRRORED):
        way = word.translate(alphabet)
        yield from (way, way[::-1])


def acrostic(text: str, known: Known) -> Iterator[Finding]:
    """Stored words made of the first or last letters of words, sentences or lines."""
    found = words(text)
    beginnings = [
        Word(word.text, start + word.start, start + word.end)
        for start, end in sentences(text)
        for word in words(text[start:end])[:1]
    ]
    for way in (beginnings, beginnings[::-1]):
        yield from _acrostic(way, known, 0, HEADS)
    for head in beginnings:
        # A shorter word is no accident either if it begins where a sentence does.
        initials = found[found.index(head) :][:LONGEST]
        letters = "".join(word.text[0] for word in initials)
        prefixes = [letters[:size] for size in range(len(letters) + 1)]
        for size in _worth_hiding(prefixes, known, FRAMED):
            reason = "first letters of a sentence make a word of the memory"
            yield Finding(initials[0].start, initials[size - 1].end, "acrostic", reason)
    for place, stride in ((0, 1), (-1, 1), (0, 2), (0, 3)):
        for first in range(stride):
            strewn = found[first::stride]
            for way in (strewn, strewn[::-1]):
                yield from _acrostic(way, known, place, STREWN)


def _acrostic(found: Sequence[Word], known: Known, place: int, least: Least) -> Iterator[Finding]:
    letters = [(word.text[place], word.start, word.end) for word in found]
    for start, end in _hidden(letters, known, least):
        reason = "first or last letters make a word of the memory"
        yield Finding(start, end, "acrostic", reason)


def _hidden(letters: Sequence[Letter], known: Known, least: Least) -> Iterator[tuple[int, int]]:
    """Where a run of letters is a stored word, and where the things they stand for are."""
    stream = "".join(letter for letter, _, _ in letters)
    runs = [
        (first, first + size)
        for size in range(min(least.name, least.word), min(LONGEST, len(stream)) + 1)
        for first in range(len(stream) - size + 1)
    ]
    candidates = [stream[first:last] for first, last in runs]
    for place in _worth_hiding(candidates, known, least):
        run = letters[slice(*runs[place])]
        if reaches_over(run):
            ends = [end for _, *both in run for end in both]
            yield min(ends), max(ends)


def reaches_over(run: Sequence[Letter]) -> bool:
    """Whether a run takes more than a letter of each word at its ends, or a letter of each word."""
    one_each = run[0][1:] != run[1][1:] and run[-1][1:] != run[-2][1:]
    ends_in_two = run[0][1:] == run[1][1:] and run[-1][1:] == run[-2][1:]
    return run[0][1:] != run[-1][1:] and (one_each or ends_in_two)


def _worth_hiding(candidates: Sequence[str], known: Known, least: Least) -> list[int]:
    """Places of the candidates that are names or uncommon words of the memory, if long enough."""
    names = known.memory.names(candidates)
    others = known.memory.uncommon(candidates)
    named = (n for n in names if len(candidates[n]) >= least.name)
    return sorted({*named, *(n for n in others if len(candidates[n]) >= least.word)})


_UNUSUAL: Final = "no word that summaries use"
_STRIDES: Final = (2, 3)
"""Every second or third word may be the copy, and what stands between them a cover."""


def copied(text: str, known: Known) -> Iterator[Finding]:
    """Words in a row that stand so in a stored text; also backwards, or with others between."""
    found = words(text)
    yield from _runs(found, known, "as many words in a row as in a stored text")
    yield from _runs(found[::-1], known, "words of a stored text, backwards")
    for stride in _STRIDES:
        for first in range(stride):
            strewn = found[first::stride]
            yield from _runs(strewn, known, "words of a stored text with others between them")


def _runs(found: Sequence[Word], known: Known, reason: str) -> Iterator[Finding]:
    own = _own_wordings(known.attributes)
    for start, end in known.memory.copied([word.text for word in found]):
        run = found[start:end]
        if f" {' '.join(word.text for word in run)} " not in own:
            yield _finding(run, "copied", reason)


def echoed(text: str, known: Known) -> Iterator[Finding]:
    """The same for words that mean something: small words were put in, left out or exchanged."""
    found = [word for word in words(text) if word.text not in SMALL_WORDS]
    own = _own_wordings(known.attributes, small=False)
    for place in known.memory.echoed([word.text for word in found]):
        run = found[place : place + ECHO]
        if f" {' '.join(word.text for word in run)} " not in own:
            yield _finding(run, "echoed", "the telling words of a stored sentence, in its order")


def foreign(text: str, known: Known) -> Iterator[Finding]:
    """Words that are not of a summary's vocabulary, above all those that the memory holds."""
    speaks = known.speaks
    found = [word for word in words(text) if not speaks(word.text)]
    stored = known.memory.words([word.text for word in found])
    for place, word in enumerate(found):
        reason = "an uncommon word out of the memory" if place in stored else _UNUSUAL
        yield Finding(word.start, word.end, "foreign", reason)


def named(text: str, known: Known) -> Iterator[Finding]:
    """Plain words that the memory knows as names only."""
    said = known.said
    found = [word for word in words(text) if word.text not in said]
    for place in known.memory.names([word.text for word in found]):
        word = found[place]
        yield Finding(word.start, word.end, "named", "a name in the memory")


def _finding(run: Sequence[Word], check: str, reason: str) -> Finding:
    start, end = min(word.start for word in run), max(word.end for word in run)
    return Finding(start, end, check, reason)


@lru_cache(maxsize=8)
def _own_wordings(attributes: tuple[Attribute, ...], *, small: bool = True) -> str:
    """All wordings of the bank as words between blanks; runs do not reach from one to the next."""
    texts = [text for a in attributes for text in (a.wording, a.opposite, a.name)]
    found = (folded_words(fold(text)) for text in texts)
    kept = ([w for w in those if small or w not in SMALL_WORDS] for those in found)
    return " | ".join(["", *(" ".join(those) for those in kept), ""])
