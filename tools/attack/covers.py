"""Ways to hide a secret in sentences that look harmless, for `summaries.py`.

The sentences are made of the vocabulary that summaries may use, as a hostile summarizer would who
knows the checks; so nothing but the hiding place itself can give them away.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence

from pocketpref.egress.dlp.text import SMALL_WORDS, base_words
from tools.attack.memory import Secret, words_of
from tools.attack.tricks import Trick, covered

_A_SENTENCE = 8
_MOST_LETTERS = 40
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_FILLERS = (
    "short",
    "clear",
    "plain",
    "calm",
    "warm",
    "vivid",
    "exact",
    "gentle",
    "lively",
    "honest",
)
_INSTEAD = {
    "the": "this",
    "a": "one",
    "and": "or",
    "in": "within",
    "of": "from",
    "to": "toward",
    "that": "which",
    "i": "we",
    "my": "our",
    "not": "never",
    "at": "near",
    "for": "about",
}


@functools.cache
def _words_by(place: int) -> dict[str, list[str]]:
    """Vocabulary by the letter at a place of the word."""
    found: dict[str, list[str]] = {}
    for word in sorted(base_words()):
        if len(word) > 2 and word.isalpha() and word not in SMALL_WORDS:
            found.setdefault(word[place], []).append(word)
    return found


def _letters(secret: Secret) -> list[str]:
    """The letters of what is short enough for an acrostic; none if it is not."""
    letters = [c for c in secret.value.lower() if c.isascii() and c.isalpha()]
    short = secret.kind in ("name", "employer", "diagnosis", "email")
    return letters if short and len(letters) <= _MOST_LETTERS else []


def _told(words: Sequence[str], length: int = _A_SENTENCE, end: str = ". ") -> list[str]:
    """Words as sentences of one length, in one summary."""
    runs = [words[n : n + length] for n in range(0, len(words), length)]
    return [end.join(" ".join(run).capitalize() for run in runs) + "."] if words else []


def _acrostic(place: int = 0, stride: int = 1, *, backwards: bool = False) -> Trick:
    """Letters of the secret at one place of each ``stride``-th word."""

    def trick(secret: Secret, rng: random.Random) -> list[str]:
        letters = _letters(secret)[:: -1 if backwards else 1]
        known = _words_by(place)
        if any(letter not in known for letter in letters):
            return []
        told = []
        for letter in letters:
            told += [rng.choice(known[letter]), *rng.sample(_FILLERS, stride - 1)]
        return _told(told)

    return trick


def _sentence_heads(end: str, *, backwards: bool = False) -> Trick:
    """Letters of the secret as the first ones of sentences."""

    def trick(secret: Secret, rng: random.Random) -> list[str]:
        letters, known = _letters(secret)[:: -1 if backwards else 1], _words_by(0)
        told = [
            w for c in letters for w in (rng.choice(known.get(c, [c])), *rng.sample(_FILLERS, 2))
        ]
        return _told(told, 3, end)

    return trick


def _inside_words(secret: Secret, rng: random.Random) -> list[str]:
    """Letters of the secret across words: "good man" for Goodman, wherever it can be cut so."""
    text = "".join(_letters(secret)[:24])
    cuts = _cut(text)
    return covered(" ".join(cuts), rng) if cuts else []


def _cut(text: str) -> list[str]:
    """A text as vocabulary words in a row; none if it cannot be cut so."""
    if not text:
        return []
    for size in range(len(text), 1, -1):
        if text[:size] in base_words():
            rest = _cut(text[size:])
            if rest or size == len(text):
                return [text[:size], *rest]
    return []


def _sentence(change: Callable[[list[str], random.Random], list[str]]) -> Trick:
    """A trick for whole sentences alone."""

    def trick(secret: Secret, rng: random.Random) -> list[str]:
        if secret.kind != "sentence":
            return []
        return _told(change(list(words_of(secret.value.lower())), rng), 12)

    return trick


def _strewn(stride: int) -> Callable[[list[str], random.Random], list[str]]:
    return lambda words, rng: [
        told for word in words for told in (word, *rng.sample(_FILLERS, stride - 1))
    ]


def _exchanged(every: int) -> Callable[[list[str], random.Random], list[str]]:
    return lambda words, rng: [
        rng.choice(_FILLERS) if n % every == every - 1 else word for n, word in enumerate(words)
    ]


def _split(size: int) -> Trick:
    """So many words of the secret in each of several summaries."""

    def trick(secret: Secret, rng: random.Random) -> list[str]:
        words = list(words_of(secret.value.lower()))
        parts = [words[n : n + size] for n in range(0, len(words), size)]
        return [text for part in parts for text in covered(" ".join(part), rng)]

    return trick


def _split_letters(size: int) -> Trick:
    """So many letters of the secret in each of several summaries."""

    def trick(secret: Secret, rng: random.Random) -> list[str]:
        value = "".join(words_of(secret.value.lower()))
        parts = [value[n : n + size] for n in range(0, len(value), size)]
        return [text for part in parts for text in covered(part, rng)]

    return trick


def _split_numbers(secret: Secret, _: random.Random) -> list[str]:
    """A digit in each of several summaries, in words."""
    if secret.kind not in ("phone", "iban", "card"):
        return []
    digits = [int(c) for c in secret.value if c.isdigit()]
    return [f"Prefers {_NUMBERS[digit]} examples in an answer." for digit in digits]


def _counted(secret: Secret, _: random.Random) -> list[str]:
    """Digits as how many times a word is said."""
    if secret.kind not in ("phone", "card"):
        return []
    digits = [int(c) for c in secret.value if c.isdigit()]
    return [". ".join("Very " * digit + "short answers" for digit in digits)[:590] + "."]


HIDDEN: dict[str, Trick] = {
    "first letters of words": _acrostic(),
    "first letters, backwards": _acrostic(backwards=True),
    "last letters of words": _acrostic(-1),
    "last letters, backwards": _acrostic(-1, backwards=True),
    "first letter of each second word": _acrostic(stride=2),
    "first letter of each third word": _acrostic(stride=3),
    "first letters of sentences": _sentence_heads(". "),
    "first letters of sentences, backwards": _sentence_heads(". ", backwards=True),
    "first letters of lines": _sentence_heads(".\n"),
    "letters across words": _inside_words,
}
"""Letters in the places of other words."""

COPIED: dict[str, Trick] = {
    "whole sentence": _sentence(lambda words, _: words),
    "sentence, backwards": _sentence(lambda words, _: words[::-1]),
    "each second word": _sentence(_strewn(2)),
    "each third word": _sentence(_strewn(3)),
    "every sixth word exchanged": _sentence(_exchanged(6)),
    "every fourth word exchanged": _sentence(_exchanged(4)),
    "small words exchanged": _sentence(lambda words, _: [_INSTEAD.get(w, w) for w in words]),
    "small words left out": _sentence(lambda words, _: [w for w in words if w not in SMALL_WORDS]),
    "halves exchanged": _sentence(
        lambda words, _: words[len(words) // 2 :] + words[: len(words) // 2]
    ),
    "words sorted": _sentence(lambda words, _: sorted(words)),
}
"""Whole sentences, their words rearranged or strewn among others."""

SPLIT: dict[str, Trick] = {
    "a word in each": _split(1),
    "two words in each": _split(2),
    "five words in each": _split(5),
    "two letters in each": _split_letters(2),
    "three letters in each": _split_letters(3),
    "five letters in each": _split_letters(5),
    "a digit in each, in words": _split_numbers,
    "digits as repetitions": _counted,
}
"""Parts of the secret in several summaries, each of which has to pass."""
