"""Decide, count and log every outgoing request.

    allow(destination, level)                        -> Grant
    clear(request, offer, destination)               -> Disclosure, or DeniedError
    remote.generate(disclosure)                      (backends/http.py knows nothing but that)
    finished(disclosure, "complete")

What leaves is a function of the request, the added text and the destination (request_body.py). It
is worked out before anything is decided. The decision, the day's count, the log entry and its bytes
are one transaction of the vault: two processes cannot both take the last use of a day, a grant that
another process has revoked allows nothing any more, and nothing leaves that is not on the log.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from pocketpref.egress import audit_log, grants
from pocketpref.egress.attribute_sentence import Offer, Vocabulary
from pocketpref.egress.audit_log import Log, LogEntry, Verification, verify
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Disclosure, Level, _cleared
from pocketpref.egress.dlp import Finding, Known, findings
from pocketpref.egress.grants import Grant, Reason, denied
from pocketpref.egress.preview import DEFAULT_EXPIRY, Ask, Decision, Preview, RequestDraft, draft
from pocketpref.egress.request_body import Request
from pocketpref.errors import InputError, NotFoundError
from pocketpref.protocols import Documents, DocumentStore
from pocketpref.records import Attribute

_TRIES = 8  # each fails only if another process changes the grant in between
_OUTCOME = re.compile(r"[A-Za-z][A-Za-z0-9 -]{0,79}")

Check = Callable[[str, Known], Sequence[Finding]]


class EgressGate:
    """The only way out of one person's part of a vault. Safe to use from threads and processes.

    Default is deny. Every method raises ``VaultError`` if the vault cannot be read or written; then
    nothing was cleared.
    """

    def __init__(
        self,
        store: DocumentStore,
        attributes: Sequence[Attribute],
        known: Known,
        ask: Ask | None = None,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        check: Check = findings,
    ) -> None:
        """Build the gate.

        Args:
            store: where grants and the log are kept.
            attributes: the closed list that sentences are built from.
            known: what a summary is checked against; which value attributes may be said is taken
                from the grant.
            ask: asks the person about what no grant allows; None denies that.
            clock: gives the time, with its zone.
            check: what looks through summaries.
        """
        self._store = store
        self._vocabulary = Vocabulary(attributes)
        self._strict = known
        self._known: dict[frozenset[str], Known] = {}
        self._ask = ask
        self._clock = clock
        self._check = check
        self._log = Log()

    # ------------------------------------------------------------------------------ grants

    def allow(
        self,
        destination: Destination,
        level: Level,
        *,
        offer: Offer | None = None,
        any_summary: bool = False,
        values: Collection[str] = (),
        expires: timedelta = DEFAULT_EXPIRY,
        daily: int | None = None,
    ) -> Grant:
        """Allow requests to a destination, in place of what was allowed there before.

        Args:
            destination: exactly one model behind one address.
            level: the most that may go with a request.
            offer: at level ``summary`` the one whose summary may leave, and no other.
            any_summary: at level ``summary``: any that passes the checks instead.
            values: names of attributes of category values that may be said.
            expires: for how long; at most a year.
            daily: how many requests a day (UTC).

        Raises:
            InputError: the terms cannot be used.
            NotFoundError: a memory behind the summary was forgotten meanwhile.
        """
        grants.check_terms(expires, daily)
        now = self._clock()
        grant = Grant(
            destination=destination,
            level=level,
            expires=now + expires,
            created=now,
            restored=self._store.restored,
            seen=now,
            daily=daily,
            values=self._vocabulary.values(values),
        )
        if level is Level.SUMMARY and not any_summary:
            if offer is None or not offer.summary.strip():
                raise InputError(
                    "there is no summary to allow",
                    hint="make one first (pocketpref summary), or allow any summary that passes "
                    "the checks",
                )
            grant = grant.bound_to(offer.summary, offer.sources)
        with self._store.changing() as documents:
            return self._keep(documents, grant)

    def _keep(self, documents: Documents, grant: Grant) -> Grant:
        kept = grants.keep(documents, grant)
        self._log.write(
            *(documents, "granted", self._clock()),
            destination=kept.destination,
            level=kept.level,
            reason=kept.terms_in_words,
        )
        return kept

    def revoke(self, which: Destination | str) -> int:
        """Take back what is allowed, at once and for every process. Returns how many grants went.

        What has been cleared is not called back: it may be on its way.

        Args:
            which: a destination, or the id of a grant.
        """
        with self._store.changing() as documents:
            gone = [g for g in grants.everything(documents) if which in (g.id, g.destination)]
            for grant in gone:
                documents.delete(grants.KIND, grant.id)
                self._log.write(
                    *(documents, "revoked", self._clock()),
                    destination=grant.destination,
                    level=grant.level,
                    reason="revoked",
                )
        return len(gone)

    def grants(self) -> list[Grant]:
        """All grants as of now, the oldest first; also those that allow nothing any more."""
        with self._store.documents() as documents:
            return [grant.at(self._clock()) for grant in grants.everything(documents)]

    def live(self) -> list[Grant]:
        """Those of them that allow something now."""
        return [grant for grant in self.grants() if self.refusal(grant) is None]

    def refusal(self, grant: Grant) -> Reason | None:
        """Why a grant allows nothing now (expired, used up, void), or None."""
        return grant.at(self._clock()).refusal(self._store.restored)

    # ------------------------------------------------------------------------------ clearing

    def preview(
        self,
        request: Request,
        offer: Offer,
        destination: Destination,
        *,
        level: Level = Level.SUMMARY,
    ) -> Preview:
        """What ``clear`` would let leave now, byte for byte. Sends nothing and logs nothing.

        Where no grant allows it, it shows what would leave if the person allowed it.
        """
        return self._draft(request, offer, destination, level).preview

    def clear(
        self,
        request: Request,
        offer: Offer,
        destination: Destination,
        *,
        level: Level = Level.SUMMARY,
        least: Level = Level.NONE,
    ) -> Disclosure:
        """Let a request leave, with what is allowed to go with it.

        Args:
            request: what the person is sending anyway.
            offer: what could go with it. What is not allowed stays here, whatever it is; instead of
                a summary in which a check finds something, the sentence goes.
            destination: where to.
            level: the most that the caller wants to go along.
            least: nothing leaves unless at least this much goes along: for a request that itself
                tells about the person, and so needs a grant of that level.

        Raises:
            DeniedError: it does not leave; that is on the log, too.
        """
        settled: Disclosure | Reason | None = None
        for _ in range(_TRIES):
            draft = self._draft(request, offer, destination, level, least)
            asking = self._ask if not draft.preview.allowed and not draft.falls_short else None
            settled = self._settle(draft, asking(draft.preview) if asking else None)
            if settled is not None:
                break
        if isinstance(settled, Disclosure):
            return settled
        raise denied(destination, settled or self._deny(destination, Reason.UNSETTLED))

    def _draft(
        self,
        request: Request,
        offer: Offer,
        destination: Destination,
        level: Level,
        least: Level = Level.NONE,
    ) -> RequestDraft:
        restored = self._store.restored
        with self._store.documents() as documents:
            grant = grants.find(documents, destination)
        return draft(
            *(request, offer, destination, level),
            least=least,
            grant=grant and grant.at(self._clock()),
            restored=restored,
            vocabulary=self._vocabulary,
            look=self._look,
        )

    def _look(self, summary: str, values: frozenset[str]) -> tuple[Finding, ...]:
        """Look through a summary; some value attributes may be said."""
        # Kept, because a Known remembers what it has read of the memory.
        known = self._known.setdefault(values, replace(self._strict, values=values))
        return tuple(self._check(summary, known))

    def _settle(self, draft: RequestDraft, answer: Decision | None) -> Disclosure | Reason | None:
        """Decide, count and log in one transaction; None if the draft is out of date."""
        with suppress(NotFoundError), self._store.changing() as documents:
            destination, now = draft.preview.destination, self._clock()
            grant = grants.find(documents, destination)
            if (grant and grant.terms) != (draft.grant and draft.grant.terms):
                return None
            grant = grant and grant.at(now)
            if answer in (Decision.ONCE, Decision.KEEP):
                if answer is Decision.KEEP:
                    grants.update(documents, self._keep(documents, draft.kept(now)).used())
                once = answer is Decision.ONCE
                return self._release(documents, draft, Reason.ONCE if once else Reason.KEPT)
            verdict = Reason.DECLINED if answer is Decision.NO else draft.verdict(grant)
            if draft.preview.allowed and verdict is not Reason.GRANTED and self._ask is not None:
                return None  # it has just been used up or expired, so the person will be asked
            if grant is not None:
                # Also where it is refused: see grants.py on clocks that are set back.
                allowed = verdict is Reason.GRANTED
                grants.update(documents, grant.used() if allowed else grant)
            if verdict is not Reason.GRANTED:
                return self._refuse(documents, destination, verdict)
            return self._release(documents, draft, verdict)
        # A memory behind it was forgotten since the draft was made; nothing was changed.
        return self._deny(draft.preview.destination, Reason.FORGOTTEN)

    def _release(self, documents: Documents, draft: RequestDraft, reason: Reason) -> Disclosure:
        shown = draft.preview
        name = self._log.write(
            *(documents, "allowed", self._clock()),
            destination=shown.destination,
            level=shown.level,
            reason=draft.explain(reason),
            sources=draft.sources,
            body=shown.body,
        )
        return _cleared(shown.destination, shown.level, shown.text, shown.body, name)

    def _refuse(self, documents: Documents, destination: Destination, reason: Reason) -> Reason:
        self._log.write(
            *(documents, "denied", self._clock()), destination=destination, reason=reason.value
        )
        return reason

    def _deny(self, destination: Destination, reason: Reason) -> Reason:
        with self._store.changing() as documents:
            return self._refuse(documents, destination, reason)

    def finished(self, disclosure: Disclosure, outcome: str) -> None:
        """Log how the sending of what was cleared ended.

        Args:
            disclosure: what was sent.
            outcome: a few words such as ``complete`` or an error's name; never anybody's text.

        Raises:
            InputError: it is longer than a few words.
        """
        if not _OUTCOME.fullmatch(outcome):
            raise InputError("an outcome is a few plain words", hint="the name of the error")
        with self._store.changing() as documents:
            self._log.write(
                *(documents, "finished", self._clock()),
                destination=disclosure.destination,
                level=disclosure.level,
                reason=outcome,
                release=disclosure.release,
            )

    # ------------------------------------------------------------------------------ the log

    def log(self) -> list[LogEntry]:
        """Every decision, the oldest first."""
        with self._store.documents() as documents:
            return audit_log.entries(documents)

    def released(self, release: str) -> bytes | None:
        """The exact bytes that left, or None if there were none or they are forgotten."""
        with self._store.documents() as documents:
            return audit_log.released(documents, release)

    def verify(self) -> Verification:
        """Check that the log is whole, and the bytes in it are those that left."""
        with self._store.documents() as documents:
            return verify(documents)

    def erase(self, *texts: str) -> list[str]:
        """Take the bytes of every release in which one of these texts stands out of the log.

        Forgetting a memory does that for what was made of it. This is for what was not: a prompt
        that left as such, and was remembered later. That it left stays on the log. A text of a few
        words counts where it is a whole message, a longer one also where it is part of one.

        Returns:
            Ids of the releases whose bytes went.
        """
        with self._store.changing() as documents:
            return self._log.erase(documents, texts, self._clock())
