"""Auto: for each person the method that their own choices speak for, or none.

It starts with what the choices of other people speak for, where there are any, else with nothing:
a candidate that is better for them than the model as it is *and* better than chance. Then each is
cross-validated on the person's own past, whole groups at a time, and takes the place of what it
started with only if it is better than that and than chance.

"Better" is always beyond what luck gives: signs of whole groups (of other people: of whole people)
are exchanged at random (a permutation test), and of all candidates the luckiest is what counts in
each draw (Westfall and Young), so that many candidates are no more likely to pass by luck than one.
Whoever's choices nothing predicts, theirs or others', is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketpref.evaluation.predictors.base import Case, Judge, Predictor
from pocketpref.personalization.auto_decision import AutoDecision
from pocketpref.records import Matrix64

FOLDS = 5
LEVEL = 0.05
"""How often a person whom nothing predicts is taken for one whom something does, at most."""

DRAWS = 2000


class Auto:
    """Applies the candidate that a person's own choices speak for."""

    name = "auto"

    def __init__(
        self, plain: Predictor, candidates: Sequence[Predictor], *, level: float = LEVEL
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
        self._starts: dict[int, tuple[Sequence[Case], Predictor]] = {}

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Decide, then learn by the method decided for."""
        return self._decided(past, crowd)[0].fit(past, crowd)

    def verdict(self, past: Sequence[Case], crowd: Sequence[Case]) -> AutoDecision:
        """What is applied for a person with these past choices."""
        chosen, accuracies, chance = self._decided(past, crowd)
        found = {self._named(method): value for method, value in accuracies}
        return AutoDecision(self._named(chosen), found, len(past), chance)

    def _named(self, method: Predictor) -> str:
        return "none" if method is self._plain else method.name

    def _decided(
        self, past: Sequence[Case], crowd: Sequence[Case]
    ) -> tuple[Predictor, list[tuple[Predictor, float]], float]:
        """What is applied, how often each method was right, and how likely luck decided."""
        methods = (self._plain, *self._candidates)
        start = methods.index(self._start(crowd))
        groups = [case.group for case in past]
        if not self._can_pass(groups):
            return methods[start], [], 1.0
        found = np.array([_validated(method, past, crowd) for method in methods])
        best, chance = _best(found, groups, start)
        accuracies = zip(methods, found.mean(axis=1).tolist(), strict=True)
        return methods[best if chance <= self._level else start], list(accuracies), chance

    def _can_pass(self, groups: Sequence[str]) -> bool:
        """Whether there is enough to go by: 2 ** -groups of all exchanges do as well by luck."""
        return bool(self._candidates) and 0.5 ** len(set(groups)) <= self._level

    def _start(self, crowd: Sequence[Case]) -> Predictor:
        """What is applied to somebody of whom nothing is known."""
        # By identity, of lists that are kept for as long: to compare thousands of cases is slow.
        if id(crowd) not in self._starts:
            self._starts[id(crowd)] = (crowd, self._for_others(crowd))
        return self._starts[id(crowd)][1]

    def _for_others(self, crowd: Sequence[Case]) -> Predictor:
        """What does best for other people without any choice of theirs, beyond luck."""
        methods = (self._plain, *self._candidates)
        people = sorted({case.user for case in crowd})
        if not self._can_pass(people):
            return self._plain
        first = frozenset(people[::2])
        sides = [[c for c in crowd if (c.user in first) is side] for side in (True, False)]
        found = np.array([_for_newcomers(method, sides) for method in methods])
        best, chance = _best(found, [case.user for side in sides for case in side], 0)
        return methods[best] if chance <= self._level else self._plain


def _best(found: Matrix64, groups: Sequence[str], start: int) -> tuple[int, float]:
    """The best method but the one that is started with, and how likely it is better by luck.

    Args:
        found: credit of each method, the plain one first, on each choice, shape (methods, choices).
        groups: the group of each choice.
        start: the method to be better than. All but the plain one must be better than chance, too.
    """
    names = sorted(set(groups))
    of_group = np.array([names.index(group) for group in groups])
    rivals = [place for place in range(len(found)) if place != start]
    chances = _chances(found[rivals] - found[start], of_group, len(names))
    over_luck = _chances(found[rivals] - 0.5, of_group, len(names))
    over_luck[[place == 0 for place in rivals]] = 0.0
    best = int(np.argmax(found[rivals].mean(axis=1)))
    return rivals[best], float(max(chances[best], over_luck[best]))


def credit(score: float) -> float:
    """1 for right, 0 for wrong, a half for a tie."""
    return 0.5 if score == 0 else float(score > 0)


def _validated(method: Predictor, past: Sequence[Case], crowd: Sequence[Case]) -> Matrix64:
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


def _for_newcomers(method: Predictor, sides: Sequence[Sequence[Case]]) -> Matrix64:
    """Credit of each choice of two halves of a crowd, judged by what the other half taught."""
    found = []
    for asked, others in (sides, sides[::-1]):
        judge = method.fit([], others)
        found += [credit(judge(case).absolute) for case in asked]
    return np.array(found)


def _chances(gains: Matrix64, of_group: Matrix64, groups: int) -> Matrix64:
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


def _studentized(total: Matrix64, size: Matrix64) -> Matrix64:
    """Totals in units of what luck gives; a candidate that never differs has 0."""
    return np.asarray(np.where(size > 0, total / np.where(size > 0, size, 1.0), 0.0))
