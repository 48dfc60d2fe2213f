"""Weights of traits: the grid that policies are trained on, and which of its points is next.

PALM (arXiv 2604.04144) trains policies on a hybrid multiplicative and additive grid of the simplex;
its exact form is not at hand, so this one is ours. Relative to the largest weight, the others are
powers of a ratio (multiplicative) down to a floor, or zero (additive). The search is lazy: since
the best value is a convex function of the weights, values at trained weights bound it from above
everywhere (optimistic linear support, Roijers et al. 2015); a policy is trained only where that
leaves something to gain.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Grid:
    """A hybrid grid.

    Attributes:
        ratio: between neighbouring weights, above 1.
        floor: least weight relative to the largest one, other than zero.
    """

    ratio: float = 2.0
    floor: float = 0.25

    def levels(self) -> list[float]:
        """What a weight may be relative to the largest one, ascending."""
        found = [1.0]
        while found[-1] / self.ratio >= self.floor * (1 - 1e-9):
            found.append(found[-1] / self.ratio)
        return [0.0, *reversed(found)]

    def points(self, traits: int) -> Matrix:
        """Every weight vector of the grid, shape (points, traits), each of sum 1."""
        tuples = [t for t in product(self.levels(), repeat=traits) if max(t) == 1.0]
        found = np.array(tuples)
        return np.asarray(found / found.sum(axis=1, keepdims=True))

    def bound(self, traits: int) -> tuple[float, float]:
        """What the grid guarantees of policies that are each the best for its point.

        For every weighting w some point has w.r >= (1 - epsilon) max w.r - delta, with rewards
        in [0, 1]. A weight is off by a factor of at most sqrt(ratio), or by less than the floor
        divided by it.

        Returns:
            Epsilon and delta.
        """
        keeps = 1 / self.ratio
        return 1 - keeps, keeps * (traits - 1) * self.floor / self.ratio**0.5


def draw_weights(count: int, traits: int, seed: int) -> Matrix:
    """Weights drawn uniformly from the simplex, shape (count, traits)."""
    return np.random.default_rng(seed).dirichlet(np.ones(traits), count)


def most_uncertain(points: Matrix, tried: Matrix, rewards: Matrix) -> tuple[int, float]:
    """Where another policy could gain most.

    Args:
        points: candidates, shape (points, traits).
        tried: weights that a policy was trained for, shape (policies, traits), at least one.
        rewards: mean rewards of these policies, shape (policies, traits).

    Returns:
        The place among the candidates, and the most that a policy for it can be better there than
        the best one so far, if those so far are the best for their weights.
    """
    known = (tried @ rewards.T).max(axis=1)
    best = (points @ rewards.T).max(axis=1)
    gaps = [
        _ceiling(point, tried, known) - value for point, value in zip(points, best, strict=True)
    ]
    place = int(np.argmax(gaps))
    return place, float(gaps[place])


def _ceiling(point: Matrix, tried: Matrix, known: Matrix) -> float:
    """The largest value at a point of any rewards in [0, 1] that no tried weight contradicts."""
    found = linprog(-point, A_ub=tried, b_ub=known, bounds=(0, 1))
    return float(-found.fun)
