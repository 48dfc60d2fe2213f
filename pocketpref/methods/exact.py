"""EXACT (arXiv 2602.17695): explain each choice by a few named attributes, recall them by prompt.

Algorithm 1 adds, one at a time, the attribute that most raises the anchored margin of the pair.
Algorithm 2 takes the attributes of the past prompt most like the new one. Two things are ours:

* Only attributes that add more than the model's own noise are taken (the paper takes exactly k; its
  theory asks for positive gains), so a set may be smaller than k, or empty.
* ``exhaustive=False`` is a quick search: a round compares the attributes on the first tokens of the
  answers, the better ones on more of them and only the best few on whole answers (successive
  halving). It is two to five times as fast and can miss attributes (docs/performance.md), so the
  paper's search is the default.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketpref.attributes import AttributeBank, Wording
from pocketpref.methods import PartCallback
from pocketpref.records import Condition, Selection, Vector
from pocketpref.retrieval import PromptIndex
from pocketpref.scoring import PairScorer


@dataclass(frozen=True, slots=True)
class Heat:
    """One step of screening: compare on the first tokens only, keep the best.

    Attributes:
        first: tokens of each answer that are compared.
        keep: attributes that go on.
    """

    first: int
    keep: int


OPENING = (Heat(first=16, keep=12), Heat(first=32, keep=5))
"""The first round looks at the whole bank on 16 tokens, at the best 12 on 32, at 5 on all."""

LATER = (Heat(first=16, keep=8), Heat(first=32, keep=4))
"""Later rounds are narrower: what is left to gain is less."""

ENTRANTS = 28
"""Attributes that enter a later round: those that did best alone on the first tokens. Few would be
too few: the best second and third attributes ranked up to 21st alone."""


@dataclass(frozen=True, slots=True)
class ExactSettings:
    """How EXACT searches.

    Attributes:
        k: most attributes of one set (the paper's default is 3).
        wording: inject descriptions ("text") or the paper's bare names ("names").
        exhaustive: evaluate every attribute on whole answers in every round, as the paper does;
            False is the quick search.
    """

    k: int = 3
    wording: Wording = "text"
    exhaustive: bool = True


class Exact:
    """Attribute selection and recall behind the ``Method`` protocol."""

    name = "exact"

    def __init__(self, bank: AttributeBank, settings: ExactSettings | None = None) -> None:
        self.bank = bank
        self.settings = settings or ExactSettings()

    @property
    def recipe(self) -> str:
        """Fingerprint of what a selection means: the bank, k and the wording.

        How thorough the search was is left out, and so is the noise, which belongs to the machine:
        a better search refines an index, it does not make it stale.
        """
        text = f"exact/1 {self.bank.fingerprint} k={self.settings.k} {self.settings.wording}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def select(self, scorer: PairScorer, on_part: PartCallback | None = None) -> Selection:
        """Algorithm 1 for one pair.

        Args:
            scorer: the pair to explain.
            on_part: told after each step how much of the work is done, in [0, 1]; what it raises
                ends the search.

        Raises:
            ModelError: the model failed.
        """
        search = _Search(scorer, self.bank, self.settings, on_part or (lambda _: None))
        return search.run()

    def condition(self, query: Vector, index: PromptIndex, relevance: float) -> Condition:
        """Algorithm 2: the attributes of the nearest past prompt, if one is near enough."""
        found = index.nearest(query, relevance)
        if found is None:
            return Condition()
        entry, source = found
        # An attribute that has left the bank since is left out rather than guessed.
        names = tuple(n for n in entry.selection.attributes if n in self.bank)
        if not names:
            return Condition()
        block = self.bank.block(names, self.settings.wording)
        return Condition(names, block, (source,), self.name)


_CHUNK = 14
"""Conditions that are scored between two reports of progress; fills a batch of first tokens."""


class _Search:
    """One run of Algorithm 1."""

    def __init__(
        self,
        scorer: PairScorer,
        bank: AttributeBank,
        settings: ExactSettings,
        on_part: PartCallback,
    ) -> None:
        self._scorer = scorer
        self._bank = bank
        self._settings = settings
        self._on_part = on_part
        self._screened: dict[str, float] = {}
        self._turn = self._asked = 0
        self._expected = 1

    def run(self) -> Selection:
        chosen: list[str] = []
        gains: list[float] = []
        singles: dict[str, float] = {}
        entrants = list(self._bank.names)
        for turn in range(min(self._settings.k, len(self._bank))):
            heats = OPENING if turn == 0 else LATER
            self._begin_turn(turn, len(entrants), heats)
            finalists = self._heats(chosen, entrants, heats)
            margins = self._margins(chosen, finalists)
            if turn == 0:
                singles = dict(zip(finalists, margins.tolist(), strict=True))
            best = int(np.argmax(margins))
            gain = float(margins[best]) - sum(gains)
            if gain <= self._scorer.noise:
                break
            chosen.append(finalists[best])
            gains.append(gain)
            entrants = self._entrants(chosen)
        self._on_part(1.0)
        found = (tuple(chosen), tuple(gains), singles, self._screened)
        return Selection(*found, self._scorer.evaluations)

    def _entrants(self, chosen: Sequence[str]) -> list[str]:
        """Who enters a later round, in the bank's order."""
        left = [name for name in self._bank.names if name not in chosen]
        if not self._screened:
            return left
        alone = np.array([self._screened[name] for name in left])
        return _best(left, alone, ENTRANTS)

    def _heats(
        self, chosen: Sequence[str], entrants: Sequence[str], heats: Sequence[Heat]
    ) -> list[str]:
        """The attributes that are worth whole answers, in the bank's order."""
        left = list(entrants)
        if self._settings.exhaustive:
            return left
        for heat in heats:
            if len(left) > heat.keep:
                margins = self._margins(chosen, left, first=heat.first)
                if not chosen and len(left) == len(self._bank):
                    self._screened = dict(zip(left, margins.tolist(), strict=True))
                left = _best(left, margins, heat.keep)
        return left

    def _margins(
        self, chosen: Sequence[str], candidates: Sequence[str], first: int | None = None
    ) -> NDArray[np.float64]:
        blocks = [self._bank.block((*chosen, name), self._settings.wording) for name in candidates]
        parts = []
        for start in range(0, len(blocks), _CHUNK):
            chunk = blocks[start : start + _CHUNK]
            parts.append(self._scorer.margins(chunk, first=first))
            self._report(len(chunk))
        return np.concatenate(parts)

    def _begin_turn(self, turn: int, entrants: int, heats: Sequence[Heat]) -> None:
        keep = 0 if self._settings.exhaustive else sum(min(h.keep, entrants) for h in heats)
        self._turn, self._expected, self._asked = turn, entrants + keep, 0

    def _report(self, conditions: int) -> None:
        self._asked += conditions
        self._on_part((self._turn + min(1.0, self._asked / self._expected)) / self._settings.k)


def _best(names: Sequence[str], values: NDArray[np.float64], keep: int) -> list[str]:
    """The names of the largest values, in the order they came in."""
    best = set(np.argsort(-values, kind="stable")[:keep].tolist())
    return [name for place, name in enumerate(names) if place in best]
