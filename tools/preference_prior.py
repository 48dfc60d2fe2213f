"""Fit the shipped prior on public choices of many people.

The crowd: the weights that predict the people of some sets best, a Bradley-Terry fit of all their
choices with a ridge, each person counting the same. Over all sets: the second moments of people's
own weights around their set's mean, from a fit for each person (empirical Bayes: Robbins 1956;
Morris 1983). These say in which directions people differ, which a person's few choices cannot.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import numpy as np

from pocketpref.errors import InputError
from pocketpref.personalization.measures import MEASURES
from pocketpref.personalization.posterior import fit
from pocketpref.personalization.prior import Prior
from pocketpref.records import Matrix64

_LEAST: Final[Mapping[str, float]] = {
    "word length": 0.1,
    "sentence length": 0.4,
    "variety": 0.05,
    "asks back": 0.3,
    "capitals": 0.05,
    "small beginnings": 0.3,
    **dict.fromkeys(
        ("length", "lines", "bullets", "steps", "headings", "tables", "code", "bold"), 0.7
    ),
}
_LEAST_RATE: Final = 0.08
"""Least usual size of a difference, so that a measure that is rare in the sets (a table, an emoji)
does not count hundredfold when it does occur. 0.7 is twice as many lines or words."""

_CROWD_SPREAD: Final = 30**-0.5  # 10 to 100 predict alike
_OWN_SPREAD: Final = 0.3


def fit_prior(
    sets: Mapping[str, Sequence[Matrix64]], alike: Collection[str] | None = None
) -> Prior:
    """Return the prior of people like those of several sets.

    Args:
        sets: for each set its people's choices: measures of chosen minus rejected answers, NaN
            where unknown, shape (choices, len(MEASURES)) each.
        alike: sets whose people have a taste in common, the crowd's; None, or none of these sets:
            all of them. People of the others only teach how people differ.

    Raises:
        InputError: a set has nobody, or somebody without a choice.
    """
    if not sets or not all(people and all(map(len, people)) for people in sets.values()):
        raise InputError("every set needs people with choices", hint="leave the others out")
    known = {name: [np.nan_to_num(one) for one in people] for name, people in sets.items()}
    squares = [np.mean([(one**2).mean(axis=0) for one in people], 0) for people in known.values()]
    least = np.array([_LEAST.get(name, _LEAST_RATE) for name in MEASURES])
    scale = np.maximum(np.sqrt(np.mean(squares, axis=0)), least)
    scaled = {name: [one / scale for one in people] for name, people in known.items()}
    crowd = [one for name in sets if name in (alike or sets) for one in scaled[name]]
    crowd = crowd or [one for people in scaled.values() for one in people]
    covariance = np.mean([_covariance(people) for people in scaled.values()], axis=0)
    covariance *= len(MEASURES) / max(np.trace(covariance), 1e-12)
    return Prior(scale, _crowd(crowd), covariance)


def _crowd(people: Sequence[Matrix64]) -> Matrix64:
    """Return the weights that predict everybody's choices best, each person counting the same."""
    together = np.concatenate(people)
    counts = np.concatenate([np.full(len(one), 1 / len(one)) for one in people])
    return _weights(together, _CROWD_SPREAD, counts * len(together) / len(people))


def _covariance(people: Sequence[Matrix64]) -> Matrix64:
    own = np.array([_weights(one, _OWN_SPREAD, np.ones(len(one))) for one in people])
    own = own - own.mean(axis=0)
    return np.asarray(own.T @ own / len(own))


def _weights(differences: Matrix64, spread: float, counts: Matrix64) -> Matrix64:
    """Return the mode of a Bradley-Terry model around 0, shape (features,)."""
    found = fit((differences * spread)[None], np.zeros((1, len(differences))), counts)
    return np.asarray(found.modes[0] * spread)
