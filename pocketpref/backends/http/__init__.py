"""HTTP client for remote models; sends the bytes of a `Disclosure` unchanged.

Nothing here is imported before it is needed, and httpcore2 is loaded when something is first sent.
"""

from pocketpref.backends.http.client import HttpGenerator, Retries
from pocketpref.backends.http.limits import Timeouts

__all__ = ["HttpGenerator", "Retries", "Timeouts"]
