"""The papers' comparisons on the bundled samples, small enough for `make eval`.

    python -m tools.eval.sample [--cache FOLDER] [--json FILE]

37 choices of one person between arguments (``ukp``) and 24 of another between chat answers
(``mtbench``), the starter model, twelve attributes (six with their opposites). It shows that every
protocol runs, and gives the same figures every time; of two people there is nothing to generalize
to, so there are no intervals. What real people's pairs say is in docs/evaluation.md.

1. EXACT with k = 1, 3, 5 and 10 (Figure 1), recall against one set (Table 8), history injection,
   Drift, and a summary of one clause chosen by POPI's objective.
2. Greedy search against all sets of up to three attributes, on six of them (Table 7).
3. What the starter model is worth as a judge: how often it prefers what the person preferred.
4. The win rate of personalized answers over plain ones, by that judge.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pocketpref.attributes import AttributeBank
from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.evaluation.cases import cases_of, shuffled
from pocketpref.evaluation.likelihood_cache import CachedModel
from pocketpref.evaluation.predictors import Case, CaseEvidence, Judge, Predictor, ScoringFrame
from pocketpref.evaluation.predictors.baselines import History, Longer, Placebo, Plain
from pocketpref.evaluation.predictors.published import Drift, Explained, Global, Recalled
from pocketpref.evaluation.runner import READINGS, Report, compare
from pocketpref.messages import compose
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.records import Pair, Sampling, Selection
from pocketpref.samples import sample_pairs
from pocketpref.scoring import PairScorer, noise_floor
from pocketpref.summary.objective import PopiSettings, utility
from pocketpref.summary.records import Clause
from pocketpref.summary.wording import block, render
from tools.eval.judging import judge, ties, win_rate
from tools.eval.margins import open_cached
from tools.eval.simulated_worlds import both_sides

SIZES = (1, 3, 5, 10)
"""EXACT's k (Figure 1)."""

REDUCED = 6
"""Attributes of which all sets are tried: 41 sets of up to three."""

EXHAUSTIVE_PAIRS = 8
"""Pairs on which they are."""

HISTORY = 5_000
"""Characters of history, the newest choices (the paper: 20,000): it is read for every question."""

QUESTIONS, WORDS = 8, 100
"""Of each person, prompts that are answered and judged; tokens of an answer."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run all four, print, and write the figures where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cache", type=Path, help="folder that keeps what was scored")
    parser.add_argument("--weights", choices=["f16", "bf16"], default="bf16")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder, threadpool_limits(1):
        model = open_cached(given.cache or Path(folder), given.weights)
        evidence = CaseEvidence(model, both_sides())
        blocks = [evidence.bank.block([name]) for name in evidence.bank.names[:6]]
        assert model.model is not None
        noise = noise_floor(model.model, blocks)  # not what was kept: that has no noise
        print(f"the model's noise floor: {noise:.2f} nats")
        people = {name: _cases(name) for name in ("ukp", "mtbench")}
        found = {
            "methods": _timed(lambda: compared(evidence, people["ukp"], noise)),
            "greedy": _timed(lambda: searched(model, people["ukp"])),
            "judge": _timed(lambda: worth(model, people)),
            "win rate": _timed(lambda: generated(evidence, people, noise)),
        }
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


def _cases(name: Any) -> list[Case]:
    return cases_of(sample_pairs(name), open_embedder(None), item_of=lambda f: f.pair.prompt)


def _timed(step: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    began = time.monotonic()
    found = step()
    print(f"({time.monotonic() - began:.0f} s)\n", flush=True)
    return found


# ------------------------------------------------------------------------------ the methods


class Named:
    """A method under another name."""

    def __init__(self, name: str, method: Predictor) -> None:
        self.name = name
        self._method = method

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """What the method learns."""
        return self._method.fit(past, crowd)


class OneClause:
    """A summary of one clause: the wording that best explains the past, by POPI's objective."""

    name = "popi, one clause"

    def __init__(self, evidence: CaseEvidence) -> None:
        self._evidence = evidence

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Take it if it explains more than nothing does."""
        margins = np.array([self._evidence.singles(case.pair)[:, 0] for case in past])
        worths = utility(margins, PopiSettings().beta).mean(axis=0)
        best = int(np.argmax(worths))
        wording = list(self._evidence.bank)[best].wording
        says = worths[best] > np.log(0.5)
        frame = ScoringFrame(block(render([Clause(wording)]))) if says else ScoringFrame()
        return lambda case: self._evidence.judge(case.pair, frame)


def compared(evidence: CaseEvidence, cases: list[Case], noise: float) -> dict[str, Any]:
    """All methods on one person's held-out choices."""
    found = explained(evidence, cases, noise, max(SIZES))
    sizes = [len(selection.attributes) for selection in found.values()]
    counts = ", ".join(f"{sizes.count(size)} of {size}" for size in sorted(set(sizes)))
    print(f"sets by attributes: {counts}")
    report = compare(cases, _methods(evidence, found), seeds=3)
    _print(report)
    return report.to_dict() | {"sizes": sizes}


def explained(
    evidence: CaseEvidence, cases: Sequence[Case], noise: float, size: int
) -> dict[Pair, Selection]:
    """Algorithm 1 on every choice, up to so many attributes; a smaller k is its beginning."""
    exact = Exact(evidence.bank, ExactSettings(k=size, exhaustive=True))
    found = {}
    for number, case in enumerate(cases, 1):
        scorer = PairScorer(evidence.model, case.pair, noise=noise)
        found[case.pair] = exact.select(scorer)
        print(f"explained {number} of {len(cases)}", file=sys.stderr, flush=True)
    return found


