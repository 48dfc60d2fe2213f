"""Infer a person's weights over traits from their choices, with their uncertainty.

The model of a choice is Bradley and Terry's with weights on the simplex: of two answers whose
rewards differ by the vector d, the first is preferred with probability

    p(first | w, beta) = 1 / (1 + exp(-beta w.d)),    w >= 0, sum w = 1

where beta is how strictly the person chooses by these traits; beta = 0 is somebody who does not
choose by them. Everything is computed on a grid of weights and strictnesses, which for a few traits
is exact enough and has no optimizer to fail.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from pocketpref.records import Matrix64

STRICTNESS: Final = np.array([2.0, 4.0, 8.0, 16.0, 32.0])
"""Values of beta. Rewards of two answers differ by about 0.3 in a trait, so the least of them is
somebody who chooses by it in 65 of 100 cases."""

_HALF: Final = 0.5  # before any choice: as likely as not that somebody chooses by these traits
_STEPS: Final = {1: 1, 2: 100, 3: 40, 4: 20, 5: 12, 6: 9}
"""Steps from 0 to 1 of each weight, by the number of traits: one to two thousand points at most."""


@cache
def simplex(traits: int) -> Matrix64:
    """Weights at equal steps all over the simplex, shape (points, traits)."""
    steps = _STEPS[traits]
    rows = [[]]  # type: list[list[int]]
    for _ in range(traits - 1):
        rows = [[*row, k] for row in rows for k in range(steps - sum(row) + 1)]
    found = np.array([[*row, steps - sum(row)] for row in rows], dtype=np.float64) / steps
    found.setflags(write=False)
    return found


@dataclass(frozen=True)
class TraitPosterior:
    """The posterior distribution of a person's weights.

    Attributes:
        points: weights, shape (points, traits).
        mass: joint probabilities of weights and strictness, given that the person chooses by the
            traits at all, shape (points, strictnesses); sum 1.
        follows: probability that they do.
        pairs: how many choices it was inferred from.
    """

    points: Matrix64
    mass: Matrix64
    follows: float
    pairs: int

    @property
    def weights(self) -> Matrix64:
        """Probabilities of the points, shape (points,)."""
        return np.asarray(self.mass.sum(axis=1))

    @property
    def mean(self) -> Matrix64:
        """Expected weights, shape (traits,); sum 1."""
        return np.asarray(self.weights @ self.points)

    def interval(self, trait: int, share: float = 0.9) -> tuple[float, float]:
        """Bounds between which a trait's weight lies with this probability."""
        order = np.argsort(self.points[:, trait], kind="stable")
        below = np.cumsum(self.weights[order])
        tails = (1 - share) / 2, (1 + share) / 2
        low, high = np.minimum(np.searchsorted(below, tails), len(order) - 1)
        values = self.points[order, trait]
        return float(values[low]), float(values[high])

    def predict(self, differences: Matrix64) -> Matrix64:
        """Probability that the first answer is preferred, shape (pairs,).

        Args:
            differences: what the first earns more than the second, shape (pairs, traits).
        """
        likely = np.einsum("npb,pb->n", _likely(differences, self.points), self.mass)
        return np.asarray(self.follows * likely + (1 - self.follows) / 2)


def infer(differences: Matrix64, prior: Matrix64 | None = None) -> TraitPosterior:
    """Weights from choices.

    Args:
        differences: what the preferred answer earns more than the other, shape (pairs, traits).
        prior: concentrations of a Dirichlet distribution, one for each trait, that weights are
            drawn from; None for all weights alike (1, 1, ...).
    """
    points = simplex(differences.shape[1])
    before = np.full(len(points), 1 / len(points))
    if prior is not None:
        # Off the edges by half a step, where the density may be 0 or infinite.
        inside = np.maximum(points, 0.5 / _STEPS[points.shape[1]])
        density = np.exp(((prior - 1) * np.log(inside)).sum(axis=1))
        before = density / density.sum()
    evidence = np.log(before)[:, None] - math.log(len(STRICTNESS))
    evidence = evidence + log_likelihood(differences, points)
    peak = evidence.max()
    mass = np.exp(evidence - peak)
    log_follows = peak + math.log(mass.sum())
    log_not = -len(differences) * math.log(2)
    odds = (log_not - log_follows) + math.log((1 - _HALF) / _HALF)
    follows = 0.5 * (1 - math.tanh(0.5 * odds))
    return TraitPosterior(points, mass / mass.sum(), follows, len(differences))


def information(posterior: TraitPosterior, differences: Matrix64) -> Matrix64:
    """What the answer to each question would tell about a person, nats, shape (questions,).

    The mutual information between the answer and the unknowns, whether the person chooses by the
    traits and with which weights: the entropy of the answer, less its expected entropy once these
    are known (Houlsby et al., arXiv 1112.5745).

    Args:
        posterior: inferred from the choices so far.
        differences: what one answer earns more than the other, shape (questions, traits).
    """
    weights = posterior.weights
    given = posterior.mass / np.maximum(weights, 1e-300)[:, None]  # strictness, given weights
    known = np.einsum("npb,pb->np", _likely(differences, posterior.points), given)
    follows = posterior.follows
    answer = follows * (known @ weights) + (1 - follows) / 2
    left = follows * (_entropy(known) @ weights) + (1 - follows) * math.log(2)
    return np.asarray(_entropy(answer) - left)


def log_likelihood(differences: Matrix64, points: Matrix64) -> Matrix64:
    """Log probability of all choices, shape (points, strictnesses).

    Args:
        differences: what the preferred answer earns more than the other, shape (pairs, traits).
        points: weights, shape (points, traits).
    """
    total = np.zeros((len(points), len(STRICTNESS)))
    for start in range(0, len(differences), 64):  # all at once need (pairs, points, strictnesses)
        part = differences[start : start + 64]
        total -= np.logaddexp(0, -_exponents(part, points)).sum(axis=0)
    return total


def _likely(differences: Matrix64, points: Matrix64) -> Matrix64:
    """Probability of preferring the first, shape (pairs, points, strictnesses)."""
    return np.asarray(0.5 * (1 + np.tanh(0.5 * _exponents(differences, points))))


def _exponents(differences: Matrix64, points: Matrix64) -> Matrix64:
    return np.asarray((differences @ points.T)[:, :, None] * STRICTNESS)


def _entropy(p: Matrix64) -> Matrix64:
    """Of a coin that falls one way with probability p, nats."""
    p = np.clip(p, 1e-12, 1 - 1e-12)
    return np.asarray(-p * np.log(p) - (1 - p) * np.log(1 - p))
