"""Predict what a person prefers, from all that they showed: evidence, drift and topics together.

Each piece of evidence counts for its kind, repeats and age (``evidence.py``), for whether the
taste has turned since (``drift.py``), and for the topic at hand (``topics.py``). Six choices about
cooking and then six about science look like a turn as well as like two topics. As far as the topics
explain the choices, nothing is forgotten for a turn.

The counts of a topic are the same for every prompt of it, so there is one posterior for each topic
and one for everything else; each is inferred when it is first asked for, and kept.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketpref.errors import InputError
from pocketpref.personalization.drift import drift_weights
from pocketpref.personalization.evidence import Evidence, differences_of
from pocketpref.personalization.posterior import Posterior, infer
from pocketpref.personalization.prior import Prior, shipped_prior
from pocketpref.personalization.topics import Topics, find_topics
from pocketpref.records import Matrix64, Vector


class PreferencePredictor:
    """What one person is expected to prefer; it holds numbers, no text.

    Attributes:
        differences: features of the evidence, and its counts before drift and topics
            (`evidence.Differences`).
        topics: the person's topics, or None where no vectors were given.
    """

    def __init__(
        self,
        evidence: Sequence[Evidence],
        vectors: Vector | None = None,
        prior: Prior | None = None,
        *,
        measured: dict[str, Matrix64] | None = None,
    ) -> None:
        """Learn from evidence.

        Args:
            evidence: in any order; may be empty.
            vectors: embedding of each piece's prompt, unit length, shape (len(evidence),
                dimensions); None tells no topics apart.
            prior: None for the one that comes with the library.
            measured: as for `evidence.differences_of`.

        Raises:
            InputError: there is not one vector for each piece of evidence.
        """
        if vectors is not None and len(vectors) != len(evidence):
            raise InputError(
                "there is not one vector for each piece of evidence", hint="embed every prompt"
            )
        self._prior = prior or shipped_prior()
        self.differences = differences_of(evidence, self._prior, measured=measured)
        features, counts = self.differences.features, self.differences.counts
        self._vectors = None if vectors is None else vectors[self.differences.places]
        self.topics: Topics | None = None
        kept = drift_weights(features, counts, self._prior)
        if self._vectors is not None:
            self.topics = find_topics(self._vectors, features, counts, self._prior)
            kept = 1 - (1 - kept) * (1 - self.topics.by_topic)
        self._counts = counts * kept
        self._posteriors: dict[int | None, Posterior] = {}

    def counts(self, vector: Vector | None = None) -> Matrix64:
        """Return how much each row of `differences` counts for a prompt, shape (n,).

        Args:
            vector: the prompt's embedding, unit length; None for prompts in general.
        """
        if vector is None or self.topics is None:
            return self._counts
        return self._counts * self.topics.weights(self._similarities(vector))

    def posterior(self, vector: Vector | None = None) -> Posterior:
        """Return the posterior for a prompt; it is inferred once for each topic.

        Args:
            vector: the prompt's embedding, unit length; None for prompts in general.
        """
        topic = None
        if vector is not None and self.topics is not None:
            topic = self.topics.of(self._similarities(vector))
        if topic not in self._posteriors:
            counts = self._counts if topic is None else self.counts(vector)
            self._posteriors[topic] = infer(self.differences.features, counts, self._prior)
        return self._posteriors[topic]

    def rank(self, answers: Sequence[str], vector: Vector | None = None) -> Matrix64:
        """Return the probability of each answer to be the preferred one, shape (answers,).

        Args:
            answers: to one prompt, at least one.
            vector: the prompt's embedding, unit length; None for prompts in general.

        Raises:
            InputError: there is no answer.
        """
        return self.posterior(vector).rank(answers)

    def _similarities(self, vector: Vector) -> Matrix64:
        assert self._vectors is not None
        return np.asarray(self._vectors @ vector, dtype=np.float64)
