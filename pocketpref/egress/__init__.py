"""Everything about data leaving: what is allowed, the checks, the log. `Door` is the way in.

Nothing here sends. A `Door` decides, and gives out a `Disclosure`; `backends/http.py` sends what is
in one and knows nothing else.
"""

from pocketpref.disclosure import Destination, Disclosure, Level
from pocketpref.egress.bodies import Request
from pocketpref.egress.checks import Finding, Known
from pocketpref.egress.door import Door
from pocketpref.egress.grants import Grant
from pocketpref.egress.levels import Offer
from pocketpref.egress.log import Entry
from pocketpref.egress.previews import Answer, Ask, Preview
from pocketpref.egress.reasons import Reason
from pocketpref.egress.verification import Verification

__all__ = [
    "Answer",
    "Ask",
    "Destination",
    "Disclosure",
    "Door",
    "Entry",
    "Finding",
    "Grant",
    "Known",
    "Level",
    "Offer",
    "Preview",
    "Reason",
    "Request",
    "Verification",
]
