"""Check the form of a summary: a few plain sentences in plain characters."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from pocketpref.egress.dlp.context import Finding, Known
from pocketpref.egress.dlp.text import about_answers, sentences, words

MAX_CHARACTERS: Final = 600
"""Longest summary: twice the 64 tokens of POPI's summaries."""

MAX_WORDS: Final = 100
MAX_SENTENCE_WORDS: Final = 60

_BLANKS: Final = re.compile(r"[ \t]{2,}|\t|\n{2,}|[ \t]\n|\n[ \t]|^\s+|\s+$")
_BEGINS: Final = re.compile(r"[\"'(\u2018\u201c]?[A-Z]")
_ENDS: Final = re.compile(r"[.!?][\"')\u2019\u201d]*\Z")


def length(text: str, known: Known) -> Iterator[Finding]:
    """What is longer than any summary needs to be has room for something else."""
    if len(text) > MAX_CHARACTERS:
        reason = f"more than {MAX_CHARACTERS} characters"
        yield Finding(MAX_CHARACTERS, len(text), "length", reason)
        return
    found = words(text)
    if len(found) > MAX_WORDS:
        yield Finding(found[MAX_WORDS].start, len(text), "length", f"more than {MAX_WORDS} words")


def plain_sentences(text: str, known: Known) -> Iterator[Finding]:
    """Sentences begin with a capital letter, end with a full stop, and end soon."""
    if not text.strip():
        yield Finding(0, len(text), "plain_sentences", "empty")
    for start, end in sentences(text):
        sentence = text[start:end]
        if not _BEGINS.match(sentence):
            yield Finding(start, end, "plain_sentences", "does not begin like a sentence")
        if not _ENDS.search(sentence):
            yield Finding(start, end, "plain_sentences", "does not end like a sentence")
        if len(words(sentence)) > MAX_SENTENCE_WORDS:
            reason = f"a sentence of more than {MAX_SENTENCE_WORDS} words"
            yield Finding(start, end, "plain_sentences", reason)


def subject(text: str, known: Known) -> Iterator[Finding]:
    """A sentence without a word about language or answers is about something else: a life."""
    for start, end in sentences(text):
        if not any(about_answers(word.text) for word in words(text[start:end])):
            yield Finding(start, end, "subject", "says nothing about answers")


def blanks(text: str, known: Known) -> Iterator[Finding]:
    """Blanks that nobody sees can count something: one between words, none at the ends."""
    for found in _BLANKS.finditer(text):
        yield Finding(found.start(), found.end(), "blanks", "blanks that mean nothing")


def repetition(text: str, known: Known) -> Iterator[Finding]:
    """A word twice in a row, or a sentence said twice, says nothing new, or counts something."""
    for before, word in pairwise(words(text)):
        if before.text == word.text:
            yield Finding(before.start, word.end, "repetition", "the same word twice in a row")
    seen: set[tuple[str, ...]] = set()
    for start, end in sentences(text):
        said = tuple(word.text for word in words(text[start:end]))
        if said in seen:
            yield Finding(start, end, "repetition", "the same sentence again")
        seen.add(said)


_PUNCTUATION: Final = " \n.,;:!?'\"()-\u2018\u2019\u201c\u201d\u2013\u2014\u2026"
_UNSEEN: Final = {"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp", "Zs", "Mn", "Me"}
_BLANK_LETTERS: Final = "\u115f\u1160\u3164\uffa0\u2800"  # letters by category, blank on screen
# Strewn marks are Morse code, also where its signs are dashes of two lengths.
_RUNS: Final = re.compile(
    r"(?<!\w)[.\u2013\u2014-]{1,6}(?: +[.\u2013\u2014-]{1,6}){2,}(?!\w)"
    r"|[!?]{2,}|(?<!\.)\.{2}(?!\.)|\.{4,}|[,;:]{2,}|-{2,}|[\"'()]{3,}|!\?|\?!|-\.|\.-"
)
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
        straight = unicodedata.normalize("NFC", written.replace("\u2019", "'").casefold())
        if not straight.isascii() and straight not in exact:
            reason = "letters that are not those of plain English, though they may look like them"
            yield Finding(word.start, word.end, "foreign_letters", reason)


def signs(text: str, known: Known) -> Iterator[Finding]:
    """Emojis, mark-up and signs with which links, code and data are written."""
    for place, character in enumerate(text):
        if character.isalnum() or character in _PUNCTUATION:
            continue
        if unicodedata.category(character) not in _UNSEEN:
            known_for = "a character of mark-up, links, code or data"
            reason = known_for if character.isascii() else "a sign or an emoji"
            yield Finding(place, place + 1, "signs", reason)


def punctuation(text: str, known: Known) -> Iterator[Finding]:
    """Runs of punctuation can count, or draw; one mark says all that a sentence needs."""
    for found in _RUNS.finditer(text):
        yield Finding(found.start(), found.end(), "punctuation", "a run of punctuation marks")


def capitals(text: str, known: Known) -> Iterator[Finding]:
    """Capital letters within a sentence: a name, an abbreviation, or letters picked out."""
    beginnings = {colon.end() for colon in _COLON.finditer(text)}
    for start, _ in sentences(text):
        beginnings.add(next((n for n in range(start, len(text)) if text[n].isalpha()), start))
    # Words that may begin with a capital anywhere: names of attributes, what has a capital in
    # their wordings (points of the compass), and what the person allowed.
    named = [a for a in known.attributes if a.category != "values" or a.name in known.values]
    said = [*(a.name for a in named), *known.words]
    said += _CAPITALIZED.findall(" ".join(a.wording for a in named))
    allowed = _ALWAYS_CAPITAL | {word.text for word in words(" ".join(said))}
    for word in words(text):
        written = text[word.start : word.end]
        first = word.start in beginnings or word.text in allowed
        if _CAPITAL.search(written[1:] if first else written):
            reason = "a capital letter within a sentence, as names have"
            yield Finding(word.start, word.end, "capitals", reason)
