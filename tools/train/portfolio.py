"""From a pool of measured policies to a portfolio: chosen on one half, reported on the other.

The portfolio is chosen by rewards on the tune part. Everything that is said of it, its guarantee
included, is computed from rewards on the test part, which took no part in training, in the search
or in the choice.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pocketpref.adapters import Base as BaseName

from .base import identity, starter_path
from .cover import prune, shortfall, suboptimality, worst_share
from .export import Made, manifest, write_json
from .measure import fluency, mean_rewards, relevance
from .policy import ADAPTER, Recipe
from .prompts import LICENCES, Part
from .weights import Grid, draw_weights

if TYPE_CHECKING:
    from .palm import Member, Pool

Matrix = NDArray[np.float64]

DRAWN = 20_000
"""Weightings that suboptimality is averaged over."""

POSSIBILITIES = 40
"""How often the tune part's prompts are drawn again."""

WORDS = {
    "brevity": "short answers",
    "plainness": "plain words and short sentences",
    "formality": "formal language",
}


def report(
    tune: Matrix, test: Matrix, trained_for: Matrix, epsilon: float, seed: int = 0
) -> dict[str, Any]:
    """How well portfolios cover all weightings, by rewards on prompts that chose none of them.

    Args:
        tune: mean rewards that portfolios are chosen by, as they were measured and as they might
            have been, shape (possibilities, policies, traits); the base is the first policy.
        test: mean rewards that they are judged by, shape (policies, traits).
        trained_for: weights of the policies, shape (policies, traits); 0 if for none of these.
        epsilon: that is asked for on the tune part.
        seed: of the weightings and of the random portfolios.

    Returns:
        For each kind of portfolio its policies' places, and its worst and mean suboptimality
        against the whole pool.
    """
    weights = draw_weights(DRAWN, test.shape[1], seed)
    exact = prune(tune, epsilon)
    chosen = {
        "smallest": exact,
        "greedy": prune(tune, epsilon, exact=False),
        "smallest by means": prune(tune[0], epsilon),
        "base alone": [0],
        "evenly spread": evenly_spread(trained_for, len(exact)),
        "best single": [int((weights @ tune[0].T).mean(axis=0).argmax())],
    }
    found = {name: _judged(test, kept, weights) for name, kept in chosen.items()}
    found["random"] = _random(test, len(exact), weights, seed)
    return found


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
        kept.append(int(apart.argmax()))
    return sorted(int(able[place]) for place in kept)


def _judged(pool: Matrix, kept: Sequence[int], weights: Matrix) -> dict[str, Any]:
    missed = suboptimality(pool, kept, weights)
    return {
        "policies": [int(place) for place in kept],
        "worst": float(missed.max()),
        "mean": float(missed.mean()),
        "epsilon": worst_share(pool, kept),
        "delta": shortfall(pool, kept)[0],
    }


def _random(pool: Matrix, size: int, weights: Matrix, seed: int) -> dict[str, Any]:
    """The mean over all portfolios of a size, or over 500 drawn ones if there are more."""
    every = list(combinations(range(len(pool)), size))
    if len(every) > 500:
        places = np.random.default_rng(seed).choice(len(every), 500, replace=False)
        every = [every[place] for place in places]
    missed = [suboptimality(pool, kept, weights) for kept in every]
    return {
        "portfolios": len(every),
        "worst": float(np.mean([one.max() for one in missed])),
        "mean": float(np.mean([one.mean() for one in missed])),
    }


def prune_pool(pool: Pool, into: Path, epsilon: float, command: str) -> dict[str, Any]:
    """Choose a portfolio of a pool, write it as the device reads it, and report.

    Args:
        pool: measured on both parts.
        into: the portfolio's folder; made if it is not there.
        epsilon: share of the best value that may be missing on the tune part.
        command: that made the pool.
    """
    members = [member for member in pool.members() if pool.sound(member)]
    tune, test = _possible_rewards(pool, members), _rewards(pool, members, "test")
    none = (0.0,) * len(pool.traits)
    weights = np.array([member.weights or none for member in members])
    found = {}
    for count in range(2, len(pool.traits) + 1):
        for some in map(list, combinations(range(len(pool.traits)), count)):
            names = " and ".join(pool.traits[i] for i in some)
            found[names] = report(tune[:, :, some], test[:, some], weights[:, some], epsilon)
    kept = found[" and ".join(pool.traits)]["smallest"]["policies"]
    chosen = Chosen(pool, members, test, kept, epsilon, command)
    figures = {member.name: _figures(pool, member) for member in members}
    write(chosen, figures, into)
    table = {
        "policies": figures,
        "no longer answer": [m.name for m in pool.members() if not pool.sound(m)],
        "portfolios": found,
    }
    write_json(pool.folder / "report.json", table)
    for names, kinds in found.items():
        print(names)
        for kind, figures in kinds.items():
            size = len(figures["policies"]) if "policies" in figures else "same"
            print(f"  {kind:12} {size} worst {figures['worst']:.4f} mean {figures['mean']:.4f}")
    return table


