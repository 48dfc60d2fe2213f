"""The model as it is: what every method has to beat."""

from __future__ import annotations

from collections.abc import Sequence

from pocketpref.methods.contest import Case, Evidence, Frame, Judge


class Plain:
    """No condition. Its anchored margin is 0: a tie, which counts half."""

    name = "none"

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learns nothing."""
        return lambda case: self._evidence.judge(case.pair, Frame())
