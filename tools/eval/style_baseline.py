"""The prior on plain style measures that came with the library up to 2026-12: a baseline.

One Gaussian over the weights of 16 measures, fitted on ukp_workers.jsonl and mtbench_votes.jsonl
(UKPConvArg1, CC-BY 4.0; votes of MT-Bench, CC-BY 4.0). It is what ``tools/eval/real_people.py``
compares today's mixture with, kept as it was. Its list of measures is its own, and English.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

import numpy as np

from pocketpref.personalization.posterior import fit
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
    """Return every measure of a text, in the order of ``MEASURES``, shape (16,)."""
    words = _WORD.findall(text)
    small = [word.casefold() for word in words]
    return np.array(
        [take(text, words if name == "capitals" else small) for name, take in MEASURES.items()]
    )


def difference(pair: Pair) -> Matrix64:
    """Return the measures of the chosen answer minus those of the rejected one, shape (16,)."""
    return np.asarray(measures(pair.chosen) - measures(pair.rejected))


SCALE: Final = np.array(
    [0.97808, 0.14828, 0.61508, 0.16973, 0.0854, 0.12634, 0.15859, 0.09046, 0.15442, 0.12941,
     0.06195, 0.13538, 0.39918, 0.95747, 0.55055, 0.11632]
)  # fmt: skip
"""Usual size of a difference of each measure."""

MEAN: Final = np.array(
    [1.35546, 0.04363, -0.08634, 0.24913, -0.08963, -0.24298, 0.03857, 0.01649, -0.16406, -0.11414,
     0.43244, 0.07597, -0.17801, -0.16495, -0.03874, 0.00688]
)  # fmt: skip
"""Weights that people have in common, in units of the scale."""

SPREAD: Final = np.array([0.25] + [0.12] * 15)
"""Standard deviation of a person's weights around them."""

FITTED_ON: Final = ("ukp_workers", "mtbench_votes")
_RIDGE: Final = 30.0  # precision of the weights in common, as it was when they were fitted


def refitted_mean(differences: Matrix64) -> Matrix64:
    """Return the weights in common fitted on these choices alone, shape (16,).

    Args:
        differences: as from `difference`, shape (n, 16).
    """
    scaled = differences / SCALE * _RIDGE**-0.5
    found = fit(scaled[None], np.zeros((1, len(scaled))), np.ones(len(scaled)))
    return np.asarray(found.modes[0] * _RIDGE**-0.5)


def log_odds(past: Matrix64, tested: Matrix64, mean: Matrix64 = MEAN) -> Matrix64:
    """Return the log-odds of choices after a person's earlier ones, moderated, shape (tested,).

    Args:
        past: differences of the earlier choices, shape (n, 16).
        tested: of those to predict, shape (tested, 16).
        mean: weights in common.
    """
    scaled, asked = past / SCALE, tested / SCALE
    found = fit((scaled * SPREAD)[None], (scaled @ mean)[None], np.ones(len(past)))
    root = SPREAD[:, None] * np.linalg.cholesky(found.covariances[0])
    variance = ((asked @ root) ** 2).sum(axis=1)
    weights = mean + SPREAD * found.modes[0]
    return np.asarray(asked @ weights / np.sqrt(1 + np.pi / 8 * variance))
