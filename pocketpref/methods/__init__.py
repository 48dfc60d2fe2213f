"""The methods: each turns what a person chose into a condition for the next prompt.

One file for each published system or baseline, all behind ``Method``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pocketpref.methods.exact.retrieval import PromptIndex
from pocketpref.records import Condition, Effort, Selection, Vector
from pocketpref.scoring import PairScorer

PartCallback = Callable[[float], bool]


class Method(Protocol):
    """Learns from one pair at a time, and conditions a prompt on what was learned."""

    @property
    def name(self) -> str:
        """How it is called in options and reports."""

    @property
    def recipe(self) -> str:
        """Everything that decides what a pair teaches; another recipe makes old entries stale."""

    @property
    def effort(self) -> Effort:
        """How thorough its searches are when they are not stopped."""

    def select(self, scorer: PairScorer, on_part: PartCallback | None = None) -> Selection:
        """What one pair teaches.

        Args:
            scorer: the pair.
            on_part: told before each step how much of the work is done, in [0, 1]; False ends the
                work with what was found so far.
        """

    def condition(self, query: Vector, index: PromptIndex, relevance: float) -> Condition:
        """What to inject for a prompt with this embedding; an empty condition for nothing."""
