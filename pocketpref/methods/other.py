"""Another person's profile: what a method does that is not about this person."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pocketpref.methods.contest import Case, Contestant, Judge


class Other:
    """A method that learned from somebody else, from as many choices as it would have had.

    Who that is depends on the name of the person alone. What a method takes from everybody (a
    prior) stays as it is, so that only the personal part is exchanged.
    """

    def __init__(self, method: Contestant, name: str = "other") -> None:
        """Build it.

        Args:
            method: learns from the other person.
            name: of this contestant.
        """
        self._method = method
        self._name = name

    @property
    def name(self) -> str:
        """How it is called in options and reports."""
        return self._name

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learn from one of the crowd; from nothing if there is no crowd."""
        others = sorted({case.user for case in crowd})
        if not past or not others:
            return self._method.fit([], crowd)
        draw = int.from_bytes(hashlib.sha256(past[0].user.encode()).digest()[:8], "big")
        who = others[draw % len(others)]
        theirs = [case for case in crowd if case.user == who]
        return self._method.fit(theirs[-len(past) :], crowd)
