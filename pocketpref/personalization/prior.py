"""The shipped prior: what one may expect of a person before their first choice.

It is a mixture of hypotheses about the person, each a Gaussian over the weights of features. A
person may be like everybody, or like one known crowd, closely or loosely; like nobody; driven by
length, in either direction; fond of answers of one length; fond of one single thing; or may have no
taste at all. A feature is a measure of an answer's text in units of its usual size, or how near the
answer is to a length in words.

The crowds and the directions in which people differ are fitted on public choices
(``tools/fit_preference_prior.py``); the file holds numbers about measures, nothing of a person.
The shares of the families of hypotheses are round numbers that did well on sets of choices that
the crowds were not fitted on. Shares fitted by expectation maximization trust a crowd too much as
soon as a new set differs (docs/log.md).
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import numpy as np

from pocketpref.personalization.measures import MEASURES
from pocketpref.records import Matrix64

TARGET_WORDS: Final = (15, 30, 60, 100, 160, 250, 400)
"""Lengths in words that a person may want answers to be near to."""

FEATURES: Final[tuple[str, ...]] = MEASURES + tuple(f"near {n} words" for n in TARGET_WORDS)
"""Name of each feature, in the order of the vector that `Prior.features` returns."""

_LENGTH: Final = MEASURES.index("length")
_USUAL_SIZE: Final = 0.3  # of a measure that the prior was not fitted with
_OPEN: Final = 0.5  # identity added to the fitted covariance: a new person may differ in anything

EVERYBODY: Final = "all"
"""Name of the crowd of all sets together."""

FAMILIES: Final[Mapping[str, float]] = {
    "no taste": 0.5,
    "like everybody": 8.0,
    "like a crowd": 12.0,
    "roughly like a crowd": 8.0,
    "loosely like a crowd": 5.0,
    "own taste": 2.5,
    "own taste, anything": 6.0,
    "own taste, mostly length": 4.0,
    "near a length": 5.0,
    "one thing": 0.5,
}
"""Share of each family of hypotheses, relative to the others."""


@dataclass(frozen=True, slots=True, eq=False)
class Hypothesis:
    """A Gaussian over the weights of F features: mean + root z, z ~ N(0, I).

    Attributes:
        family: one of `FAMILIES`.
        name: says which of the family.
        mean: shape (F,).
        root: shape (F, K); K is 0 where nothing is left to learn.
    """

    family: str
    name: str
    mean: Matrix64
    root: Matrix64


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What was fitted on people, by the names of measures.

    Attributes:
        scale: usual size of a difference of each measure, shape (len(MEASURES),).
        crowds: mean weights of the people of each set it was fitted on, shape (len(MEASURES),)
            each, in units of the scale.
        covariance: second moments of people's weights around their crowd, trace len(MEASURES),
            shape (len(MEASURES), len(MEASURES)).
    """

    scale: Matrix64
    crowds: Mapping[str, Matrix64]
    covariance: Matrix64

    def features(self, measures: Matrix64) -> Matrix64:
        """Return the features of answers with these measures, shape (..., len(FEATURES)).

        Args:
            measures: shape (..., len(MEASURES)); NaN where a measure does not exist.
        """
        distance = np.abs(measures[..., _LENGTH, None] - np.log1p(TARGET_WORDS))
        return np.concatenate([measures / self.scale, -distance], axis=-1)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, JSON-able."""
        return {
            "measures": list(MEASURES),
            "scale": self.scale.round(5).tolist(),
            "crowds": {name: mean.round(4).tolist() for name, mean in self.crowds.items()},
            "covariance": self.covariance.round(4).tolist(),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Prior:
        """Read a prior; a measure that it was not fitted with has no crowd's weight."""
        places = {name: place for place, name in enumerate(values["measures"])}
        known = np.array([name in places for name in MEASURES])
        order = np.array([places.get(name, 0) for name in MEASURES])

        def by_measure(numbers: list[float], missing: float) -> Matrix64:
            return np.where(known, np.array(numbers, dtype=np.float64)[order], missing)

        covariance = np.array(values["covariance"], dtype=np.float64)[np.ix_(order, order)]
        return cls(
            by_measure(values["scale"], _USUAL_SIZE),
            {name: by_measure(mean, 0.0) for name, mean in values["crowds"].items()},
            np.where(np.outer(known, known), covariance, 0.0),
        )

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """Return the hypotheses about a person, family by family."""
        size = len(MEASURES)
        eye = np.eye(size)
        fitted, vectors = np.linalg.eigh(self.covariance + _OPEN * eye)
        around = (vectors * np.sqrt(np.maximum(fitted, 0))) @ vectors.T
        nothing = np.zeros(size)
        found = [_of_measures("no taste", "any", nothing, np.zeros((size, 0)))]
        for name, mean in self.crowds.items():
            closest = "like everybody" if name == EVERYBODY else "like a crowd"
            found += [
                _of_measures(closest, name, mean, 0.1 * eye),
                _of_measures("roughly like a crowd", name, mean, 0.12 * around),
                _of_measures("loosely like a crowd", name, mean, 0.25 * around),
            ]
        for spread in (0.1, 0.25, 0.5):
            found.append(_of_measures("own taste", f"{spread}", nothing, spread * around))
        for spread in (0.5, 1.0):
            found.append(_of_measures("own taste, anything", f"{spread}", nothing, spread * eye))
        length = eye[:, _LENGTH]
        for spread in (0.1, 0.25):
            root = np.diag(np.where(length > 0, 1.5, spread))
            found.append(_of_measures("own taste, mostly length", f"{spread}", nothing, root))
        for place, name in enumerate(MEASURES):
            if place != _LENGTH:
                found.append(_of_measures("one thing", name, nothing, eye[:, place : place + 1]))
        for place in range(size, len(FEATURES)):
            one = np.eye(len(FEATURES))[:, place]
            found.append(Hypothesis("near a length", FEATURES[place], one, 0.7 * one[:, None]))
        return tuple(found)


def _of_measures(family: str, name: str, mean: Matrix64, root: Matrix64) -> Hypothesis:
    """Return a hypothesis whose weights of nearness to a length are 0."""
    rest = len(TARGET_WORDS)
    return Hypothesis(family, name, np.pad(mean, (0, rest)), np.pad(root, ((0, rest), (0, 0))))


def log_shares(
    hypotheses: tuple[Hypothesis, ...], families: Mapping[str, float] = FAMILIES
) -> Matrix64:
    """Return the log prior probability of each hypothesis; a family's share is divided evenly."""
    members = {family: sum(h.family == family for h in hypotheses) for family in families}
    whole = sum(share for family, share in families.items() if members[family])
    return np.log([families[h.family] / members[h.family] / whole for h in hypotheses])


@functools.cache
def shipped_prior() -> Prior:
    """Return the prior that comes with the library."""
    content = resources.files(__package__).joinpath("prior.json").read_bytes()
    return Prior.from_dict(json.loads(content))
