"""Ours: what people have in common, adapted to the person as far as their choices bear it.

A Bradley-Terry model of a person on text measures, the model's own opinion, and each attribute
against its opposite (``FeatureSet``). Its weights start from those of other people (``fit_prior``)
and move from there by Bayes' rule: how far a person is expected to be from the others is measured
on other people as well, and may be nothing. What is not known about the weights weakens a
judgement (``WeightPosterior.score``). A past choice can count by how similar its prompt is, and
less with age.

"auto" (``auto.py``) needs no crowd; this is what a crowd of the same kind of people adds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from pocketpref.evaluation.predictors import Case, CaseEvidence, Judge, Judgement
from pocketpref.personalization.measures import MEASURES, differences
from pocketpref.personalization.posterior import fit
from pocketpref.personalization.prior import shipped_prior
from pocketpref.records import Matrix64, Pair

LARGEST_SHARE: Final = 0.25
"""Standard deviation of a person around a crowd that was measured elsewhere, as in the hypothesis
"roughly like a crowd" of ``personalization.prior``."""


@dataclass(frozen=True, slots=True)
class WeightPosterior:
    """What is known of a person's weights (Laplace's approximation at the mode).

    Attributes:
        mean: the mode, shape (features,).
        covariance: shape (features, features).
    """

    mean: Matrix64
    covariance: Matrix64

    def score(self, difference: Matrix64) -> float:
        """Return the log-odds that the first answer is preferred, weakened by what is not known.

        MacKay's approximation of the integral over the posterior; the sign is that of the mode.
        """
        variance = float(difference @ self.covariance @ difference)
        return float(difference @ self.mean) / float(np.sqrt(1 + np.pi * variance / 8))


def posterior(
    differences: Matrix64, mean: Matrix64, spread: Matrix64, counts: Matrix64 | None = None
) -> WeightPosterior:
    """Return what choices say about weights of which N(mean, diag(spread^2)) was expected.

    Args:
        differences: features of the chosen answers minus those of the rejected ones, shape
            (pairs, features).
        mean: shape (features,).
        spread: shape (features,); 0 keeps a weight at its mean.
        counts: how much each pair counts, shape (pairs,); None counts each once.
    """
    counts = np.ones(len(differences)) if counts is None else counts
    found = fit((differences * spread)[None], (differences @ mean)[None], counts)
    return WeightPosterior(
        mean + spread * found.modes[0], np.outer(spread, spread) * found.covariances[0]
    )


def log_losses(weights: Matrix64, differences: Matrix64) -> Matrix64:
    """Return -log P of each choice, nats, shape (pairs,)."""
    return np.asarray(np.logaddexp(0.0, -(differences @ weights)))


# What people have in common, and how far a person is from it.
#
# The ridge of the common weights is measured by how well they predict people and items left out
# together, the spread of persons by how well a person's choices about the other items then predict
# theirs about these. (The same texts recur across people: leaving out people alone would reward
# learning the texts by heart.) Where adapting predicts no better, the spread is 0. Length has a
# spread of its own: people agree far less about it than about anything else.

RIDGES: Final = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Precisions that are tried for the common weights, in units of features scaled to 1."""

SPREADS: Final = (0.0, 0.06, 0.12, 0.25, 0.5)
"""Standard deviations that are tried for persons around the common weights, in the same units."""

OWN: Final = "length"
"""The feature that has a spread of its own."""

FOLDS: Final = 5
"""Parts into which people are divided."""

PARTS: Final = 3
"""Parts into which items are divided."""

LEAST_PEOPLE: Final = 5
"""People from whom a prior is fitted at least: fewer would make it somebody's own."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person's choices as numbers.

    Attributes:
        differences: chosen minus rejected, shape (pairs, features).
        items: what each pair is about.
    """

    differences: Matrix64
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CrowdPrior:
    """Weights of features, as people have them.

    Attributes:
        names: of the features.
        scale: typical size of each difference, shape (features,); features are divided by it.
        mean: common weights of scaled features, shape (features,).
        spread: standard deviation of a person's weights around them, shape (features,); 0: people
            do not differ in a way that helps to predict them.
        loss: mean -log P of choices of people about items that it was not fitted on, nats; nan
            where that was not measured.
    """

    names: tuple[str, ...]
    scale: Matrix64
    mean: Matrix64
    spread: Matrix64
    loss: float = math.nan

    def adapted(self, differences: Matrix64, weights: Matrix64 | None = None) -> WeightPosterior:
        """A person's weights, from their choices and what people have in common."""
        if not len(differences) or not self.spread.any():
            return WeightPosterior(self.mean, np.diag(self.spread**2))
        return posterior(differences / self.scale, self.mean, self.spread, weights)


