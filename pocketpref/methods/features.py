"""Features of pairs: plain style measures, the model's own opinion, and contrasts of attributes.

One pass of scoring (plain, each attribute, each opposite) gives the last two; the first need no
model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from pocketpref.methods.contest import Case, Evidence, Matrix
from pocketpref.methods.prior import LEAST_PEOPLE, Person, Prior, fit_prior
from pocketpref.methods.style import MEASURES, difference
from pocketpref.records import Pair

Part = Literal["length", "style", "likelihood", "contrast", "single"]

WITHOUT_MODEL: Final[tuple[Part, ...]] = ("style",)
WITH_MODEL: Final[tuple[Part, ...]] = ("style", "likelihood", "contrast")


class Traits:
    """Features of pairs, each computed once, and the prior of a crowd.

    Attributes:
        names: of the features.
    """

    def __init__(self, parts: Sequence[Part], evidence: Evidence | None = None) -> None:
        """Build it.

        Args:
            parts: which features.
            evidence: what the model says; None if no part needs it.
        """
        self._parts = tuple(parts)
        self._evidence = evidence
        self._known: dict[Pair, Matrix] = {}
        self._priors: dict[int, tuple[Sequence[Case], Prior | None]] = {}
        self.names = tuple(name for part in self._parts for name in self._names(part))

    def of(self, pair: Pair) -> Matrix:
        """Chosen minus rejected, shape (features,)."""
        if pair not in self._known:
            self._known[pair] = np.concatenate([self._take(part, pair) for part in self._parts])
        return self._known[pair]

    def table(self, cases: Sequence[Case]) -> Matrix:
        """The same of many, shape (cases, features)."""
        rows = [self.of(case.pair) for case in cases]
        return np.array(rows).reshape(len(rows), len(self.names))

    def prior(self, crowd: Sequence[Case]) -> Prior | None:
        """What a crowd has in common; None if it is too small to tell."""
        # By identity, of lists that are kept for as long: to compare thousands of cases is slow.
        if id(crowd) not in self._priors:
            self._priors[id(crowd)] = (crowd, self._fitted(crowd))
        return self._priors[id(crowd)][1]

    def _fitted(self, crowd: Sequence[Case]) -> Prior | None:
        people: dict[str, list[Case]] = {}
        for case in crowd:
            people.setdefault(case.user, []).append(case)
        if len(people) < LEAST_PEOPLE:
            return None
        persons = [
            Person(self.table(cases), tuple(case.item for case in cases))
            for _, cases in sorted(people.items())
        ]
        return fit_prior(self.names, persons)

    def _names(self, part: Part) -> list[str]:
        if part == "length":
            return ["length"]
        if part == "style":
            return list(MEASURES)
        if part == "likelihood":
            return ["log-likelihood", "log-likelihood per token"]
        assert self._evidence is not None
        return [f"{part} {name}" for name in self._evidence.bank.names]

    def _take(self, part: Part, pair: Pair) -> Matrix:
        if part == "length":
            return difference(pair)[:1]
        if part == "style":
            return difference(pair)
        assert self._evidence is not None
        if part == "likelihood":
            return self._evidence.plain(pair)
        # Per token: what an attribute does to a sum grows with the answer's length.
        of = self._evidence.contrasts if part == "contrast" else self._evidence.singles
        return of(pair)[:, 1]
