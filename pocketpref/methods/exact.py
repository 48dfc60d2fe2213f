"""EXACT (arXiv 2602.17695): explain each choice by a few named attributes, recall them by prompt.

Algorithm 1 adds, one at a time, the attribute that most raises the anchored margin of the pair.
Algorithm 2 takes the attributes of the past prompt most like the new one. Two things are ours:

* Only attributes that add more than the model's own noise are taken (the paper takes exactly k; its
  theory asks for positive gains), so a set may be smaller than k, or empty.
* A round evaluates only the attributes that first-order estimates put in front (``estimates`` of a
  ``LanguageModel``), unless the search is exhaustive. What that loses is measured, not assumed:
  docs/performance.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketpref.attributes import AttributeBank, Wording
from pocketpref.methods import PartCallback
from pocketpref.records import Condition, Effort, Selection, Vector
from pocketpref.retrieval import PromptIndex
from pocketpref.scoring import PairScorer

FINALISTS = (6, 4, 4)
"""Attributes that are evaluated in the first round, the second, and every later one. The first
choice matters most, and least is known when it is made."""


@dataclass(frozen=True, slots=True)
class ExactSettings:
    """How EXACT searches.

    Attributes:
        k: most attributes of one set (the paper's default is 3).
        wording: inject descriptions ("text") or the paper's bare names ("names").
        exhaustive: evaluate every attribute in every round, as the paper does.
    """

    k: int = 3
    wording: Wording = "text"
    exhaustive: bool = False


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

    @property
    def effort(self) -> Effort:
        """How thorough its searches are when they are not stopped."""
        return Effort.EXHAUSTIVE if self.settings.exhaustive else Effort.DEFAULT

    def select(self, scorer: PairScorer, on_part: PartCallback | None = None) -> Selection:
        """Algorithm 1 for one pair.

        Args:
            scorer: the pair to explain.
            on_part: told before each step how much of the work is done, in [0, 1]; False ends the
                search with what was found so far.

        Raises:
            ModelError: the model failed.
        """
        search = _Search(scorer, self.bank, self.settings, on_part or (lambda _: True))
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
"""Conditions that are evaluated between two reports of progress."""

_ESTIMATING = 3
"""What estimates cost, in evaluations; only to show progress."""


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
        self._turns = min(settings.k, len(bank))
        self._turn = 0
        self._chosen: list[str] = []
        self._gains: list[float] = []
        self._singles: dict[str, float] = {}
        self._estimates: dict[str, float] = {}
        self._effort = Effort.EXHAUSTIVE

    def run(self) -> Selection:
        try:
            while self._turn < self._turns and self._add():
                self._turn += 1
        except _StoppedError:
            self._effort = Effort.PARTIAL
        else:
            self._on_part(1.0)
        return Selection(
            tuple(self._chosen),
            tuple(self._gains),
            self._singles,
            self._estimates,
            self._scorer.evaluations,
            self._effort,
        )

    def _add(self) -> bool:
        """Add the best attribute; False if none adds more than noise."""
        candidates = [name for name in self._bank.names if name not in self._chosen]
        finalists = self._finalists(candidates)
        margins = self._margins(finalists)
        if self._turn == 0:
            self._singles = dict(zip(finalists, margins.tolist(), strict=True))
        best = int(np.argmax(margins))
        gain = float(margins[best]) - sum(self._gains)
        if gain <= self._scorer.noise:
            return False
        self._chosen.append(finalists[best])
        self._gains.append(gain)
        return True

    def _finalists(self, candidates: list[str]) -> list[str]:
        """The attributes that are worth an evaluation, in the bank's order."""
        keep = FINALISTS[min(self._turn, len(FINALISTS) - 1)]
        if self._settings.exhaustive or len(candidates) <= keep:
            return candidates
        self._report(0.0)
        estimates = self._scorer.estimates([self._block(name) for name in candidates])
        if estimates is None:  # this model has none
            return candidates
        self._effort = Effort.DEFAULT
        if self._turn == 0:
            self._estimates = dict(zip(candidates, estimates.tolist(), strict=True))
        best = set(np.argsort(-estimates, kind="stable")[:keep].tolist())
        return [name for place, name in enumerate(candidates) if place in best]

    def _margins(self, finalists: Sequence[str]) -> NDArray[np.float64]:
        blocks = [self._block(name) for name in finalists]
        parts = []
        for start in range(0, len(blocks), _CHUNK):
            self._report((_ESTIMATING + start) / (_ESTIMATING + len(blocks)))
            parts.append(self._scorer.margins(blocks[start : start + _CHUNK]))
        return np.concatenate(parts)

    def _block(self, name: str) -> str:
        return self._bank.block((*self._chosen, name), self._settings.wording)

    def _report(self, part_of_turn: float) -> None:
        """Tell how far the work is, and stop if it should."""
        if not self._on_part(min(1.0, (self._turn + part_of_turn) / self._turns)):
            raise _StoppedError


class _StoppedError(Exception):
    """Ends a search whose time is up."""
