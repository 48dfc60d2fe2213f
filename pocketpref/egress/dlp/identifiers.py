"""Detect identifiers: addresses, numbers, secrets and names.

Mail and postal addresses, telephone, card and account numbers, keys, dates and encodings need no
check of their own: none can be written without a digit, a sign or a word that summaries do not use.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

from pocketpref.egress.dlp.context import Finding, Known
from pocketpref.egress.dlp.text import (
    FIRST_NAMES,
    NAMES_THAT_ARE_WORDS,
    Word,
    fold,
    folded_words,
    listed,
    search,
    sentences,
    words,
)

_TOLD: Final = re.compile(
    r"\b(?:pass ?words?|pass ?phrases?|pass ?codes?|pin|pins|tan|cvc|cvv|otp|seed phrase|api ?keys?"
    r"|secret ?keys?|private ?keys?|access ?tokens?|bearer|login|log ?in|user ?name|credentials?"
    r"|iban|account number|social security|ssn|passport)\b"
)


def told_secret(text: str, known: Known) -> Iterator[Finding]:
    """Talk of passwords, codes and accounts: nothing of it belongs into a summary."""
    yield from _matches(_TOLD, text, "told_secret", "talks of a password, a key or an account")


# Numbers, in digits and in words.

MAX_NUMBER_WORDS: Final = 3
"""Times that one, two or three may be said ("one point, two sentences"): more could be digits."""

_SMALL: Final = listed("one two three")
_MULTIPLES: Final = listed("hundred hundreds thousand thousands dozen dozens")
_LARGE: Final = listed(
    """
    zero four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
    seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety million
    billion trillion nought oh
    """
)
_ORDINALS: Final = listed(
    """
    fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth twentieth thirtieth fortieth fiftieth
    """
)


def digits(text: str, known: Known) -> Iterator[Finding]:
    """Digits of any script, Roman ones, fractions, circled ones: a summary needs none."""
    start: int | None = None
    for place, character in enumerate(f"{text} "):
        numeric = unicodedata.numeric(character, None) is not None
        if numeric and start is None:
            start = place
        elif not numeric and start is not None:
            yield Finding(start, place, "digits", "a number")
            start = None


def number_words(text: str, known: Known) -> Iterator[Finding]:
    """Numbers in words: beside each other, larger than three, or too many in one summary.

    So no number is told digit by digit over several summaries, unless all its digits are small.
    """
    found = words(text)
    for before, word in pairwise(found):
        if before.text in _SMALL and (word.text in _SMALL or word.text in _MULTIPLES):
            yield _number(before, word, "numbers in words, beside each other")
    for word in found:
        if word.text in _LARGE or word.text in _ORDINALS:
            yield _number(word, word, "a number in words")
    small = [word for word in found if word.text in _SMALL]
    if len(small) > MAX_NUMBER_WORDS:
        reason = f"more than {MAX_NUMBER_WORDS} numbers in words"
        yield _number(small[0], small[-1], reason)


def _number(first: Word, last: Word, reason: str) -> Finding:
    return Finding(first.start, last.end, "number_words", reason)


# Names: of people, of organisations, of the users of this vault.

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
    yield from _matches(_TITLES, text, "people", "a title, as before a name")
    yield from _matches(_CALLED, text, "people", "says what somebody is called")
    yield from _matches(_SUBJECT, text, "people", "a first name")
    for start, end in sentences(text):
        alone = words(text[start:end])
        if len(alone) == 1 and alone[0].text in NAMES_THAT_ARE_WORDS:
            yield Finding(start, end, "people", "a name by itself")


def organisations(text: str, known: Known) -> Iterator[Finding]:
    """Words that stand in the names of companies and institutions."""
    yield from _matches(_BUSINESS, text, "organisations", "a word of an organisation's name")


def users(text: str, known: Known) -> Iterator[Finding]:
    """Names of the people who share this vault, joined or apart, whatever their letters' case."""
    names = [folded_words(fold(name)) for name in known.names]
    starts = {start for start, _ in sentences(text)}
    parts = {part for name in names for part in name if len(part) > 1}
    for word in words(text):
        capital = text[word.start].isupper() and word.start not in starts
        if word.text in parts and (capital or not known.speaks(word.text)):
            yield Finding(word.start, word.end, "users", "the name of a user")
    yield from _joined(text, names, known)


def _joined(text: str, names: Sequence[Sequence[str]], known: Known) -> Iterator[Finding]:
    """Names whose letters are in a row, across words and blanks."""
    letters = [(c, n) for n, c in enumerate(text) for c in fold(c) if c.isalnum()]
    stream = "".join(letter for letter, _ in letters)
    for wanted in {joined for parts in names for joined in (*parts, "".join(parts))}:
        if len(wanted) < _SHORTEST_JOINED or known.speaks(wanted):
            continue
        for way in (wanted, wanted[::-1]):
            for found in re.finditer(re.escape(way), stream):
                start, end = letters[found.start()][1], letters[found.end() - 1][1] + 1
                yield Finding(start, end, "users", "the letters of a user's name in a row")


# Links and hosts. A vocabulary of words cannot tell "clear.me" from a full stop without a blank.

_URL: Final = re.compile(r"\b[a-z][a-z0-9+.-]*:(?=[\w/])[^\s<>\"]{2,}", re.IGNORECASE)
_HOST: Final = re.compile(r"\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?!g\b|e\b)[a-z]{2,}\b", re.I)
_HOST_IN_WORDS: Final = re.compile(r"\b[\w-]+\s+dot\s+(?:app|at|com|de|info|local|me|net|org)\b")
_LIVES: Final = re.compile(
    r"\b(?:(?:liv(?:e|es|ed|ing)|resid(?:e|es|ed|ing)) (?:at|in|near|on)|born|grew up|based in"
    r"|(?:who|he|she|they|user|person|i|reader) (?:also )?works? (?:at|for|as|in|near)|employed)\b"
)


def url(text: str, known: Known) -> Iterator[Finding]:
    """Links and hosts, also half in words; addresses in digits are numbers."""
    for pattern in (_URL, _HOST):
        for found in pattern.finditer(text):
            yield Finding(found.start(), found.end(), "url", "a link, a host or its address")
    yield from _matches(_HOST_IN_WORDS, text, "url", "a host's name in words")


def whereabouts(text: str, known: Known) -> Iterator[Finding]:
    """Sentences about where somebody lives, works or comes from."""
    yield from _matches(_LIVES, text, "whereabouts", "says where somebody lives or works")


def _matches(pattern: re.Pattern[str], text: str, check: str, reason: str) -> Iterator[Finding]:
    for _, start, end in search(pattern, text):
        yield Finding(start, end, check, reason)
