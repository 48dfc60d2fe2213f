"""Measures how well later choices of real people are predicted, one person at a time.

    python -m tools.eval.real_people descriptions.jsonl ukp_workers.jsonl mtbench_votes.jsonl

A person's choices are put in order. After 3, 5, 10 and 20 of them their choices from the 21st on
are predicted (for people with fewer than 24, all that follow). Histories of 3, 5 and 10 are taken
from several places among the first 20, and averaged. No other person's choices are at hand but
those in the prior, which is fitted anew for each fifth of the people and third of the items
without those people and, in the set that is evaluated, without those items. ``--leave-set-out``
leaves out the whole set: the case of people unlike all those the prior was fitted on.

Compared are

- posterior: the mixture (``pocketpref/personalization/posterior.py``);
- shipped: the single prior that came before it (``tools/eval/style_baseline.py``), its crowd's
  weights fitted anew without those people and items;
- flattered: the same as it is, though it was fitted on ukp_workers and mtbench_votes;
- own: one wide Gaussian around 0, the person's choices alone.

Accuracy counts a tie as half. Intervals are 95 %, bootstrapped over people.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from pocketpref.importers import BadEntry, read
from pocketpref.personalization.measures import MEASURES, measures
from pocketpref.personalization.posterior import fit, infer
from pocketpref.personalization.prior import Prior
from pocketpref.records import Feedback, Matrix64
from tools.eval import style_baseline as single
from tools.fit_preference_prior import ALIKE
from tools.preference_prior import fit_prior

Places = NDArray[np.int64]

HISTORIES: Final = (3, 5, 10, 20)
METHODS: Final = ("posterior", "shipped", "flattered", "own")
PEOPLE_PARTS: Final = 5
ITEM_PARTS: Final = 3
FIRST_TESTED: Final = 20
OWN_SPREAD: Final = 0.5
RESAMPLES: Final = 2000


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """One person's choices in order, as numbers.

    Attributes:
        chosen: measures of the chosen answers, shape (n, len(MEASURES)); rejected likewise.
        styles: differences on the measures of the single shipped prior, shape (n, 16).
        items: what each choice was about, a number, shape (n,).
    """

    chosen: Matrix64
    rejected: Matrix64
    styles: Matrix64
    items: Places

    @property
    def differences(self) -> Matrix64:
        """Measures of chosen minus rejected, shape (n, len(MEASURES)); NaN where unknown."""
        return np.asarray(self.chosen - self.rejected)


def main(argv: Sequence[str] | None = None) -> int:
    """Evaluate and report. Returns the exit status."""
    parser = argparse.ArgumentParser(description="Predict later choices of real people.")
    parser.add_argument("files", type=Path, nargs="+", help="pair files")
    parser.add_argument("--leave-set-out", action="store_true")
    parser.add_argument("--starts", type=int, default=4, help="places that histories begin at")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)
    sets = {path.stem: people_of(path) for path in options.files}
    report: dict[str, Any] = {}
    for name, people in sets.items():
        results = evaluate(sets, name, options.starts, leave_set_out=options.leave_set_out)
        report[name] = summarize(results)
        print(f"{name}, {len(people)} people")
        for history, row in report[name].items():
            cells = (
                f"{method} {100 * row[method]['accuracy']:.1f} "
                f"[{100 * row[method]['low']:.1f}, {100 * row[method]['high']:.1f}] "
                f"{row[method]['loss']:.3f} nats"
                for method in METHODS
            )
            gap = row["posterior_minus_better"]
            print(
                f"  after {history}: {'; '.join(cells)}; minus the better "
                f"{100 * gap['mean']:+.1f} [{100 * gap['low']:+.1f}, {100 * gap['high']:+.1f}]"
            )
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    return 0


def people_of(path: Path, least: int = 10) -> list[Person]:
    """Read a file's people who made at least so many choices, each one's in order of time."""
    theirs: dict[str | None, list[Feedback]] = {}
    for entry in read(path):
        if not isinstance(entry, BadEntry):
            theirs.setdefault(entry.user, []).append(entry)
    numbers: dict[str, int] = {}
    found = []
    for entries in theirs.values():
        if len(entries) >= least:
            # Stable: a file's own order where it gives no other.
            entries.sort(key=lambda e: (e.meta.get("order") or 0, str(e.meta.get("time") or "")))
            asked = [str(e.meta.get("debate_file") or e.pair.prompt) for e in entries]
            found.append(
                Person(
                    np.array([measures(e.pair.chosen) for e in entries]),
                    np.array([measures(e.pair.rejected) for e in entries]),
                    np.array([single.difference(e.pair) for e in entries]),
                    np.array([numbers.setdefault(item, len(numbers)) for item in asked]),
                )
            )
    return found


def evaluate(
    sets: Mapping[str, Sequence[Person]], name: str, starts: int, *, leave_set_out: bool = False
) -> dict[int, list[dict[str, tuple[float, float]]]]:
    """Return (accuracy, loss in nats) of each method, per history and person of a set."""
    sums: dict[tuple[int, int], dict[str, list[tuple[float, float, int]]]] = {}
    for prior, crowd, place, part in _cells(sets, name, leave_set_out=leave_set_out):
        person = sets[name][place]
        features = np.nan_to_num(prior.features(person.chosen) - prior.features(person.rejected))
        wide = features[:, : len(MEASURES)]
        for history in HISTORIES:
            for past, later in _histories(len(features), history, starts):
                tested = later[person.items[later] % ITEM_PARTS == part] if part >= 0 else later
                if not len(tested):
                    continue
                posterior = infer(features[past], prior=prior)
                log_odds = {
                    "posterior": posterior.log_odds(features[tested]),
                    "shipped": single.log_odds(person.styles[past], person.styles[tested], crowd),
                    "flattered": single.log_odds(person.styles[past], person.styles[tested]),
                    "own": own_log_odds(wide[past], wide[tested]),
                }
                held = sums.setdefault((history, place), {method: [] for method in METHODS})
                for method, odds in log_odds.items():
                    right = float(np.sum((odds > 0) + 0.5 * (odds == 0)))
                    loss = float(np.logaddexp(0.0, -odds).sum())
                    held[method].append((right, loss, len(tested)))
    results: dict[int, list[dict[str, tuple[float, float]]]] = {n: [] for n in HISTORIES}
    for (history, _), held in sums.items():
        totals = {method: np.sum(rows, axis=0) for method, rows in held.items()}
        results[history].append(
            {method: (float(t[0] / t[2]), float(t[1] / t[2])) for method, t in totals.items()}
        )
    return results


def own_log_odds(past: Matrix64, tested: Matrix64) -> Matrix64:
    """Return the log-odds of one wide Gaussian around 0, moderated, shape (tested,)."""
    found = fit((past * OWN_SPREAD)[None], np.zeros((1, len(past))), np.ones(len(past)))
    scaled = tested * OWN_SPREAD
    variance = ((scaled @ found.covariances[0]) * scaled).sum(axis=1)
    return np.asarray(scaled @ found.modes[0] / np.sqrt(1 + np.pi / 8 * variance))


def _cells(
    sets: Mapping[str, Sequence[Person]], name: str, *, leave_set_out: bool
) -> Iterator[tuple[Prior, Matrix64, int, int]]:
    """Yield priors, a person they were not fitted on, and their part of the items (-1: all).

    The second prior is the mean of the single one, shape (16,).
    """
    others = {n: people for n, people in sets.items() if n != name}
    if leave_set_out:
        prior, crowd = _fit(others)
        yield from ((prior, crowd, place, -1) for place in range(len(sets[name])))
        return
    for fold in range(PEOPLE_PARTS):
        for part in range(ITEM_PARTS):
            rest = []
            for place, person in enumerate(sets[name]):
                kept = person.items % ITEM_PARTS != part
                if place % PEOPLE_PARTS != fold and kept.any():
                    rest.append(
                        Person(
                            person.chosen[kept],
                            person.rejected[kept],
                            person.styles[kept],
                            person.items[kept],
                        )
                    )
            prior, crowd = _fit(others | {name: rest})
            for place in range(fold, len(sets[name]), PEOPLE_PARTS):
                yield prior, crowd, place, part


def _fit(sets: Mapping[str, Sequence[Person]]) -> tuple[Prior, Matrix64]:
    """Fit the mixture's prior, and the single one's mean on the sets it is shipped with."""
    prior = fit_prior(
        {name: [p.differences for p in people] for name, people in sets.items()}, ALIKE
    )
    pooled = [p.styles for name in single.FITTED_ON for p in sets.get(name, ())]
    return prior, single.refitted_mean(np.concatenate(pooled))


def _histories(choices: int, length: int, starts: int) -> Iterator[tuple[Places, Places]]:
    """Yield places of past and of tested choices."""
    if choices >= FIRST_TESTED + 4:
        later = np.arange(FIRST_TESTED, choices)
        begins = np.unique(np.linspace(0, FIRST_TESTED - length, starts).astype(int))
        yield from ((np.arange(begin, begin + length), later) for begin in begins)
    elif choices >= length + 3:
        yield np.arange(length), np.arange(length, choices)


def summarize(
    results: Mapping[int, Sequence[Mapping[str, tuple[float, float]]]],
) -> dict[str, dict[str, Any]]:
    """Return means over people with bootstrap intervals."""
    report: dict[str, dict[str, Any]] = {}
    for history, people in results.items():
        accuracy = {m: np.array([person[m][0] for person in people]) for m in METHODS}
        row: dict[str, Any] = {"people": len(people)}
        for method, values in accuracy.items():
            loss = float(np.mean([person[method][1] for person in people]))
            low, high = _interval(values)
            row[method] = {
                "accuracy": float(values.mean()), "low": low, "high": high, "loss": loss
            }  # fmt: skip
        better = max(("shipped", "own"), key=lambda m: float(accuracy[m].mean()))
        gap = accuracy["posterior"] - accuracy[better]
        low, high = _interval(gap)
        row["posterior_minus_better"] = {
            "better": better, "mean": float(gap.mean()), "low": low, "high": high
        }  # fmt: skip
        report[str(history)] = row
    return report


def _interval(values: Matrix64) -> tuple[float, float]:
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(values[drawn].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


if __name__ == "__main__":
    sys.exit(main())
