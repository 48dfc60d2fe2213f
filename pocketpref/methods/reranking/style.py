"""Plain measures of how an answer is written: they need no model.

What is compared is two answers to one prompt, so only differences of measures matter. Pronouns and
connectives are English; in other languages those three measures are 0 for both answers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

import numpy as np

from pocketpref.records import Matrix64, Pair

_WORD: Final = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")
_SENTENCE: Final = re.compile(r"[.!?…]+(?:\s|$)|\n+|$")
_LINK_OR_QUOTE: Final = re.compile(r"https?://|www\.|[\"“”«»]")
_LIST: Final = re.compile(r"^\s*(?:[-*•]|\d+[.)])\s", re.MULTILINE)
_FIRST: Final = frozenset(("i", "me", "my", "mine", "we", "us", "our", "i'm", "i've"))
_SECOND: Final = frozenset(("you", "your", "yours", "you're"))
_CONNECTIVES: Final = frozenset(
    ("because", "since", "therefore", "thus", "however", "although", "but", "so", "if", "then",
     "while", "hence", "instead", "moreover", "also", "example")
)  # fmt: skip

_Words = list[str]


def _rate(count: float, words: _Words) -> float:
    """Occurrences for each word, as a root: the first few say most."""
    return math.sqrt(count / max(len(words), 1))


def _share(wanted: frozenset[str], words: _Words) -> float:
    return _rate(sum(word in wanted for word in words), words)


def _sentences(text: str) -> list[str]:
    return [part.strip() for part in _SENTENCE.split(text) if part.strip()]


def _careless(text: str) -> float:
    """Share of sentences that begin with a small letter."""
    sentences = _sentences(text)
    return sum(s[0].islower() for s in sentences) / max(len(sentences), 1)


MEASURES: Final[dict[str, Callable[[str, _Words], float]]] = {
    "length": lambda text, words: math.log1p(len(words)),
    "word length": lambda text, words: math.log1p(sum(map(len, words)) / max(len(words), 1)),
    "sentence length": lambda text, words: math.log1p(len(words) / max(len(_sentences(text)), 1)),
    "commas": lambda text, words: _rate(sum(text.count(c) for c in ",;:"), words),
    "questions": lambda text, words: _rate(text.count("?"), words),
    "exclamations": lambda text, words: _rate(text.count("!"), words),
    "digits": lambda text, words: _rate(sum(c.isdigit() for c in text), words),
    "capitals": lambda text, words: (
        sum(w.isupper() and len(w) > 1 for w in words) / max(len(words), 1)
    ),
    "first person": lambda text, words: _share(_FIRST, words),
    "second person": lambda text, words: _share(_SECOND, words),
    "variety": lambda text, words: math.log1p(len(set(words))) / math.log1p(len(words) or 1),
    "connectives": lambda text, words: _share(_CONNECTIVES, words),
    "small beginnings": lambda text, words: _careless(text),
    "lines": lambda text, words: math.log1p(text.strip().count("\n")),
    "lists": lambda text, words: math.log1p(len(_LIST.findall(text))),
    "quotes and links": lambda text, words: _rate(len(_LINK_OR_QUOTE.findall(text)), words),
}
"""Name of each measure, and how it is taken of a text and its words."""


def measures(text: str) -> Matrix64:
    """Every measure of a text, in the order of ``MEASURES``, shape (measures,)."""
    words = _WORD.findall(text)
    small = [word.casefold() for word in words]
    return np.array(
        [take(text, words if name == "capitals" else small) for name, take in MEASURES.items()]
    )


def difference(pair: Pair) -> Matrix64:
    """Measures of the chosen answer minus those of the rejected one, shape (measures,)."""
    return np.asarray(measures(pair.chosen) - measures(pair.rejected))
