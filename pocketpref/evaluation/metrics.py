"""Accuracies, and how sure they are.

Pairs of one person are alike, so what is drawn again in the bootstrap is people, each with all of
their pairs: intervals say what other people of the same kind would give.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from pocketpref.records import Matrix64
from pocketpref.summary.records import Interval

DRAWS: Final = 2000
COVERAGE: Final = 0.95


def interval(
    values: Sequence[float] | Matrix64, clusters: Sequence[str] | None = None, seed: int = 0
) -> Interval:
    """Mean of values with the bootstrap interval over whole clusters (95 %).

    Args:
        values: one for each outcome.
        clusters: whose each is; None where each is somebody else's.
        seed: of the resamples.

    Returns:
        Ends of nan where there is one cluster only: it says nothing about others.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers):
        return Interval(math.nan, math.nan, math.nan)
    whose = range(len(numbers)) if clusters is None else clusters
    names, of = np.unique(np.asarray(whose, dtype=str), return_inverse=True)
    mean = float(numbers.mean())
    if len(names) < 2:
        return Interval(mean, math.nan, math.nan)
    sums = np.bincount(of, numbers, len(names))
    sizes = np.bincount(of, minlength=len(names)).astype(np.float64)
    drawn = np.random.default_rng(seed).integers(len(names), size=(DRAWS, len(names)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    edge = (1 - COVERAGE) / 2
    low, high = np.quantile(means, [edge, 1 - edge])
    return Interval(mean, float(low), float(high))


def credited(scores: Sequence[float] | Matrix64) -> Matrix64:
    """1 for a positive score, 0 for a negative one, a half for a tie."""
    return np.asarray((np.sign(np.asarray(scores, dtype=np.float64)) + 1) / 2)


def log_loss(scores: Sequence[float] | Matrix64) -> float:
    """Mean of -log P of what was chosen, nats, where scores are log-odds (log 2 is chance)."""
    return float(np.logaddexp(0.0, -np.asarray(scores, dtype=np.float64)).mean())


def calibration(
    scores: Sequence[float] | Matrix64, bins: int = 5
) -> list[tuple[float, float, int]]:
    """How often the answer that was said to win does, by how surely it was said.

    Args:
        scores: log-odds, positive where the chosen answer was said to win.
        bins: of equal numbers of pairs.

    Returns:
        (mean probability that was said, share that was right, pairs) for each bin, the least sure
        first.
    """
    odds = np.asarray(scores, dtype=np.float64)
    said = 1 / (1 + np.exp(-np.abs(odds)))
    right = credited(odds)
    parts = np.array_split(np.argsort(said, kind="stable"), bins)
    return [(float(said[p].mean()), float(right[p].mean()), len(p)) for p in parts if len(p)]


def without_nan(value: Any) -> Any:
    """The same figures with None for what is not a number: JSON has no word for that.

    Args:
        value: what is to be written, with all that lies in dictionaries and lists.
    """
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value
