"""Plain characters only: nothing invisible, nothing that looks like something else, no mark-up."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterator
from typing import Final

from pocketpref.egress.checks.finding import Finding
from pocketpref.egress.checks.known import Known
from pocketpref.egress.checks.reading import sentences, words

_PUNCTUATION: Final = " \n.,;:!?'\"()-\u2018\u2019\u201c\u201d\u2013\u2014\u2026"
_UNSEEN: Final = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp", "Zs", "Mn", "Me"}
_BLANK_LETTERS: Final = "\u115f\u1160\u3164\uffa0\u2800"  # letters by category, blank on screen
_RUNS: Final = re.compile(r"[!?]{2,}|(?<!\.)\.{2}(?!\.)|\.{4,}|[,;:]{2,}|-{2,}|[\"'()]{3,}|!\?|\?!")
_COLON: Final = re.compile(r": (?=[A-Z])")
_CAPITALIZED: Final = re.compile(r"[A-Z]\w+")
_CAPITAL: Final = re.compile(r"[A-Z]")
_BORROWED: Final = frozenset({"cliché", "clichés", "naïve", "naïvely"})
_ALWAYS_CAPITAL: Final = {"i", "im", "ive", "id", "ill", "english"}


def invisible(text: str, known: Known) -> Iterator[Finding]:
    """Zero-width, control, direction and filler characters, tags, variation selectors."""
    for place, character in enumerate(text):
        if character in " \n":
            continue
        if unicodedata.category(character) in _UNSEEN or character in _BLANK_LETTERS:
            yield Finding(place, place + 1, "invisible", "a character that cannot be seen")


def foreign_letters(text: str, known: Known) -> Iterator[Finding]:
    """Letters of other scripts, accents and look-alikes, but in words that may be said."""
    exact = _BORROWED | {word.casefold() for word in known.words}
    for word in words(text):
        written = text[word.start : word.end]
        straight = _straight(written)
        if not straight.isascii() and straight not in exact:
            reason = "letters that are not those of plain English, though they may look like them"
            yield Finding(word.start, word.end, "foreign_letters", reason)


def _straight(written: str) -> str:
    return unicodedata.normalize("NFC", written.replace("\u2019", "'").casefold())


def signs(text: str, known: Known) -> Iterator[Finding]:
    """Emojis, mark-up and signs with which links, code and data are written."""
    for place, character in enumerate(text):
        if character.isalnum() or character in _PUNCTUATION:
            continue
        if unicodedata.category(character) not in _UNSEEN:
            yield Finding(place, place + 1, "signs", _sign_reason(character))


def _sign_reason(character: str) -> str:
    if not character.isascii():
        return "a sign or an emoji"
    return "a character of mark-up, links, code or data"


def punctuation(text: str, known: Known) -> Iterator[Finding]:
    """Runs of punctuation can count, or draw; one mark says all that a sentence needs."""
    for found in _RUNS.finditer(text):
        yield Finding(found.start(), found.end(), "punctuation", "a run of punctuation marks")


def capitals(text: str, known: Known) -> Iterator[Finding]:
    """Capital letters within a sentence: a name, an abbreviation, or letters picked out."""
    beginnings = {_first_letter(text, start) for start, _ in sentences(text)}
    beginnings |= {colon.end() for colon in _COLON.finditer(text)}
    allowed = _capitalized(known)
    for word in words(text):
        written = text[word.start : word.end]
        first = word.start in beginnings or word.text in allowed
        if _CAPITAL.search(written[1:] if first else written):
            reason = "a capital letter within a sentence, as names have"
            yield Finding(word.start, word.end, "capitals", reason)


def _first_letter(text: str, start: int) -> int:
    return next((n for n in range(start, len(text)) if text[n].isalpha()), start)


def _capitalized(known: Known) -> Collection[str]:
    """Words that may begin with a capital anywhere: names of attributes, and what is allowed."""
    named = [a for a in known.attributes if a.category != "values" or a.name in known.values]
    said = " ".join((*(a.name for a in named), *known.words))
    # What has a capital in a wording, such as a point of the compass, has one here.
    said += " " + " ".join(_CAPITALIZED.findall(" ".join(a.wording for a in named)))
    return _ALWAYS_CAPITAL | {word.text for word in words(said)}
