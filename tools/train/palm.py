"""PALM (arXiv 2604.04144): a few policies, of which one suits every weighting of the traits.

    python -m tools.train.data DATA --mtbench PAIRS.jsonl
    python -m tools.train.palm train FOLDER --data DATA [--policies 7] [--most 1]
    python -m tools.train.palm measure FOLDER --data DATA
    python -m tools.train.palm prune FOLDER --data DATA --into PORTFOLIO

`train` begins with one policy for each trait, then asks where on a hybrid grid of weights another
one could gain most. There a blend of those trained is tried first; a policy is trained for it if
the blend is no better than what there was. It goes on where it stopped, also within a policy.
`measure` lets all of them answer held-out prompts. `prune` chooses on the tune part, reports on the
test part, and writes the portfolio as the device reads it (`pocketpref/methods/palm.py`).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama import prepare
from pocketpref.backends.onnx import open_embedder
from pocketpref.catalogue.files import file_sha256
from pocketpref.methods.traits import REWARDS
from pocketpref.protocols import Embedder

from .base import Tokens, load_base, starter_path
from .data import CANDIDATES, COMMAND, read_candidates
from .export import write_json
from .measure import (
    Judge,
    Said,
    fluency,
    mean_rewards,
    measure,
    read_said,
    relevance,
    write_said,
)
from .policy import ADAPTER, Recipe, Trainer, comparisons
from .prompts import Part, made_prompts, public_prompts
from .sampling import Drawing
from .weights import Grid, most_uncertain

Matrix = NDArray[np.float64]

BASE = "base"
POOL = "pool.json"
LESS_RELEVANT = 0.1
"""By how much the mean cosine of a policy's answers to their prompts may lie below the base's."""

MORE_SURPRISING = 1.5
"""How many times the base's perplexity a policy's answers may have under the base."""

Train = Callable[[Matrix, str], object]
"""Trains the policy for weights in the folder of a name."""

HOW = Drawing(tokens=112, seed=7, side_by_side=12)


@dataclass(frozen=True, slots=True)
class Member:
    """One policy of the pool.

    Attributes:
        name: of its folder.
        weights: what it is for, sum 1; () for the base.
        parts: names of trained policies and their scales; a trained one has itself.
    """

    name: str
    weights: tuple[float, ...]
    parts: tuple[tuple[str, float], ...]


class Pool:
    """The policies of one folder, and what they earn. Everything in it is kept as it is made."""

    def __init__(self, folder: Path, traits: Sequence[str], prompts: dict[Part, list[str]]) -> None:
        """Read what the folder holds.

        Args:
            folder: made if it is not there.
            traits: names of rewards.
            prompts: what each part is measured on.
        """
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.traits = tuple(traits)
        self._prompts = prompts

    def members(self) -> list[Member]:
        """The pool, the base first."""
        path = self.folder / POOL
        if not path.is_file():
            return [Member(BASE, (), ())]
        entries = json.loads(path.read_text("utf-8"))
        return [
            Member(e["name"], tuple(e["weights"]), tuple((n, s) for n, s in e["parts"]))
            for e in entries
        ]

    def add(self, member: Member) -> None:
        """Keep one more."""
        entries = [
            {"name": m.name, "weights": list(m.weights), "parts": [list(p) for p in m.parts]}
            for m in [*self.members(), member]
        ]
        write_json(self.folder / POOL, entries)

    def said(self, member: Member, part: Part) -> list[Said]:
        """What a policy answers to a part's prompts; drawn and measured once."""
        folder = self.folder / member.name
        folder.mkdir(exist_ok=True)
        path = folder / f"{part}.jsonl"
        if not path.is_file():
            print(f"{member.name} answers {part}", file=sys.stderr, flush=True)
            parts = [(self.folder / name / ADAPTER, scale) for name, scale in member.parts]
            found = measure(self._judge, self._prompts[part], self.traits, how=HOW, parts=parts)
            write_said(path, found)
        return read_said(path)

    def sound(self, member: Member) -> bool:
        """Whether a policy still answers what it is asked, judged on the tune part.

        Rewards can be earned without: brief and plain is also who says nothing to the point.
        """
        own, said = self.said(Member(BASE, (), ()), "tune"), self.said(member, "tune")
        near = relevance(own, self.embedder) - relevance(said, self.embedder) <= LESS_RELEVANT
        usual = fluency(own)["perplexity"] * MORE_SURPRISING
        return near and fluency(said)["perplexity"] <= usual

    @cached_property
    def embedder(self) -> Embedder:
        """The bundled one."""
        return open_embedder(None)

    @cached_property
    def _judge(self) -> Judge:
        path = starter_path()
        return Judge(prepare(path, self.folder, file_sha256(path), "bf16"))


