"""Why something was allowed or denied, in the words of the log and of errors."""

from __future__ import annotations

from enum import StrEnum

from pocketpref.disclosure import Destination
from pocketpref.errors import DeniedError


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
