"""Pruning a pool of policies to a portfolio, with a guarantee that is computed.

A portfolio covers a weighting w if one of its policies has w.r >= (1 - epsilon) max w.r - delta,
the maximum over the pool. Which weightings are hardest is found by linear programming over the
whole simplex, not by drawing some (regret-minimizing sets, Nanongkai et al., VLDB 2010). The
smallest portfolio is a set cover; here weightings are added to it until no uncovered one is left,
so that its solution covers all of them and is still the smallest.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, linprog, milp

Matrix = NDArray[np.float64]
Covers = NDArray[np.bool_]
Solver = Callable[[Covers], list[int]]

_ROUNDING = 1e-9


def shortfall(pool: Matrix, kept: Sequence[int], epsilon: float = 0.0) -> tuple[float, Matrix]:
    """The least delta with which a portfolio covers every weighting, for a given epsilon.

    Args:
        pool: mean rewards, shape (policies, traits), in [0, 1].
        kept: places of the portfolio's policies.
        epsilon: share of the best value that may be missing.

    Returns:
        Delta, and the weighting at which it is needed, shape (traits,).
    """
    worst, where = 0.0, np.full(pool.shape[1], 1 / pool.shape[1])
    for rewards in pool:
        value, weights = _advantage((1 - epsilon) * rewards, pool[list(kept)])
        if value > worst:
            worst, where = value, weights
    return worst, where


def _advantage(rewards: Matrix, others: Matrix) -> tuple[float, Matrix]:
    """By how much a policy is better than all others where it is so most: max of w.r - max w.o."""
    traits = len(rewards)
    found = linprog(
        np.append(-rewards, 1.0),  # variables: the weights, then the others' best value
        A_ub=np.column_stack([others, -np.ones(len(others))]),
        b_ub=np.zeros(len(others)),
        A_eq=[[1.0] * traits + [0.0]],
        b_eq=[1.0],
        bounds=[(0, None)] * traits + [(None, None)],
    )
    return float(-found.fun), np.asarray(found.x[:traits])


def worst_share(pool: Matrix, kept: Sequence[int]) -> float:
    """The least epsilon with which a portfolio covers every weighting, with delta = 0."""
    return max(_relative(rewards, pool[list(kept)]) for rewards in pool)


def _relative(rewards: Matrix, others: Matrix) -> float:
    # With the others' best value scaled to 1, the policy's own is as large as can be.
    found = linprog(-rewards, A_ub=others, b_ub=np.ones(len(others)), bounds=(0, None))
    if found.status == 3:  # unbounded: it has what no other one has any of
        return 1.0
    return max(0.0, 1 + 1 / float(found.fun))


def prune(pool: Matrix, epsilon: float, delta: float = 0.0, *, exact: bool = True) -> list[int]:
    """A portfolio that covers every weighting of the simplex.

    Args:
        pool: mean rewards in [0, 1], shape (policies, traits); or several possible ones, shape
            (possibilities, policies, traits): then it covers every weighting in each.
        epsilon: share of the best value that may be missing.
        delta: what may be missing besides.
        exact: the smallest one; else a greedy one, whose size is at most logarithmically larger.

    Returns:
        Places of its policies, ascending.
    """
    solve = smallest_cover if exact else greedy_cover
    pools = pool if pool.ndim == 3 else pool[None]
    tables = [covers(one, np.eye(one.shape[1]), epsilon, delta) for one in pools]
    while True:
        kept = solve(np.concatenate(tables, axis=1))
        missed = False
        for one in pools:
            missing, where = shortfall(one, kept, epsilon)
            if missing > delta + _ROUNDING:
                tables.append(covers(one, where[None], epsilon, delta))
                missed = True
        if not missed:
            return kept


def covers(pool: Matrix, weights: Matrix, epsilon: float, delta: float) -> Covers:
    """Which policies cover which weightings, shape (policies, weightings)."""
    values = pool @ weights.T
    return np.asarray(values >= (1 - epsilon) * values.max(axis=0) - delta - _ROUNDING / 2)


def greedy_cover(table: Covers) -> list[int]:
    """A cover found by taking, each time, what covers most of what is left."""
    left = np.ones(table.shape[1], dtype=bool)
    kept: list[int] = []
    while left.any():
        best = int((table & left).sum(axis=1).argmax())
        kept.append(best)
        left &= ~table[best]
    return sorted(kept)


def smallest_cover(table: Covers) -> list[int]:
    """A smallest cover, by integer programming."""
    found = milp(
        np.ones(len(table)),
        constraints=LinearConstraint(table.T.astype(float), lb=1),
        integrality=np.ones(len(table)),
        bounds=Bounds(0, 1),
    )
    return [int(place) for place in np.flatnonzero(found.x > 0.5)]


def suboptimality(pool: Matrix, kept: Sequence[int], weights: Matrix) -> Matrix:
    """Which share of the pool's best value a portfolio misses, for each weighting."""
    values = weights @ pool.T
    return np.asarray(1 - values[:, list(kept)].max(axis=1) / values.max(axis=1))
