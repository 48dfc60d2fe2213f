"""Bradley-Terry with a Gaussian prior: the probability that one answer is preferred to another.

    P(y_w preferred to y_l) = sigma(b . (phi(y_w) - phi(y_l)))    b ~ N(mean, diag(1 / precision))

Without an intercept it cannot matter which of the two answers stands first.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import numpy as np

from pocketpref.records import Matrix64

_STEPS = 60
_CLOSE = 1e-10


@dataclass(frozen=True, slots=True)
class WeightPosterior:
    """What is known of the weights (Laplace's approximation at the mode).

    Attributes:
        mean: the mode, shape (features,).
        covariance: shape (features, features).
    """

    mean: Matrix64
    covariance: Matrix64

    def score(self, difference: Matrix64) -> float:
        """Log-odds that the first answer is preferred, weakened by what is not known.

        MacKay's approximation of the integral over the posterior; the sign is that of the mode.
        """
        variance = float(difference @ self.covariance @ difference)
        return float(difference @ self.mean) / float(np.sqrt(1 + np.pi * variance / 8))


def fit(
    differences: Matrix64, mean: Matrix64, precision: Matrix64, weights: Matrix64 | None = None
) -> WeightPosterior:
    """The posterior of the weights; arguments as of ``mode``."""
    at = mode(differences, mean, precision, weights)
    counts = np.ones(len(differences)) if weights is None else weights
    _, curvature = _derivatives(at, differences, mean, precision, counts)
    return WeightPosterior(at, np.asarray(np.linalg.inv(curvature), dtype=np.float64))


def mode(
    differences: Matrix64, mean: Matrix64, precision: Matrix64, weights: Matrix64 | None = None
) -> Matrix64:
    """The likeliest weights, by Newton's method, shape (features,).

    Args:
        differences: features of the chosen answer minus those of the rejected one, shape
            (pairs, features).
        mean: of the prior, shape (features,).
        precision: of the prior, positive, shape (features,).
        weights: how much each pair counts, shape (pairs,); None counts each once.
    """
    counts = np.ones(len(differences)) if weights is None else weights
    at = mean.copy()
    value = _objective(at, differences, mean, precision, counts)
    for _ in range(_STEPS):
        slope, curvature = _derivatives(at, differences, mean, precision, counts)
        step = np.linalg.solve(curvature, slope)
        promised = float(slope @ step)
        if promised < _CLOSE:
            break
        size = 1.0
        # Concave: a short enough step always gains.
        while size > _CLOSE:
            there = _objective(at + size * step, differences, mean, precision, counts)
            if there >= value + 1e-4 * size * promised:
                break
            size /= 2
        else:
            break
        at, value = at + size * step, there
    return at


def log_losses(weights: Matrix64, differences: Matrix64) -> Matrix64:
    """-log P of each choice, nats, shape (pairs,)."""
    return np.asarray(np.logaddexp(0.0, -(differences @ weights)))


def _objective(
    at: Matrix64, differences: Matrix64, mean: Matrix64, precision: Matrix64, counts: Matrix64
) -> float:
    away = at - mean
    return -float(counts @ log_losses(at, differences) + 0.5 * (precision * away) @ away)


def _derivatives(
    at: Matrix64, differences: Matrix64, mean: Matrix64, precision: Matrix64, counts: Matrix64
) -> tuple[Matrix64, Matrix64]:
    """Slope, and minus the curvature, of the objective."""
    wrong = 1 / (1 + np.exp(np.clip(differences @ at, -500, 500)))
    slope = differences.T @ (counts * wrong) - precision * (at - mean)
    curvature = (differences.T * (counts * wrong * (1 - wrong))) @ differences
    return slope, curvature + np.diag(precision)


# What people have in common, and how far a person is from it: where adaptation starts.
#
# Both are measured on people: the ridge of the common weights by how well they predict people and
# items left out together, the spread of persons around them by how well a person's choices about
# the other items then predict theirs about these. (The same texts recur across people: leaving out
# people alone would reward learning the texts by heart.) Where adapting to a person predicts no
# better, the spread is 0, and nothing is adapted. Length has a spread of its own: people agree far
# less about it than about anything else.

RIDGES: Final = (3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Precisions that are tried for the common weights, in units of features scaled to 1."""

SPREADS: Final = (0.0, 0.06, 0.12, 0.25, 0.5)
"""Standard deviations that are tried for persons around the common weights, in the same units."""

OWN: Final = "length"
"""The feature that has a spread of its own."""

_FIXED: Final = 1e6
"""Precision of a weight that is not adapted."""

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
class Prior:
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
        return fit(differences / self.scale, self.mean, _precision(self.spread), weights)

    def to_dict(self) -> dict[str, Any]:
        """As JSON keeps it."""
        return {
            "names": list(self.names),
            "scale": self.scale.tolist(),
            "mean": self.mean.tolist(),
            "spread": self.spread.tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Prior:
        """What ``to_dict`` gave."""
        keys = ("scale", "mean", "spread")
        scale, mean, spread = (np.array(values[key], dtype=np.float64) for key in keys)
        return cls(tuple(values["names"]), scale, mean, spread)


def shipped() -> Prior:
    """The prior that comes with the library, on plain style measures (``tools/fit_prior.py``)."""
    content = resources.files(__package__).joinpath("prior.json").read_bytes()
    return Prior.from_dict(json.loads(content))


def unknown(names: Sequence[str], differences: Matrix64, spread: float) -> Prior:
    """The prior of somebody of whose like nothing is known: no weights, any sign."""
    count = len(names)
    return Prior(tuple(names), _scale(differences), np.zeros(count), np.full(count, spread))


def fit_prior(names: Sequence[str], people: Sequence[Person]) -> Prior:
    """Measure what people have in common, and how much they differ.

    Args:
        names: of the features.
        people: at least two.
    """
    scale = _scale(np.concatenate([person.differences for person in people]))
    scaled = [Person(person.differences / scale, person.items) for person in people]
    trials = _trials(scaled)
    ridge, common = _ridge(trials)
    spread, loss = _spread(trials, common, own=[name == OWN for name in names])
    return Prior(tuple(names), scale, _common(_together(scaled), ridge), spread, loss)


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


def _together(people: Sequence[Person]) -> Matrix64:
    return np.concatenate([person.differences for person in people])


def _scale(differences: Matrix64) -> Matrix64:
    size = np.sqrt((differences**2).mean(axis=0)) if len(differences) else np.ones(1)
    return np.asarray(np.where(size > 0, size, 1.0))


def _common(differences: Matrix64, ridge: float) -> Matrix64:
    count = differences.shape[1]
    return mode(differences, np.zeros(count), np.full(count, ridge))


def _ridge(trials: Sequence[_Trial]) -> tuple[float, list[Matrix64]]:
    """The ridge that predicts what was left out best, and the weights of each trial with it."""
    tried = {ridge: [_common(trial.rest, ridge) for trial in trials] for ridge in RIDGES}
    none = np.zeros(trials[0].rest.shape[1]) if trials else np.zeros(0)
    best = min(RIDGES, key=lambda ridge: _loss(trials, tried[ridge], none))
    return best, tried[best]


def _spread(
    trials: Sequence[_Trial], common: Sequence[Matrix64], own: Sequence[bool]
) -> tuple[Matrix64, float]:
    """The spreads with which a person's other choices help best, and the loss with them."""
    found = np.zeros(len(own))
    for block in (np.array(own), ~np.array(own)):  # one after the other: length matters most
        if block.any():
            tried = [np.where(block, spread, found) for spread in SPREADS]
            found = min(tried, key=lambda spread: _loss(trials, common, spread))
    return found, _loss(trials, common, found)


def _loss(trials: Sequence[_Trial], common: Sequence[Matrix64], spread: Matrix64) -> float:
    """Mean -log P of the choices that were left out, nats."""
    losses = [
        log_losses(_own(learned, weights, spread), asked)
        for trial, weights in zip(trials, common, strict=True)
        for learned, asked in trial.persons
    ]
    return float(np.concatenate(losses).mean()) if losses else math.nan


def _own(learned: Matrix64, weights: Matrix64, spread: Matrix64) -> Matrix64:
    return mode(learned, weights, _precision(spread)) if spread.any() else weights


def _precision(spread: Matrix64) -> Matrix64:
    return np.asarray(1 / np.maximum(spread, _FIXED**-0.5) ** 2)
