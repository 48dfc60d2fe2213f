"""Index new choices one after the other, each kept as soon as it is done."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable

from pocketpref.errors import NotFoundError
from pocketpref.methods.exact.selection import Exact
from pocketpref.protocols import EmbedderLoader, MemoryStore
from pocketpref.records import Effort, Learned
from pocketpref.results import LearnReport, Progress
from pocketpref.scoring import ScoringModels

ProgressCallback = Callable[[Progress], None]


class LearnRun:
    """One call of ``learn``."""

    def __init__(
        self,
        store: MemoryStore,
        method: Exact,
        scoring: ScoringModels,
        embedder: EmbedderLoader,
        recipe: Callable[[], str],
        *,
        budget: float | None = None,
        on_progress: ProgressCallback = lambda _: None,
    ) -> None:
        """Build the run.

        Args:
            store: the person's part of the vault.
            method: selects attributes.
            scoring: the models that score.
            embedder: loads what embeds prompts.
            recipe: fingerprint of what decides the index.
            budget: seconds after which to stop.
            on_progress: told of every step; what it raises ends the run.
        """
        self._store = store
        self._method = method
        self._scoring = scoring
        self._embedder = embedder
        self._recipe = recipe
        self._budget = float("inf") if budget is None else budget
        self._tell = on_progress
        self._began = time.monotonic()
        self._done = 0
        self._total = 0

    def all(self) -> LearnReport:
        """Index what is pending, the newest first, until the budget ends."""
        pending = self._pending()
        self._total = len(pending)
        if pending:
            self._report(0.0, note="loading the model")
            self._scoring.scorer()
            self._report(0.0, note="measuring the model's noise")  # the first time of a model
            self._scoring.noise()
            self._scoring.arbiter()
        for memory_id in pending:
            if self._over() or not self._index(memory_id):
                break
            self._done += 1
        return LearnReport(self._done, len(self._pending()), self._elapsed())

    def _pending(self) -> list[str]:
        return self._store.pending(self._recipe(), self._method.effort)

    def _index(self, memory_id: str) -> bool:
        """Index one memory; return False if the budget ended first.

        A partial result is kept if it says something and there was none: a later call refines it.
        """
        try:
            memory = self._store.get(memory_id)
        except NotFoundError:
            return True  # forgotten while it waited for its turn

        def on_part(part: float) -> bool:
            if self._over():
                return False
            self._report(part)
            return True

        selection = self._method.select(self._scoring.pair_scorer(memory.pair), on_part)
        whole = selection.effort > Effort.PARTIAL
        if whole or (
            selection.attributes
            and all(known.memory_id != memory_id for known in self._store.lessons(self._recipe()))
        ):
            prompt = memory.pair.prompt
            self._store.put_learned(
                Learned(
                    memory_id=memory.id,
                    vector=self._embedder().embed([prompt])[0],
                    prompt_digest=hashlib.sha256(prompt.encode()).digest(),
                    selection=selection,
                    recipe=self._recipe(),
                )
            )
        if whole:
            self._report(1.0, found=selection.attributes, done=self._done + 1)
        return whole

    def _over(self) -> bool:
        return self._elapsed() >= self._budget

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
