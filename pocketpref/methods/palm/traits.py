"""Traits of an answer that can be measured without a model, each in [0, 1].

PALM (arXiv 2604.04144) takes a person for a vector of weights over a few reward functions. These
are ours. Each is a public formula, put on a common scale by a logistic function

    reward = 1 / (1 + exp((value - centre) / spread))

whose centre and spread are the median and a half of the quartiles' distance of the formula over
the 2,548 answers that experts compared in MT-Bench (first turn; ``tools/eval/traits.py`` gives
them): so half of such answers score above 0.5, and about half between 0.27 and 0.73. A
logistic never saturates: of two long answers the shorter one is still the briefer. The formulas
speak of English.

What people's choices say about them is in docs/adapters.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

Reward = Callable[[str], float]

_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")  # noqa: RUF001 - the apostrophe of print
_EMOJI: Final = re.compile("[\u2600-\u27bf\U0001f300-\U0001faff]")
_STOP: Final = re.compile(r"[.!?:;]+(?=\s|$)|\n+")

# Closed classes of English: they can be listed whole, so that no tagger is needed.
_ARTICLES: Final = "a an the"
_PREPOSITIONS: Final = (
    "about above across after against along among around at before behind below beneath beside "
    "between beyond by concerning despite during for from in into of on onto over per regarding "
    "since through throughout to toward towards under until upon via with within without"
)
_PRONOUNS: Final = (
    "i me my mine myself we us our ours ourselves you your yours yourself he him his she her hers "
    "it its they them their theirs this that these those who whom what which someone anyone "
    "everyone something anything everything nobody nothing"
)
_INTERJECTIONS: Final = (
    "ah aha alas awesome aww bye cool damn dude gee gosh guys ha haha hey hi hmm hooray hurray huh "
    "kinda lol nah nope oh okay ok omg oops ouch phew please sorta sure thanks ugh uh um wow whoa "
    "yay yeah yep yes yo yup gonna wanna gotta dunno lemme stuff"
)
_ADVERBS: Final = (
    "again almost already also always away back even ever far here how just maybe more most much "
    "never not now often only perhaps quite rather really so soon still then there too very well "
    "when where why"
)
_FORMAL: Final = frozenset(f"{_ARTICLES} {_PREPOSITIONS}".split())
_DEICTIC: Final = frozenset(f"{_PRONOUNS} {_INTERJECTIONS} {_ADVERBS}".split())


def words(text: str) -> list[str]:
    """The words of a text: runs of letters, with apostrophes inside of them."""
    return _WORD.findall(text)


def log_length(text: str) -> float:
    """The natural logarithm of the number of words; 0 for one word or none."""
    return math.log(max(1, len(words(text))))


def grade(text: str) -> float:
    """Automated Readability Index, roughly the school grade that follows a text with ease.

    4.71 letters/words + 0.5 words/sentences - 21.43 (Smith and Senter, AMRL-TR-66-220, 1967). It
    counts letters where others count syllables, which no rule counts well. A line ends a sentence,
    so that lists are not read as one.
    """
    found = words(text)
    if not found:
        return 0.0
    sentences = sum(1 for part in _STOP.split(text) if _WORD.search(part))
    letters = sum(map(len, found))
    return 4.71 * letters / len(found) + 0.5 * len(found) / max(1, sentences) - 21.43


def formality_score(text: str) -> float:
    """How much more a text names things than it points at the situation; per hundred words.

    After Heylighen and Dewaele's F (Foundations of Science 7, 2002): nouns, adjectives, articles
    and prepositions against pronouns, verbs, adverbs and interjections. Of these we count the
    closed classes, articles and prepositions against pronouns, interjections and the commonest
    adverbs; contractions, exclamation marks and emoji count as interjections.
    """
    found = [word.lower().replace("’", "'") for word in words(text)]  # noqa: RUF001 - as above
    if not found:
        return 0.0
    formal = sum(word in _FORMAL for word in found)
    deictic = sum(word.partition("'")[0] in _DEICTIC for word in found)
    contractions = sum("'" in word and not word.endswith("'s") for word in found)
    outcries = text.count("!") + len(_EMOJI.findall(text))
    return 100 * (formal - deictic - contractions - outcries) / len(found)


@dataclass(frozen=True, slots=True)
class Scale:
    """Centre and spread of a formula; a negative spread turns it round."""

    centre: float
    spread: float

    def reward(self, value: float) -> float:
        """The value on the scale from 0 to 1; the larger the value, the less."""
        exponent = (value - self.centre) / self.spread
        return 0.5 * (1.0 - math.tanh(0.5 * exponent))


LENGTH: Final = Scale(4.7, 0.81)
GRADE: Final = Scale(7.4, 3.7)
FORMALITY: Final = Scale(11.8, -7.8)


def brevity(text: str) -> float:
    """How brief a text is: 0.73 at 49 words, 0.5 at 110, 0.27 at 247.

    A text without words is no answer: 0.
    """
    return LENGTH.reward(log_length(text)) if words(text) else 0.0


def detail(text: str) -> float:
    """How detailed a text is: the opposite of brevity. 0 without words.

    Weights are not negative, so a liking for long answers needs a trait of its own.
    """
    return 1 - brevity(text) if words(text) else 0.0


def plainness(text: str) -> float:
    """How easily a text is read: short words and short sentences. 0 without words."""
    return GRADE.reward(grade(text)) if words(text) else 0.0


def formality(text: str) -> float:
    """How formal a text is. 0 without words."""
    return FORMALITY.reward(formality_score(text)) if words(text) else 0.0


REWARDS: Final[Mapping[str, Reward]] = MappingProxyType(
    {"brevity": brevity, "plainness": plainness, "formality": formality}
)
"""The reward functions that policies are trained for by default."""

KNOWN: Final[Mapping[str, Reward]] = MappingProxyType({**REWARDS, "detail": detail})
"""All reward functions, by the names that portfolios know them by."""

WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "brevity": "short answers",
        "plainness": "plain words and short sentences",
        "formality": "formal language",
        "detail": "answers that go into detail",
    }
)
"""What more of each trait means, for people."""


def rewards(text: str, names: Sequence[str]) -> NDArray[np.float64]:
    """The rewards of a text, shape (len(names),).

    Raises:
        KeyError: there is no reward function of one of the names.
    """
    return np.array([KNOWN[name](text) for name in names])
