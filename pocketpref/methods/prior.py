"""What people have in common, and how far a person is from it: where adaptation starts.

Both are measured on people: the ridge of the common weights by how well they predict people left
out, the spread of persons around them by how well half of a person's prompts predict the rest.
Where adapting to a person predicts no better, the spread is 0, and nothing is adapted. Length has a
spread of its own: people agree far less about it than about anything else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import numpy as np

from pocketpref.methods.bradley import Posterior, fit, log_losses, mode
from pocketpref.methods.contest import Matrix

RIDGES: Final = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0)
"""Precisions that are tried for the common weights, in units of features scaled to 1."""

SPREADS: Final = (0.0, 0.03, 0.06, 0.12, 0.25, 0.5)
"""Standard deviations that are tried for persons around the common weights, in the same units."""

OWN: Final = "length"
"""The feature that has a spread of its own."""

_FIXED: Final = 1e6
"""Precision of a weight that is not adapted."""

FOLDS: Final = 5
LEAST_PEOPLE: Final = 5
"""People from whom a prior is fitted at least: fewer would make it somebody's own."""


@dataclass(frozen=True, slots=True)
class Person:
    """One person's choices as numbers.

    Attributes:
        differences: chosen minus rejected, shape (pairs, features).
        groups: of each pair; pairs of one group are kept together.
    """

    differences: Matrix
    groups: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prior:
    """Weights of features, as people have them.

    Attributes:
        names: of the features.
        scale: typical size of each difference, shape (features,); features are divided by it.
        mean: common weights of scaled features, shape (features,).
        spread: standard deviation of a person's weights around them, shape (features,); 0: people
            do not differ in a way that helps to predict them.
    """

    names: tuple[str, ...]
    scale: Matrix
    mean: Matrix
    spread: Matrix

    def adapted(self, differences: Matrix, weights: Matrix | None = None) -> Posterior:
        """A person's weights, from their choices and what people have in common."""
        if not len(differences) or not self.spread.any():
            return Posterior(self.mean, np.diag(self.spread**2))
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
        return cls(tuple(values["names"]), *(np.array(values[k], dtype=np.float64) for k in keys))


def shipped() -> Prior:
    """The prior that comes with the library, on plain style measures (``tools/fit_prior.py``)."""
    content = resources.files("pocketpref.methods").joinpath("prior.json").read_bytes()
    return Prior.from_dict(json.loads(content))


def unknown(names: Sequence[str], differences: Matrix, spread: float) -> Prior:
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
    scaled = [Person(person.differences / scale, person.groups) for person in people]
    folds = [scaled[start::FOLDS] for start in range(min(FOLDS, len(scaled)))]
    ridge, common = _ridge(folds)
    spread = _spread(folds, common, own=[name == OWN for name in names])
    return Prior(tuple(names), scale, _common(scaled, ridge), spread)


def _scale(differences: Matrix) -> Matrix:
    size = np.sqrt((differences**2).mean(axis=0)) if len(differences) else np.ones(1)
    return np.asarray(np.where(size > 0, size, 1.0))


def _common(people: Sequence[Person], ridge: float) -> Matrix:
    together = np.concatenate([person.differences for person in people])
    count = together.shape[1]
    return mode(together, np.zeros(count), np.full(count, ridge))


def _ridge(folds: Sequence[Sequence[Person]]) -> tuple[float, list[Matrix]]:
    """The ridge that predicts people left out best, and the weights found without each fold."""
    best: tuple[float, float, list[Matrix]] | None = None
    for ridge in RIDGES:
        found = [_common(_without(folds, place), ridge) for place in range(len(folds))]
        loss = sum(
            float(log_losses(weights, person.differences).sum())
            for weights, fold in zip(found, folds, strict=True)
            for person in fold
        )
        if best is None or loss < best[0]:
            best = (loss, ridge, found)
    assert best is not None
    return best[1], best[2]


def _without(folds: Sequence[Sequence[Person]], place: int) -> list[Person]:
    rest = [person for other, fold in enumerate(folds) if other != place for person in fold]
    return rest or list(folds[place])


def _spread(
    folds: Sequence[Sequence[Person]], common: Sequence[Matrix], own: Sequence[bool]
) -> Matrix:
    """The spreads with which half of a person's groups predicts the other half best."""
    halves = [
        (weights, learned, asked)
        for weights, fold in zip(common, folds, strict=True)
        for person in fold
        for learned, asked in _halves(person)
    ]

    def loss(spread: Matrix) -> float:
        return sum(
            float(log_losses(_own(learned, weights, spread), asked).sum())
            for weights, learned, asked in halves
        )

    found = np.zeros(len(own))
    for block in (np.array(own), ~np.array(own)):  # one after the other: length matters most
        if block.any():
            tried = [np.where(block, spread, found) for spread in SPREADS]
            found = min(tried, key=loss)
    return found


def _own(learned: Matrix, weights: Matrix, spread: Matrix) -> Matrix:
    return mode(learned, weights, _precision(spread)) if spread.any() else weights


def _precision(spread: Matrix) -> Matrix:
    return np.asarray(1 / np.maximum(spread, _FIXED**-0.5) ** 2)


def _halves(person: Person) -> list[tuple[Matrix, Matrix]]:
    """(learned from, asked about), both ways; nothing if there is only one group."""
    names = sorted(set(person.groups))
    if len(names) < 2:
        return []
    first = np.isin(np.array(person.groups), names[::2])
    parts = person.differences[first], person.differences[~first]
    return [parts, parts[::-1]]
