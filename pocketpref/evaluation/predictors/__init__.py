"""Predictors of preferences: the protocol, its cases, evidence and judgements.

A predictor learns from a person's past choices and is then asked about others. It sees which
answer of a later pair was chosen only in the sign of what it is judged by: every score is a
difference, chosen minus rejected, and changes its sign when the two are exchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from pocketpref.attributes import AttributeBank, Wording
from pocketpref.messages import compose
from pocketpref.protocols import LanguageModel
from pocketpref.records import Matrix64, Message, Pair, RedactedRepr, Vector


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Case(RedactedRepr):
    """A choice of one person, as evaluations use it.

    Attributes:
        user: who chose.
        vector: the prompt's embedding, unit length, shape (dimensions,).
        group: pairs of one group (a prompt, a ranking) are never on both sides of a split.
        item: what others were asked as well; a prior never sees the items it is judged on.
        when: the order in which choices were made; equal where that is not known.
    """

    user: str
    pair: Pair
    vector: Vector
    group: str
    item: str
    when: float = 0.0
    _open = ("when",)


@dataclass(frozen=True, slots=True)
class ScoringFrame:
    """What is put around a prompt: a line after it (EXACT), a system text before it, or nothing."""

    block: str = ""
    system: str = ""

    def around(self, prompt: str) -> tuple[Message, ...]:
        """The conversation that the answer is scored in."""
        messages = compose(prompt, self.block)
        return (Message(role="system", content=self.system), *messages) if self.system else messages


@dataclass(frozen=True, slots=True)
class Judgement:
    """By how much a method prefers the chosen answer; positive is right, 0 is a tie.

    Attributes:
        absolute: under its condition, is the chosen answer the likelier one (EXACT, section 6.2)?
            log p(y_w | x, z) - log p(y_l | x, z), nats.
        anchored: does its condition raise the chosen answer's margin (EXACT, Table 8)? nats.
        absolute_mean: ``absolute`` of log-probabilities per token: sums favour short answers.
        anchored_mean: ``anchored`` of log-probabilities per token.
    """

    absolute: float
    anchored: float
    absolute_mean: float
    anchored_mean: float

    @classmethod
    def own(cls, score: float) -> Judgement:
        """Of a method that scores answers by itself, without a condition: one number."""
        return cls(score, score, score, score)


Judge = Callable[[Case], Judgement]
"""What was learned: asked about a case, it judges."""


class Predictor(Protocol):
    """A method, as evaluations know it."""

    @property
    def name(self) -> str:
        """How it is called in options and reports."""

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learn from what a person chose.

        Args:
            past: the person's choices, the oldest first.
            crowd: choices of other people about other items than those asked about later.

        Raises:
            ModelError: the model failed, or is missing.
        """


class CaseEvidence:
    """What a language model says about pairs, as differences between the chosen and the rejected.

    Asking twice costs nothing if the model keeps what it computed (``CachedModel``).
    """

    def __init__(
        self, model: LanguageModel, bank: AttributeBank, wording: Wording = "text"
    ) -> None:
        self.model = model
        self.bank = bank
        self.wording = wording
        opposites = (replace(a, wording=a.opposite, opposite=a.wording) for a in bank)
        turned = AttributeBank(opposites)
        self._sides = [ScoringFrame(bank.block([name], wording)) for name in bank.names]
        self._others = [ScoringFrame(turned.block([name])) for name in bank.names]
        self._leans: dict[tuple[Pair, ScoringFrame], Matrix64] = {}

    def leans(self, pair: Pair, frames: Sequence[ScoringFrame]) -> Matrix64:
        """Log p(chosen) - log p(rejected) under each frame, shape (frames, 2): sums, means.

        Raises:
            ModelError: the model failed, or is missing.
        """
        new = [frame for frame in frames if (pair, frame) not in self._leans]
        if new:
            contexts = [frame.around(pair.prompt) for frame in new]
            found = self.model.likelihoods(contexts, (pair.chosen, pair.rejected))
            means = found.totals / np.maximum(found.tokens, 1)
            for frame, total, mean in zip(new, found.totals, means, strict=True):
                lean = np.array([total[0] - total[1], mean[0] - mean[1]])
                self._leans[pair, frame] = lean
        return np.array([self._leans[pair, frame] for frame in frames]).reshape(-1, 2)

    def plain(self, pair: Pair) -> Matrix64:
        """The same under no frame, shape (2,)."""
        return np.asarray(self.leans(pair, [ScoringFrame()])[0])

    def judge(self, pair: Pair, frame: ScoringFrame) -> Judgement:
        """How a condition does on a pair."""
        plain, framed = self.leans(pair, [ScoringFrame(), frame])
        moved = framed - plain
        return Judgement(float(framed[0]), float(moved[0]), float(framed[1]), float(moved[1]))

    def singles(self, pair: Pair) -> Matrix64:
        """Anchored margin of each attribute alone, shape (attributes, 2)."""
        found = self.leans(pair, [ScoringFrame(), *self._sides])
        return np.asarray(found[1:] - found[0])

    def contrasts(self, pair: Pair) -> Matrix64:
        """Each attribute against its opposite, shape (attributes, 2).

        Whatever a block of text does to every answer is in both sides and cancels.
        """
        count = len(self._sides)
        found = self.leans(pair, [*self._sides, *self._others])
        return np.asarray(found[:count] - found[count:])
