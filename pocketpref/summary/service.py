"""The summary and the statements of one person, as a Pocket offers them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from pocketpref.attributes import AttributeBank
from pocketpref.protocols import MemoryStore
from pocketpref.summary import editing
from pocketpref.summary import store as summary_store
from pocketpref.summary.drafts import SummaryModels
from pocketpref.summary.records import Summary, SummaryReport
from pocketpref.summary.run import ProgressCallback, SummarizeRun
from pocketpref.summary.store import Statement
from pocketpref.summary.wording import ended


class Summaries:
    """The preference summary of one person: searched, edited, stated, kept."""

    def __init__(
        self,
        store: MemoryStore,
        bank: AttributeBank,
        models: SummaryModels,
        index: Callable[[], str],
        inferred: Callable[[], Summary | None],
    ) -> None:
        """Build the service.

        Args:
            store: the person's part of the vault.
            bank: the attributes.
            models: what writes and judges summaries.
            index: fingerprint of what decides the index: model, embedder, bank and settings.
            inferred: gives the summary that the choices and statements make sure, without a search.
        """
        self._store = store
        self._bank = bank
        self._models = models
        self._index = index
        self._inferred = inferred

    def current(self) -> Summary | None:
        """Return the summary in force, with every statement, or None.

        Without one that was searched for or edited, it is what the choices make sure.
        """
        found = summary_store.current(self._store)
        if found is None:
            return self._inferred()
        said = found.text.casefold()
        unsaid = [
            statement
            for statement in summary_store.statements(self._store)
            if statement.wanted and statement.text.casefold().rstrip(".") not in said
        ]
        clauses = (*found.clauses, *(statement.clause for statement in unsaid))
        if not unsaid:
            return found
        text = " ".join([found.text, *(ended(statement.text) for statement in unsaid)])
        sources = (*found.sources, *(s for one in unsaid for s in one.sources))
        return replace(found, text=text, clauses=clauses, sources=tuple(dict.fromkeys(sources)))

    def history(self) -> list[Summary]:
        """Return every summary that was in force, the oldest first."""
        return summary_store.history(self._store)

    def search(self, budget: float | None, on_progress: ProgressCallback) -> SummaryReport:
        """Search for a better summary; see ``Pocket.summarize``."""
        run = SummarizeRun(
            self._store,
            self._bank,
            self._models,
            self._index,
            inferred=self._inferred,
            budget=budget,
            on_progress=on_progress,
        )
        return run.run()

    def due(self) -> str | None:
        """Return why a search is worth its time now, in words, or None."""
        return editing.stale(self._store, self._index)

    def edit(self, text: str) -> Summary:
        """Put the person's own text in force."""
        return editing.edit(self._store, self._models.model(), self._index(), text)

    def state(self, text: str, program: str = "") -> str:
        """Keep a statement; return its id."""
        return summary_store.state(self._store, text, program=program)

    def statements(self) -> list[Statement]:
        """Return what the person stated, the oldest first, and what must not be said of them."""
        return summary_store.statements(self._store)

    def unstate(self, statement_id: str) -> None:
        """Take a statement back."""
        summary_store.unstate(self._store, statement_id)
