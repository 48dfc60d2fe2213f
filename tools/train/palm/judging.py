"""How well portfolios cover all weightings, by answers that took no part in choosing them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..weights import draw_weights
from .cover import prune, shortfall, suboptimality, worst_share

Matrix = NDArray[np.float64]

DRAWN = 20_000
"""Weightings that suboptimality is averaged over."""

REDRAWN = 200
"""How often topics are drawn again for an interval."""

_COARSE = 2_000  # weightings that are looked at in each redrawing
_SUBSETS = 20  # of answers, for each number of them


def report(
    tune: Matrix, test: Matrix, topics: Sequence[str], trained_for: Matrix, epsilon: float
) -> dict[str, Any]:
    """Portfolios of several kinds, chosen by some answers and judged by others.

    Args:
        tune: rewards of the answers that portfolios are chosen by, shape (policies, answers,
            traits); the base is the first policy.
        test: the same of those that they are judged by.
        topics: what each answer of the test part is about.
        trained_for: weights of the policies, shape (policies, traits); 0 if for none of these.
        epsilon: share of the best value that may be missing where they are chosen.

    Returns:
        For each kind of portfolio its policies' places, and its worst and mean suboptimality
        against the whole pool.
    """
    means, pool = tune.mean(axis=1), test.mean(axis=1)
    weights = draw_weights(DRAWN, test.shape[2], 0)
    exact = prune(means, epsilon)
    chosen = {
        "smallest": exact,
        "greedy": prune(means, epsilon, exact=False),
        "base alone": [0],
        "evenly spread": evenly_spread(trained_for, len(exact)),
        "best single": [int((weights @ means.T).mean(axis=0).argmax())],
    }
    found = {name: _judged(pool, kept, weights) for name, kept in chosen.items()}
    found["smallest"]["likely"] = likely(test, topics, exact)
    found["smallest"]["where chosen"] = worst_share(means, exact)
    found["random"] = _random(pool, len(exact), weights)
    return found


def _judged(pool: Matrix, kept: Sequence[int], weights: Matrix) -> dict[str, Any]:
    missed = suboptimality(pool, kept, weights)
    return {
        "policies": [int(place) for place in kept],
        "worst": float(missed.max()),
        "mean": float(missed.mean()),
        "epsilon": worst_share(pool, kept),
        "delta": shortfall(pool, kept)[0],
    }


def evenly_spread(trained_for: Matrix, size: int) -> list[int]:
    """Policies whose weights lie as far from one another as can be, whatever they earn.

    Args:
        trained_for: weights, shape (policies, traits); those of a row of zeros are passed over.
        size: how many; fewer if there are no more.

    Returns:
        Places: first the policies for single traits, then whichever is farthest from all before.
    """
    sums = trained_for.sum(axis=1, keepdims=True)
    able = np.flatnonzero(sums[:, 0] > 0)
    points = trained_for[able] / sums[able]
    kept = [int((points[:, 0]).argmax())]
    while len(kept) < min(size, len(points)):
        apart = np.linalg.norm(points[:, None] - points[kept], axis=2).min(axis=1)
        apart[kept] = -1.0  # among some of the traits several may be for the same weights
        kept.append(int(apart.argmax()))
    return sorted(int(able[place]) for place in kept)


def _random(pool: Matrix, size: int, weights: Matrix) -> dict[str, Any]:
    """The mean over all portfolios of a size, or over 500 drawn ones if there are more."""
    every = list(combinations(range(len(pool)), size))
    if len(every) > 500:
        places = np.random.default_rng(0).choice(len(every), 500, replace=False)
        every = [every[place] for place in places]
    missed = [suboptimality(pool, kept, weights) for kept in every]
    return {
        "portfolios": len(every),
        "worst": float(np.mean([one.max() for one in missed])),
        "mean": float(np.mean([one.mean() for one in missed])),
    }


def likely(values: Matrix, topics: Sequence[str], kept: Sequence[int]) -> dict[str, float]:
    """What a portfolio misses at worst, had other topics been asked about.

    Topics are drawn again, all their answers together. A worst case of noisy means is larger on
    average than that of the true ones, so the upper end is rather too high than too low.

    Args:
        values: rewards, shape (policies, answers, traits).
        topics: one for each answer.
        kept: places of the portfolio's policies.

    Returns:
        The median and the 95th percentile of the worst suboptimality.
    """
    weights = draw_weights(_COARSE, values.shape[2], 1)
    worst = [suboptimality(one, kept, weights).max() for one in redrawn(values, topics, REDRAWN)]
    middle, most = np.quantile(worst, [0.5, 0.95])
    return {"median": float(middle), "most": float(most)}


def redrawn(values: Matrix, topics: Sequence[str], count: int) -> Matrix:
    """Mean rewards with the topics drawn again, shape (count, policies, traits)."""
    names = sorted(set(topics))
    about = np.array([names.index(topic) for topic in topics])
    draws = np.random.default_rng(0).integers(0, len(names), (count, len(names)))
    times = np.stack([np.bincount(draw, minlength=len(names))[about] for draw in draws])
    shares = times / times.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("cn,pnt->cpt", shares, values))


def by_answers(tune: Matrix, test: Matrix, epsilon: float) -> dict[int, dict[str, float]]:
    """How many answers it takes to choose well: portfolios chosen by fewer of them, judged by all.

    Args:
        tune: rewards, shape (policies, answers, traits).
        test: the same of the answers that portfolios are judged by.
        epsilon: as for ``report``.

    Returns:
        By number of answers: mean size, and mean worst suboptimality.
    """
    random, pool = np.random.default_rng(0), test.mean(axis=1)
    weights = draw_weights(_COARSE, test.shape[2], 1)
    found = {}
    count = 24
    while count < tune.shape[1]:
        chosen = [
            prune(tune[:, random.permutation(tune.shape[1])[:count]].mean(axis=1), epsilon)
            for _ in range(_SUBSETS)
        ]
        found[count] = {
            "size": float(np.mean([len(kept) for kept in chosen])),
            "worst": float(np.mean([suboptimality(pool, k, weights).max() for k in chosen])),
        }
        count *= 2
    return found


def growth(
    tune: Matrix, test: Matrix, traits: Sequence[str], epsilons: Sequence[float]
) -> list[dict[str, Any]]:
    """Sizes for every set of traits, chosen by some answers and judged by others.

    Args:
        tune: rewards, shape (policies, answers, traits).
        test: the same of the answers that portfolios are judged by.
        traits: their names.
        epsilons: shares of the best value that may be missing where they are chosen.
    """
    found = []
    for count in range(1, len(traits) + 1):
        for some in map(list, combinations(range(len(traits)), count)):
            for epsilon in epsilons:
                kept = prune(tune.mean(axis=1)[:, some], epsilon)
                found.append(
                    {
                        "traits": [traits[i] for i in some],
                        "epsilon": epsilon,
                        "size": len(kept),
                        "missed": worst_share(test.mean(axis=1)[:, some], kept),
                    }
                )
    return found
