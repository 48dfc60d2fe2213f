"""How much is lost when a person's weights must be inferred from their choices.

    python -m tools.eval.palm --portfolio models/palm --answers mtbench_votes.jsonl

People are simulated: weights drawn evenly from the simplex, a strictness, and choices by Bradley
and Terry's model between real pairs of answers to one question, measured by the portfolio's reward
functions. After so many choices the policy is chosen as it is on the device. Its regret is what the
best policy of the portfolio at the true weights earns more, in reward (a mean of traits in [0, 1]).

Compared with: the model without a policy; the policy that is best for the average person; choices
between pairs drawn at random against pairs picked as the most informative; hysteresis against none.
People who choose by coin show how often somebody is given a policy for no reason.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.methods.palm.inference import infer
from pocketpref.methods.palm.portfolio import Portfolio
from pocketpref.methods.palm.service import best_question, choose
from pocketpref.records import Matrix64

_LONGEST = 150  # words of an answer that is put to a person: longer ones nobody reads for it
_OFFERED = 60  # questions that there are for one person, drawn at random


class World:
    """A portfolio, and questions."""

    def __init__(self, portfolio: Portfolio, questions: Matrix64) -> None:
        self.portfolio = portfolio
        self.questions = questions

    def regret(self, weights: Matrix64, policy: str | None) -> float:
        """What the best policy at these weights earns more than this one; None for the bare."""
        bare = float(self.portfolio.bare @ weights)
        best = max(float((self.portfolio.rewards @ weights).max()), bare)
        if policy is None:
            return best - bare
        return best - float(np.array(self.portfolio.policy(policy).rewards) @ weights)


def questions_of(portfolio: Portfolio, path: Path) -> Matrix64:
    """Differences of rewards of real pairs of answers, each pair once, shape (pairs, traits)."""
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    pairs = {
        frozenset((row["chosen"], row["rejected"])): (row["chosen"], row["rejected"])
        for row in rows
        if max(len(row[key].split()) for key in ("chosen", "rejected")) <= _LONGEST
    }
    return portfolio.differences([(min(pair), max(pair)) for pair in pairs.values()])


def simulate(
    world: World, strictness: float, counts: Sequence[int], *, seed: int, picked: bool
) -> dict[str, Any]:
    """One person: regrets after so many choices, and how often the policy changed."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.ones(len(world.portfolio.traits)))
    questions = world.questions[rng.permutation(len(world.questions))[:_OFFERED]]
    answers = np.zeros((0, len(weights)))
    asked: list[int] = []
    policy: str | None = None
    free: str | None = None
    changes, free_changes, regrets, errors = 0, 0, {}, {}
    for count in range(max(counts) + 1):
        posterior = infer(answers)
        before, free_before = policy, free
        policy = _name(choose(world.portfolio, posterior, before).policy)
        free = _name(choose(world.portfolio, posterior).policy)
        changes += policy != before
        free_changes += free != free_before
        if count in counts:
            regrets[count] = world.regret(weights, policy)
            errors[count] = float(np.abs(posterior.mean - weights).sum() / 2)
        place = best_question(posterior, questions, asked) if picked else count
        assert place is not None
        asked.append(place)
        difference = questions[place]
        first = rng.random() < 1 / (1 + np.exp(-strictness * difference @ weights))
        answers = np.vstack([answers, difference if first else -difference])
    return {
        "weights": weights,
        "regrets": regrets,
        "errors": errors,
        "changes": (changes, free_changes),
        "policy": policy,
    }


def _name(policy: Any) -> str | None:
    return None if policy is None else policy.name


def curves(world: World, strictness: float, counts: Sequence[int], people: int) -> dict[str, Any]:
    """Mean regrets over simulated people of one strictness."""
    report: dict[str, Any] = {}
    for name, picked in (("random pairs", False), ("picked pairs", True)):
        found = [simulate(world, strictness, counts, seed=i, picked=picked) for i in range(people)]
        report[name] = {
            "regret": {n: _mean([f["regrets"][n] for f in found]) for n in counts},
            "weights off by": {n: _mean([f["errors"][n] for f in found]) for n in counts},
            "changes": _mean([f["changes"][0] for f in found]),
            "changes without hysteresis": _mean([f["changes"][1] for f in found]),
            "with a policy": _mean([f["policy"] is not None for f in found]),
        }
    truth = [f["weights"] for f in found]
    mean = int(world.portfolio.rewards.mean(axis=1).argmax())
    report["no policy"] = _mean([world.regret(w, None) for w in truth])
    report["the average person's policy"] = _mean(
        [world.regret(w, world.portfolio.policies[mean].name) for w in truth]
    )
    return report


def _mean(values: Sequence[float | bool]) -> float:
    return round(float(np.mean(values)), 4)


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--portfolio", type=Path, required=True)
    parser.add_argument("--answers", type=Path, required=True, help="pairs of answers, JSONL")
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--pairs", default="0,5,10,20", help="after how many choices")
    parser.add_argument("--strictness", default="0,8,16,32", help="0 for people who toss a coin")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(argv)
    portfolio = Portfolio.load(options.portfolio)
    world = World(portfolio, questions_of(portfolio, options.answers))
    counts = [int(n) for n in options.pairs.split(",")]
    report: Mapping[str, Any] = {
        "questions": len(world.questions),
        "people": options.people,
        "strictness": {
            beta: curves(world, float(beta), counts, options.people)
            for beta in options.strictness.split(",")
        },
    }
    print(json.dumps(report, indent=1))
    if options.json is not None:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
