"""Traits weighed as the person weighs them: the part of PALM that predicts choices.

No model is asked: it is the inference that chooses a person's policy (``palm_weights``), judged by
whether it knows what they will prefer. What a policy then makes of the model is another matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pocketpref.methods import traits
from pocketpref.methods.contest import Case, Judge, Judgement
from pocketpref.methods.palm_weights import infer


class Weighed:
    """Prefers the answer that earns more under the person's weights."""

    name = "palm"

    def __init__(self, names: Sequence[str] = tuple(traits.KNOWN)) -> None:
        """Weigh these traits.

        Args:
            names: of reward functions.
        """
        self._names = tuple(names)
        self._rewards = cache(self._measure)

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Infer the weights; other people teach nothing."""
        rows = [self._difference(case) for case in past]
        mean = infer(np.array(rows).reshape(-1, len(self._names))).mean
        return lambda case: Judgement.own(float(mean @ self._difference(case)))

    def _difference(self, case: Case) -> NDArray[np.float64]:
        return self._rewards(case.pair.chosen) - self._rewards(case.pair.rejected)

    def _measure(self, text: str) -> NDArray[np.float64]:
        return traits.rewards(text, self._names)
