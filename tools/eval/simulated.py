"""Compares methods on people whose tastes are known; the tables of docs/evaluation.md about them.

    python -m tools.eval.simulated                                   (scripted world: seconds)
    python -m tools.eval.simulated --world written --cache FOLDER --compute  (starter model)

What is asked of a method that adapts to a person, and can be checked against the truth here: is it
better than what people have in common after 5, 10 and 20 choices; is recall by prompt better than
one set for all prompts where tastes depend on the topic; are the planted attributes found; what
happens when somebody's taste turns, when choices contradict each other, and where there is none.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.evaluation.cases import shuffled
from pocketpref.evaluation.likelihood_cache import CachedModel
from pocketpref.evaluation.predictors import Case, CaseEvidence, Predictor
from pocketpref.evaluation.predictors.auto import Auto
from pocketpref.evaluation.predictors.baselines import Longer, Placebo, Plain
from pocketpref.evaluation.predictors.bradley_terry import FeatureSet, Ours
from pocketpref.evaluation.predictors.published import Drift, Explained, Global, Recalled
from pocketpref.evaluation.runner import After, Outcomes, Report, compare, interval
from pocketpref.messages import compose
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.summary.records import Interval
from tools.eval.margins import open_cached
from tools.eval.simulated_worlds import (
    Kind,
    Person,
    World,
    Writer,
    people,
    scripted_answer,
    scripted_model,
    world,
)

AFTER = (5, 10, 20)
"""Choices after which adapting must pay."""

WIDTH, HALF_LIFE = 0.3, 8.0
"""Of the weightings: how much less similar a prompt counts 1 / e, choices after which half."""

EVERYBODY = 16
"""People of each kind."""


def main(argv: Sequence[str] | None = None) -> int:
    """Make the people, compare, print. Returns the exit status."""
    options = _parse(argv)
    began = time.monotonic()
    here, model = _world(options)
    evidence = CaseEvidence(model, here.bank)
    found: dict[str, Any] = {}
    with threadpool_limits(1):
        for kind in options.kinds.split(","):
            found[kind] = _one_kind(here, evidence, kind, options.seeds)
    print(f"{time.monotonic() - began:.0f} s")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compare methods on simulated people.")
    parser.add_argument("--world", choices=["scripted", "written"], default="scripted")
    parser.add_argument("--kinds", default="steady,turning,contrary,dice")
    parser.add_argument("--cache", type=Path, help="folder of answers and likelihoods")
    parser.add_argument("--compute", action="store_true", help="write and score what is missing")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args(argv)
    if options.world == "written" and options.cache is None:
        parser.error("--world written needs --cache")
    return options


def _world(options: argparse.Namespace) -> tuple[World, CachedModel]:
    embedder = open_embedder(None)
    if options.world == "scripted":
        return world(embedder, scripted_answer), CachedModel(scripted_model())
    model = open_cached(options.cache, "bf16", compute=options.compute)
    writer = Writer(model if options.compute else None, options.cache / "written.json")
    here = world(embedder, writer)
    if options.compute:
        _score(here, model)
        # Without a model behind it nothing is estimated: every attribute is looked up.
        model = open_cached(options.cache, "bf16", compute=False)
    return here, model


def _score(here: World, model: CachedModel) -> None:
    """Every answer under nothing and under each attribute: all that is asked for later."""
    blocks = ["", *(here.bank.block([name]) for name in here.bank.names)]
    for number, prompt in enumerate(here.topic, 1):
        answers = sorted({here.answers[prompt, n] for n in here.bank.names} - {""}, key=len)
        model.likelihoods([compose(prompt, block) for block in blocks], answers)
        print(f"{number} of {len(here.topic)} prompts scored", file=sys.stderr, flush=True)


def methods(evidence: CaseEvidence) -> list[Predictor]:
    """What is compared; EXACT takes one attribute, as many as are planted for a topic."""
    explained = Explained(evidence, Exact(evidence.bank, ExactSettings(k=1, exhaustive=True)))
    traits = FeatureSet(("contrast",), evidence)
    plain, longer, drift = Plain(evidence), Longer(), Drift(evidence)
    recalled, pooled = Recalled(explained), Ours(traits, name="pooled", adapt=False)
    ours = Ours(traits)
    near = Ours(traits, name="ours, similar prompts", width=WIDTH)
    recent = Ours(traits, name="ours, recent choices", half_life=HALF_LIFE)
    return [
        *(plain, longer, Placebo(evidence), drift, Global(explained), recalled),
        *(pooled, ours, near, recent, Auto()),
    ]


def _one_kind(here: World, evidence: CaseEvidence, kind: Kind, seeds: int) -> dict[str, Any]:
    who = people(here, kind, EVERYBODY)
    cases = cases_of(who)
    compared = methods(evidence)
    turned = kind == "turning"
    steps = [
        After(method, count)
        for method in compared
        if method.name.startswith(("pooled", "ours", "exact"))
        for count in AFTER
        if not turned
    ]
    report = compare(
        cases,
        [*compared, *steps],
        protocol="ordered" if turned else "shuffled",
        seeds=seeds,
    )
    print(f"\n## {kind}: {report.protocol['users']} people, {report.protocol['asked']} questions")
    _print(report)
    above = report["exact"].above(report["exact-global"], "absolute")
    print(f"recall by prompt over one set: {_words(above, signed=True)}")
    planted = recovered(here, evidence, who, seeds) if kind in ("steady", "contrary") else {}
    for name, share in planted.items():
        print(f"{name}: {_words(share)}")
    return {**report.to_dict(), "planted": {n: s.to_dict() for n, s in planted.items()}}


def recovered(
    here: World, evidence: CaseEvidence, who: dict[str, Person], seeds: int
) -> dict[str, Interval]:
    """Of recalled attributes, how many were planted; of planted ones, how many are recalled.

    Asked about held-out prompts; ``one set`` recalls the same for all of them.
    """
    exact = Exact(here.bank, ExactSettings(k=1, exhaustive=True))
    explained = Explained(evidence, exact)
    hits: dict[str, list[float]] = {"recall by prompt": [], "chance": []}
    given, users = [], []
    for user, person in who.items():
        for seed in range(seeds):
            split = shuffled(person.cases, seed)
            assert split is not None
            index = explained.index(split.past)
            for case in split.asked:
                names = exact.condition(case.vector, index, -1.0).attributes
                hits["recall by prompt"].append(float(person.liked[case.group] in names))
                hits["chance"].append(1 / len(here.bank))
                given.append(float(bool(names)))
                users.append(user)
    right = np.array(hits["recall by prompt"])
    something = np.flatnonzero(given)
    whose = [users[place] for place in something]
    return {
        "planted attributes, precision": interval(right[something], whose),
        "planted attributes, recall": interval(right, users),
        "planted attributes, by chance": interval(hits["chance"], users),
    }


def _print(report: Report) -> None:
    pooled = report["pooled"]
    print("| method | right, % | over pooled | helps, % |")
    print("|---|---|---|---|")
    for found in report.outcomes:
        base = _base(report, found) or pooled
        right, helps = _words(found.accuracy("absolute")), _words(found.accuracy("anchored"))
        above = _words(found.above(base, "absolute"), signed=True)
        print(f"| {found.method} | {right} | {above} | {helps} |")


def _base(report: Report, found: Outcomes) -> Outcomes | None:
    """Pooled after as many choices."""
    _, after, count = found.method.rpartition(" after ")
    wanted = f"pooled after {count}" if after else "pooled"
    return next((o for o in report.outcomes if o.method == wanted), None)


def _words(found: Interval, *, signed: bool = False) -> str:
    form = "{:+.1f} ({:+.1f} to {:+.1f})" if signed else "{:.1f} ({:.1f}-{:.1f})"
    return form.format(100 * found.mean, 100 * found.low, 100 * found.high)


def cases_of(who: dict[str, Person]) -> list[Case]:
    """Everybody's choices."""
    return [case for person in who.values() for case in person.cases]


if __name__ == "__main__":
    sys.exit(main())
