"""Everything about data leaving: what is allowed, the checks, the log. `Door` is the way in.

Nothing here sends. A `Door` decides, and gives out a `Disclosure`; `backends/http.py` sends what is
in one and knows nothing else.
"""

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
