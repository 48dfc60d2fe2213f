"""The shipped prior: what one may expect of a person before their first choice.

It is a mixture of hypotheses about the person, each a Gaussian over the weights of features. A
person may be like most people, closely or loosely; like longer answers, as most do; be like nobody;
be driven by length, in either direction; be fond of answers of some length; or have no taste. A
feature is a measure of an answer's text in units of its usual size, or how near the answer is to
a length in words.

The crowd's weights, and the directions in which people differ, are fitted on public choices
(``tools/fit_preference_prior.py``); the file holds numbers about measures, nothing of a person.
The shares of the families of hypotheses are round numbers. Equal ones predict within about two
points of these (docs/log.md).
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

FAMILIES: Final[Mapping[str, float]] = {
    "no taste": 0.25,
    "like the crowd": 3.0,
    "roughly like the crowd": 1.0,
    "longer is better": 2.0,
    "own taste": 1.0,
    "own taste, anything": 1.0,
    "own taste, mostly length": 1.0,
    "own taste and lengths": 2.0,
    "near a length": 1.0,
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
        crowd: weights that people have in common, in units of the scale, shape (len(MEASURES),).
        covariance: second moments of people's weights around those of their set, trace
            len(MEASURES), shape (len(MEASURES), len(MEASURES)).
    """

    scale: Matrix64
    crowd: Matrix64
    covariance: Matrix64

    def features(self, measures: Matrix64) -> Matrix64:
        """Return the features of answers with these measures, shape (..., len(FEATURES)).

        Args:
            measures: shape (..., len(MEASURES)); NaN where a measure does not exist.
        """
        distance = np.abs(measures[..., _LENGTH, None] - np.log1p(TARGET_WORDS))
        return np.concatenate([measures / self.scale, -distance], axis=-1)

    def to_dict(self) -> dict[str, Any]:
        """Return what `from_dict` reads, JSON-able; of the covariance the lower triangle."""
        return {
            "measures": list(MEASURES),
            "scale": self.scale.round(5).tolist(),
            "crowd": self.crowd.round(4).tolist(),
            "covariance": [
                row[: place + 1].round(3).tolist() for place, row in enumerate(self.covariance)
            ],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Prior:
        """Read a prior; a measure that it was not fitted with has no weight in the crowd."""
        places = {name: place for place, name in enumerate(values["measures"])}
        known = np.array([name in places for name in MEASURES])
        order = np.array([places.get(name, 0) for name in MEASURES])

        def by_measure(numbers: list[float], missing: float) -> Matrix64:
            return np.where(known, np.array(numbers, dtype=np.float64)[order], missing)

        lower = np.zeros((len(places), len(places)))
        for place, row in enumerate(values["covariance"]):
            lower[place, : place + 1] = row
        whole = lower + np.tril(lower, -1).T
        return cls(
            by_measure(values["scale"], _USUAL_SIZE),
            by_measure(values["crowd"], 0.0),
            np.where(np.outer(known, known), whole[np.ix_(order, order)], 0.0),
        )

    def hypotheses(self) -> tuple[Hypothesis, ...]:
        """Return the hypotheses about a person, family by family."""
        size, lengths = len(MEASURES), len(TARGET_WORDS)
        eye = np.eye(size)
        fitted, vectors = np.linalg.eigh(self.covariance + _OPEN * eye)
        around = (vectors * np.sqrt(np.maximum(fitted, 0))) @ vectors.T
        nothing = np.zeros(size)
        by_length = [
            np.diag(np.where(np.arange(size) == _LENGTH, spread, 0.1)) for spread in (1.5, 3.0)
        ]
        longer = 1.2 * eye[_LENGTH]
        found = [
            _of_measures("no taste", "any", nothing, np.zeros((size, 0))),
            _of_measures("like the crowd", "any", self.crowd, 0.06 * eye),
            _of_measures("roughly like the crowd", "any", self.crowd, 0.12 * around),
            _of_measures("longer is better", "any", longer, 0.1 * around),
            _of_measures("own taste", "weak", nothing, 0.1 * around),
            _of_measures("own taste", "strong", nothing, 0.25 * around),
            _of_measures("own taste, anything", "weak", nothing, 0.5 * eye),
            _of_measures("own taste, anything", "strong", nothing, 1.0 * eye),
            _of_measures("own taste, mostly length", "weak", nothing, by_length[0]),
            _of_measures("own taste, mostly length", "strong", nothing, by_length[1]),
        ]
        root = np.zeros((size + lengths, size + lengths))
        root[:size, :size] = 0.1 * around
        root[size:, size:] = 0.3 * np.eye(lengths)
        found.append(Hypothesis("own taste and lengths", "any", np.zeros(size + lengths), root))
        for place in range(size, size + lengths):
            one = np.eye(size + lengths)[:, place]
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
