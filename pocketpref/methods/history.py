"""Base: past choices before the prompt, as they are (EXACT, section 6.1).

Up to 200 past pairs and 20,000 characters are put into the system prompt. Where the model's window
holds less, the newest that fit.
"""

from __future__ import annotations

from collections.abc import Sequence

from pocketpref.methods.contest import Case, Evidence, Frame, Judge
from pocketpref.records import Pair

MAX_PAIRS = 200
MAX_CHARACTERS = 20_000

_HEAD = "Examples of answers that this person preferred, and of answers that they did not:"


def history(pairs: Sequence[Pair], characters: int = MAX_CHARACTERS) -> str:
    """The system text.

    Args:
        pairs: the oldest first; of too many the newest stay.
        characters: longest text.
    """
    parts: list[str] = []
    room = characters - len(_HEAD)
    for pair in reversed(pairs[-MAX_PAIRS:]):
        part = f"\n\nPrompt: {pair.prompt}\nPreferred: {pair.chosen}\nOther: {pair.rejected}"
        if len(part) > room:
            break
        parts.append(part)
        room -= len(part)
    return _HEAD + "".join(reversed(parts)) if parts else ""


class History:
    """Injects past choices as they are."""

    name = "base"

    def __init__(self, evidence: Evidence, *, characters: int = MAX_CHARACTERS) -> None:
        """Build it.

        Args:
            evidence: what the model says.
            characters: longest history.
        """
        self._evidence = evidence
        self._characters = characters

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Keeps what fits."""
        frame = Frame(system=history([case.pair for case in past], self._characters))
        return lambda case: self._evidence.judge(case.pair, frame)
