"""Win rate: which of two generated answers a model on this machine prefers.

The judge is asked twice, with the answers in either order, and what counts is how likely it finds
"A" against "B" as the next word, so that nothing is drawn and nothing has to be parsed. Whoever
is preferred in both orders wins; where the order decides, it is a tie, which counts half.

    lean = (log p("A" | one first) - log p("B" | one first)
          - log p("A" | one second) + log p("B" | one second)) / 2

A judge is worth what it agrees with people: ``agreement`` asks it about pairs of which a person
chose one. Without that figure beside it, a win rate says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pocketpref.evaluation.runner import credited, interval
from pocketpref.protocols import LanguageModel
from pocketpref.records import Message, Pair
from pocketpref.summary.records import Interval

_ASKED: Final = """\
Here is a request and two answers to it.

Request: {prompt}

Answer A: {first}

Answer B: {second}

{whose}Which answer is better? Reply with one letter, A or B."""

_LETTERS: Final = ("A", "B")


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a judge says of two answers.

    Attributes:
        lean: how much likelier it finds the first one, over both orders, nats.
        agrees: whether both orders have the same winner; otherwise it is a tie.
    """

    lean: float
    agrees: bool

    @property
    def score(self) -> float:
        """Positive if the first one wins, 0 for a tie."""
        return self.lean if self.agrees else 0.0


def judge(model: LanguageModel, prompt: str, one: str, other: str, taste: str = "") -> Ruling:
    """Compare two answers.

    Args:
        model: the judge.
        prompt: what was asked.
        one: an answer.
        other: another one.
        taste: how the person likes to be answered, in words; "" for nobody in particular.

    Raises:
        ModelError: the judge failed.
    """
    contexts = [_asked(prompt, one, other, taste), _asked(prompt, other, one, taste)]
    totals = model.likelihoods(contexts, _LETTERS).totals
    there, back = (float(row[0] - row[1]) for row in totals)
    return Ruling((there - back) / 2, agrees=there * back < 0)


def win_rate(rulings: Sequence[Ruling], whose: Sequence[str]) -> Interval:
    """Share of comparisons that the first answer wins, a tie a half, with its interval.

    Args:
        rulings: one for each comparison.
        whose: for whom each was made: comparisons for one person are alike.
    """
    return interval(credited([ruling.score for ruling in rulings]), whose)


def agreement(model: LanguageModel, pairs: Sequence[Pair], whose: Sequence[str]) -> Interval:
    """How often a judge prefers what a person preferred; 50 % is chance, a tie counts half.

    Raises:
        ModelError: the judge failed.
    """
    rulings = [judge(model, pair.prompt, pair.chosen, pair.rejected) for pair in pairs]
    return win_rate(rulings, whose)


def ties(rulings: Sequence[Ruling]) -> float:
    """Share of comparisons in which the order of the answers decided."""
    return float(np.mean([not ruling.agrees for ruling in rulings])) if rulings else 0.0


def _asked(prompt: str, first: str, second: str, taste: str) -> tuple[Message, ...]:
    whose = f"About the reader: {taste}\n\n" if taste else ""
    content = _ASKED.format(prompt=prompt, first=first, second=second, whose=whose)
    return (Message(role="user", content=content),)
