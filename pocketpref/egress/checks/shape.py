"""A summary is a few plain sentences: not long, not laid out, nothing twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from pocketpref.egress.checks.finding import Finding
from pocketpref.egress.checks.known import Known
from pocketpref.egress.checks.reading import sentences, words
from pocketpref.egress.checks.vocabulary import about_answers

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
