"""Where somebody is reached: mail, links, hosts, streets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from pocketpref.egress.checks.finding import Finding
from pocketpref.egress.checks.known import Known
from pocketpref.egress.checks.reading import search

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
