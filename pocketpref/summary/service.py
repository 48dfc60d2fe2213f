"""The summary and the statements of one person, as a Pocket offers them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from pocketpref.attributes import AttributeBank
from pocketpref.protocols import LanguageModel, MemoryStore
from pocketpref.records import Message
from pocketpref.summary import store as summary_store
from pocketpref.summary.drafts import SummaryModels
from pocketpref.summary.evidence import is_evidence
from pocketpref.summary.objective import PopiSettings, recipe
from pocketpref.summary.records import Clause, Summary, SummaryReport
from pocketpref.summary.run import ProgressCallback, SummarizeRun
from pocketpref.summary.store import Statement
from pocketpref.summary.wording import bare, ended, prevailing, sentences

LEAST_NEW = 8
"""New choices that it takes to search for a summary again, if they are a fifth of the old."""


def stale(store: MemoryStore, index: Callable[[], str]) -> str | None:
    """Return why a summary should be searched for, in words, or None.

    A search that found nothing is not suggested again before there are new choices.

    Args:
        store: the person's part of the vault.
        index: as of ``recipe``, computed only if needed: it loads the embedder.

    Raises:
        ModelError: a model is missing.
        VaultError: the vault cannot be read.
    """
    evidence = [memory.created for memory in store.memories() if is_evidence(memory)]
    present = summary_store.current(store)
    search = summary_store.last_checkpoint(store)
    if search is not None:
        known = search.choices  # as many as there were when a summary was last looked for
    elif present is not None:
        known = sum(moment <= present.created for moment in evidence)
    else:
        return "there is none yet" if len(evidence) >= PopiSettings().least_pairs else None
    fresh = len(evidence) - known
    if fresh >= max(LEAST_NEW, known // 5):
        return f"{fresh} choices are new"
    if present is not None and present.origin != "edit" and present.recipe != recipe(index()):
        return "it was made with another model or other settings"
    return None


def edit(store: MemoryStore, model: LanguageModel, index: str, text: str) -> Summary:
    """Put a person's own text in force as their summary.

    Their additions are kept as statements, which every later summary includes. Clauses that they
    struck out do not come back.

    Args:
        store: the person's part of the vault.
        model: counts the tokens.
        index: as of ``recipe``.
        text: the person's own text.

    Raises:
        InputError: the text is empty or too long.
        ModelError: a model is missing or failed.
        NotFoundError: the summary was changed meanwhile.
    """
    line = summary_store.one_line(text)
    now = datetime.now(UTC)
    before = summary_store.current(store)
    old = before.clauses if before else ()
    said = sentences(line)
    kept = [c for c in old if any(_says(part, c) for part in said)]
    added = [part for part in said if not any(_says(part, c) for c in old)]
    sources = before.sources if before else ()
    tokens = model.likelihoods([[Message(role="user", content=".")]], [line]).tokens
    found = summary_store.keep(
        store,
        Summary(
            id="",
            text=line,
            tokens=int(tokens[0]),
            language=prevailing([line]),
            clauses=(*kept, *(Clause(part, stated=True) for part in added)),
            margin=None,
            sources=sources if kept or _borrowed(line, old) else (),
            origin="edit",
            model=model.fingerprint,
            recipe=recipe(index),
            created=now,
        ),
        before.id if before else None,
    )
    for part in added:
        origin = sources if _borrowed(part, old) else ()
        summary_store.state(store, part, sources=origin, when=now)
    for clause in old:
        if clause not in kept:
            origin = () if clause.attributes else sources
            summary_store.state(store, clause.text, wanted=False, sources=origin, when=now)
    return found


def _says(part: str, clause: Clause) -> bool:
    """Whether a sentence says a clause, word for word."""
    return clause.text.casefold().strip(" .") in bare(part).casefold()


def _borrowed(text: str, clauses: Sequence[Clause]) -> bool:
    """Whether a person's text has words that a model took from the choices.

    The wordings of attributes are public, and statements are the person's own.
    """
    theirs = {w for c in clauses if not c.attributes and not c.stated for w in _long_words(c.text)}
    return not theirs.isdisjoint(_long_words(text))


def _long_words(text: str) -> set[str]:
    words = "".join(c if c.isalnum() else " " for c in text.casefold()).split()
    return {word for word in words if len(word) > 3}


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
            inferred: returns the summary that choices and statements imply without a search.
        """
        self._store = store
        self._bank = bank
        self._models = models
        self._index = index
        self._inferred = inferred

    def current(self) -> Summary | None:
        """Return the summary in force with every statement, or None.

        Without one that was searched for or edited, it is inferred from the choices.
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
        if not unsaid:
            return found
        clauses = (*found.clauses, *(statement.clause for statement in unsaid))
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
        return stale(self._store, self._index)

    def edit(self, text: str) -> Summary:
        """Put the person's own text in force."""
        return edit(self._store, self._models.model(), self._index(), text)

    def state(self, text: str, program: str = "") -> str:
        """Keep a statement; return its id."""
        return summary_store.state(self._store, text, program=program)

    def statements(self) -> list[Statement]:
        """Return what the person stated or struck out, the oldest first."""
        return summary_store.statements(self._store)

    def unstate(self, statement_id: str) -> None:
        """Take a statement back."""
        summary_store.unstate(self._store, statement_id)
