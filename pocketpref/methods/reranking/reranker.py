"""The reranker: of several answers, the one that a person would most likely prefer.

"Ours" on plain style measures (``prior``), turned from pairs of the past to answers not yet given.
The model is linear in an answer's measures, so that one number for each answer orders all of them,
and the best beats each of the others with a probability above one half.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from pocketpref.errors import InputError
from pocketpref.methods.reranking.bradley_terry import Prior, shipped
from pocketpref.methods.reranking.style import difference, measures
from pocketpref.records import Matrix64, Pair


class Reranker:
    """What a person is expected to prefer: what people have in common, adapted to their choices."""

    def __init__(self, pairs: Sequence[Pair], prior: Prior | None = None) -> None:
        """Learn it.

        Args:
            pairs: what the person chose, in any order; without any, it is everybody's taste.
            prior: on the measures of ``style``; None for the one that comes with the library.
        """
        self._prior = prior or shipped()
        differences = np.array([difference(pair) for pair in pairs])
        self._posterior = self._prior.adapted(differences.reshape(-1, len(self._prior.names)))

    def probability(self, answer: str, other: str) -> float:
        """That the person prefers an answer to another one; 0.5 for the same answer."""
        apart = (measures(answer) - measures(other)) / self._prior.scale
        return 1 / (1 + math.exp(-self._posterior.score(apart)))

    def best(self, answers: Sequence[str]) -> int:
        """Place of the answer that beats all others; of equal ones the first.

        Raises:
            InputError: there is no answer.
        """
        if not answers:
            raise InputError("there is no answer to choose from", hint="give at least one")
        return int(np.argmax(self._worth(answers)))

    def _worth(self, answers: Sequence[str]) -> Matrix64:
        """Log-odds of each answer against the first, before doubt, shape (answers,)."""
        taken = np.array([measures(answer) for answer in answers])
        return np.asarray((taken - taken[0]) / self._prior.scale @ self._posterior.mean)
