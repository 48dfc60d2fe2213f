"""From a pool of measured policies to a portfolio: chosen on one part, reported on another.

The portfolio is chosen by rewards on the tune and guard parts. Everything that is said of it, its
guarantee included, is computed from rewards on the test part, which took no part in training, in
the search or in the choice.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketpref.lora import AdapterManifest
from pocketpref.lora import Base as BaseName
from pocketpref.methods.palm.traits import KNOWN, rewards

from ..base import identity, starter_path
from ..export import Made, manifest, write_json
from ..measure import fluency
from ..prompts import LICENCES, Part
from ..weights import Grid
from .cover import worst_share
from .judging import by_answers, growth, likely, redrawn, report
from .policy import ADAPTER, RECIPE, Recipe
from .pool import LOOKED_AT, Member, Pool

Matrix = NDArray[np.float64]


def prune_pool(pool: Pool, into: Path, epsilon: float, command: str) -> dict[str, Any]:
    """Choose a portfolio of a pool, write it as the device reads it, and report.

    Args:
        pool: measured on all parts.
        into: the portfolio's folder; made if it is not there.
        epsilon: share of the best value that may be missing where it is chosen.
        command: that made the pool.
    """
    members = [member for member in pool.members() if pool.sound(member)]
    seen, test = _rewards(pool, members, LOOKED_AT), _rewards(pool, members, ("test",))
    none = (0.0,) * len(pool.traits)
    weights = np.array([member.weights or none for member in members])
    topics = pool.topics("test")
    found, answers = {}, {}
    for count in range(2, len(pool.traits) + 1):
        for some in map(list, combinations(range(len(pool.traits)), count)):
            names = " and ".join(pool.traits[i] for i in some)
            parts = seen[:, :, some], test[:, :, some]
            found[names] = report(*parts, topics, weights[:, some], epsilon)
            answers[names] = by_answers(*parts, epsilon)
    kept = found[" and ".join(pool.traits)]["smallest"]["policies"]
    chosen = Chosen(pool, members, test, kept, epsilon, command)
    figures = {member.name: _figures(pool, member) for member in members}
    write(chosen, figures, into)
    every = list(KNOWN)
    seen_in_all = _of_text(pool, members, LOOKED_AT, every)
    test_in_all = _of_text(pool, members, ("test",), every)
    table = {
        "policies": figures,
        "no longer answer": [m.name for m in pool.members() if m not in members],
        "missed if they counted, where chosen": _if_all_counted(pool, chosen),
        "portfolios": found,
        "chosen by fewer answers": answers,
        "growth": growth(seen_in_all, test_in_all, every, (epsilon, 0.05)),
    }
    write_json(pool.folder / "report.json", table)
    _print(found, [member.name for member in members])
    return table


def _if_all_counted(pool: Pool, chosen: Chosen) -> dict[str, float]:
    """What is missed at worst of everything that was trained, whether it answers or not."""
    every = pool.members()
    means = _rewards(pool, every, LOOKED_AT).mean(axis=1)
    kept = [every.index(chosen.members[place]) for place in chosen.kept]
    pairs = [list(some) for some in combinations(range(len(pool.traits)), 2)]
    return {
        " and ".join(pool.traits[i] for i in some): worst_share(means[:, some], kept)
        for some in [*pairs, list(range(len(pool.traits)))]
    }


def _print(found: dict[str, Any], names: Sequence[str]) -> None:
    for traits, kinds in found.items():
        print(traits)
        for kind, one in kinds.items():
            which = ", ".join(names[place] for place in one.get("policies", ()))
            print(f"  {kind:13} worst {one['worst']:.4f} mean {one['mean']:.4f} {which}")


def _rewards(pool: Pool, members: Sequence[Member], parts: Sequence[Part]) -> Matrix:
    """What each answer of each policy earns, shape (members, answers, traits)."""
    said = ([one for part in parts for one in pool.said(member, part)] for member in members)
    return np.array([[one.rewards for one in answers] for answers in said])


def _of_text(
    pool: Pool, members: Sequence[Member], parts: Sequence[Part], traits: Sequence[str]
) -> Matrix:
    """The same for other traits than those that the pool was measured in."""
    said = ([one for part in parts for one in pool.said(member, part)] for member in members)
    return np.array([[rewards(one.text, traits) for one in answers] for answers in said])


def _figures(pool: Pool, member: Member) -> dict[str, Any]:
    said = pool.said(member, "test")
    one = np.array([[answer.rewards for answer in said]])  # a pool of one policy
    draws = redrawn(one, pool.topics("test"), 1000)[:, 0]
    low, high = np.quantile(draws, [0.025, 0.975], axis=0)
    earned = {
        name: {"mean": round(float(m), 4), "low": round(float(a), 4), "high": round(float(b), 4)}
        for name, m, a, b in zip(pool.traits, one[0].mean(axis=0), low, high, strict=True)
    }
    others = fluency(said) | {"relevance": pool.relevance(member, "test")}
    return earned | {name: round(value, 4) for name, value in others.items()}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A portfolio and what it was chosen from.

    Attributes:
        members: the sound ones of the pool.
        test: their rewards on the test part, shape (members, answers, traits).
        kept: places of the portfolio's policies among them.
        epsilon: that was asked for where it was chosen.
        command: that made the pool.
    """

    pool: Pool
    members: Sequence[Member]
    test: Matrix
    kept: Sequence[int]
    epsilon: float
    command: str