def shipped() -> CrowdPrior:
    """Return the prior that comes with the library, for where no crowd is at hand."""
    known = shipped_prior()
    spread = LARGEST_SHARE * np.sqrt(np.diag(known.covariance) + 0.5)
    return CrowdPrior(MEASURES, known.scale, known.crowd, spread)


def unknown(names: Sequence[str], differences: Matrix64, spread: float) -> CrowdPrior:
    """Return an uninformative prior."""
    count = len(names)
    return CrowdPrior(tuple(names), _scale(differences), np.zeros(count), np.full(count, spread))


def fit_prior(names: Sequence[str], people: Sequence[Person]) -> CrowdPrior:
    """Measure what people have in common, and how much they differ.

    Args:
        names: of the features.
        people: at least two.
    """
    scale = _scale(np.concatenate([person.differences for person in people]))
    scaled = [Person(person.differences / scale, person.items) for person in people]
    trials = _trials(scaled)
    # First the ridge, without adapting to anybody.
    tried = {ridge: [_common(trial.rest, ridge) for trial in trials] for ridge in RIDGES}
    spread = np.zeros(len(names))
    ridge = min(RIDGES, key=lambda ridge: _loss(trials, tried[ridge], np.zeros(len(names))))
    # Then the spreads with which a person's other choices help most.
    own = np.array([name == OWN for name in names])
    for block in (own, ~own):  # one after the other: length matters most
        if block.any():
            spreads = [np.where(block, each, spread) for each in SPREADS]
            spread = min(spreads, key=lambda each: _loss(trials, tried[ridge], each))
    everyone = np.concatenate([person.differences for person in scaled])
    loss = _loss(trials, tried[ridge], spread)
    return CrowdPrior(tuple(names), scale, _common(everyone, ridge), spread, loss)


@dataclass(frozen=True, slots=True)
class _Trial:
    """Some people and some items left out.

    Attributes:
        rest: choices of other people about other items.
        persons: for each person left out, their choices about other items and about these.
    """

    rest: Matrix64
    persons: list[tuple[Matrix64, Matrix64]]


def _trials(people: Sequence[Person]) -> list[_Trial]:
    """Every pair of a part of the people and a part of the items."""
    items = sorted({item for person in people for item in person.items})
    parts = min(PARTS, len(items))
    part = {item: place % parts for place, item in enumerate(items)}
    asked = [np.array([part[item] for item in person.items]) for person in people]
    folds = min(FOLDS, len(people))
    found = []
    for fold in range(folds):
        for number in range(parts):
            rest, persons = [], []
            for place, (person, of) in enumerate(zip(people, asked, strict=True)):
                others, these = person.differences[of != number], person.differences[of == number]
                if place % folds != fold:
                    rest.append(others)
                elif len(these):
                    persons.append((others, these))
            if sum(map(len, rest)) and persons:
                found.append(_Trial(np.concatenate(rest), persons))
    return found


def _scale(differences: Matrix64) -> Matrix64:
    size = np.sqrt((differences**2).mean(axis=0)) if len(differences) else np.ones(1)
    return np.asarray(np.where(size > 0, size, 1.0))


def _common(differences: Matrix64, ridge: float) -> Matrix64:
    count = differences.shape[1]
    return posterior(differences, np.zeros(count), np.full(count, ridge**-0.5)).mean


def _loss(trials: Sequence[_Trial], common: Sequence[Matrix64], spread: Matrix64) -> float:
    """Mean -log P of the choices that were left out, nats."""
    losses = []
    for trial, weights in zip(trials, common, strict=True):
        for learned, asked in trial.persons:
            own = posterior(learned, weights, spread).mean if spread.any() else weights
            losses.append(log_losses(own, asked))
    return float(np.concatenate(losses).mean()) if losses else math.nan


# Features of pairs: plain style measures, the model's own opinion, and contrasts of attributes.
#
# One pass of scoring (plain, each attribute, each opposite) gives the last two; the first need no
# model.

Part = Literal["length", "style", "likelihood", "contrast", "single"]

