"""Compare methods on held-out choices, with accuracies and their intervals.

Each method learns from a person's past choices and is asked about the rest. Pairs of one person are
alike, so the bootstrap resamples people, each with all of their pairs: intervals say what other
people of the same kind would give.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from pocketpref.errors import InputError
from pocketpref.evaluation.cases import Crowds, Protocol, Split, by_user, splits
from pocketpref.evaluation.predictors import Case, Judge, Judgement, Predictor
from pocketpref.records import Matrix64
from pocketpref.summary.records import Interval

if TYPE_CHECKING:
    from pocketpref.evaluation.help import HelpVerdict

DRAWS: Final = 2000
COVERAGE: Final = 0.95


def interval(
    values: Sequence[float] | Matrix64, clusters: Sequence[str] | None = None, seed: int = 0
) -> Interval:
    """Mean of values with the bootstrap interval over whole clusters (95 %).

    Args:
        values: one for each outcome.
        clusters: whose each is; None where each is somebody else's.
        seed: of the resamples.

    Returns:
        Ends of nan where there is one cluster only: it says nothing about others.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if not len(numbers):
        return Interval(math.nan, math.nan, math.nan)
    whose = range(len(numbers)) if clusters is None else clusters
    names, of = np.unique(np.asarray(whose, dtype=str), return_inverse=True)
    mean = float(numbers.mean())
    if len(names) < 2:
        return Interval(mean, math.nan, math.nan)
    sums = np.bincount(of, numbers, len(names))
    sizes = np.bincount(of, minlength=len(names)).astype(np.float64)
    drawn = np.random.default_rng(seed).integers(len(names), size=(DRAWS, len(names)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    edge = (1 - COVERAGE) / 2
    low, high = np.quantile(means, [edge, 1 - edge])
    return Interval(mean, float(low), float(high))


def credited(scores: Sequence[float] | Matrix64) -> Matrix64:
    """1 for a positive score, 0 for a negative one, a half for a tie."""
    return np.asarray((np.sign(np.asarray(scores, dtype=np.float64)) + 1) / 2)


def log_loss(scores: Sequence[float] | Matrix64) -> float:
    """Mean of -log P of what was chosen, nats, where scores are log-odds (log 2 is chance)."""
    return float(np.logaddexp(0.0, -np.asarray(scores, dtype=np.float64)).mean())


def calibration(
    scores: Sequence[float] | Matrix64, bins: int = 5
) -> list[tuple[float, float, int]]:
    """How often the answer that was said to win does, by how surely it was said.

    Args:
        scores: log-odds, positive where the chosen answer was said to win.
        bins: of equal numbers of pairs.

    Returns:
        (mean probability that was said, share that was right, pairs) for each bin, the least sure
        first.
    """
    odds = np.asarray(scores, dtype=np.float64)
    said = 1 / (1 + np.exp(-np.abs(odds)))
    right = credited(odds)
    parts = np.array_split(np.argsort(said, kind="stable"), bins)
    return [(float(said[p].mean()), float(right[p].mean()), len(p)) for p in parts if len(p)]


def without_nan(value: Any) -> Any:
    """The same figures with None for what is not a number: JSON has no word for that.

    Args:
        value: what is to be written, with all that lies in dictionaries and lists.
    """
    if isinstance(value, dict):
        return {key: without_nan(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [without_nan(inner) for inner in value]
    return None if isinstance(value, float) and math.isnan(value) else value


READINGS: Final = tuple(field.name for field in fields(Judgement))
"""What is said of each method: see ``Judgement``."""

LEAST_PAIRS: Final = 5
"""People with fewer pairs are left out: with 8:2 nothing would be asked of them."""

ProgressCallback = Callable[[int, int], None]
"""Told how many splits are done, and of how many."""


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What one method was judged by.

    Attributes:
        method: its name.
        users: whose each case was, shape (cases,).
        scores: by which each was judged, shape (cases, readings); positive is right.
    """

    method: str
    users: tuple[str, ...]
    scores: Matrix64

    def accuracy(self, reading: str) -> Interval:
        """Share of cases that were judged rightly, with its interval over people."""
        return interval(credited(self._of(reading)), self.users)

    def above(self, other: Outcomes, reading: str) -> Interval:
        """By how much it is better than another on the same cases, with its interval."""
        gained = credited(self._of(reading)) - credited(other._of(reading))
        return interval(gained, self.users)

    def of_users(self, reading: str) -> dict[str, tuple[float, int]]:
        """Accuracy for each person, and of how many cases."""
        right, users = credited(self._of(reading)), np.array(self.users)
        return {
            str(user): (float(right[users == user].mean()), int((users == user).sum()))
            for user in np.unique(users)
        }

    def _of(self, reading: str) -> Matrix64:
        return np.asarray(self.scores[:, READINGS.index(reading)])

    def to_dict(self) -> dict[str, Any]:
        """The ``--json`` shape of one method."""
        accuracies = {}
        for reading in READINGS:
            found = self.accuracy(reading)
            accuracies[reading] = {"accuracy": found.mean, "low": found.low, "high": found.high}
        return {**accuracies, "pairs": len(self.users), "users": len(set(self.users))}


@dataclass(frozen=True, slots=True)
class Report:
    """A finished comparison.

    Attributes:
        outcomes: of each method, in the order in which they were named; the cases are the same,
            in the same order, for all.
        protocol: how it was done, for people and as JSON.
        help: whether it helps the person whose own choices these are; None for a file's.
    """

    outcomes: tuple[Outcomes, ...]
    protocol: dict[str, Any]
    help: HelpVerdict | None = None

    def __getitem__(self, method: str) -> Outcomes:
        """What one method was judged by."""
        return next(found for found in self.outcomes if found.method == method)

    def to_dict(self) -> dict[str, Any]:
        """The ``--json`` shape of ``pocketpref eval``; what has no value is null there."""
        methods = {found.method: found.to_dict() for found in self.outcomes}
        helped = {"help": self.help.to_dict()} if self.help else {}
        return {"methods": without_nan(methods), "protocol": self.protocol, **helped}


def compare(
    cases: Sequence[Case],
    methods: Sequence[Predictor],
    *,
    protocol: Protocol = "shuffled",
    seeds: int = 3,
    least: int = LEAST_PAIRS,
    on_progress: ProgressCallback = lambda done, of: None,
) -> Report:
    """Compare methods on the same splits of the same people.

    Args:
        cases: of all people. Everybody's are what priors are fitted on, except those of the person
            who is asked and those about the item that is asked about (``Crowds``).
        methods: learn and are asked, in this order.
        protocol: "shuffled" splits 8:2 at random, once for each seed; "ordered" asks about what
            came last.
        seeds: random splits of each person.
        least: pairs of a person who takes part.
        on_progress: told of every split that is done.

    Raises:
        InputError: nobody has enough choices.
        ModelError: the model failed, or is missing.
    """
    people = by_user(cases, least)
    todo = [split for theirs in people.values() for split in splits(theirs, protocol, seeds)]
    if not todo:
        raise InputError(
            f"nobody here has {least} choices about different prompts: nothing can be held out",
            hint="use a file with more choices",
        )
    crowds = Crowds(cases)
    scores: list[list[tuple[float, ...]]] = [[] for _ in methods]
    users: list[str] = []
    for done, split in enumerate(todo):
        on_progress(done, len(todo))
        for asked in split.questions():
            crowd = crowds.around(asked[0])
            users += [case.user for case in asked]
            for found, method in zip(scores, methods, strict=True):
                judge = method.fit(split.past, crowd)
                found += [astuple(judge(case)) for case in asked]
    on_progress(len(todo), len(todo))
    outcomes = tuple(
        Outcomes(method.name, tuple(users), np.array(found).reshape(-1, len(READINGS)))
        for method, found in zip(methods, scores, strict=True)
    )
    return Report(outcomes, _described(todo, protocol, seeds))


def _described(todo: Sequence[Split], protocol: Protocol, seeds: int) -> dict[str, Any]:
    learned = [len(split.past) for split in todo]
    return {
        "split": "8:2 of each person's pairs, whole prompts, shuffled"
        if protocol == "shuffled"
        else "the last fifth of each person's pairs, learned from what came before",
        "seeds": seeds if protocol == "shuffled" else 1,
        "users": len({split.asked[0].user for split in todo}),
        "asked": sum(len(split.asked) for split in todo),
        "learned_mean": float(np.mean(learned)) if learned else 0.0,
        "interval": "95 %, bootstrap over people",
    }


# Learning curves: what a method would do after fewer choices.

AFTER: Final = " after "
"""Stands between the name of a method and a number of choices."""


class After:
    """A method that learns from a person's last few past choices only.

    What it takes from other people stays as it is.
    """

    def __init__(self, method: Predictor, choices: int) -> None:
        """Build it.

        Args:
            method: learns.
            choices: from so many of the past, the newest.
        """
        self._method = method
        self._choices = choices

    @property
    def name(self) -> str:
        """The method, and after how many choices."""
        return f"{self._method.name}{AFTER}{self._choices}"

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learn from the newest."""
        return self._method.fit(past[max(len(past) - self._choices, 0) :], crowd)


def curve(
    cases: Sequence[Case], methods: Sequence[Predictor], choices: Sequence[int], **options: Any
) -> dict[str, dict[int, Outcomes]]:
    """Each method after so many choices, all asked the same.

    Args:
        cases: as ``compare`` takes them.
        methods: as ``compare`` takes them.
        choices: numbers of past choices; a person who has fewer takes part with all of them.
        options: of ``compare``.
    """
    steps = [After(method, count) for method in methods for count in choices]
    outcomes = iter(compare(cases, steps, **options).outcomes)
    return {method.name: {count: next(outcomes) for count in choices} for method in methods}
