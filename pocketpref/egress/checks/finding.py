"""What a check finds: where in a text, and why; never the text itself."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """A place in a text that keeps it from leaving.

    Attributes:
        start: of the place, in characters from the beginning of the text.
        end: one past its last character.
        check: name of the check that found it.
        reason: what is wrong there, in words that quote nothing.
    """

    start: int
    end: int
    check: str
    reason: str
