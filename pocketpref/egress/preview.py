"""Draft and preview a request before it is decided.

A draft depends on the request, what is offered, the destination and its grant. The gate decides on
drafts; what leaves afterwards is the draft's body and nothing made later.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import Enum

from pocketpref.egress.attribute_sentence import Offer, Vocabulary
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Level
from pocketpref.egress.dlp import Finding
from pocketpref.egress.grants import Grant, Reason
from pocketpref.egress.request_body import Request, body
from pocketpref.records import RedactedRepr

DEFAULT_EXPIRY = timedelta(days=30)
"""How long a grant lasts if nobody says otherwise."""

_SENTENCES = re.compile(r"(?<=[.!?;:])\s+|\n+")


class Decision(Enum):
    """What a person says to a preview."""

    NO = "no"
    ONCE = "once"
    """This one, exactly as shown."""
    KEEP = "keep"
    """This one, and from now on what is shown: a grant of its level, for exactly this summary. A
    grant that there is keeps its other terms, and lasts for 30 days at least."""


@dataclass(frozen=True, slots=True, repr=False)
class Preview(RedactedRepr):
    """What would leave.

    Attributes:
        destination: where to.
        level: how much about the person is in it.
        text: what is added to the request: the sentence, the summary or "".
        body: exactly the bytes of the request's body.
        findings: what the checks found in the summary; with any, it does not leave.
        allowed: whether it may leave now without asking.
        reason: why, or why not.
        bits: the most that ``text`` can tell about the person, in bits; None for a summary, for
            which no such number is known.
        diff: what changed in the summary since it was allowed, sentence by sentence: lines that
            begin with "- " (gone), "+ " (new) or two spaces; empty if it is the same or was never
            allowed.
        grant: what allows it, or would if it had not expired, were not used up or void.
    """

    destination: Destination
    level: Level
    text: str
    body: bytes
    findings: tuple[Finding, ...]
    allowed: bool
    reason: str
    bits: float | None
    diff: tuple[str, ...]
    grant: Grant | None
    _open = ("destination", "level", "allowed", "reason", "bits")


Ask = Callable[[Preview], Decision]
"""Shows a preview to the person and returns the answer; may raise, and then nothing leaves."""

Look = Callable[[str, frozenset[str]], tuple[Finding, ...]]
"""Looks through a summary, given the value attributes that may be said."""


@dataclass(frozen=True, slots=True, repr=False)
class RequestDraft(RedactedRepr):
    """A preview with what the gate needs to decide on it.

    Attributes:
        preview: what the person is shown.
        offer: what it was made from.
        grant: the destination's grant when the draft was made.
        restored: how often an older copy of the vault had been accepted by then.
        changed: whether the summary is not the one that the grant is bound to.
        least: the level below which nothing leaves.
        sources: ids of the memories that what is added was made of.
    """

    preview: Preview
    offer: Offer
    grant: Grant | None
    restored: int
    changed: bool
    sources: tuple[str, ...]
    least: Level = Level.NONE

    @property
    def falls_short(self) -> bool:
        """Whether less would go along than the caller has a use for."""
        return self.preview.level < self.least

    def verdict(self, grant: Grant | None) -> Reason:
        """Whether the grant allows it as of ``grant.seen``: ``GRANTED``, or why not."""
        return _verdict(grant, self.restored, changed=self.changed, short=self.falls_short)

    def explain(self, reason: Reason) -> str:
        """The reason in the words of the log, with what was held back."""
        return _explain(reason, self.preview.findings)

    def kept(self, clock: datetime) -> Grant:
        """The grant that ``Decision.KEEP`` makes: of what was shown, and no more."""
        older = self.grant if self.grant and self.grant.restored == self.restored else None
        expires = clock + DEFAULT_EXPIRY
        if older is not None:
            kept = replace(older.at(clock), expires=max(older.expires, expires))
        else:
            kept = Grant(
                destination=self.preview.destination,
                level=self.preview.level,
                expires=expires,
                created=clock,
                restored=self.restored,
                seen=clock,
            )
        if self.changed or (older is None and self.preview.level is Level.SUMMARY):
            return kept.bound_to(self.offer.summary, self.offer.sources)
        return kept


def draft(
    request: Request,
    offer: Offer,
    destination: Destination,
    level: Level,
    *,
    least: Level = Level.NONE,
    grant: Grant | None,
    restored: int,
    vocabulary: Vocabulary,
    look: Look,
) -> RequestDraft:
    """Work out what would leave under a grant, as of ``grant.seen``, or without one.

    What a grant does not allow is no part of the draft, even where the person will be asked: a
    grant of a lower level says that more was not wanted.
    """
    # Of a grant that may have been revoked since, nothing counts.
    valid = grant if grant and grant.restored == restored else None
    limit = min(level, valid.level) if valid else level
    values = frozenset(valid.values if valid else ())
    wanted = limit is Level.SUMMARY and bool(offer.summary.strip())
    findings = look(offer.summary, values) if wanted else ()
    shown, text = _added(offer, limit, vocabulary.sentence(offer, values), clean=not findings)
    changed = shown is Level.SUMMARY and valid is not None and not valid.covers(offer.summary)
    verdict = _verdict(grant, restored, changed=changed, short=shown < least)
    # Adding nothing, where a sentence could be added, tells something, too.
    said = 0.0 if limit is Level.NONE else vocabulary.bits(values)
    lines: list[str] = []
    if valid and changed:
        before, after = _SENTENCES.split(valid.approved), _SENTENCES.split(offer.summary)
        lines = [line for line in difflib.ndiff(before, after) if not line.startswith("? ")]
    preview = Preview(
        destination=destination,
        level=shown,
        text=text,
        body=body(destination, request, text),
        findings=findings,
        allowed=verdict is Reason.GRANTED,
        reason=_explain(verdict, findings),
        bits=None if shown is Level.SUMMARY else said,
        diff=tuple(lines),
        grant=grant,
    )
    sources = () if shown is Level.NONE else offer.sources
    return RequestDraft(preview, offer, grant, restored, changed, sources, least)


def _added(offer: Offer, limit: Level, sentence: str, *, clean: bool) -> tuple[Level, str]:
    if limit is Level.SUMMARY and clean and offer.summary.strip():
        return Level.SUMMARY, offer.summary
    if limit is not Level.NONE and sentence:
        return Level.ATTRIBUTES, sentence
    return Level.NONE, ""


def _verdict(grant: Grant | None, restored: int, *, changed: bool, short: bool) -> Reason:
    if grant is None:
        return Reason.NO_GRANT
    refusal = grant.refusal(restored)
    if refusal is not None:
        return refusal
    if changed:
        return Reason.CHANGED
    return Reason.TOO_LITTLE if short else Reason.GRANTED


def _explain(reason: Reason, findings: Sequence[Finding]) -> str:
    if not findings:
        return reason.value
    names = ", ".join(sorted({finding.check for finding in findings}))
    return f"{reason.value}; the summary was held back by the checks: {names}"
