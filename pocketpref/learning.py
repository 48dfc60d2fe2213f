"""Indexing what is new: one pair after the other, each kept as soon as it is done."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from pocketpref.errors import NotFoundError
from pocketpref.parts import Parts
from pocketpref.records import Learned, Memory, Pair, Selection
from pocketpref.results import LearnReport, Progress
from pocketpref.scoring import PairScorer

ProgressCallback = Callable[[Progress], None]


class LearnRun:
    """One call of ``learn``."""

    def __init__(self, parts: Parts, budget: float | None, on_progress: ProgressCallback) -> None:
        self._parts = parts
        self._budget = float("inf") if budget is None else budget
        self._tell = on_progress
        self._began = time.monotonic()
        self._done = 0
        self._total = 0

    def all(self) -> LearnReport:
        """Index what is pending, the newest first, until the budget ends."""
        store = self._parts.store
        pending = store.pending(self._parts.recipe())
        self._total = len(pending)
        if pending:
            self._make_ready()
        for memory_id in pending:
            if self._elapsed() >= self._budget or not self._one(memory_id):
                break
            self._done += 1
        remaining = len(store.pending(self._parts.recipe()))
        return LearnReport(self._done, remaining, self._elapsed())

    def _make_ready(self) -> None:
        """Load the model; at the first time of a model, measure its noise."""
        self._report(0.0, note="loading the model")
        self._parts.scorer()
        self._report(0.0, note="measuring the model's noise")
        self._parts.noise()

    def _one(self, memory_id: str) -> bool:
        """Index one memory; False if the budget ended first."""
        try:
            memory = self._parts.store.get(memory_id)
        except NotFoundError:
            return True  # forgotten while it waited for its turn
        try:
            selection = self._select(memory.pair)
        except _OutOfTimeError:
            return False
        self._parts.store.put_learned(self._learned(memory, selection))
        self._report(1.0, found=selection.attributes, done=self._done + 1)
        return True

    def _select(self, pair: Pair) -> Selection:
        scorer = PairScorer(self._parts.scorer(), pair, noise=self._parts.noise())
        return self._parts.method.select(scorer, self._on_part)

    def _learned(self, memory: Memory, selection: Selection) -> Learned:
        prompt = memory.pair.prompt
        return Learned(
            memory_id=memory.id,
            vector=self._parts.embedder().embed([prompt])[0],
            prompt_digest=hashlib.sha256(prompt.encode()).digest(),
            selection=selection,
            recipe=self._parts.recipe(),
        )

    def _on_part(self, part: float) -> None:
        if self._elapsed() >= self._budget:
            raise _OutOfTimeError
        self._report(part)

    def _report(
        self,
        part: float,
        *,
        found: tuple[str, ...] = (),
        done: int | None = None,
        note: str = "",
    ) -> None:
        done = self._done if done is None else done
        self._tell(Progress(done, self._total, part, self._elapsed(), found, note))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began


class _OutOfTimeError(Exception):
    """Ends the search for the pair at work when the budget is spent."""