def _methods(evidence: CaseEvidence, found: dict[Pair, Selection]) -> list[Predictor]:
    methods: list[Predictor] = [
        *(Plain(evidence), Placebo(evidence), Longer(), Drift(evidence)),
        *(History(evidence, characters=HISTORY), OneClause(evidence)),
    ]
    for size in SIZES:
        exact = _exact(evidence, found, size)
        methods += [Named(f"exact, k = {size}", Recalled(exact))]
        methods += [Named(f"exact, one set, k = {size}", Global(exact))]
    return methods


def _exact(evidence: CaseEvidence, found: dict[Pair, Selection], size: int) -> Explained:
    known = {p: Selection(s.attributes[:size], s.gains[:size]) for p, s in found.items()}
    exact = Exact(evidence.bank, ExactSettings(k=size, exhaustive=True))
    return Explained(evidence, exact, known=known)


def _print(report: Report) -> None:
    print(f"{report.protocol['asked']} questions, after {report.protocol['learned_mean']:.0f}")
    print("| right, % | " + " | ".join(READINGS) + " |")
    print("|---" * (len(READINGS) + 1) + "|")
    for outcome in report.outcomes:
        cells = (f"{100 * outcome.accuracy(reading).mean:.1f}" for reading in READINGS)
        print(f"| {outcome.method} | {' | '.join(cells)} |")


# ------------------------------------------------------------------------------ the search


def searched(model: CachedModel, cases: Sequence[Case]) -> dict[str, Any]:
    """Greedy search as the paper does it (exactly three) against all sets of up to three."""
    bank = AttributeBank(list(both_sides())[:REDUCED])
    exact = Exact(bank, ExactSettings(k=3, exhaustive=True))
    greedy, best = [], []
    for case in sorted(cases, key=lambda c: len(c.pair.chosen + c.pair.rejected))[
        :EXHAUSTIVE_PAIRS
    ]:
        scorer = PairScorer(model, case.pair, noise=-np.inf)
        found = exact.select(scorer)
        sets = [names for size in (1, 2, 3) for names in combinations(bank.names, size)]
        margins = scorer.margins([bank.block(names) for names in sets])
        greedy.append(max(float(np.cumsum(found.gains).max()), 0.0))
        # The order of the wordings matters a little: greedy search's own order counts, too.
        best.append(max(float(margins.max()), greedy[-1]))
    ratio = float(np.sum(greedy) / np.sum(best))
    print(f"greedy {np.mean(greedy):.2f} nats, all sets {np.mean(best):.2f}: {ratio:.2f}")
    return {"pairs": len(best), "greedy": greedy, "all sets": best, "ratio": ratio}


# ------------------------------------------------------------------------------ the judge


def worth(model: CachedModel, people: dict[str, list[Case]]) -> dict[str, Any]:
    """How often the judge prefers what the person preferred."""
    found = {}
    for name, cases in people.items():
        pairs = [case.pair for case in cases]
        rulings = [judge(model, p.prompt, p.chosen, p.rejected) for p in pairs]
        agrees = win_rate(rulings, ["one"] * len(rulings)).mean
        first = float(np.mean([ruling.lean > 0 for ruling in rulings]))
        tied = ties(rulings)
        print(
            f"judge on {len(pairs)} pairs of {name}: {agrees:.1%} with ties as a half, "
            f"{tied:.0%} ties (the order decided); by the mean of both orders {first:.1%}"
        )
        found[name] = {"pairs": len(pairs), "agrees": agrees, "ties": tied, "by mean": first}
    return found


def generated(
    evidence: CaseEvidence, people: dict[str, list[Case]], noise: float
) -> dict[str, Any]:
    """Answers under what EXACT recalls against plain ones, on prompts not learned from."""
    rulings, whose = [], []
    for name, cases in people.items():
        split = shuffled(cases, 0)
        assert split is not None
        explain = Exact(evidence.bank, ExactSettings(k=1, exhaustive=True))
        explained = Explained(evidence, explain, noise=noise)
        index = explained.index(split.past)
        prompts = list(dict.fromkeys(case.pair.prompt for case in split.asked))[:QUESTIONS]
        vectors = {case.pair.prompt: case.vector for case in split.asked}
        for number, prompt in enumerate(prompts):
            condition = explain.condition(vectors[prompt], index, -1.0)
            answers = [_answer(evidence, prompt, b, number) for b in (condition.block, "")]
            if answers[0] != answers[1]:
                rulings.append(judge(evidence.model, prompt, *answers))
                whose.append(name)
    rate, tied = win_rate(rulings, whose).mean, ties(rulings)
    print(f"personalized over plain: {rate:.1%} of {len(rulings)}, {tied:.0%} of them ties")
    return {"comparisons": len(rulings), "win rate": rate, "ties": tied}


def _answer(evidence: CaseEvidence, prompt: str, block: str, seed: int) -> str:
    sampling = Sampling(max_tokens=WORDS, seed=seed)
    return "".join(evidence.model.generate(compose(prompt, block), sampling=sampling))


if __name__ == "__main__":
    sys.exit(main())
