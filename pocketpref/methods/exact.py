"""EXACT (arXiv 2602.17695): explain each choice by a few named attributes, recall them by prompt.

Algorithm 1 adds, one at a time, the attribute that most raises the anchored margin of the pair.
Algorithm 2 takes the attributes of the past prompt most like the new one. Two things are ours:

* Only attributes that add more than the model's own noise are taken (the paper takes exactly k; its
  theory asks for positive gains), so a set may be smaller than k, or empty.
* By default each round looks at all attributes on the first tokens of the answers and at the best
  few of them on whole answers. ``exhaustive=True`` looks at all of them on whole answers, as the
  paper does.
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

SCREEN_TOKENS = 32
"""First tokens of each answer that the screening looks at."""

FINALISTS = 8
"""Attributes of each round that are looked at on whole answers."""


@dataclass(frozen=True, slots=True)
class ExactSettings:
    """How EXACT searches.

    Attributes:
        k: most attributes of one set (the paper's default is 3).
        wording: inject descriptions ("text") or the paper's bare names ("names").
        exhaustive: evaluate every attribute on whole answers in every round.
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
        """Fingerprint of the bank and of the settings that change what is selected.

        The noise is left out: it belongs to the machine, and the model is known apart.
        """
        s = self.settings
        search = "all" if s.exhaustive else f"{SCREEN_TOKENS}/{FINALISTS}"
        text = f"exact/1 {self.bank.fingerprint} k={s.k} {s.wording} {search}"
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

    def run(self) -> Selection:
        chosen: list[str] = []
        gains: list[float] = []
        singles: dict[str, float] = {}
        screened: dict[str, float] = {}
        for turn in range(min(self._settings.k, len(self._bank))):
            candidates = [name for name in self._bank.names if name not in chosen]
            finalists = self._screen(chosen, candidates, screened if turn == 0 else {})
            margins = self._margins(chosen, finalists)
            if turn == 0:
                singles = dict(zip(finalists, margins.tolist(), strict=True))
            self._on_part((turn + 1) / self._settings.k)
            best = int(np.argmax(margins))
            gain = float(margins[best]) - sum(gains)
            if gain <= self._scorer.noise:
                break
            chosen.append(finalists[best])
            gains.append(gain)
        self._on_part(1.0)
        return Selection(tuple(chosen), tuple(gains), singles, screened, self._scorer.evaluations)

    def _screen(
        self, chosen: Sequence[str], candidates: Sequence[str], record: dict[str, float]
    ) -> list[str]:
        """The candidates that are worth whole answers, in the bank's order."""
        if self._settings.exhaustive or len(candidates) <= FINALISTS:
            return list(candidates)
        margins = self._margins(chosen, candidates, first=SCREEN_TOKENS)
        record.update(zip(candidates, margins.tolist(), strict=True))
        best = set(np.argsort(-margins, kind="stable")[:FINALISTS].tolist())
        return [name for place, name in enumerate(candidates) if place in best]

    def _margins(
        self, chosen: Sequence[str], candidates: Sequence[str], first: int | None = None
    ) -> NDArray[np.float64]:
        blocks = [self._bank.block((*chosen, name), self._settings.wording) for name in candidates]
        return self._scorer.margins(blocks, first=first)
