"""Learning curves: what a method would do after fewer choices."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pocketpref.evaluation.run import Outcomes, compare
from pocketpref.methods.contest import Case, Contestant, Judge

AFTER: Final = " after "
"""Stands between the name of a method and a number of choices."""


class After:
    """A method that learns from a person's last few past choices only.

    What it takes from other people stays as it is.
    """

    def __init__(self, method: Contestant, choices: int) -> None:
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
    cases: Sequence[Case], methods: Sequence[Contestant], choices: Sequence[int], **options: Any
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
