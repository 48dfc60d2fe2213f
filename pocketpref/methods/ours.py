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
from pocketpref.methods.prior import Prior, unknown
from pocketpref.methods.reward import SPREAD
from pocketpref.methods.traits import Traits


class Ours:
    """Prefers the answer that this person would most likely prefer."""

    def __init__(
        self,
        traits: Traits,
        *,
        name: str = "ours",
        shipped: Prior | None = None,
        adapt: bool = True,
        width: float | None = None,
        half_life: float | None = None,
    ) -> None:
        """Build it.

        Args:
            traits: the features.
            name: of this variant.
            shipped: the prior where there is no crowd to measure one on.
            adapt: learn from the person; False leaves it at what people have in common.
            width: a past choice whose prompt is this much less similar (cosine) than an identical
                one counts 1 / e; None: all count alike.
            half_life: a past choice counts half after this many later ones; None: none fades.
        """
        self._traits = traits
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
        differences = self._traits.table(learned)
        prior = self._traits.prior(crowd) or self._shipped
        if prior is None:
            prior = unknown(self._traits.names, differences, SPREAD)
        known = prior
        if self._width is None:
            posterior = known.adapted(differences, self._weights(learned, None))
            return lambda case: Judgement.own(
                posterior.score(self._traits.of(case.pair) / known.scale)
            )

        def judge(case: Case) -> Judgement:
            near = known.adapted(differences, self._weights(learned, case))
            return Judgement.own(near.score(self._traits.of(case.pair) / known.scale))

        return judge

    def _weights(self, past: Sequence[Case], case: Case | None) -> Matrix | None:
        """How much each past choice counts; None if all count alike."""
        weights = np.ones(len(past))
        if self._half_life is not None:
            weights = 0.5 ** (np.arange(len(past))[::-1] / self._half_life)
        if self._width is not None and case is not None and past:
            cosines = np.array([case.vector @ other.vector for other in past], dtype=np.float64)
            weights = weights * np.exp((cosines - 1) / self._width)
        return weights if self._half_life or self._width else None
