"""Where somebody is reached: mail, links, hosts, streets."""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
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

# Secrets by their looks: known prefixes, what follows "password", and what looks drawn by lot.

_PREFIXED: Final = re.compile(
    r"""
    \b(?:
      sk-[\w-]{8,}                        # OpenAI, Anthropic, OpenRouter, DeepSeek
    | (?:sk|pk|rk)_(?:live|test)_\w{8,}   # Stripe
    | gh[pousr]_\w{16,} | github_pat_\w{16,}
    | glpat-[\w-]{12,}
    | (?:AKIA|ASIA)[A-Z0-9]{12,}          # AWS
    | AIza[\w-]{20,} | ya29\.[\w-]{20,}   # Google
    | xox[abeoprs]-[\w-]{8,}              # Slack
    | hf_\w{16,} | npm_\w{16,} | pypi-[\w-]{16,} | dop_v1_\w{16,} | shpat_\w{16,}
    | SG\.[\w-]{8,}\.[\w-]{8,}            # SendGrid
    | eyJ[\w-]{8,}(?:\.[\w-]*){0,2}       # JSON Web Token
    | AGE-SECRET-KEY-\w+ | (?:xprv|[tu]prv)\w{16,}
    )
    | -----BEGIN\ [A-Z\ ]+----- | \bssh-(?:rsa|ed25519|dss)\b | \bage1\w{16,}
    """,
    re.VERBOSE,
)
_TOLD: Final = re.compile(
    r"\b(?:pass ?words?|pass ?phrases?|pass ?codes?|pin|pins|tan|cvc|cvv|otp|seed phrase|api ?keys?"
    r"|secret ?keys?|private ?keys?|access ?tokens?|bearer|login|log ?in|user ?name|credentials?"
    r"|iban|account number|social security|ssn|passport)\b"
)
_TOKEN: Final = re.compile(r"[A-Za-z0-9+/=_.~!@#$%^&*-]{12,}")
_WORDLIKE: Final = re.compile(r"[A-Za-z]?[a-z]+(?:[-/.][A-Za-z]?[a-z]+)*[.!?,;:]*")
BITS_A_CHARACTER: Final = 3.0
"""Entropy from which on a token of 12 characters counts as random (English words: about 2.5)."""


def secret(text: str, known: Known) -> Iterator[Finding]:
    """Keys and tokens that begin as those of a known service do."""
    for found in _PREFIXED.finditer(text):
        yield Finding(found.start(), found.end(), "secret", "a key or a token")


def told_secret(text: str, known: Known) -> Iterator[Finding]:
    """Talk of passwords, codes and accounts: nothing of it belongs into a summary."""
    for _, start, end in search(_TOLD, text):
        yield Finding(start, end, "told_secret", "talks of a password, a key or an account")


def random_token(text: str, known: Known) -> Iterator[Finding]:
    """Long tokens that are no words and as varied as if drawn by lot."""
    for found in _TOKEN.finditer(text):
        token = found[0]
        if not _WORDLIKE.fullmatch(token) and entropy(token) >= BITS_A_CHARACTER:
            yield Finding(found.start(), found.end(), "random_token", "looks like a key")


def entropy(token: str) -> float:
    """Bits a character, by how often each stands in the token itself."""
    counts = Counter(token).values()
    return -sum(n / len(token) * math.log2(n / len(token)) for n in counts)


# Numbers, in digits and in words, and what they are made into: dates, phones, cards, accounts.

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


