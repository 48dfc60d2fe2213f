"""Grants, checks and log of outgoing requests; ``EgressGate`` is the only way out.

Nothing here sends. An ``EgressGate`` decides and gives out a ``Disclosure``; ``backends/http``
sends what is in one and knows nothing else. Names are imported when they are first used, so that a
module that needs ``egress.disclosure`` alone loads neither the gate nor the checks.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pocketpref.egress.attribute_sentence import Offer
    from pocketpref.egress.audit_log import LogEntry, Verification
    from pocketpref.egress.destination import Destination
    from pocketpref.egress.disclosure import Disclosure, Level
    from pocketpref.egress.dlp import Finding, Known
    from pocketpref.egress.gate import EgressGate
    from pocketpref.egress.grants import Grant, Reason
    from pocketpref.egress.preview import Ask, Decision, Preview
    from pocketpref.egress.request_body import Request

__all__ = [
    "Ask",
    "Decision",
    "Destination",
    "Disclosure",
    "EgressGate",
    "Finding",
    "Grant",
    "Known",
    "Level",
    "LogEntry",
    "Offer",
    "Preview",
    "Reason",
    "Request",
    "Verification",
]

_HOMES = {
    "attribute_sentence": ("Offer",),
    "audit_log": ("LogEntry", "Verification"),
    "destination": ("Destination",),
    "disclosure": ("Disclosure", "Level"),
    "dlp": ("Finding", "Known"),
    "gate": ("EgressGate",),
    "grants": ("Grant", "Reason"),
    "preview": ("Ask", "Decision", "Preview"),
    "request_body": ("Request",),
}
_HOME = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
