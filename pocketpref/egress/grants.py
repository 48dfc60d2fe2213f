"""Grants: the level, destination, expiry and daily limit of what may leave.

A destination has at most one grant: allowing again replaces what was allowed before.

**Time.** Nobody vouches for the clock of the machine. A grant remembers the latest moment at which
it was asked about and takes no earlier one for the present, so that setting the clock back brings
back neither a grant that was seen to be expired nor a day's uses. What cannot be noticed: a clock
that was already back before the grant was first asked about after its end. A clock that was wrongly
ahead makes grants expire; allowing again makes them as of then. Days are those of UTC.

**Older copies.** A grant is void once an older copy of the vault was accepted after it was made:
whether it was revoked in what was lost cannot be known.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from pocketpref.errors import DeniedError, InputError, TamperedError
from pocketpref.protocols import Documents
from pocketpref.records import Document, RedactedRepr

# Why something was allowed or denied, in the words of the log and of errors.


class Reason(StrEnum):
    """A decision. It stands in the log for good, so that the wording is part of the format."""

    GRANTED = "granted"
    ONCE = "asked, and allowed once"
    KEPT = "asked, and allowed from now on"
    NO_GRANT = "nothing allows it"
    RESTORED = "an older copy of the vault was accepted since it was allowed"
    EXPIRED = "what allowed it has expired"
    USED_UP = "allowed, but not more often today"
    CHANGED = "the summary is not the one that was allowed"
    TOO_LITTLE = "what may be told is less than what was asked for"
    DECLINED = "asked, and not allowed"
    FORGOTTEN = "a memory behind it was forgotten meanwhile"
    UNSETTLED = "what is allowed kept changing meanwhile"


_ALLOW = "to allow it: pocketpref egress allow {} --level summary (or attributes, or none)"
_HINTS = {
    Reason.NO_GRANT: _ALLOW,
    Reason.RESTORED: f"what was allowed before is void; {_ALLOW}",
    Reason.EXPIRED: _ALLOW,
    Reason.USED_UP: "wait for tomorrow (UTC), or allow more: pocketpref egress allow --daily",
    Reason.CHANGED: f"see the difference with pocketpref egress preview; {_ALLOW}",
    Reason.TOO_LITTLE: f"see pocketpref egress preview; {_ALLOW}",
    Reason.FORGOTTEN: "try again with what is left",
    Reason.UNSETTLED: "try again",
}


def denied(destination: Destination, reason: Reason) -> DeniedError:
    """The error that says so."""
    hint = _HINTS.get(reason)
    return DeniedError(
        f"nothing was sent to {destination}: {reason.value}",
        hint=None if hint is None else hint.format(destination),
    )


KIND = "grant"

LONGEST = timedelta(days=366)
"""The longest that a grant can last."""

_FORM = "grant/1"
_DAMAGED = "restore the vault from a backup, or save what is intact: pocketpref doctor --repair"


@dataclass(frozen=True, slots=True, repr=False)
class Grant(RedactedRepr):
    """What may leave, where to, until when.

    Attributes:
        destination: scheme, host, port, path, dialect and model; no other.
        level: the most that may go with a request.
        expires: until when.
        created: when it was allowed.
        restored: how often an older copy of the vault had been accepted by then.
        seen: the latest moment at which it was asked about.
        daily: how many requests a day (UTC); None for as many as one likes.
        values: names of the attributes of category values that may be said.
        summary_hash: SHA-256 (hex) of the one summary that may leave; None for any that passes
            the checks (and below the level ``summary``).
        approved: the text of the one summary, to show what changed.
        sources: ids of the memories that text was made of; the grant goes with the first of them
            that is forgotten.
        uses: how often it was used on the day of ``seen``.
        id: of its document.
    """

    destination: Destination
    level: Level
    expires: datetime
    created: datetime
    restored: int
    seen: datetime
    daily: int | None = None
    values: tuple[str, ...] = ()
    summary_hash: str | None = None
    approved: str = ""
    sources: tuple[str, ...] = ()
    uses: int = 0
    id: str = ""
    _open = (
        *("id", "destination", "level", "summary_hash", "values", "expires", "daily"),
        *("created", "restored", "seen", "uses"),
    )

    @classmethod
    def load(cls, document: Document) -> Grant:
        """Read a grant from the vault.

        Raises:
            TamperedError: the document is none.
        """
        # Raised outside of the handler: the decoder's error holds the text.
        with suppress(AttributeError, KeyError, TypeError, ValueError, RecursionError, InputError):
            content = json.loads(document.content)
            if content["form"] == _FORM:
                return cls(
                    destination=Destination.parse(content["destination"]),
                    level=Level[content["level"]],
                    expires=datetime.fromisoformat(content["expires"]),
                    created=datetime.fromisoformat(content["created"]),
                    restored=content["restored"],
                    seen=datetime.fromisoformat(content["seen"]),
                    daily=content["daily"],
                    values=tuple(content["values"]),
                    summary_hash=content["summary_hash"],
                    approved=content["approved"],
                    sources=document.sources,
                    uses=content["uses"],
                    id=document.id,
                )
        raise TamperedError("a grant in the vault is none", hint=_DAMAGED)

    def content(self) -> bytes:
        """What the vault holds of it, besides id and sources."""
        content = {
            "form": _FORM,
            "destination": str(self.destination),
            "level": self.level.name,
            "summary_hash": self.summary_hash,
            "values": self.values,
            "expires": self.expires.isoformat(),
            "daily": self.daily,
            "created": self.created.isoformat(),
            "restored": self.restored,
            "approved": self.approved,
            "seen": self.seen.isoformat(),
            "uses": self.uses,
        }
        return json.dumps(content, ensure_ascii=False, sort_keys=True).encode()

    @property
    def terms(self) -> Grant:
        """The grant without what using it changes, to compare by."""
        return replace(self, seen=self.created, uses=0)

    @property
    def terms_in_words(self) -> str:
        """The terms as the log holds them."""
        terms = [f"until {self.expires:%Y-%m-%d}"]
        if self.level is Level.SUMMARY:
            terms.append("any summary" if self.summary_hash is None else "one summary")
        if self.values:
            terms.append(f"{len(self.values)} value attributes")
        if self.daily is not None:
            terms.append(f"{self.daily} a day")
        return ", ".join(terms)

    def bound_to(self, summary: str, sources: tuple[str, ...]) -> Grant:
        """The grant for exactly this summary."""
        digest = summary_hash(summary)
        return replace(self, summary_hash=digest, approved=summary, sources=sources)

    def at(self, clock: datetime) -> Grant:
        """The grant as of now, which is never before it was last asked about."""
        now = max(clock, self.seen)
        return replace(self, seen=now, uses=self.uses if _day(now) == _day(self.seen) else 0)

    def used(self) -> Grant:
        """The grant with one more use on the day of ``seen``."""
        return replace(self, uses=self.uses + 1)

    def refusal(self, restored: int) -> Reason | None:
        """Why it allows nothing as of ``seen``, or None."""
        if self.restored != restored:
            return Reason.RESTORED
        if self.seen >= self.expires:
            return Reason.EXPIRED
        if self.daily is not None and self.uses >= self.daily:
            return Reason.USED_UP
        return None

    def covers(self, summary: str) -> bool:
        """Whether it allows this summary, as far as the checks do."""
        return self.summary_hash is None or self.summary_hash == summary_hash(summary)


def summary_hash(summary: str) -> str:
    """What binds a grant to a summary: SHA-256 (hex) of its text in UTF-8."""
    return hashlib.sha256(summary.encode("utf-8", "surrogatepass")).hexdigest()


def check_terms(expires: timedelta, daily: int | None) -> None:
    """See that a grant ends, and may be used until then.

    Raises:
        InputError: it would not.
    """
    if not timedelta(0) < expires <= LONGEST:
        raise InputError(
            f"a grant lasts for up to {LONGEST.days} days",
            hint="30 days, for example; it can be renewed at any time",
        )
    if daily is not None and daily < 1:
        raise InputError("the number of requests a day must be 1 or more", hint="leave it out")


def find(documents: Documents, destination: Destination) -> Grant | None:
    """The grant for a destination, or None."""
    found = [grant for grant in everything(documents) if grant.destination == destination]
    # Were there two, neither would be the one that was meant.
    return found[0] if len(found) == 1 else None


def everything(documents: Documents) -> list[Grant]:
    """All grants, the oldest first."""
    return [Grant.load(document) for document in documents.all(KIND)]


def keep(documents: Documents, grant: Grant) -> Grant:
    """Keep a new grant in place of an older one for its destination, whose uses today it inherits.

    Raises:
        NotFoundError: a memory behind the summary was forgotten meanwhile.
    """
    for older in everything(documents):
        if older.destination == grant.destination:
            if _day(older.seen) == _day(grant.seen):
                grant = replace(grant, uses=max(grant.uses, older.uses))
            documents.delete(KIND, older.id)
    return replace(grant, id=documents.insert(KIND, grant.content(), grant.sources))


def update(documents: Documents, grant: Grant) -> None:
    """Keep what using a grant has changed."""
    documents.put(KIND, grant.id, grant.content(), grant.sources)


def _day(moment: datetime) -> int:
    return moment.astimezone(UTC).toordinal()
