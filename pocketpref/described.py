"""The side of a Pocket that says in words how the person likes to be answered, or was."""

from __future__ import annotations

from pocketpref import chat_history
from pocketpref.chat_history import ChatRecorder, Exchange
from pocketpref.elsewhere import Elsewhere
from pocketpref.methods.exact.indexing import ProgressCallback
from pocketpref.personalization import auto_decision
from pocketpref.personalization.auto_decision import AutoDecision
from pocketpref.summary import editing
from pocketpref.summary import store as summary_store
from pocketpref.summary.records import Summary, SummaryReport
from pocketpref.summary.run import SummarizeRun
from pocketpref.summary.store import Statement


class Described(Elsewhere):
    """What a Pocket can do with summary, statements, and the chat that its person has it keep."""

    def summary(self) -> Summary | None:
        """The preference summary in force, or None."""
        return summary_store.current(self._parts.store)

    def summaries(self) -> list[Summary]:
        """Every summary that was in force, the oldest first."""
        return summary_store.history(self._parts.store)

    def summarize(
        self, *, budget: float | None = None, on_progress: ProgressCallback | None = None
    ) -> SummaryReport:
        """Look for the summary that best explains choices it was not written from.

        One comes into force only if it beats the present one and none by more than the noise.

        Args:
            budget: seconds after which to stop; the next call goes on from there.
            on_progress: told of every step; what it raises ends the search.

        Raises:
            ModelError: a model is missing or failed.
            VaultError: the vault cannot be read or written.
        """
        return SummarizeRun(self._parts, budget, on_progress or (lambda _: None)).run()

    def summary_due(self) -> str | None:
        """Why ``summarize`` is worth a call now, in words; None if it is not."""
        return editing.stale(self._parts)

    def edit_summary(self, text: str) -> Summary:
        """Put the person's own text in force as their summary.

        Raises:
            InputError: the text is empty or too long.
            ModelError: a model is missing or failed.
        """
        return editing.edit(self._parts, text)

    def state(self, text: str) -> str:
        """Keep a preference in the person's own words; every later summary says it.

        Returns:
            The statement's id.

        Raises:
            InputError: it is empty or too long.
        """
        return summary_store.state(self._parts.store, text)

    def statements(self) -> list[Statement]:
        """What the person stated, the oldest first; also what must not be said of them."""
        return summary_store.statements(self._parts.store)

    def unstate(self, statement_id: str) -> None:
        """Take a statement back; a summary that says it stands until it is made again.

        Raises:
            NotFoundError: there is none of this id.
        """
        summary_store.unstate(self._parts.store, statement_id)

    def conversation(self) -> tuple[Exchange, ...]:
        """The chat that is kept, the oldest exchange first; () if none is."""
        return chat_history.kept(self._parts.store)

    def keep_conversation(self, *, go_on: bool = False) -> ChatRecorder:
        """Keep a chat as it goes on, sealed, in place of the one before.

        Args:
            go_on: with the one that is kept.

        Raises:
            NotFoundError: there is none to go on with.
        """
        return ChatRecorder(self._parts.store, go_on=go_on)

    def forget_conversation(self) -> bool:
        """Forget the chat that is kept. Returns whether there was one."""
        return chat_history.forget(self._parts.store)

    def learned_from(self, memory_id: str) -> tuple[str, ...]:
        """Names of the attributes that one choice speaks for; () if it was not learned yet.

        Raises:
            ModelError: a model is missing: without it nobody knows what was learned with it.
        """
        lessons = self._parts.store.lessons(self._parts.recipe())
        return next((one.attributes for one in lessons if one.memory_id == memory_id), ())

    def verdict(self) -> AutoDecision | None:
        """What ``evaluate`` found to help this person, with its figures; None if untested."""
        return auto_decision.current(self._parts.store, self._parts.recipe())
