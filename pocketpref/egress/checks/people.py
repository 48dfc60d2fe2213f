"""Names: of people, of organisations, of the users of this vault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pocketpref.egress.checks.finding import Finding
from pocketpref.egress.checks.known import Known
from pocketpref.egress.checks.reading import fold, folded_words, search, sentences, words
from pocketpref.egress.checks.vocabulary import FIRST_NAMES, NAMES_THAT_ARE_WORDS

_SHORTEST_JOINED: Final = 5
"""Letters of a name that are no accident across words."""

_TITLES: Final = re.compile(
    r"\b(?:mr|mrs|ms|mx|dr|prof|herr|frau|monsieur|madame|senora?|sir|lady|madam|rev|fr|capt|sgt)"
    r"\.?\s+[a-z]"
)
_CALLED: Final = re.compile(
    r"\b(?:(?:is|am|was|are|be) (?:called|named|known as)|(?:my|his|her|their|whose) names?"
    r"|names? (?:is|are|begins?|starts?|ends?)|(?:goes|go) by|signed|sincerely|nicknames?)\b"
)
_BUSINESS: Final = re.compile(
    r"\b(?:inc|ltd|llc|llp|plc|gmbh|ag|kg|corp|corporation|s\.a|s\.r\.l|b\.v|oy|ab|university"
    r"|universitat|hospital|clinic|klinik|ministry|institute|academy|college|bank|church"
    r"|mosque|synagogue|temple|foundation|association|council|embassy|police|navy|army)\b"
)
_SUBJECT: Final = re.compile(
    rf"\b(?:{'|'.join(sorted(FIRST_NAMES))})(?='s\b|,? (?:and [a-z]+ )?"
    r"(?:prefers|likes|wants|dislikes|enjoys|needs|is|was|has|had|loves|hates|says|said|asks|asked"
    r"|reads|writes|chooses|picks|appreciates|favou?rs|works|lives|does|thinks|expects|values)\b)"
)


def people(text: str, known: Known) -> Iterator[Finding]:
    """Titles before names, "is called", and names that are also words, where only a name fits."""
    yield from _found(_TITLES, text, "a title, as before a name")
    yield from _found(_CALLED, text, "says what somebody is called")
    yield from _found(_SUBJECT, text, "a first name")
    for start, end in sentences(text):
        alone = words(text[start:end])
        if len(alone) == 1 and alone[0].text in NAMES_THAT_ARE_WORDS:
            yield Finding(start, end, "people", "a name by itself")


def _found(pattern: re.Pattern[str], text: str, reason: str) -> Iterator[Finding]:
    for _, start, end in search(pattern, text):
        yield Finding(start, end, "people", reason)


def organisations(text: str, known: Known) -> Iterator[Finding]:
    """Words that stand in the names of companies and institutions."""
    for _, start, end in search(_BUSINESS, text):
        yield Finding(start, end, "organisations", "a word of an organisation's name")


def users(text: str, known: Known) -> Iterator[Finding]:
    """Names of the people who share this vault, joined or apart, whatever their letters' case."""
    found = words(text)
    starts = {start for start, _ in sentences(text)}
    parts = {part for name in known.names for part in _name_parts(name)}
    for word in found:
        capital = text[word.start].isupper() and word.start not in starts
        if word.text in parts and (capital or not known.speaks(word.text)):
            yield Finding(word.start, word.end, "users", "the name of a user")
    yield from _joined(text, known)


def _name_parts(name: str) -> Iterator[str]:
    """Words of a name that can be told from plain words: of two letters or more, not small."""
    yield from (part for part in folded_words(fold(name)) if len(part) > 1)


def _joined_parts(name: str) -> Iterator[str]:
    parts = folded_words(fold(name))
    yield from (*parts, "".join(parts))


def _joined(text: str, known: Known) -> Iterator[Finding]:
    """Names whose letters stand in a row, across words and blanks."""
    letters = [(c, n) for n, c in enumerate(text) for c in fold(c) if c.isalnum()]
    stream = "".join(letter for letter, _ in letters)
    for wanted in {joined for name in known.names for joined in _joined_parts(name)}:
        if len(wanted) < _SHORTEST_JOINED or known.speaks(wanted):
            continue
        for way in (wanted, wanted[::-1]):
            for found in re.finditer(re.escape(way), stream):
                start, end = letters[found.start()][1], letters[found.end() - 1][1] + 1
                yield Finding(start, end, "users", "the letters of a user's name in a row")