def grow(
    pool: Pool,
    train: Train,
    grid: Grid,
    *,
    policies: int,
    most: int,
    blends_only: bool = False,
) -> bool:
    """Add policies lazily, until nothing is left to gain, there are enough, or ``most`` were added.

    Args:
        pool: what there is.
        train: trains a policy for weights in the folder of a name.
        grid: candidate weights.
        policies: the search ends with so many members, or one more if the last blend needed it.
        most: how many times something is added now.
        blends_only: beyond single traits, train nothing.

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
        elif not _refine(pool, None if blends_only else train, grid):
            return True
    return len(pool.members()) >= policies


def _refine(pool: Pool, train: Train | None, grid: Grid) -> bool:
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
    # Relative to the largest: scales that sum to 1 leave little of each adapter.
    scales = weights / weights.max()
    blend = [(pool.traits[i], float(scale)) for i, scale in enumerate(scales) if scale > 0]
    blended = Member(f"blend-{name}", tuple(weights.tolist()), tuple(blend))
    pool.add(blended)
    # A blend costs nothing to train. Where it is no better than what there was, train.
    gained = weights @ mean_rewards(pool.said(blended, "tune")) - (rewards @ weights).max()
    if train is not None and (gained <= 0 or not pool.sound(blended)):
        _train(pool, train, weights, name)
    return True


def _among(point: Matrix, tried: Matrix) -> bool:
    return bool((np.abs(tried - point).max(axis=1) < 1e-6).any())


def _train(pool: Pool, train: Train, weights: Matrix, name: str) -> None:
    train(weights, name)
    pool.add(Member(name, tuple(weights.tolist()), ((name, 1.0),)))


def held_out(part: Part, mtbench: Path | None, most: int) -> list[str]:
    """Prompts of a part, evenly spread over topics, made ones and public ones."""
    prompts = made_prompts(1) + (public_prompts(mtbench) if mtbench else [])
    texts = [prompt.text for prompt in prompts if prompt.part == part]
    places = np.linspace(0, len(texts) - 1, min(most, len(texts))).round().astype(int)
    return [texts[place] for place in places]


def _trainer(given: argparse.Namespace, pool: Pool, recipe: Recipe) -> Trainer:
    path = starter_path()
    sets = read_candidates(given.data / CANDIDATES)
    compared = comparisons(sets, pool.traits, Tokens(path), given.pairs, recipe.plan.seed)
    base = load_base(path, recipe.dtype)
    return Trainer(base, compared, recipe, pool.folder)


def _run_train(given: argparse.Namespace, pool: Pool) -> None:
    made: list[Trainer] = []

    def train(weights: Matrix, name: str) -> None:
        if not made:  # a base in torch takes seconds to load; a blend needs none
            made.append(_trainer(given, pool, Recipe()))
        made[0].train(weights, name)

    made_data = (given.data / COMMAND).read_text("utf-8").strip()
    traits = " ".join(pool.traits)
    command = f"python -m tools.train.palm train POOL --data DATA --pairs {given.pairs}"
    command += " --blends-only" if given.blends_only else ""
    (pool.folder / COMMAND).write_text(f"{made_data}; {command} --traits {traits}\n", "utf-8")
    ended = grow(
        pool,
        train,
        Grid(),
        policies=given.policies,
        most=given.most,
        blends_only=given.blends_only,
    )
    print("complete" if ended else "more to do: the same command goes on")


def _run_measure(given: argparse.Namespace, pool: Pool) -> None:
    for member in pool.members():
        for part in given.parts:
            said = pool.said(member, part)
            figures = dict(zip(pool.traits, mean_rewards(said).round(3).tolist(), strict=True))
            print(member.name, part, figures | {k: round(v, 3) for k, v in fluency(said).items()})


def _run_prune(given: argparse.Namespace, pool: Pool) -> None:
    from .portfolio import prune_pool  # which loads nothing that `train` needs

    command = (pool.folder / COMMAND).read_text("utf-8").strip()
    prune_pool(pool, given.into, given.epsilon, command)


def main(argv: Sequence[str] | None = None) -> int:
    """Train, measure or prune."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    stages = {"train": _run_train, "measure": _run_measure, "prune": _run_prune}
    parser.add_argument("stage", choices=stages)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--data", type=Path, help="what tools.train.data made")
    parser.add_argument("--traits", nargs="+", default=list(REWARDS), choices=list(REWARDS))
    parser.add_argument("--policies", type=int, default=8, help="most of the pool, with the base")
    parser.add_argument("--most", type=int, default=100, help="policies added by this call")
    parser.add_argument("--blends-only", action="store_true", help="train single traits only")
    parser.add_argument("--pairs", type=int, default=160, help="comparisons trained on")
    parser.add_argument("--mtbench", type=Path, help="as for tools.train.data")
    parser.add_argument("--prompts", type=int, default=40, help="held-out prompts of each part")
    parser.add_argument("--parts", nargs="+", default=["tune", "test"], choices=["tune", "test"])
    parser.add_argument("--into", type=Path, help="the portfolio's folder")
    parser.add_argument("--epsilon", type=float, default=0.05)
    given = parser.parse_args(argv)
    prompts: dict[Part, list[str]] = {
        part: held_out(part, given.mtbench, given.prompts) for part in ("tune", "test")
    }
    stages[given.stage](given, Pool(given.folder, given.traits, prompts))
    return 0


if __name__ == "__main__":
    sys.exit(main())
