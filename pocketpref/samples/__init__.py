"""Real people's preference pairs that come with the package, for the demo and for trying things.

``ATTRIBUTION.md`` beside this file says whose they are, under which licence, and what was changed.
"""

from __future__ import annotations

from importlib import resources
from typing import Final, Literal, get_args

from pocketpref.errors import FileError, NotFoundError
from pocketpref.importers import read
from pocketpref.importers.base import BadEntry
from pocketpref.records import Feedback

Sample = Literal["demo", "ukp", "mtbench", "descriptions"]

SAMPLES: Final[tuple[Sample, ...]] = get_args(Sample)
"""``demo``: 10 short pairs of the person in ``ukp``, one of each debate; ``ukp``: 37 pairs of
arguments of which this person found one more convincing; ``mtbench``: 24 pairs of chat answers
judged by one rater; ``descriptions``: 30 pairs of photo descriptions of which this person preferred
one, always the one of fewer characters."""

DEBATE_PROMPT: Final = "What is better, watching TV or reading books? Write a convincing argument."
"""A prompt that nobody in ``demo`` was asked, about the debate of its last pair."""

DEMO_PROMPT: Final = "How do I brew a good cup of tea?"
"""A prompt on a subject that no sample is about."""


def sample_pairs(name: Sample = "ukp") -> list[Feedback]:
    """Pairs of one real person, oldest first.

    Args:
        name: one of ``SAMPLES``.

    Raises:
        NotFoundError: there is no sample of this name.
        FileError: the package's file was changed.
    """
    if name not in SAMPLES:
        raise NotFoundError("there is no such sample", hint=f"samples: {', '.join(SAMPLES)}")
    with resources.files(__name__).joinpath(f"{name}.jsonl").open("rb") as file:
        return [_feedback(entry) for entry in read(file, format="jsonl")]


def _feedback(entry: Feedback | BadEntry) -> Feedback:
    if isinstance(entry, BadEntry):
        raise FileError(
            f"a bundled sample is damaged: {entry.reason}",
            line=entry.line,
            hint="install the package again",
        )
    return entry
