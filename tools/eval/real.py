"""Compares all methods on real people's pairs; the tables of docs/evaluation.md.

    python -m tools.eval.margins ukp_workers.jsonl --cache FOLDER --attributes A,B,C
    python -m tools.eval.real ukp_workers.jsonl --cache FOLDER --attributes A,B,C
    python -m tools.eval.real mtbench_votes.jsonl --texts-only

Nothing is scored here: pairs whose likelihoods are not in the cache yet are left out, and the
report says how many. ``--texts-only`` compares the methods that need no model, on all pairs.

Priors are fitted on other people and other items: on a debate that a person is asked about, neither
side was seen by anybody. Every row has the same questions. ``--compute`` scores what is missing.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.evaluation.cases import by_user, cases_of
from pocketpref.evaluation.likelihood_cache import CachedModel
from pocketpref.evaluation.predictors import Case, CaseEvidence, Judge, Judgement, Predictor
from pocketpref.evaluation.predictors.auto import Auto
from pocketpref.evaluation.predictors.baselines import Longer, Other
from pocketpref.evaluation.predictors.bradley_terry import FeatureSet, Ours, Part, Reward
from pocketpref.evaluation.runner import (
    READINGS,
    After,
    Outcomes,
    Report,
    calibration,
    compare,
    credited,
    interval,
    log_loss,
)
from pocketpref.evaluation.service import Roster
from pocketpref.importers import BadEntry, read
from pocketpref.messages import compose
from tools.eval.margins import bank_of, blocks_of, item_of, open_cached

OURS: dict[str, tuple[Part, ...]] = {
    "length alone": ("length",),
    "style": ("style",),
    "style, likelihood": ("style", "likelihood"),
    "style, likelihood, singles": ("style", "likelihood", "single"),
    "style, likelihood, contrasts": ("style", "likelihood", "contrast"),
    "contrasts alone": ("contrast",),
}
"""What "ours" is made of, in the table of ablations."""

WIDTH, HALF_LIFE = 0.3, 40.0
"""Of the two weightings that are tried: similarity of the prompt, age in choices."""


CURVED = ("drift", "reward", "ours")
"""Methods whose learning curves are drawn."""


class Nothing:
    """Where there is no model: every pair is a tie."""

    name = "none"

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learns nothing."""
        return lambda case: Judgement.own(0.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Compare, print, and keep the figures. Returns the exit status."""
    options = _parse(argv)
    began = time.monotonic()
    feedback = [entry for entry in read(options.file) if not isinstance(entry, BadEntry)]
    cases = cases_of(feedback, open_embedder(None), item_of=item_of)
    if options.texts_only:
        methods = text_methods()
    else:
        evidence = CaseEvidence(_model(options), bank_of(options.attributes))
        cases = _complete(cases, evidence)
        methods = [
            *Roster(evidence, k=1, thorough=True).pick(options.methods.split(",")),
            *ablations(evidence),
        ]
    print(f"{len(cases):,} of {len(feedback):,} pairs, {len(by_user(cases))} people")
    steps = [int(count) for count in options.curve.split(",")] if options.curve else []
    later = [After(m, count) for m in methods if m.name in CURVED for count in steps]
    with threadpool_limits(1):  # many small systems: threads would only wait for each other
        report = compare(
            cases,
            [*methods, *later],
            protocol="ordered" if options.ordered else "shuffled",
            seeds=options.seeds,
            least=options.least,
        )
    _print(report)
    _print_personal(report)
    _print_harm(report)
    print(f"{time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(_figures(report), indent=1) + "\n", "utf-8")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare methods on real people's pairs.")
    parser.add_argument("file", type=Path, help="pair file")
    parser.add_argument("--cache", type=Path, help="folder of likelihoods (margins.py)")
    parser.add_argument("--weights", choices=["f16", "bf16"], default="bf16")
    parser.add_argument("--attributes", metavar="A,B,C", help="names [default: the whole bank]")
    parser.add_argument("--texts-only", action="store_true", help="methods that need no model")
    parser.add_argument("--ordered", action="store_true", help="learn from the past")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--least", type=int, default=10, help="pairs of a person who takes part")
    parser.add_argument("--curve", metavar="0,1,2,5", help="also after so many past choices")
    parser.add_argument(
        "--methods",
        default="none,placebo,other,longer,drift,reward,exact,exact-global,ours-pooled,ours,"
        "ours-other,auto",
    )
    parser.add_argument("--compute", action="store_true", help="score what is missing")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    if not options.texts_only and options.cache is None:
        parser.error("--cache or --texts-only is needed")
    return options


def _model(options: argparse.Namespace) -> CachedModel:
    return open_cached(options.cache, options.weights, compute=options.compute)


def _complete(cases: Sequence[Case], evidence: CaseEvidence) -> list[Case]:
    """Cases of the prompts that are scored to the end: of others the short answers came first."""
    missing = {case.pair.prompt for case in cases if not _is_there(case, evidence)}
    return [case for case in cases if case.pair.prompt not in missing]


def _is_there(case: Case, evidence: CaseEvidence) -> bool:
    """Whether everything of a pair is in the cache."""
    model = evidence.model
    assert isinstance(model, CachedModel)
    blocks = blocks_of(evidence.bank)
    # The last condition of a call is computed with the first: two look-ups tell.
    return all(
        model.has(compose(case.pair.prompt, block), answer)
        for block in (blocks[0], blocks[-1])
        for answer in (case.pair.chosen, case.pair.rejected)
    )


def text_methods() -> list[Predictor]:
    """The methods that need no model."""
    style = FeatureSet(("style",))
    pooled, ours = Ours(style, name="ours-pooled", adapt=False), Ours(style)
    near = Ours(style, name="ours, similar prompts", width=WIDTH)
    recent = Ours(style, name="ours, recent choices", half_life=HALF_LIFE)
    length = Ours(FeatureSet(("length",)), name="ours, length alone")
    plain, longer = Nothing(), Longer()
    others = Other(ours, "ours-other")
    return [plain, longer, Reward(style), length, pooled, ours, others, near, recent, Auto()]


def ablations(evidence: CaseEvidence) -> list[Predictor]:
    """Ours with less, with other features, and with past choices weighted."""
    found: list[Predictor] = []
    for name, parts in OURS.items():
        traits = FeatureSet(parts, evidence)
        found += [
            Ours(traits, name=f"pooled: {name}", adapt=False),
            Ours(traits, name=f"adapted: {name}"),
        ]
    whole = FeatureSet(OURS["style, likelihood, contrasts"], evidence)
    found.append(Ours(whole, name="adapted: similar prompts count more", width=WIDTH))
    found.append(Ours(whole, name="adapted: recent choices count more", half_life=HALF_LIFE))
    return found


def _print(report: Report) -> None:
    print(json.dumps(report.protocol))
    print("| method | " + " | ".join(READINGS) + " | over longer | log loss |")
    print("|---" * (len(READINGS) + 3) + "|")
    longer = report["longer"]
    for found in report.outcomes:
        cells = [_words(found, reading) for reading in READINGS]
        above = found.above(longer, "absolute")
        gained = f"{100 * above.mean:+.1f} ({100 * above.low:+.1f} to {100 * above.high:+.1f})"
        print(f"| {found.method} | {' | '.join(cells)} | {gained} | {_loss(found):.3f} |")


def _print_personal(report: Report) -> None:
    """What is personal in "ours": against everybody's weights, and another person's."""
    ours = report["ours"]
    for name in ("ours-pooled", "ours-other"):
        other = report[name]
        right = ours.above(other, "absolute")
        losses = np.logaddexp(0, -ours.scores[:, 0]) - np.logaddexp(0, -other.scores[:, 0])
        loss = interval(losses, ours.users)
        print(
            f"ours over {name}: {100 * right.mean:+.1f} points "
            f"({100 * right.low:+.1f} to {100 * right.high:+.1f}), log loss {loss.mean:+.4f} "
            f"({loss.low:+.4f} to {loss.high:+.4f})"
        )


def _print_harm(report: Report) -> None:
    """For whom "auto" is worse than "none" beyond luck: an exact sign test for each person."""
    auto, none = report["auto"], report["none"]
    right = credited(auto.scores[:, 0]) - credited(none.scores[:, 0])
    chances = {}
    for user in sorted(set(auto.users)):
        differs = right[(np.array(auto.users) == user) & (right != 0)]
        worse, of = int((differs < 0).sum()), len(differs)
        chances[user] = sum(math.comb(of, n) for n in range(worse, of + 1)) / 2**of
    least = min(chances.values())
    harmed = sum(chance < 0.05 / len(chances) for chance in chances.values())
    applied = sum(bool((right[np.array(auto.users) == user] != 0).any()) for user in chances)
    print(
        f"auto differs from none for {applied} of {len(chances)} people; significantly worse "
        f"(5 % in all) for {harmed}, the smallest probability is {least:.3f}"
    )


def _words(found: Outcomes, reading: str) -> str:
    accuracy = found.accuracy(reading)
    return f"{100 * accuracy.mean:.1f} ({100 * accuracy.low:.1f}-{100 * accuracy.high:.1f})"


def _loss(found: Outcomes) -> float:
    return log_loss(found.scores[:, 0])


def _figures(report: Report) -> dict[str, Any]:
    return {
        **report.to_dict(),
        "of_users": {found.method: found.of_users("absolute") for found in report.outcomes},
        "calibration": {
            found.method: calibration(found.scores[:, 0])
            for found in report.outcomes
            if found.method.startswith(("ours", "reward", "pooled", "adapted"))
        },
    }


if __name__ == "__main__":
    sys.exit(main())
