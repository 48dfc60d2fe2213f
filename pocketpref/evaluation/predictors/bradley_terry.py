"""Ours: what people have in common, adapted to the person as far as their choices bear it.

A Bradley-Terry model of a person on plain style measures, the model's own opinion, and each
attribute against its opposite (``Traits``). Its weights start from those of other people
(``prior``), and move from there by Bayes' rule: how far a person is expected to be from the others
was measured on other people too, and may be nothing. What is not known about the weights weakens a
judgement (``Posterior.score``). A past choice can count by how similar its prompt is, and less with
age.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from pocketpref.evaluation.predictors.base import Case, Evidence, Judge, Judgement
from pocketpref.methods.reranking.bradley_terry import (
    LEAST_PEOPLE,
    Person,
    Prior,
    fit_prior,
    unknown,
)
from pocketpref.methods.reranking.style import MEASURES, difference
from pocketpref.records import Matrix64, Pair

# Features of pairs: plain style measures, the model's own opinion, and contrasts of attributes.
#
# One pass of scoring (plain, each attribute, each opposite) gives the last two; the first need no
# model.

Part = Literal["length", "style", "likelihood", "contrast", "single"]

WITHOUT_MODEL: Final[tuple[Part, ...]] = ("style",)
WITH_MODEL: Final[tuple[Part, ...]] = ("style", "likelihood", "contrast")


class FeatureSet:
    """Features of pairs, each computed once, and the prior of a crowd.

    Attributes:
        names: of the features.
    """

    def __init__(self, parts: Sequence[Part], evidence: Evidence | None = None) -> None:
        """Build it.

        Args:
            parts: which features.
            evidence: what the model says; None if no part needs it.
        """
        self._parts = tuple(parts)
        self._evidence = evidence
        self._known: dict[Pair, Matrix64] = {}
        self._priors: dict[int, tuple[Sequence[Case], Prior | None]] = {}
        self.names = tuple(name for part in self._parts for name in self._names(part))

    def of(self, pair: Pair) -> Matrix64:
        """Chosen minus rejected, shape (features,)."""
        if pair not in self._known:
            self._known[pair] = np.concatenate([self._take(part, pair) for part in self._parts])
        return self._known[pair]

    def table(self, cases: Sequence[Case]) -> Matrix64:
        """The same of many, shape (cases, features)."""
        rows = [self.of(case.pair) for case in cases]
        return np.array(rows).reshape(len(rows), len(self.names))

    def prior(self, crowd: Sequence[Case]) -> Prior | None:
        """What a crowd has in common; None if it is too small to tell."""
        # By identity, of lists that are kept for as long: to compare thousands of cases is slow.
        if id(crowd) not in self._priors:
            self._priors[id(crowd)] = (crowd, self._fitted(crowd))
        return self._priors[id(crowd)][1]

    def _fitted(self, crowd: Sequence[Case]) -> Prior | None:
        people: dict[str, list[Case]] = {}
        for case in crowd:
            people.setdefault(case.user, []).append(case)
        if len(people) < LEAST_PEOPLE:
            return None
        persons = [
            Person(self.table(cases), tuple(case.item for case in cases))
            for _, cases in sorted(people.items())
        ]
        return fit_prior(self.names, persons)

    def _names(self, part: Part) -> list[str]:
        if part == "length":
            return ["length"]
        if part == "style":
            return list(MEASURES)
        if part == "likelihood":
            return ["log-likelihood", "log-likelihood per token"]
        assert self._evidence is not None
        return [f"{part} {name}" for name in self._evidence.bank.names]

    def _take(self, part: Part, pair: Pair) -> Matrix64:
        if part == "length":
            return difference(pair)[:1]
        if part == "style":
            return difference(pair)
        assert self._evidence is not None
        if part == "likelihood":
            return self._evidence.plain(pair)
        # Per token: what an attribute does to a sum grows with the answer's length.
        of = self._evidence.contrasts if part == "contrast" else self._evidence.singles
        return of(pair)[:, 1]


# Reward: a Bradley-Terry model of one person alone, on features that are stated.
#
# The papers train a sequence classifier for each person. On a device with tens of choices that is
# neither affordable nor determined by the data; this is the same model (preference probability from
# a difference of rewards, with nothing shared between people), linear in the features of
# ``Traits``: the plain style measures, and, where a model scored, its log-likelihoods, plain and
# per token.

SPREAD = 0.5
"""Standard deviation of a weight before anything is known, for features scaled to 1."""


class Reward:
    """Prefers the answer of larger reward; without past choices every pair is a tie."""

    name = "reward"

    def __init__(self, traits: FeatureSet) -> None:
        self._traits = traits

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Fit one person's model."""
        traits = self._traits
        if not past:
            return lambda case: Judgement.own(0.0)
        differences = traits.table(past)
        prior = unknown(traits.names, differences, SPREAD)
        posterior = prior.adapted(differences)
        return lambda case: Judgement.own(posterior.score(traits.of(case.pair) / prior.scale))


class Ours:
    """Prefers the answer that this person would most likely prefer."""

    def __init__(
        self,
        traits: FeatureSet,
        *more: FeatureSet,
        name: str = "ours",
        shipped: Prior | None = None,
        adapt: bool = True,
        width: float | None = None,
        half_life: float | None = None,
    ) -> None:
        """Build it.

        Args:
            traits: the features.
            more: other sets of features; of all of them the one that predicts the crowd best is
                taken, where there is a crowd.
            name: of this variant.
            shipped: the prior where there is no crowd to measure one on.
            adapt: learn from the person; False leaves it at what people have in common.
            width: a past choice whose prompt is this much less similar (cosine) than an identical
                one counts 1 / e; None: all count alike.
            half_life: a past choice counts half after this many later ones; None: none fades.
        """
        self._choices = (traits, *more)
        self._name = name
        self._shipped = shipped
        self._adapt = adapt
        self._width = width
        self._half_life = half_life

    @property
    def name(self) -> str:
        """How it is called in options and reports."""
        return self._name

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Start from the crowd, or from the shipped prior, and adapt."""
        learned = list(past) if self._adapt else []
        traits, prior = self._start(learned, crowd)
        differences = traits.table(learned)
        everywhere = prior.adapted(differences, self._weights(learned, None))

        def judge(case: Case) -> Judgement:
            posterior = (
                everywhere
                if self._width is None
                else prior.adapted(differences, self._weights(learned, case))
            )
            return Judgement.own(posterior.score(traits.of(case.pair) / prior.scale))

        return judge

    def _start(self, learned: Sequence[Case], crowd: Sequence[Case]) -> tuple[FeatureSet, Prior]:
        """The features, and what is known before the person has chosen anything."""
        found = [(traits, traits.prior(crowd)) for traits in self._choices]
        measured = [(traits, prior) for traits, prior in found if prior is not None]
        if measured:
            return min(measured, key=lambda choice: choice[1].loss)
        traits = self._choices[0]
        known = self._shipped or unknown(traits.names, traits.table(learned), SPREAD)
        return traits, known

    def _weights(self, past: Sequence[Case], case: Case | None) -> Matrix64 | None:
        """How much each past choice counts; None if all count alike."""
        weights = np.ones(len(past))
        if self._half_life is not None:
            weights = 0.5 ** (np.arange(len(past))[::-1] / self._half_life)
        if self._width is not None and case is not None and past:
            cosines = np.array([case.vector @ other.vector for other in past], dtype=np.float64)
            weights = weights * np.exp((cosines - 1) / self._width)
        return weights if self._half_life or self._width else None
