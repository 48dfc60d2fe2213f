"""What the traits measure: their scales, and what people's choices say about them.

    python -m tools.eval.traits --votes mtbench_votes.jsonl --arguments ukp_workers.jsonl

For each file: the quartiles of each formula over its answers; how often the preferred answer has
the larger reward; and how steady single people are in it: the correlation, over people, between the
mean difference of rewards (preferred less other) on a half of their choices and on the other half.
A trait in which people differ, and stay as they are, has a correlation above zero. How many people
go by the traits at all, by the first four fifths of their choices (with a probability of at least
0.6, as on the device), and how often their inferred weights predict the last fifth, beside "always
the longer answer". For pairs of answers written in a known style: how often the right one has the
larger reward.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.methods.palm import traits
from pocketpref.methods.palm.inference import infer
from pocketpref.methods.palm.service import SURE
from tools.eval.summary_styles import CASES

FORMULAS: Mapping[str, Callable[[str], float]] = {
    "brevity": traits.log_length,
    "plainness": traits.grade,
    "formality": traits.formality_score,
}
STYLES = {"Concise": "brevity", "Easy": "plainness", "Formal": "formality"}
_LEAST = 10  # choices of a person whose steadiness is measured


def quartiles(answers: Sequence[str]) -> dict[str, list[float]]:
    """The quartiles of each formula over these answers."""
    return {
        name: np.quantile([formula(a) for a in answers], [0.25, 0.5, 0.75]).round(3).tolist()
        for name, formula in FORMULAS.items()
    }


def steadiness(rows: Sequence[Mapping[str, Any]], seed: int = 0) -> dict[str, Any]:
    """How often the preferred answer has more of a trait, and how steady people are in it."""
    differences = defaultdict(list)
    for row in rows:
        chosen, rejected = (traits.rewards(row[k], NAMES) for k in ("chosen", "rejected"))
        differences[row["user"]].append(chosen - rejected)
    everything = np.concatenate([np.array(d) for d in differences.values()])
    # A choice between two answers of the same reward says nothing.
    shares = [float((d[d != 0] > 0).mean()) for d in everything.T]
    rng = np.random.default_rng(seed)
    halves = [_halves(np.array(d), rng) for d in differences.values() if len(d) >= _LEAST]
    first, second = np.array(halves).transpose(1, 0, 2)
    return {
        "choices": len(rows),
        "people": len(halves),
        "preferred_has_more": _named(shares),
        "split_half": _named(
            [np.corrcoef(first[:, i], second[:, i])[0, 1] for i in range(len(NAMES))]
        ),
        "correlation": np.corrcoef(everything.T).round(2).tolist(),
    }


NAMES = tuple(FORMULAS)


def followers(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> dict[str, Any]:
    """Who goes by these traits, and how well their weights predict later choices."""
    differences = defaultdict(list)
    for row in rows:
        chosen, rejected = (traits.rewards(row[k], names) for k in ("chosen", "rejected"))
        differences[row["user"]].append(chosen - rejected)
    people = [np.array(d) for d in differences.values() if len(d) >= 2 * _LEAST]
    right, longer = [], []
    for found in people:
        past = len(found) * 4 // 5
        posterior = infer(found[:past])
        if posterior.follows >= SURE:
            right.append(float((posterior.predict(found[past:]) > 0.5).mean()))
            longer.append(float((found[past:, 0] < 0).mean()))  # the first trait is brevity
    return {
        "people": len(people),
        "go by them": len(right),
        "predicted": round(float(np.mean(right)), 3) if right else None,
        "longer": round(float(np.mean(longer)), 3) if longer else None,
    }


def _halves(differences: Any, rng: np.random.Generator) -> list[Any]:
    order = rng.permutation(len(differences))
    return [differences[order[::2]].mean(axis=0), differences[order[1::2]].mean(axis=0)]


def _named(values: Sequence[float]) -> dict[str, float]:
    return {name: round(float(value), 3) for name, value in zip(NAMES, values, strict=True)}


def styled() -> dict[str, str]:
    """For each style how many of its cases a trait gets right."""
    right: dict[str, list[bool]] = defaultdict(list)
    for case in CASES:
        if trait := STYLES.get(case.attribute):
            reward = traits.REWARDS[trait]
            right[trait].append(reward(case.like) > reward(case.unlike))
    return {trait: f"{sum(found)} of {len(found)}" for trait, found in right.items()}


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--votes", type=Path, help="MT-Bench votes: answers of language models")
    parser.add_argument("--arguments", type=Path, help="which argument convinced whom")
    parser.add_argument("--json", type=Path, help="write the report there, too")
    options = parser.parse_args(argv)
    report: dict[str, Any] = {"styles": styled()}
    for name, path in (("votes", options.votes), ("arguments", options.arguments)):
        if path is not None:
            rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
            answers = [row[key] for row in rows for key in ("chosen", "rejected")]
            report[name] = {
                "quartiles": quartiles(answers),
                **steadiness(rows),
                "go by the traits": followers(rows, NAMES),
                "and by detail": followers(rows, (*NAMES, "detail")),
            }
    print(json.dumps(report, indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