def write(chosen: Chosen, figures: dict[str, Any], into: Path) -> None:
    """Write the portfolio's manifest, its adapters and their manifests.

    Args:
        chosen: the portfolio.
        figures: of each policy on the test part, by name.
        into: made if it is not there.
    """
    into.mkdir(parents=True, exist_ok=True)
    base = identity(starter_path())
    policies = [chosen.members[place] for place in chosen.kept]
    adapters = {
        name: _write_adapter(chosen, name, _alone(chosen, name, figures), into, base)
        for name in sorted({name for policy in policies for name, _ in policy.parts})
    }
    pool = chosen.test.mean(axis=1).round(4)
    described = {
        "schema": 1,
        **base.said(),
        "traits": list(chosen.pool.traits),
        "pool": pool.tolist(),
        "policies": [
            _policy(chosen.members[place], pool[place].tolist(), adapters) for place in chosen.kept
        ],
        "bare": pool[0].tolist(),
        # Rounded up: what is promised has to hold.
        "epsilon": math.ceil(worst_share(pool, chosen.kept) * 1e5) / 1e5,
        "delta": 0.0,
        "guarantee": _guarantee(chosen),
        "grid": {"ratio": Grid().ratio, "floor": Grid().floor},
        "made": {
            "command": chosen.command,
            "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
            "prompts": LICENCES,
        },
    }
    write_json(into / "manifest.json", described)


def _alone(chosen: Chosen, name: str, figures: dict[str, Any]) -> dict[str, Any]:
    """Figures of the policy that wears an adapter alone, and at which scale; none, if none does."""
    for member in chosen.members:
        if [part for part, _ in member.parts] == [name]:
            return {"scale": member.parts[0][1], **figures[member.name]}
    return {}


def _guarantee(chosen: Chosen) -> dict[str, Any]:
    topics = chosen.pool.topics("test")
    return {
        "how": "largest share of the pool's best value that is missed at any weighting of the "
        "simplex, by linear programming, on prompts that chose neither pool nor portfolio "
        f"(which was chosen for {chosen.epsilon} on others)",
        "policies in the pool": [member.name for member in chosen.members],
        "answers of each": len(topics),
        "topics": len(set(topics)),
        "with other topics": likely(chosen.test, topics, chosen.kept),
    }


def _write_adapter(
    chosen: Chosen, name: str, figures: dict[str, Any], into: Path, base: BaseName
) -> AdapterManifest:
    recipe, folder = Recipe(), chosen.pool.folder / name
    data = (folder / ADAPTER).read_bytes()
    made = Made(
        recipe=(folder / RECIPE).read_text("utf-8"),
        command=chosen.command,
        seed=recipe.plan.seed,
        data=f"{LICENCES}; answers by the base",
    )
    described = manifest(name, data, base, recipe.lora, made, held_out=figures)
    (into / described.file).write_bytes(data)
    (into / f"{name}.json").write_bytes(described.dump())
    return described


def _policy(
    member: Member, earned: Sequence[float], adapters: dict[str, AdapterManifest]
) -> dict[str, Any]:
    found: dict[str, Any] = {"name": member.name}
    if member.weights:
        found["weights"] = list(member.weights)
    found["rewards"] = list(earned)
    parts = [
        {"file": adapters[name].file, "sha256": adapters[name].sha256, "scale": scale}
        for name, scale in member.parts
    ]
    if [scale for _, scale in member.parts] not in ([], [1.0]):
        found["parts"] = parts
    elif parts:
        found |= {"file": parts[0]["file"], "sha256": parts[0]["sha256"]}
    return found
