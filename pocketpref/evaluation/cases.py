"""Choices as cases, and splits of one person's cases into what is learned from and what is asked.

A split never separates the pairs of one group: of one prompt, or of one ranking that a file names
(``meta.ranking``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, Literal

import numpy as np

from pocketpref.evaluation.predictors import Case
from pocketpref.protocols import Embedder
from pocketpref.records import Feedback

ASKED: Final = 0.2
"""Share of a person's pairs that is asked about (EXACT: 8:2)."""

Protocol = Literal["shuffled", "ordered"]


@dataclass(frozen=True, slots=True)
class Split:
    """One person's cases, divided.

    Attributes:
        past: what is learned from, the oldest first.
        asked: what is asked about.
        seed: which draw it was.
    """

    past: tuple[Case, ...]
    asked: tuple[Case, ...]
    seed: int = 0

    def questions(self) -> list[list[Case]]:
        """What is asked about, item by item."""
        inside = sorted(self.asked, key=lambda case: case.item)
        return [list(cases) for _, cases in groupby(inside, key=lambda case: case.item)]


def cases_of(
    feedback: Sequence[Feedback], embedder: Embedder, *, item_of: Callable[[Feedback], str]
) -> list[Case]:
    """Choices as cases.

    Args:
        feedback: those without a user are one person's; if one has no time, the order is that in
            which they stand here.
        embedder: of the prompts.
        item_of: what a choice is about, at least as wide as its prompt.

    Raises:
        ModelError: the embedder failed.
    """
    prompts = list(dict.fromkeys(entry.pair.prompt for entry in feedback))
    vectors = dict(zip(prompts, embedder.embed(prompts), strict=True)) if prompts else {}
    timed = all(entry.created for entry in feedback)
    return [
        Case(
            user=entry.user or "",
            pair=entry.pair,
            vector=vectors[entry.pair.prompt],
            group=_group(entry),
            item=item_of(entry),
            when=entry.created.timestamp() if timed and entry.created else float(place),
        )
        for place, entry in enumerate(feedback)
    ]


def _group(entry: Feedback) -> str:
    ranking = entry.meta.get("ranking")
    name = entry.pair.prompt if ranking is None else f"{ranking}\n{entry.pair.prompt}"
    return hashlib.sha256(name.encode()).hexdigest()[:16]


def by_user(cases: Sequence[Case], least: int = 1) -> dict[str, list[Case]]:
    """Cases of each person who has at least ``least``, the oldest first."""
    ordered = sorted(cases, key=lambda case: (case.user, case.when))
    people = {user: list(theirs) for user, theirs in groupby(ordered, key=lambda case: case.user)}
    return {user: theirs for user, theirs in people.items() if len(theirs) >= least}


def shuffled(cases: Sequence[Case], seed: int, share: float = ASKED) -> Split | None:
    """Whole groups at random, until at least ``share`` of the pairs is asked about.

    Returns:
        None if there is only one group: then nothing can be asked that was not learned.
    """
    groups = sorted({case.group for case in cases})
    if len(groups) < 2:
        return None
    drawn: set[str] = set()
    for place in np.random.default_rng(seed).permutation(len(groups))[:-1]:
        if sum(case.group in drawn for case in cases) >= share * len(cases):
            break
        drawn.add(groups[place])
    past = tuple(case for case in cases if case.group not in drawn)
    return Split(past, tuple(case for case in cases if case.group in drawn), seed)


def ordered(cases: Sequence[Case], share: float = ASKED) -> Split | None:
    """The last ``share`` of the pairs is asked about, and learned from is what came before.

    Choices made at one moment are never separated, and what was asked before about a group that is
    asked about again is not learned from.

    Returns:
        None if nothing is left to learn from.
    """
    inside = sorted(cases, key=lambda case: case.when)
    begins = inside[min(int(len(inside) * (1 - share)), len(inside) - 1)].when
    asked = tuple(case for case in inside if case.when >= begins)
    later = {case.group for case in asked}
    past = tuple(case for case in inside if case.when < begins and case.group not in later)
    return Split(past, asked) if past else None


def splits(cases: Sequence[Case], protocol: Protocol, seeds: int) -> list[Split]:
    """The splits of one person's cases: one for each seed, or the one that time makes."""
    if protocol == "ordered":
        found = [ordered(cases)]
    else:
        found = [shuffled(cases, seed) for seed in range(seeds)]
    return [split for split in found if split is not None]


PARTIES: Final = 5
"""Of many people, each is asked after a fifth of them was left out: a prior for everybody alone
would take as many times as long, and be hardly better."""


class Crowds:
    """Other people's choices about other items than the one that is asked about."""

    def __init__(self, cases: Sequence[Case]) -> None:
        self._cases = cases
        people = sorted({case.user for case in cases})
        parties = PARTIES if len(people) > 2 * PARTIES else len(people)
        self._party = {user: place % parties for place, user in enumerate(people)}
        self._known: dict[tuple[int, str], list[Case]] = {}

    def around(self, asked: Case) -> list[Case]:
        """The same list for every question to a person of this party about this item."""
        party, item = self._party[asked.user], asked.item
        if (party, item) not in self._known:
            self._known[party, item] = [
                case
                for case in self._cases
                if self._party[case.user] != party and case.item != item
            ]
        return self._known[party, item]
