"""Words that are taken from the memory: in a row, one by one, or strewn in.

Five words in a row that stand in a stored text are a copy of it (memory.py says why five), also
with one word exchanged or put in, and so are four when small words are left out. A run is no copy
if all of it stands in the wording of an attribute, for that is the program's own text.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from pocketpref.egress.checks.finding import Finding
from pocketpref.egress.checks.known import Known
from pocketpref.egress.checks.memory import ECHO
from pocketpref.egress.checks.reading import Word, fold, folded_words, words
from pocketpref.egress.checks.vocabulary import SMALL_WORDS
from pocketpref.records import Attribute

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
