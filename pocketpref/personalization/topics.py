"""Topics: whether a person's taste differs by what is asked, and what then counts where.

Past prompts are joined to topics by average linkage (Sokal and Michener 1958): the two groups with
the highest mean cosine are joined again and again. The last joins give candidates: two topics,
three, four. A fixed threshold does not do: with the bundled embedder two questions about cooking
have a cosine of 0.25, far below the 0.53 of a question asked again, and 0.07 to one about science.

Explanations of all choices are compared by their evidence (``posterior.py``), with E(.) the log
evidence of one taste for a group of choices:

    one taste:                     E(all)
    a taste for each of k topics:  sum_t E(choices of topic t) + log prior odds

A taste for each topic has to earn its keep, since every topic's choices are predicted from fewer
others. Where taste is the same everywhere the first explanation wins and nothing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from pocketpref.personalization.posterior import infer
from pocketpref.personalization.prior import Prior
from pocketpref.records import Matrix64, RedactedRepr, Vector

Labels = NDArray[np.int64]

LEAST_CHOICES: Final = 3
"""Fewest choices of a topic. Smaller groups join the topic that they are most alike to."""

MOST_TOPICS: Final = 4
"""Most topics that are told apart."""

PRIOR_ODDS: Final = 0.5
"""Odds, before any choice, that a person's taste differs by topic, for any number of topics."""

MOST_JOINED: Final = 200
"""Newest prompts that are joined pairwise; older ones go where they are most alike to."""

_BELONGS: Final = 0.6
"""Part of the mean cosine within a topic that a prompt must have to it to belong there."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Topics(RedactedRepr):
    """A person's choices by topic.

    Attributes:
        labels: topic of each choice, from 0, shape (n,).
        closeness: mean cosine between two prompts of each topic, shape (topics,).
        by_topic: probability that the person's taste differs by topic.
    """

    labels: Labels
    closeness: Matrix64
    by_topic: float

    def of(self, similarities: Matrix64) -> int | None:
        """Return the topic of a prompt, or None for a prompt about something else.

        Args:
            similarities: cosine of the prompt to each choice's prompt, shape (n,).
        """
        if not len(self.closeness):
            return None
        means = _means(similarities, self.labels, len(self.closeness))
        topic = int(np.argmax(means))
        return topic if means[topic] >= _BELONGS * self.closeness[topic] else None

    def weights(self, similarities: Matrix64) -> Matrix64:
        """Return how much each choice counts for a prompt, in [0, 1], shape (n,).

        Choices of the prompt's topic count fully, others as far as taste is the same everywhere.
        For a prompt about something else all count fully.

        Args:
            similarities: cosine of the prompt to each choice's prompt, shape (n,).
        """
        topic = self.of(similarities)
        if topic is None:
            return np.ones(len(self.labels))
        return np.where(self.labels == topic, 1.0, 1.0 - self.by_topic)


def find_topics(
    vectors: Vector, differences: Matrix64, counts: Matrix64, prior: Prior | None = None
) -> Topics:
    """Group choices by topic, and weigh whether the person's taste differs by it.

    Args:
        vectors: embedding of each choice's prompt, unit length, newest last, shape (n, dimensions).
        differences: as for `posterior.infer`, shape (n, features).
        counts: how much each choice counts, shape (n,).
        prior: None for the one that comes with the library.
    """
    one_taste = Topics(np.zeros(len(vectors), dtype=np.int64), np.zeros(0), 0.0)
    candidates = _candidates(np.asarray(vectors, dtype=np.float64))
    if not candidates:
        return one_taste
    together = infer(differences, counts, prior).log_evidence
    gains = np.log(PRIOR_ODDS / len(candidates)) + np.array(
        [
            sum(
                infer(differences[labels == t], counts[labels == t], prior).log_evidence
                for t in range(labels.max() + 1)
            )
            - together
            for labels in candidates
        ]
    )
    by_topic = float(
        np.exp(np.logaddexp.reduce(gains) - np.logaddexp(0, np.logaddexp.reduce(gains)))
    )
    labels = candidates[int(np.argmax(gains))]
    closeness = []
    for topic in range(labels.max() + 1):
        own = np.asarray(vectors[labels == topic], dtype=np.float64)
        # Without each prompt's cosine to itself.
        closeness.append((np.sum(own.sum(axis=0) ** 2) - len(own)) / (len(own) * (len(own) - 1)))
    return Topics(labels, np.array(closeness), by_topic)


def _candidates(vectors: Matrix64) -> list[Labels]:
    """Return divisions into 2, 3, ... topics, as far as each has enough choices."""
    recent = vectors[-MOST_JOINED:]
    found: list[Labels] = []
    for groups in _joins(recent):
        large = [members for members in groups if len(members) >= LEAST_CHOICES]
        if not 2 <= len(large) <= MOST_TOPICS:
            continue
        large.sort(key=len, reverse=True)
        centres = np.array([recent[members].mean(axis=0) for members in large])
        labels = np.argmax(vectors @ centres.T, axis=1)
        for topic, members in enumerate(large):
            labels[np.array(members) + len(vectors) - len(recent)] = topic
        if not any(np.array_equal(labels, other) for other in found):
            found.append(labels)
    # The coarsest division into each number of topics: of finer ones there are many alike.
    coarsest = {int(labels.max()): labels for labels in found}
    return [coarsest[number] for number in sorted(coarsest)]


def _joins(vectors: Matrix64) -> list[list[list[int]]]:
    """Return the groups after each join, finest first."""
    groups = [[place] for place in range(len(vectors))]
    sums = vectors @ vectors.T  # of cosines between the members of two groups
    sizes = np.ones(len(vectors))
    alive = np.ones(len(vectors), dtype=bool)
    history = []
    for _ in range(len(vectors) - 1):
        means = sums / np.outer(sizes, sizes)
        means[~alive] = means[:, ~alive] = -np.inf
        np.fill_diagonal(means, -np.inf)
        first, second = (int(i) for i in np.unravel_index(np.argmax(means), means.shape))
        groups[first] += groups[second]
        sums[first] += sums[second]
        sums[:, first] += sums[:, second]
        sizes[first] += sizes[second]
        alive[second] = False
        history.append([list(groups[place]) for place in np.flatnonzero(alive)])
    return history


def _means(similarities: Matrix64, labels: Labels, topics: int) -> Matrix64:
    """Return the mean similarity to each topic, shape (topics,)."""
    sums = np.bincount(labels, weights=similarities, minlength=topics)
    return np.asarray(sums / np.maximum(np.bincount(labels, minlength=topics), 1))
