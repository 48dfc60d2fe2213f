"""PALM (arXiv 2604.04144): a few policies, of which one suits every weighting of the traits.

    python -m tools.train.data DATA --mtbench PAIRS.jsonl
    python -m tools.train.palm train FOLDER --data DATA [--policies 7] [--most 1]
    python -m tools.train.palm add FOLDER --name brevity --weights 1 0 0 --worn brevity-full:0.8
    python -m tools.train.palm measure FOLDER [--parts test] [--draws 3]
    python -m tools.train.palm prune FOLDER --into PORTFOLIO

`train` begins with one policy for each trait, then asks where on a hybrid grid of weights another
one could gain most. There a blend of those trained is tried, or a policy trained, or both, or the
one only if the other gains nothing (`--mixtures`). It goes on where it stopped, also within a
policy. `add` trains for given weights, or puts what was trained into the pool at another scale or
as a blend (`--worn`). `measure` lets all of them answer held-out prompts. `prune` chooses on the
tune and guard parts, reports on the test part, and writes the portfolio as the device reads it
(`pocketpref/methods/palm/portfolio.py`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pocketpref.methods.palm.traits import REWARDS

from ..base import Tokens, load_base, starter_path
from ..data import CANDIDATES, COMMAND, read_candidates
from ..measure import fluency, mean_rewards
from ..prompts import Part, Prompt, fresh_prompts, guard_prompts, made_prompts, public_prompts
from ..weights import Grid, most_uncertain
from .policy import Comparer, Comparison, Recipe, Trainer
from .pool import LOOKED_AT, Member, Pool

Matrix = NDArray[np.float64]

Mixtures = Literal["blend", "lazy", "both", "train"]
"""Beyond single traits: blend; blend, and train where that gains nothing; do both; or train."""

Train = Callable[[Matrix, str], object]
"""Trains the policy for weights in the folder of a name."""

HELD_OUT: tuple[Part, ...] = (*LOOKED_AT, "test")
"""Parts that policies are measured on."""

EACH = 2
"""Held-out prompts about each topic."""


def grow(
    pool: Pool,
    train: Train,
    grid: Grid,
    *,
    policies: int,
    most: int,
    mixtures: Mixtures = "lazy",
) -> bool:
    """Add policies lazily, until nothing is left to gain, there are enough, or ``most`` were added.

    Args:
        pool: what there is.
        train: trains a policy for weights in the folder of a name.
        grid: candidate weights.
        policies: the search ends with so many members, or one more if the last blend needed it.
        most: how many times something is added now.
        mixtures: what is done for weights of several traits.

    Returns:
        Whether the search has ended.
    """
    corners = np.eye(len(pool.traits))
    for _ in range(most):
        members = pool.members()
        if len(members) >= policies:
            return True
        if len(members) <= len(corners):
            place = len(members) - 1
            _train(pool, train, corners[place], pool.traits[place])
        elif not _refine(pool, train, grid, mixtures):
            return True
    return len(pool.members()) >= policies


def _refine(pool: Pool, train: Train, grid: Grid, mixtures: Mixtures) -> bool:
    """One more policy where it can gain most; False if it could gain less than 1 % anywhere."""
    members = [m for m in pool.members() if m.weights and pool.sound(m)]
    tried = np.array([m.weights for m in members])
    seen = np.array([m.weights for m in pool.members() if m.weights])
    points = np.array([p for p in grid.points(len(pool.traits)) if not _among(p, seen)])
    if not len(points):
        return False
    rewards = np.array([mean_rewards(pool.said(m, "tune")) for m in members])
    place, gap = most_uncertain(points, tried, rewards)
    if gap < 0.01:
        return False
    weights = points[place]
    name = "-".join(f"{round(100 * w)}" for w in weights)
    gained = mixtures != "train" and _blend(pool, weights, name, (rewards @ weights).max())
    if mixtures != "blend" and not (mixtures == "lazy" and gained):
        _train(pool, train, weights, name)
    return True


def _blend(pool: Pool, weights: Matrix, name: str, best: float) -> bool:
    """Try a blend of the policies for single traits; whether it beats the best there was.

    It costs nothing to train.
    """
    # Relative to the largest: scales that sum to 1 leave little of each adapter.
    scales = weights / weights.max()
    parts = [(pool.traits[i], float(scale)) for i, scale in enumerate(scales) if scale > 0]
    blended = Member(f"blend-{name}", tuple(weights.tolist()), tuple(parts))
    pool.add(blended)
    gained = weights @ mean_rewards(pool.said(blended, "tune")) > best
    return bool(gained and pool.sound(blended))


def _among(point: Matrix, tried: Matrix) -> bool:
    return bool((np.abs(tried - point).max(axis=1) < 1e-6).any())


def _train(pool: Pool, train: Train, weights: Matrix, name: str) -> None:
    train(weights, name)
    pool.add(Member(name, tuple(weights.tolist()), ((name, 1.0),)))


def held_out(part: Part, mtbench: Path | None, most: int) -> list[Prompt]:
    """Prompts of a part, evenly spread over topics and kinds.

    Args:
        part: tune, guard or test.
        mtbench: a pair file with MT-Bench's questions; for the tune part only.
        most: how many.
    """
    public = public_prompts(mtbench) if mtbench else []
    own = {"guard": guard_prompts, "test": fresh_prompts}
    prompts = own[part](EACH) if part in own else made_prompts(EACH) + public
    found = [prompt for prompt in prompts if prompt.part == part]
    places = np.linspace(0, len(found) - 1, min(most, len(found))).round().astype(int)
    return [found[place] for place in places]


def _trainer(given: argparse.Namespace, pool: Pool, recipe: Recipe) -> Trainer:
    path = starter_path()
    sets = read_candidates(given.data / CANDIDATES)
    comparer = Comparer(sets, pool.traits, Tokens(path), pool.embedder)
    base = load_base(path, recipe.dtype)

    def compare(weights: Matrix) -> list[Comparison]:
        return comparer.compare(weights, given.pairs, recipe.plan.seed)

    return Trainer(base, compare, recipe, pool.folder)


def _training(given: argparse.Namespace, pool: Pool) -> Train:
    made: list[Trainer] = []

    def train(weights: Matrix, name: str) -> None:
        if not made:  # a base in torch takes seconds to load; a blend needs none
            made.append(_trainer(given, pool, Recipe()))
        made[0].train(weights, name)

    return train


def _record(given: argparse.Namespace, pool: Pool, stage: str) -> None:
    """Add a command to those that make the pool again."""
    path = pool.folder / COMMAND
    done = path.read_text("utf-8").strip().split("; ") if path.is_file() else []
    if given.data and (made_data := (given.data / COMMAND).read_text("utf-8").strip()) not in done:
        done.append(made_data)
    done.append(f"python -m tools.train.palm {stage}")
    path.write_text("; ".join(dict.fromkeys(done)) + "\n", "utf-8")


def _run_train(given: argparse.Namespace, pool: Pool) -> None:
    traits = " ".join(pool.traits)
    stage = f"train POOL --data DATA --pairs {given.pairs}"
    stage += f" --policies {given.policies} --mixtures {given.mixtures}"
    stage += f" --prompts {given.prompts}"
    stage += " --mtbench PAIRS.jsonl" if given.mtbench else ""
    _record(given, pool, f"{stage} --traits {traits}")
    ended = grow(
        pool,
        _training(given, pool),
        Grid(),
        policies=given.policies,
        most=given.most,
        mixtures=given.mixtures,
    )
    print("complete" if ended else "more to do: the same command goes on")


def _run_add(given: argparse.Namespace, pool: Pool) -> None:
    weights = np.array(given.weights) / sum(given.weights)
    stage = f"add POOL --name {given.name} --weights {' '.join(map(str, given.weights))}"
    if not given.worn:
        _record(given, pool, f"{stage} --data DATA --pairs {given.pairs}")
        _train(pool, _training(given, pool), weights, given.name)
        return
    _record(given, pool, f"{stage} --worn {' '.join(given.worn)}")
    worn = [one.rpartition(":") for one in given.worn]
    parts = tuple((name, float(scale)) for name, _, scale in worn)
    pool.add(Member(given.name, tuple(weights.tolist()), parts))


def _run_measure(given: argparse.Namespace, pool: Pool) -> None:
    for member in pool.members():
        # What no longer answers is in no portfolio, whatever it would earn on the test part.
        parts = [p for p in given.parts if p in LOOKED_AT or pool.sound(member)]
        for part in parts:
            said = pool.said(member, part)
            figures = dict(zip(pool.traits, mean_rewards(said).round(4).tolist(), strict=True))
            print(member.name, part, figures | {k: round(v, 3) for k, v in fluency(said).items()})


def _run_prune(given: argparse.Namespace, pool: Pool) -> None:
    from .portfolio import prune_pool  # which loads nothing that `train` needs

    command = (pool.folder / COMMAND).read_text("utf-8").strip()
    prune_pool(pool, given.into, given.epsilon, command)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, add, measure or prune."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    stages = {"train": _run_train, "add": _run_add, "measure": _run_measure, "prune": _run_prune}
    parser.add_argument("stage", choices=stages)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, help="what tools.train.data made")
    parser.add_argument("--traits", nargs="+", default=list(REWARDS), choices=list(REWARDS))
    parser.add_argument("--policies", type=int, default=8, help="most of the pool, with the base")
    parser.add_argument("--most", type=int, default=100, help="policies added by this call")
    parser.add_argument("--mixtures", choices=get_args(Mixtures), default="lazy")
    parser.add_argument("--pairs", type=int, default=160, help="comparisons trained on")
    parser.add_argument("--mtbench", type=Path, help="as for tools.train.data")
    parser.add_argument("--name", help="add: of the policy")
    parser.add_argument("--weights", nargs="+", type=float, help="add: what it is for")
    parser.add_argument("--worn", nargs="+", help="add: trained policies, NAME:SCALE")
    parser.add_argument("--prompts", type=int, default=120, help="held-out prompts of each part")
    parser.add_argument("--draws", type=int, default=1, help="answers to each of them")
    parser.add_argument("--parts", nargs="+", default=HELD_OUT, choices=HELD_OUT)
    parser.add_argument("--into", type=Path, help="the portfolio's folder")
    parser.add_argument("--epsilon", type=float, default=0.015)
    given = parser.parse_args(argv)
    prompts: dict[Part, list[Prompt]] = {
        part: held_out(part, given.mtbench, given.prompts) for part in HELD_OUT
    }
    stages[given.stage](given, Pool(given.folder, given.traits, prompts, given.draws))
    return 0


if __name__ == "__main__":
    sys.exit(main())
