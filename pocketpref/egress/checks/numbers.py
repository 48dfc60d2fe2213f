"""Numbers, in digits and in words, and what they are made into: dates, phones, cards, accounts."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from pocketpref.egress.checks.finding import Finding
from pocketpref.egress.checks.known import Known
from pocketpref.egress.checks.reading import Word, words
from pocketpref.egress.checks.vocabulary import listed

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
_DATES: Final = listed(
    """
    january february april june july september october november december monday tuesday
    wednesday thursday friday saturday sunday
    """
)
_MONTHS_THAT_ARE_WORDS: Final = re.compile(r"\b(?:March|May|August)\b(?= (?:\d|the\b))")
_PHONE: Final = re.compile(r"(?<![\w.])\+?\(?\d(?:[\s().\u2010-\u2015/-]{0,2}\d){6,14}(?!\w)")
_CARD: Final = re.compile(r"(?<!\d)\d(?:[ \u2010-\u2015.-]?\d){12,18}(?!\d)")
_IBAN: Final = re.compile(r"\b[A-Za-z]{2}[ -]?\d{2}(?:[ -]?[A-Za-z0-9]){11,30}\b")
_LETTER_VALUE: Final = 55  # in an IBAN's checksum A counts 10, so ord("A") - 55


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


def dates(text: str, known: Known) -> Iterator[Finding]:
    """Months and days of the week."""
    for word in words(text):
        if word.text in _DATES:
            yield Finding(word.start, word.end, "dates", "a month or a day of the week")
    for month in _MONTHS_THAT_ARE_WORDS.finditer(text):
        yield Finding(month.start(), month.end(), "dates", "a month or a day of the week")


def phone(text: str, known: Known) -> Iterator[Finding]:
    """Seven to fifteen digits (ITU-T E.164), however they are grouped."""
    for found in _PHONE.finditer(_western(text)):
        yield Finding(found.start(), found.end(), "phone", "as long as a telephone number")


def card(text: str, known: Known) -> Iterator[Finding]:
    """Numbers of payment cards: 13 to 19 digits whose Luhn checksum is right (ISO/IEC 7812)."""
    for found in _CARD.finditer(_western(text)):
        if luhn([int(c) for c in found[0] if c.isdigit()]):
            yield Finding(found.start(), found.end(), "card", "the number of a payment card")


def luhn(number: list[int]) -> bool:
    """Whether the last digit of a number is its Luhn checksum."""
    doubled = [digit if place % 2 == 0 else 2 * digit for place, digit in enumerate(number[::-1])]
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def iban(text: str, known: Known) -> Iterator[Finding]:
    """Account numbers whose checksum is right (ISO 13616, modulo 97)."""
    plain = _western(text)
    for found in _IBAN.finditer(plain):
        for end in range(found.end(), found.start() + 14, -1):
            if mod_97(plain[found.start() : end]):
                yield Finding(found.start(), end, "iban", "the number of a bank account")
                break


def mod_97(text: str) -> bool:
    """Whether a text is an IBAN by length and checksum; blanks and hyphens do not count."""
    number = re.sub(r"[ -]", "", text).upper()
    if not 15 <= len(number) <= 34 or not number.isascii() or not number.isalnum():
        return False
    turned = number[4:] + number[:4]
    return int("".join(str(_value(character)) for character in turned)) % 97 == 1


def _value(character: str) -> int:
    return int(character) if character.isdigit() else ord(character) - _LETTER_VALUE


def _western(text: str) -> str:
    """The same text, as long as it was, with digits of other scripts and styles as 0 to 9."""
    return "".join(_western_digit(character) for character in text)


def _western_digit(character: str) -> str:
    value = unicodedata.digit(character, None)
    return character if value is None else str(value)
