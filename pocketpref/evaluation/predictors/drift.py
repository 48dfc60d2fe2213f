"""Drift (arXiv 2502.14289): one weight for each attribute, in closed form.

With r_i(y | x) the log-likelihood ratio of an answer with attribute i to the one without, a
person's chosen answers have W_i = sum r_i(y_w) and the rejected ones L_i = sum r_i(y_l). Then

    p = (W - L) / ||W - L||        R(y | x) = sum p_i r_i(y | x)

r_i(y_w) - r_i(y_l) is the anchored margin of attribute i alone, so the fit is a by-product of
EXACT's first round. Drift asks for attributes by a system prompt; here they are EXACT's line after
the query, as everywhere in this library.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pocketpref.evaluation.predictors.base import Case, Evidence, Judge, Judgement
from pocketpref.records import Matrix64


def weights(margins: Matrix64) -> Matrix64:
    """The closed form for one person.

    Args:
        margins: anchored margins of single attributes on the person's pairs, shape
            (pairs, attributes), nats.

    Returns:
        A vector of length 1, shape (attributes,); zeros if nothing speaks for any attribute.
    """
    total = margins.sum(axis=0)
    length = float(np.linalg.norm(total))
    return np.asarray(total / length if length else total)


class Drift:
    """Prefers the answer of larger reward R."""

    name = "drift"

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """The closed form, of sums and of means each."""
        singles = np.array([self._evidence.singles(case.pair) for case in past])
        count = len(self._evidence.bank)
        totals, means = (weights(part) for part in np.moveaxis(singles.reshape(-1, count, 2), 2, 0))

        def judge(case: Case) -> Judgement:
            of = self._evidence.singles(case.pair)
            total, mean = float(of[:, 0] @ totals), float(of[:, 1] @ means)
            return Judgement(total, total, mean, mean)

        return judge
