"""Auto: for each person the method that their own choices speak for, or none.

Each candidate is cross-validated on the person's past, whole groups at a time. It is applied only
if it is better than the model as it is *and* better than chance, beyond what luck gives: signs of
whole groups are exchanged at random (a permutation test), and of all candidates the luckiest is
what counts in each draw (Westfall and Young), so that many candidates are no more likely to pass by
luck than one. Whoever's choices nothing predicts is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketpref.methods.contest import Case, Contestant, Judge, Matrix
from pocketpref.verdicts import Verdict

FOLDS = 5
LEVEL = 0.05
"""How often a person whom nothing predicts is taken for one whom something does, at most."""

DRAWS = 2000


class Auto:
    """Applies the candidate that a person's own choices speak for."""

    name = "auto"

    def __init__(
        self, plain: Contestant, candidates: Sequence[Contestant], *, level: float = LEVEL
    ) -> None:
        """Build it.

        Args:
            plain: what is done where no candidate is applied.
            candidates: the simplest first: on a tie it is taken.
            level: how often luck may pass for a preference.
        """
        self._plain = plain
        self._candidates = tuple(candidates)
        self._level = level

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Decide, then learn by the method decided for."""
        chosen = self.verdict(past, crowd).method
        found = next((c for c in self._candidates if c.name == chosen), self._plain)
        return found.fit(past, crowd)

    def verdict(self, past: Sequence[Case], crowd: Sequence[Case]) -> Verdict:
        """What is applied for a person with these past choices."""
        groups = sorted({case.group for case in past})
        # Fewer groups than this cannot pass: 2 ** -groups of all exchanges do as well by luck.
        if not self._candidates or 0.5 ** len(groups) > self._level:
            return Verdict("none", {}, len(past), 1.0)
        plain = _validated(self._plain, past, crowd)
        found = np.array([_validated(c, past, crowd) for c in self._candidates])
        of_group = np.array([groups.index(case.group) for case in past])
        chances = np.maximum(
            _chances(found - plain, of_group, len(groups)),
            _chances(found - 0.5, of_group, len(groups)),
        )
        best = int(np.argmax(found.mean(axis=1)))
        method = self._candidates[best].name if chances[best] <= self._level else "none"
        accuracies = {"none": float(plain.mean())}
        for candidate, row in zip(self._candidates, found, strict=True):
            accuracies[candidate.name] = float(row.mean())
        return Verdict(method, accuracies, len(past), float(chances[best]))


def credit(score: float) -> float:
    """1 for right, 0 for wrong, a half for a tie."""
    return 0.5 if score == 0 else float(score > 0)


def _validated(method: Contestant, past: Sequence[Case], crowd: Sequence[Case]) -> Matrix:
    """Credit of each past choice, judged by what the other groups taught, shape (choices,)."""
    names = sorted({case.group for case in past})
    fold = {name: place % FOLDS for place, name in enumerate(names)}
    found = np.empty(len(past))
    for number in range(min(FOLDS, len(names))):
        judge = method.fit([case for case in past if fold[case.group] != number], crowd)
        for place, case in enumerate(past):
            if fold[case.group] == number:
                found[place] = credit(judge(case).absolute)
    return found


def _chances(gains: Matrix, of_group: Matrix, groups: int) -> Matrix:
    """How likely the luckiest of all candidates gains as much as each one by luck.

    Args:
        gains: of each candidate on each choice, shape (candidates, choices).
        of_group: the group of each choice, shape (choices,).
        groups: how many there are.
    """
    sums = np.zeros((len(gains), groups))
    np.add.at(sums.T, of_group.astype(int), gains.T)
    size = np.sqrt((sums**2).sum(axis=1))
    observed = _studentized(sums.sum(axis=1), size)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (DRAWS, groups))
    luckiest = _studentized(signs @ sums.T, size).max(axis=1)
    reached = (luckiest[:, None] >= observed[None, :] - 1e-12).sum(axis=0)
    return np.asarray((1 + reached) / (1 + DRAWS))


def _studentized(total: Matrix, size: Matrix) -> Matrix:
    """Totals in units of what luck gives; a candidate that never differs has 0."""
    return np.asarray(np.where(size > 0, total / np.where(size > 0, size, 1.0), 0.0))