WITHOUT_MODEL: Final[tuple[Part, ...]] = ("style",)
WITH_MODEL: Final[tuple[Part, ...]] = ("style", "likelihood", "contrast")

_NAMES: Final[dict[Part, Sequence[str]]] = {
    "length": ("length",),
    "style": MEASURES,
    "likelihood": ("log-likelihood", "log-likelihood per token"),
}
"""Names of the features that do not depend on the attribute bank."""


class FeatureSet:
    """Features of pairs, each computed once, and the prior of a crowd.

    Attributes:
        names: of the features.
    """

    def __init__(self, parts: Sequence[Part], evidence: CaseEvidence | None = None) -> None:
        """Build it.

        Args:
            parts: which features.
            evidence: what the model says; None if no part needs it.
        """
        self._parts = tuple(parts)
        self._evidence = evidence
        self._known: dict[Pair, Matrix64] = {}
        self._priors: dict[int, tuple[Sequence[Case], CrowdPrior | None]] = {}
        names: list[str] = []
        for part in self._parts:
            if part in _NAMES:
                names += _NAMES[part]
            else:
                assert evidence is not None
                names += [f"{part} {name}" for name in evidence.bank.names]
        self.names = tuple(names)

    def of(self, pair: Pair) -> Matrix64:
        """Chosen minus rejected, shape (features,)."""
        if pair not in self._known:
            self._known[pair] = np.concatenate([self._take(part, pair) for part in self._parts])
        return self._known[pair]

    def table(self, cases: Sequence[Case]) -> Matrix64:
        """The same of many, shape (cases, features)."""
        rows = [self.of(case.pair) for case in cases]
        return np.array(rows).reshape(len(rows), len(self.names))

    def prior(self, crowd: Sequence[Case]) -> CrowdPrior | None:
        """What a crowd has in common; None if it is too small to tell."""
        # By identity, of lists that are kept for as long: to compare thousands of cases is slow.
        if id(crowd) not in self._priors:
            people: dict[str, list[Case]] = {}
            for case in crowd:
                people.setdefault(case.user, []).append(case)
            persons = [
                Person(self.table(cases), tuple(case.item for case in cases))
                for _, cases in sorted(people.items())
            ]
            known = fit_prior(self.names, persons) if len(persons) >= LEAST_PEOPLE else None
            self._priors[id(crowd)] = (crowd, known)
        return self._priors[id(crowd)][1]

    def _take(self, part: Part, pair: Pair) -> Matrix64:
        if part == "length":
            return np.asarray(np.nan_to_num(differences([pair])[0, :1]))
        if part == "style":
            return np.asarray(np.nan_to_num(differences([pair])[0]))
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
        table = traits.table(past)
        prior = unknown(traits.names, table, SPREAD)
        adapted = prior.adapted(table)
        return lambda case: Judgement.own(adapted.score(traits.of(case.pair) / prior.scale))


class Ours:
    """Prefers the answer that this person would most likely prefer."""

    def __init__(
        self,
        traits: FeatureSet,
        *more: FeatureSet,
        name: str = "ours",
        shipped: CrowdPrior | None = None,
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
        # What is known before the person has chosen anything: of a crowd, or of the shipped ones.
        found = [(traits, traits.prior(crowd)) for traits in self._choices]
        measured = [(traits, prior) for traits, prior in found if prior is not None]
        if measured:
            traits, prior = min(measured, key=lambda choice: choice[1].loss)
            table = traits.table(learned)
        else:
            traits = self._choices[0]
            table = traits.table(learned)
            prior = self._shipped or unknown(traits.names, table, SPREAD)
        everywhere = prior.adapted(table, self._weights(learned, None))

        def judge(case: Case) -> Judgement:
            adapted = (
                everywhere
                if self._width is None
                else prior.adapted(table, self._weights(learned, case))
            )
            return Judgement.own(adapted.score(traits.of(case.pair) / prior.scale))

        return judge

    def _weights(self, past: Sequence[Case], case: Case | None) -> Matrix64 | None:
        """How much each past choice counts; None if all count alike."""
        weights = np.ones(len(past))
        if self._half_life is not None:
            weights = 0.5 ** (np.arange(len(past))[::-1] / self._half_life)
        if self._width is not None and case is not None and past:
            cosines = np.array([case.vector @ other.vector for other in past], dtype=np.float64)
            weights = weights * np.exp((cosines - 1) / self._width)
        return weights if self._half_life or self._width else None
