"""How a portfolio grows with the number of traits, where the best rewards are known in closed form.

    python -m tools.train.palm.growth [--traits 2 3 4] [--epsilon 0.015 0.05] [--json FILE]

Policies may earn any rewards r >= 0 with |r| <= 1, so the best for weights w earns w / |w|: every
weighting wants another policy, which is the hardest case of its kind. The pool is the policies for
the points of a hybrid grid; the portfolio is what is left of it after pruning.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..weights import Grid, draw_weights
from .cover import prune, suboptimality


def sizes(traits: int, epsilon: float, grid: Grid) -> dict[str, Any]:
    """Sizes of the pool and of its portfolios, and how near they come to the best possible.

    Args:
        traits: how many.
        epsilon: share of the pool's best value that may be missing anywhere.
        grid: of the pool.
    """
    points = grid.points(traits)
    pool = points / np.linalg.norm(points, axis=1, keepdims=True)
    kept = prune(pool, epsilon)
    weights = draw_weights(20_000, traits, 0)
    best = np.linalg.norm(weights, axis=1)
    reached = (weights @ pool[kept].T).max(axis=1)
    return {
        "traits": traits,
        "epsilon": epsilon,
        "pool": len(pool),
        "smallest": len(kept),
        "greedy": len(prune(pool, epsilon, exact=False)),
        "worst against the pool": float(suboptimality(pool, kept, weights).max()),
        "worst against any policy": float((1 - reached / best).max()),
        "mean against any policy": float((1 - reached / best).mean()),
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Print sizes for several numbers of traits."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--traits", type=int, nargs="+", default=[2, 3, 4])
    parser.add_argument("--epsilon", type=float, nargs="+", default=[0.015, 0.05])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = parser.parse_args(argv)
    found = []
    for traits in given.traits:
        for epsilon in given.epsilon:
            found.append(sizes(traits, epsilon, Grid()))
            print(found[-1], flush=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
