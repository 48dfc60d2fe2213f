"""The methods: each turns what a person chose into a condition for the next prompt.

One file for each published system or baseline, all behind ``Method``.
"""

from __future__ import annotations

from typing import Protocol

from pocketpref.records import Condition, Selection, Vector
from pocketpref.retrieval import PromptIndex
from pocketpref.scoring import PairScorer


class Method(Protocol):
    """Learns from one pair at a time, and conditions a prompt on what was learned."""

    @property
    def name(self) -> str:
        """How it is called in options and reports."""

    @property
    def recipe(self) -> str:
        """Everything that decides what a pair teaches; another recipe makes old entries stale."""

    def select(self, scorer: PairScorer) -> Selection:
        """What one pair teaches."""

    def condition(self, query: Vector, index: PromptIndex, relevance: float) -> Condition:
        """What to inject for a prompt with this embedding; an empty condition for nothing."""


