"""Ours: what people have in common, adapted to the person as far as their choices bear it.

A Bradley-Terry model of a person on plain style measures, the model's own opinion, and each
attribute against its opposite (``Traits``). Its weights start from those of other people
(``prior``), and move from there by Bayes' rule: how far a person is expected to be from the others
was measured on other people too, and may be nothing. What is not known about the weights weakens a
judgement (``Posterior.score``). A past choice can count by how similar its prompt is, and less with
age.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketpref.methods.contest import Case, Judge, Judgement, Matrix
from pocketpref.methods.features import Traits
from pocketpref.methods.prior import Prior, unknown
from pocketpref.methods.reward import SPREAD


class Ours:
    """Prefers the answer that this person would most likely prefer."""

    def __init__(
        self,
        traits: Traits,
        *more: Traits,
        name: str = "ours",
        shipped: Prior | None = None,
        adapt: bool = True,
        width: float | None = None,
        half_life: float | None = None,
    ) -> None:
        """Build it.

        Args:
            traits: the features.
            more: other sets of features; of all of them the one that predicts the crowd best is
                taken, where there is a crowd.
            name: of this variant.
            shipped: the prior where there is no crowd to measure one on.
            adapt: learn from the person; False leaves it at what people have in common.
            width: a past choice whose prompt is this much less similar (cosine) than an identical
                one counts 1 / e; None: all count alike.
            half_life: a past choice counts half after this many later ones; None: none fades.
        """
        self._choices = (traits, *more)
        self._name = name
        self._shipped = shipped
        self._adapt = adapt
        self._width = width
        self._half_life = half_life

    @property
    def name(self) -> str:
        """How it is called in options and reports."""
        return self._name

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Start from the crowd, or from the shipped prior, and adapt."""
        learned = list(past) if self._adapt else []
        traits, prior = self._start(learned, crowd)
        differences = traits.table(learned)
        everywhere = prior.adapted(differences, self._weights(learned, None))

        def judge(case: Case) -> Judgement:
            posterior = (
                everywhere
                if self._width is None
                else prior.adapted(differences, self._weights(learned, case))
            )
            return Judgement.own(posterior.score(traits.of(case.pair) / prior.scale))

        return judge

    def _start(self, learned: Sequence[Case], crowd: Sequence[Case]) -> tuple[Traits, Prior]:
        """The features, and what is known before the person has chosen anything."""
        found = [(traits, traits.prior(crowd)) for traits in self._choices]
        measured = [(traits, prior) for traits, prior in found if prior is not None]
        if measured:
            return min(measured, key=lambda choice: choice[1].loss)
        traits = self._choices[0]
        known = self._shipped or unknown(traits.names, traits.table(learned), SPREAD)
        return traits, known

    def _weights(self, past: Sequence[Case], case: Case | None) -> Matrix | None:
        """How much each past choice counts; None if all count alike."""
        weights = np.ones(len(past))
        if self._half_life is not None:
            weights = 0.5 ** (np.arange(len(past))[::-1] / self._half_life)
        if self._width is not None and case is not None and past:
            cosines = np.array([case.vector @ other.vector for other in past], dtype=np.float64)
            weights = weights * np.exp((cosines - 1) / self._width)
        return weights if self._half_life or self._width else None
