"""Always the longer answer: what has to be beaten before anything is learned of a person."""

from __future__ import annotations

from collections.abc import Sequence

from pocketpref.methods.contest import Case, Judge, Judgement


class Longer:
    """Prefers the answer with more characters."""

    name = "longer"

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learns nothing."""
        return lambda case: Judgement.own(len(case.pair.chosen) - len(case.pair.rejected))
