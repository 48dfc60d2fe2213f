"""Auto: the posterior over the person that ``method="auto"`` puts into words.

It starts from the prior that comes with the library, so it needs no crowd and no language model.
That prior is fitted on public choices (``personalization/prior.py``): on those sets themselves its
figures are flattered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import numpy as np

from pocketpref.evaluation.predictors import Case, Judge, Judgement
from pocketpref.personalization.evidence import Evidence as Shown
from pocketpref.personalization.measures import measures
from pocketpref.personalization.prediction import PreferencePredictor
from pocketpref.personalization.topics import LEAST_CHOICES
from pocketpref.records import Matrix64, Pair, Vector

BY_TOPIC: Final = 0.5
"""Probability of a taste that differs by topic from which topics are told apart."""

Odds = Callable[[Pair, Vector | None], float]
"""Gives the log-odds of a pair's chosen answer, for a prompt with this embedding."""


def learn(shown: Sequence[Shown], vectors: Vector | None, measured: dict[str, Matrix64]) -> Odds:
    """Learn a person's taste from what they showed.

    Args:
        shown: the oldest first.
        vectors: embedding of each prompt, shape (n, dimensions); None tells no topics apart.
        measured: measures of texts, by text; read and added to.
    """
    predictor = PreferencePredictor(shown, measured=measured)
    everywhere = predictor.posterior()
    # Where every choice fits one taste there is nothing that topics could explain.
    fits = (everywhere.log_odds(predictor.differences.features) >= 0).all()
    if vectors is not None and len(shown) >= 2 * LEAST_CHOICES and not fits:
        predictor = PreferencePredictor(shown, vectors, measured=measured)

    def odds(pair: Pair, vector: Vector | None) -> float:
        for text in (pair.chosen, pair.rejected):
            if text not in measured:
                measured[text] = measures(text)
        both = everywhere.prior.features(np.array([measured[pair.chosen], measured[pair.rejected]]))
        apart = np.nan_to_num(both[:1] - both[1:])
        return float(predictor.posterior(vector).log_odds(apart)[0])

    return odds


class Auto:
    """Prefers the answer that the person would most likely prefer, by their own choices."""

    name = "auto"

    def __init__(self) -> None:
        self._measured: dict[str, Matrix64] = {}
        self._last: tuple[Sequence[Case], Judge] | None = None

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Infer the posterior; other people teach nothing."""
        # A split asks item by item with one and the same past.
        if self._last is None or self._last[0] is not past:
            moment = datetime.fromtimestamp(0, UTC)  # one for all: they are in order already
            shown = [
                Shown("choice", c.pair.prompt, c.pair.chosen, c.pair.rejected, moment) for c in past
            ]
            vectors = np.array([case.vector for case in past]) if past else None
            odds = learn(shown, vectors, self._measured)
            self._last = past, lambda case: Judgement.own(odds(case.pair, case.vector))
        return self._last[1]
