"""Portfolios cover every weighting, the smallest is smallest, and grids keep what they promise."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train


def pool_of(seed: int, policies: int, traits: int) -> Any:
    """Policies on a concave front, each better somewhere."""
    rows = np.abs(np.random.default_rng(seed).normal(size=(policies, traits)))
    return 0.1 + 0.8 * rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize(("seed", "traits"), [(0, 2), (1, 2), (2, 3), (3, 3)])
def test_no_smaller_portfolio_would_do(seed: int, traits: int) -> None:
    """Against every smaller one, judged by linear programs that do not know the cover."""
    from tools.train.palm.cover import prune, worst_share

    pool, epsilon = pool_of(seed, 8, traits), 0.03
    kept = prune(pool, epsilon)
    assert worst_share(pool, kept) <= epsilon + 1e-6
    greedy = prune(pool, epsilon, exact=False)
    assert worst_share(pool, greedy) <= epsilon + 1e-6
    assert len(kept) <= len(greedy)
    for fewer in combinations(range(len(pool)), len(kept) - 1):
        assert worst_share(pool, fewer) > epsilon


def test_the_guarantee_is_met_where_it_is_computed_and_nowhere_exceeded() -> None:
    """A hundred thousand drawn weightings come close to the computed worst case, from below."""
    from tools.train.palm.cover import shortfall, suboptimality, worst_share
    from tools.train.weights import draw_weights

    pool, kept = pool_of(4, 12, 3), [0, 3, 7]
    weights = draw_weights(100_000, 3, 1)
    missed = suboptimality(pool, kept, weights)
    epsilon = worst_share(pool, kept)
    assert 0.9 * epsilon < missed.max() <= epsilon + 1e-9
    delta, where = shortfall(pool, kept)
    values = pool @ where
    assert values.max() - values[kept].max() == pytest.approx(delta)
    assert ((weights @ pool.T).max(1) - (weights @ pool[kept].T).max(1)).max() <= delta + 1e-9
    assert shortfall(pool, kept, epsilon)[0] == pytest.approx(0, abs=1e-6)


def test_a_policy_with_a_trait_that_no_other_has_cannot_be_left_out() -> None:
    from tools.train.palm.cover import prune, worst_share

    pool = np.array([[0.9, 0.0], [0.8, 0.0], [0.0, 0.5]])
    assert worst_share(pool, [0]) == 1.0
    assert prune(pool, 0.05) == [0, 2]


@pytest.mark.parametrize("traits", [2, 3])
def test_the_grids_bound_holds_for_the_best_policies_of_its_points(traits: int) -> None:
    from tools.train.palm.cover import shortfall
    from tools.train.weights import Grid

    for grid in (Grid(2.0, 0.25), Grid(1.5, 0.4), Grid(4.0, 0.5)):
        pool = pool_of(traits, 60, traits) - 0.1
        points = grid.points(traits)
        assert np.allclose(points.sum(axis=1), 1)
        kept = sorted({int((pool @ point).argmax()) for point in points})
        epsilon, delta = grid.bound(traits)
        assert shortfall(pool, kept, epsilon)[0] <= delta


def test_the_lazy_search_looks_where_a_policy_could_still_gain() -> None:
    """Between two extremes; and nowhere when the values already lie on a line."""
    from tools.train.weights import Grid, most_uncertain

    points, tried = Grid().points(2), np.eye(2)
    place, gap = most_uncertain(points, tried, np.array([[0.9, 0.2], [0.2, 0.9]]))
    assert points[place].tolist() == [0.5, 0.5]
    assert gap == pytest.approx(0.9 - 0.55)
    _, nothing = most_uncertain(points, tried, np.array([[0.9, 0.9], [0.9, 0.9]]))
    assert nothing == pytest.approx(0, abs=1e-9)
