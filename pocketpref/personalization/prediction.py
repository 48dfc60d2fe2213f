"""Predict what a person prefers, from all that they showed: evidence, drift and topics together.

Each piece of evidence counts for its kind, repeats and age (``evidence.py``), for whether the
taste has turned since (``drift_weights``), and for the topic at hand (``topics.py``). Six choices
about cooking and then six about science look like a turn as well as like two topics. As far as the
topics explain the choices, nothing is forgotten for a turn.

The counts of a topic are the same for every prompt of it, so there is one posterior for each topic
and one for everything else; each is inferred when it is first asked for, and kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from pocketpref.errors import InputError
from pocketpref.personalization.evidence import Evidence, differences_of
from pocketpref.personalization.posterior import Posterior, infer
from pocketpref.personalization.prior import Prior, shipped_prior
from pocketpref.personalization.topics import Topics, find_topics
from pocketpref.records import Matrix64, Vector

# Drift: whether a person's taste has turned, and what older choices then still count.
#
# As for topics (``topics.py``), two explanations are compared by their evidence E: one taste all
# the time, or one before and another since the k-th choice from the end, for some k,
#
# E(all)    against    E(older) + E(last k) + log prior odds
#
# A half-life alone cannot do this: short enough to follow a turn within twenty choices (20), it
# costs people whose taste stays 0.02 nats a choice; long enough to cost nothing (60), it needs as
# many choices as went before (measured in docs/log.md).

SINCE: Final = (5, 10, 20, 40)
"""Choices since a turn that are tried."""

LEAST_BEFORE: Final = 5
"""Fewest choices before a turn."""

LOOK_BACK: Final = 100
"""Newest choices that are looked at, for speed."""

PRIOR_ODDS: Final = 0.1
"""Odds, before any choice, that a taste has turned, at any of the places."""


def drift_weights(differences: Matrix64, counts: Matrix64, prior: Prior | None = None) -> Matrix64:
    """Return how much each choice still counts, in [0, 1], shape (n,).

    Args:
        differences: as for `posterior.infer`, oldest first, shape (n, features).
        counts: how much each choice counts, shape (n,).
        prior: None for the one that comes with the library.
    """
    weights = np.ones(len(differences))
    rows, times = differences[-LOOK_BACK:], counts[-LOOK_BACK:]
    places = [k for k in SINCE if len(rows) - k >= LEAST_BEFORE]
    if not places:
        return weights
    together = infer(rows, times, prior).log_evidence
    odds = np.array(
        [
            infer(rows[:-k], times[:-k], prior).log_evidence
            + infer(rows[-k:], times[-k:], prior).log_evidence
            - together
            for k in places
        ]
    ) + np.log(PRIOR_ODDS / len(places))
    probabilities = np.exp(odds - np.logaddexp(0.0, np.logaddexp.reduce(odds)))
    for k, probability in zip(places, probabilities, strict=True):
        weights[:-k] -= probability
    return np.clip(weights, 0.0, 1.0)


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
