"""Drift: whether a person's taste has turned, and what older choices then still count.

As for topics (``topics.py``), two explanations are compared by their evidence E: one taste all the
time, or one before and another since the k-th choice from the end, for some k,

    E(all)    against    E(older) + E(last k) + log prior odds

A half-life alone cannot do this: short enough to follow a turn within twenty choices (20), it costs
people whose taste stays 0.02 nats a choice; long enough to cost nothing (60), it needs as many
choices as went before (measured in docs/log.md).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from pocketpref.personalization.posterior import infer
from pocketpref.personalization.prior import Prior
from pocketpref.records import Matrix64

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