_EMAIL: Final = re.compile(r"[\w.+%-]+\s?@\s?[\w-]+(?:\.[\w-]+)*")
_EMAIL_IN_WORDS: Final = re.compile(
    r"\b[\w.-]+\s*[\[({<]?\s*\bat\b\s*[\])}>]?\s*[\w-]{2,}\s*[\[({<]?\s*\bdot\b\s*[\])}>]?\s*\w{2,}"
)
_URL: Final = re.compile(
    r"\b(?:[a-z][a-z0-9+.-]*:(?://)?(?=[\w/])|www\d?\.)[^\s<>\"]{2,}", re.IGNORECASE
)
_SCHEMES: Final = re.compile(
    r"\b(?:https?|h..ps?|ftps?|sftp|wss?|ssh|file|data|javascript|mailto|tel|git|s3|ipfs|magnet)"
    r"\s?:",
    re.IGNORECASE,
)
_HOST: Final = re.compile(r"\b(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+(?!g\b|e\b)[a-z]{2,}\b", re.I)
_HOST_IN_WORDS: Final = re.compile(
    r"\b[\w-]+\s+dot\s+(?:com|org|net|edu|gov|info|io|ai|dev|app|co|uk|de|fr|eu|ch|at|me|local)\b"
)
_IPV4: Final = re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")
_IPV6: Final = re.compile(r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{1,4}(?![\w:])", re.I)
_LOCALHOST: Final = re.compile(r"\b(?:localhost|[\w-]+\.(?:local|lan|internal|onion))\b", re.I)

_STREET_WORDS: Final = (
    "street|st|road|rd|avenue|ave|lane|ln|drive|boulevard|blvd|square|court|terrace|close|crescent"
    "|alley|highway|parkway|place|way|row|quay|strasse|str|gasse|weg|platz|allee|ring|rue|chemin"
    "|place|via|viale|piazza|calle|plaza|avenida|rua|straat|laan|gade|gatan|ulica"
)
_STREET: Final = re.compile(
    rf"\b\d{{1,5}}[a-z]?,?\s+(?:[\w'.-]+\s+){{0,3}}(?:{_STREET_WORDS})\b"
    rf"|\b[\w-]+(?:strasse|str|gasse|weg|platz|allee)\.?,?\s+\d{{1,5}}\b"
    rf"|\b(?:rue|via|calle|rua|avenida|plaza|piazza)\s+(?:[\w'-]+\s+){{1,4}}\d{{1,5}}\b"
)
_NAMED_STREET: Final = re.compile(
    r"\b[A-Z][\w'-]+\s+(?:Street|Road|Avenue|Lane|Drive|Boulevard|Square|Court|Terrace|Crescent"
    r"|Alley|Highway|Parkway|Place|Row|Quay|Close|Way|St|Rd|Ave|Blvd|Ln)\b"
)
_POSTCODE: Final = re.compile(
    r"\b[a-z]{1,2}\d[a-z\d]?\s?\d[a-z]{2}\b|\b\d{5}(?:-\d{4})?\s+[a-z]{3,}|\b[a-z]{2}\s\d{5}\b"
    r"|\bp\.?\s?o\.?\s?box\b|\bpostfach\b"
)
_LIVES: Final = re.compile(
    r"\b(?:(?:liv(?:e|es|ed|ing)|resid(?:e|es|ed|ing)) (?:at|in|near|on)|born|grew up|based in"
    r"|(?:who|he|she|they|user|person|i|reader) (?:also )?works? (?:at|for|as|in|near)|employed)\b"
)


def email(text: str, known: Known) -> Iterator[Finding]:
    """Mail addresses, also with "at" and "dot" in words."""
    for found in _EMAIL.finditer(text):
        yield Finding(found.start(), found.end(), "email", "an e-mail address")
    yield from _folded(_EMAIL_IN_WORDS, text, "email", "an e-mail address in words")


def url(text: str, known: Known) -> Iterator[Finding]:
    """Links, hosts and network addresses, also half in words."""
    for pattern in (_URL, _SCHEMES, _HOST, _IPV4, _IPV6, _LOCALHOST):
        for found in pattern.finditer(text):
            yield Finding(found.start(), found.end(), "url", "a link, a host or its address")
    yield from _folded(_HOST_IN_WORDS, text, "url", "a host's name in words")


def postal(text: str, known: Known) -> Iterator[Finding]:
    """Streets with their number, named streets, post codes."""
    yield from _folded(_STREET, text, "postal", "a street with a number")
    yield from _folded(_POSTCODE, text, "postal", "a post code or a post box")
    for found in _NAMED_STREET.finditer(text):
        yield Finding(found.start(), found.end(), "postal", "the name of a street")


def whereabouts(text: str, known: Known) -> Iterator[Finding]:
    """Sentences about where somebody lives, works or comes from."""
    yield from _folded(_LIVES, text, "whereabouts", "says where somebody lives or works")


def _folded(pattern: re.Pattern[str], text: str, check: str, reason: str) -> Iterator[Finding]:
    for _, start, end in search(pattern, text):
        yield Finding(start, end, check, reason)
