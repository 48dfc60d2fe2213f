"""One call of ``summarize``: find the summary that best explains a person's choices, if any does.

Measurements are saved meanwhile, so that the next run resumes where this one was stopped.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

from pocketpref.attributes import AttributeBank
from pocketpref.errors import NotFoundError
from pocketpref.protocols import MemoryStore
from pocketpref.results import Progress
from pocketpref.summary import store as summary_store
from pocketpref.summary.candidates import Proposal, Refused
from pocketpref.summary.drafts import Drafting, SummaryModels
from pocketpref.summary.evidence import Signal, gather, halves, is_evidence
from pocketpref.summary.objective import (
    Comparison,
    Margins,
    Objective,
    PopiSettings,
    recipe,
    verdict,
)
from pocketpref.summary.records import Interval, Summary, SummaryReport, Written
from pocketpref.summary.search import HalfSearch, Meaning, Wishes, merge_finalists
from pocketpref.summary.wording import ENGLISH, prevailing

ProgressCallback = Callable[[Progress], None]

_LEAST_UNSEEN = 5
"""Choices that had no part in a finalist, without which it cannot win."""

_SAVE_EVERY = 10.0
"""Seconds between two savings of the checkpoint."""

_STAGES = 3

_EVIDENCE = 8
"""Choices that are named for a clause without evidence of its own."""


class SummarizeRun:
    """One call of ``summarize``."""

    def __init__(
        self,
        store: MemoryStore,
        bank: AttributeBank,
        models: SummaryModels,
        index: Callable[[], str],
        *,
        inferred: Callable[[], Summary | None] = lambda: None,
        budget: float | None = None,
        on_progress: ProgressCallback = lambda _: None,
        settings: PopiSettings | None = None,
    ) -> None:
        """Build the run.

        Args:
            store: the person's part of the vault.
            bank: the attributes.
            models: write and judge.
            index: fingerprint of what decides the index.
            inferred: returns the summary that the choices imply without a search, which a search
                must beat.
            budget: seconds after which to stop; the next call goes on from there.
            on_progress: told of every step; what it raises ends the run.
            settings: how to search.
        """
        self._store = store
        self._bank = bank
        self._models = models
        self._index = index
        self._inferred = inferred
        self._budget = float("inf") if budget is None else budget
        self._tell = on_progress
        self._settings = settings or PopiSettings()
        self._began = self._saved = time.monotonic()
        self._spent: dict[str, float] = defaultdict(float)
        self._refused: Counter[str] = Counter()
        self._stage = 0
        self._at = ("reading", 0.0)
        self._signals: list[Signal] = []
        self._tried: list[str] = []
        self._finalists: list[str] = []
        self._margins: Margins | None = None

    def run(self) -> SummaryReport:
        """Search, and put in force what wins.

        Raises:
            ModelError: a model is missing or failed.
            VaultError: the vault cannot be read or written.
        """
        self._recipe = recipe(self._index(), self._settings)
        self._notes = summary_store.read_checkpoint(self._store, self._recipe)
        self._current = summary_store.current(self._store) or self._inferred()
        statements = summary_store.statements(self._store)
        self._stated = [s for s in statements if s.wanted]
        unwanted = tuple(s.text for s in statements if not s.wanted)
        self._wishes = Wishes(tuple(s.clause for s in self._stated), unwanted)
        # The run begins with texts that were made of these memories, and may save them.
        self._notes.sources |= {*(self._current.sources if self._current else ())}
        self._notes.sources |= {source for s in self._stated for source in s.sources}
        try:
            self._signals = self._gather()
        except _RunStoppedError:
            hint = "give it more time, or `learn` first, which keeps what it reads"
            return self._stopped(f"the time was up while your choices were read; {hint}")
        count, least = len(self._signals), self._settings.least_pairs
        if count < least:
            can = "choice can" if count == 1 else "choices can"
            reason = f"{count} {can} be used; at least {least} are needed"
            if not self._says_more_than_current():
                return self._outcome(self._current, reason)
            return self._keep(self._stated_only(), f"what you stated; {reason}")
        try:
            found = self._search()
        except _RunStoppedError:
            return self._stopped("the time was up; the next call goes on")
        finally:
            self._save()
        return self._decide(found)

    def _stopped(self, reason: str) -> SummaryReport:
        return self._outcome(self._current, reason, whole=False)

    # ------------------------------------------------------------------------------ reading

    def _gather(self) -> list[Signal]:
        """Read the choices; raise _RunStoppedError if the budget ends first."""

        def on_part(part: float) -> None:
            if self._over():
                raise _RunStoppedError
            self._report("reading your choices", part / _STAGES)

        self._report("reading your choices", 0.0)
        with self._timed("reading"):
            memories = list(self._store.memories())
            self._notes.choices = sum(map(is_evidence, memories))
            return gather(
                memories,
                self._store.learned(self._index()),
                self._models.embedder(),
                most=self._settings.most_pairs,
                on_part=on_part,
            )

    # ------------------------------------------------------------------------------ searching

    def _search(self) -> Comparison | None:
        """Search each half, and judge its best that could replace the present summary on the other.

        Returns:
            None if there is nothing to judge.
        """
        self._report("loading the model", 0.0)
        with self._timed("loading"):
            self._margins = Margins(
                self._models.scorer(),
                self._notes.margins,
                self._step,
                estimated=self._notes.estimates,
            )
        objective = Objective(self._margins, self._settings)
        with self._timed("scoring"):
            meaning = Meaning(self._models.embedder())
            found = [self._half(half, objective, meaning) for half in halves(self._signals)]
            self._report("judging on other choices", 0.0)
            present = self._current.text if self._current else ""
            ids = {signal.id for signal in self._signals}
            able = [
                [p for p in half if p.text != present and len(ids - p.seen) >= _LEAST_UNSEEN]
                for half in found
            ]
            judged = verdict(
                objective,
                merge_finalists([half[:1] for half in able], meaning),
                self._signals,
                ground=self._wishes.ground,
                current=present,
                least=_LEAST_UNSEEN,
            )
            self._report("judging on other choices", 0.5)
            self._waning = self._is_waning(objective)
        return judged

    def _half(
        self, half: Sequence[Signal], objective: Objective, meaning: Meaning
    ) -> list[Proposal]:
        """The finalists of one half."""
        language = prevailing(signal.pair.prompt for signal in self._signals)
        drafting = Drafting(self._models, self._settings, language, self._notes.drafts, self._over)

        def write(signals: Sequence[Signal], draw: int) -> Proposal | Refused:
            with self._timed("drafting"):
                written = drafting.write(signals, draw)
            if written is None:
                raise _RunStoppedError
            return written

        current = None
        if self._current is not None:
            seen = frozenset(signal.id for signal in half)
            current = Proposal.of_summary(self._current, self._wishes.stated, seen)
        search = HalfSearch(
            half,
            self._bank,
            objective,
            meaning=meaning,
            wishes=self._wishes,
            drafts=drafting.count,
            on_part=self._report,
        )
        with closing(drafting):
            found = search.finalists(write, current)
        self._refused.update(search.refused)
        self._tried += [proposal.text for proposal in search.tried]
        self._stage += 1
        return found

    def _is_waning(self, objective: Objective) -> bool:
        """Whether the present summary explains later choices worse than none, beyond noise."""
        present = self._current
        if present is None or present.origin == "edit" or present.text == self._wishes.ground:
            return False
        fresh = [s for s in self._signals if s.id not in present.sources]
        judged = fresh if len(fresh) >= _LEAST_UNSEEN else self._signals
        return objective.lead(present.text, self._wishes.ground, judged).high < 0

    # ------------------------------------------------------------------------------ deciding

    def _says_more_than_current(self) -> bool:
        """Whether something was stated that the present summary does not say yet."""
        if self._current is None:
            return bool(self._wishes.ground)
        present = self._current.text.casefold()
        return any(s.text.casefold().rstrip(".") not in present for s in self._stated)

    def _decide(self, judged: Comparison | None) -> SummaryReport:
        """Put what won in force, or say why nothing did."""
        self._finalists = list(judged.judged) if judged else []
        if judged is not None and judged.wins:
            reason = f"it explains {len(judged.unseen)} choices that it was not written from"
            return self._keep(self._summary(judged.finalist, judged.margin), reason)
        if self._says_more_than_current():
            return self._keep(self._stated_only(), "what you stated; nothing else beats the noise")
        if self._waning and self._current is not None and self._current.id:
            summary_store.retire(self._store, self._current.id)
            return self._outcome(
                None, "later choices speak against it, and nothing else beats the noise", new=True
            )
        if judged is None:
            reason = "no proposal could be judged on choices that it was not written from"
        elif judged.over_none.low > 0 and judged.over_neutral.low <= 0:
            reason = "what proposals explain, words that say nothing explain nearly as well"
        else:
            rival = "the present summary" if self._current else "no summary"
            reason = f"no proposal beats {rival} by more than the noise"
        return self._outcome(self._current, reason)

    def _stated_only(self) -> Summary:
        """What the person stated, with the other clauses of the present summary."""
        own = self._current.clauses if self._current else ()
        said = tuple(c for c in own if not c.stated)
        language = self._current.language if self._current and said else ENGLISH
        seen = frozenset(self._current.sources) if self._current and said else frozenset[str]()
        origin: Written = self._current.origin if self._current and said else "edit"
        clauses = (*self._wishes.stated, *said)
        return self._summary(Proposal(clauses, origin, seen, language), None)

    def _summary(self, proposal: Proposal, margin: Interval | None) -> Summary:
        """A proposal as a summary; a clause without evidence gets what the text explains best."""
        text = proposal.text
        margins = self._notes.margins.get(text, {})
        best = sorted((name for name in margins if margins[name] > 0), key=lambda n: -margins[n])
        clauses = [
            clause
            if clause.pairs or clause.stated
            else replace(clause, pairs=tuple(best[:_EVIDENCE]))
            for clause in proposal.clauses
        ]
        looked_at = [s.id for s in self._signals] if margin else []
        words = [source for s in self._stated for source in s.sources]
        made_of = proposal.seen | proposal.made_of
        model = self._models.scorer()
        counted = Margins(model, {}).tokens([text])
        return Summary(
            id="",
            text=text,
            tokens=int(counted[0]),
            language=proposal.language,
            clauses=tuple(clauses),
            margin=margin,
            sources=tuple(dict.fromkeys([*looked_at, *sorted(made_of), *words])),
            origin=proposal.origin,
            model=model.fingerprint,
            recipe=self._recipe,
            created=datetime.now(UTC),
        )

    def _keep(self, summary: Summary, reason: str) -> SummaryReport:
        try:
            kept = summary_store.keep(
                self._store, summary, (self._current.id or None) if self._current else None
            )
        except NotFoundError as error:
            return self._outcome(summary_store.current(self._store), error.message, whole=False)
        return self._outcome(kept, reason, new=True)

    def _outcome(
        self, summary: Summary | None, reason: str, *, new: bool = False, whole: bool = True
    ) -> SummaryReport:
        return SummaryReport(
            summary=summary,
            changed=new,
            complete=whole,
            reason=reason,
            refused=tuple(sorted(self._refused.items())),
            pairs=len(self._signals),
            evaluations=self._margins.evaluations if self._margins else 0,
            seconds=self._elapsed(),
            spent=tuple(sorted(self._spent.items())),
            tried=tuple(dict.fromkeys(self._tried)),
            finalists=tuple(self._finalists),
        )

    # ------------------------------------------------------------------------------ time

    def _step(self) -> None:
        """Between two evaluations: stop if the time is up, report, save now and then."""
        if self._over():
            raise _RunStoppedError
        self._report(*self._at)
        if time.monotonic() - self._saved > _SAVE_EVERY:
            self._save()

    def _save(self) -> None:
        """Save the checkpoint; it names every choice looked at, and is deleted with any of them."""
        ids = frozenset(signal.id for signal in self._signals)
        summary_store.write_checkpoint(self._store, self._notes, ids)
        self._saved = time.monotonic()

    def _over(self) -> bool:
        return self._elapsed() >= self._budget

    def _report(self, note: str, part: float) -> None:
        self._at = (note, part)
        self._tell(Progress(self._stage, _STAGES, min(part, 1.0), self._elapsed(), (), note))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    @contextmanager
    def _timed(self, work: str) -> Iterator[None]:
        began = time.monotonic()
        try:
            yield
        finally:
            took = time.monotonic() - began
            self._spent[work] += took
            if work == "drafting":  # it happens while proposals are scored
                self._spent["scoring"] -= took


class _RunStoppedError(Exception):
    """The time of a run is up."""