def _possible_rewards(pool: Pool, members: Sequence[Member]) -> Matrix:
    """Mean rewards on the tune part, and as they are on prompts drawn from it again and again.

    A policy that seems not to be needed may be by chance: two dozen prompts tell mean rewards that
    are 0.05 apart from one another only sometimes. What covers all possibilities does not rely on
    it.
    """
    said = [[one.rewards for one in pool.said(member, "tune")] for member in members]
    values = np.array(said)  # (policies, prompts, traits)
    random, count = np.random.default_rng(0), values.shape[1]
    draws = [random.integers(0, count, count) for _ in range(POSSIBILITIES)]
    return np.stack([values.mean(axis=1), *(values[:, draw].mean(axis=1) for draw in draws)])


def _rewards(pool: Pool, members: Sequence[Member], part: Part) -> Matrix:
    return np.array([mean_rewards(pool.said(member, part)) for member in members])


def _figures(pool: Pool, member: Member) -> dict[str, Any]:
    said = pool.said(member, "test")
    random = np.random.default_rng(0)
    values = np.array([one.rewards for one in said])
    draws = values[random.integers(0, len(values), (1000, len(values)))].mean(axis=1)
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    rewards = {
        name: {"mean": round(float(m), 4), "low": round(float(a), 4), "high": round(float(b), 4)}
        for name, m, a, b in zip(pool.traits, values.mean(axis=0), low, high, strict=True)
    }
    others = fluency(said) | {"relevance": relevance(said, pool.embedder)}
    return rewards | {name: round(value, 4) for name, value in others.items()}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A portfolio and what it was chosen from.

    Attributes:
        members: the sound ones of the pool.
        test: their mean rewards on the test part, shape (members, traits).
        kept: places of the portfolio's policies among them.
        epsilon: that was asked for on the tune part.
        command: that made the pool.
    """

    pool: Pool
    members: Sequence[Member]
    test: Matrix
    kept: Sequence[int]
    epsilon: float
    command: str


def write(chosen: Chosen, figures: dict[str, Any], into: Path) -> None:
    """Write portfolio.json, the adapters and their manifests.

    Args:
        chosen: the portfolio.
        figures: of each policy on the test part, by name.
        into: made if it is not there.
    """
    into.mkdir(parents=True, exist_ok=True)
    base = identity(starter_path())
    policies = [chosen.members[place] for place in chosen.kept]
    for name in sorted({name for policy in policies for name, _ in policy.parts}):
        _write_adapter(chosen, name, figures[name], into, base)
    asked = len(chosen.pool.said(policies[0], "test"))
    described = _described(chosen) | {
        "base": asdict(base),
        "made": {
            "command": chosen.command,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "prompts": f"{asked} held-out prompts; {LICENCES}",
        },
    }
    write_json(into / "portfolio.json", described)


def _write_adapter(
    chosen: Chosen, name: str, figures: dict[str, Any], into: Path, base: BaseName
) -> None:
    recipe = Recipe()
    data = (chosen.pool.folder / name / ADAPTER).read_bytes()
    made = Made(
        recipe=f"{recipe.objective}, beta {recipe.beta}, scale {recipe.scale}, anchor "
        f"{recipe.anchor}, learning rate {recipe.plan.rate}, batch {recipe.plan.batch}",
        command=chosen.command,
        seed=recipe.plan.seed,
        data=f"{LICENCES}; answers by the base",
    )
    described = manifest(name, data, base, recipe.lora, made, held_out=figures)
    (into / f"{name}.gguf").write_bytes(data)
    (into / f"{name}.json").write_bytes(described.dump())


def _described(chosen: Chosen) -> dict[str, Any]:
    grid, traits = Grid(), chosen.pool.traits
    return {
        "schema": 1,
        "traits": [{"name": t, "words": WORDS[t], "reward": t} for t in traits],
        "policies": [_policy(chosen.members[place]) for place in chosen.kept],
        "rewards": chosen.test[list(chosen.kept)].round(4).tolist(),
        "grid": {"ratio": grid.ratio, "floor": grid.floor},
        "guarantee": {
            "epsilon": round(worst_share(chosen.test, chosen.kept), 5),
            "delta": 0.0,
            "how": "largest share of the pool's best value that is missed at any weighting of the "
            "simplex, by linear programming, on prompts that chose neither pool nor portfolio "
            f"(which was chosen for {chosen.epsilon} on others)",
            "pool": len(chosen.test),
        },
    }


def _policy(member: Member) -> dict[str, Any]:
    found: dict[str, Any] = {"name": member.name}
    if member.weights:
        found["weights"] = list(member.weights)
    if len(member.parts) == 1:
        found["adapter"] = f"{member.parts[0][0]}.gguf"
    elif member.parts:
        found["parts"] = [{"adapter": f"{n}.gguf", "scale": s} for n, s in member.parts]
    return found
