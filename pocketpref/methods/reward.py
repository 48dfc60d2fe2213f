"""Reward: a Bradley-Terry model of one person alone, on features that are stated.

The papers train a sequence classifier for each person. On a device with tens of choices that is
neither affordable nor determined by the data; this is the same model (preference probability from a
difference of rewards, with nothing shared between people), linear in the features of ``Traits``:
the plain style measures, and, where a model scored, its log-likelihoods, plain and per token.
"""

from __future__ import annotations

from collections.abc import Sequence

from pocketpref.methods.contest import Case, Judge, Judgement
from pocketpref.methods.features import Traits
from pocketpref.methods.prior import unknown

SPREAD = 0.5
"""Standard deviation of a weight before anything is known, for features scaled to 1."""


class Reward:
    """Prefers the answer of larger reward; without past choices every pair is a tie."""

    name = "reward"

    def __init__(self, traits: Traits) -> None:
        self._traits = traits

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Fit one person's model."""
        traits = self._traits
        if not past:
            return lambda case: Judgement.own(0.0)
        differences = traits.table(past)
        prior = unknown(traits.names, differences, SPREAD)
        posterior = prior.adapted(differences)
        return lambda case: Judgement.own(posterior.score(traits.of(case.pair) / prior.scale))
