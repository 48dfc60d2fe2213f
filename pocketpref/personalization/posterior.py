"""What is known of a person's taste, and the probability that they prefer one answer to another.

Let d_1 ... d_n be the features of the answers that a person chose minus those of the rejected ones,
counted c_1 ... c_n times (``evidence.py``), and h the hypotheses of the prior (``prior.py``) with
prior probabilities pi_h. Each hypothesis is a Bradley-Terry model with a Gaussian prior, fitted to
the choices by Laplace's method (``bradley_terry.py``), with evidence E_h, mode w_h and covariance
S_h of the weights. Then

    P(h | choices) = pi_h exp(E_h) / sum_g pi_g exp(E_g)
    P(a over b | h) = sigma(w_h . d / sqrt(1 + pi d^T S_h d / 8)),  d = features(a) - features(b)
    P(a over b) = sum_h P(h | choices) P(a over b | h)

The evidence is the probability that the hypothesis gave each choice before it was made, one after
the other, so a hypothesis counts as much as it predicted this person well: Bayesian model averaging
(Hoeting, Madigan, Raftery and Volinsky 1999). The second line is the probit approximation of the
integral over the weights (MacKay 1992, "The evidence framework applied to classification networks";
Bishop 2006, equation 4.153): what is not known of the weights weakens the prediction.

Exchanging the answers negates every d and so the log-odds exactly. Several answers are ranked by
the worths whose differences fit all pairwise log-odds best by least squares (Jiang, Lim, Yao and Ye
2011, "Statistical ranking and combinatorial Hodge theory"), which is the mean log-odds of an answer
against all; their softmax is the pairwise probability where there are two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pocketpref.errors import InputError
from pocketpref.personalization.bradley_terry import fit
from pocketpref.personalization.measures import measures
from pocketpref.personalization.prior import Hypothesis, Prior, log_shares, shipped_prior
from pocketpref.records import Matrix64, RedactedRepr


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Posterior(RedactedRepr):
    """What a person's choices say about the weights of features.

    Attributes:
        prior: what was expected of them.
        hypotheses: H of them.
        log_probabilities: of each hypothesis given the choices, shape (H,).
        weights: mode of each hypothesis, shape (H, features).
        roots: for each hypothesis a root of the weights' covariance, shape (features, K) each.
        log_evidence: log probability of all the choices under the mixture, nats.
    """

    prior: Prior
    hypotheses: tuple[Hypothesis, ...]
    log_probabilities: Matrix64
    weights: Matrix64
    roots: tuple[Matrix64, ...]
    log_evidence: float

    def log_odds(self, differences: Matrix64) -> Matrix64:
        """Return the log-odds that the first of two answers is preferred, shape (n,).

        Args:
            differences: features of the first minus those of the second, shape (n, features).
        """
        logits = self.logits(differences)
        # Both sums, rather than one and its complement: exchanged answers negate this exactly.
        return np.asarray(
            _mean(logits, self.log_probabilities) - _mean(-logits, self.log_probabilities)
        )

    def logits(self, differences: Matrix64) -> Matrix64:
        """Return the log-odds under each hypothesis alone, shape (n, H)."""
        found = differences @ self.weights.T
        for place, root in enumerate(self.roots):
            if root.shape[1]:
                variance = ((differences @ root) ** 2).sum(axis=1)
                found[:, place] /= np.sqrt(1 + np.pi / 8 * variance)
        return found

    def probability(self, answer: str, other: str) -> float:
        """Return the probability that the person prefers an answer to another one."""
        return float(self.rank([answer, other])[0])

    def rank(self, answers: Sequence[str]) -> Matrix64:
        """Return the probability of each answer to be the preferred one, shape (answers,).

        Raises:
            InputError: there is no answer.
        """
        if not answers:
            raise InputError("there is no answer to rank", hint="give at least one")
        features = self.prior.features(np.array([measures(answer) for answer in answers]))
        count = len(answers)
        apart = np.nan_to_num(features[:, None] - features[None]).reshape(count * count, -1)
        worth = self.log_odds(apart).reshape(count, count).mean(axis=1)
        odds = np.exp(worth - worth.max())
        return np.asarray(odds / odds.sum())

    def families(self) -> dict[str, float]:
        """Return the probability of each family of hypotheses."""
        found: dict[str, float] = {}
        for hypothesis, log in zip(self.hypotheses, self.log_probabilities, strict=True):
            found[hypothesis.family] = found.get(hypothesis.family, 0.0) + float(np.exp(log))
        return found


def infer(
    differences: Matrix64,
    counts: Matrix64 | None = None,
    prior: Prior | None = None,
    families: dict[str, float] | None = None,
) -> Posterior:
    """Return what choices say about a person.

    Args:
        differences: features of the chosen answers minus those of the rejected ones, 0 where
            a feature is not known, shape (n, features); n may be 0.
        counts: how much each choice counts, shape (n,); None counts each once.
        prior: None for the one that comes with the library.
        families: share of each family of hypotheses in the place of `prior.FAMILIES`.
    """
    prior = prior or shipped_prior()
    hypotheses = prior.hypotheses()
    shares = log_shares(hypotheses) if families is None else log_shares(hypotheses, families)
    counts = np.ones(len(differences)) if counts is None else counts
    means = np.array([h.mean for h in hypotheses])
    weights = means.copy()
    roots = [h.root for h in hypotheses]
    evidences = np.zeros(len(hypotheses))
    sizes = np.array([root.shape[1] for root in roots])
    for size in np.unique(sizes):  # models of one size are fitted together
        chosen = np.flatnonzero(sizes == size)
        stacked = np.array([roots[place] for place in chosen])
        found = fit(np.matmul(differences[None], stacked), means[chosen] @ differences.T, counts)
        weights[chosen] += np.matmul(stacked, found.modes[:, :, None])[:, :, 0]
        evidences[chosen] = found.evidences
        halves = np.matmul(stacked, np.linalg.cholesky(found.covariances))
        for place, half in zip(chosen, halves, strict=True):
            roots[place] = half
    joint = shares + evidences
    whole = float(np.logaddexp.reduce(joint))
    return Posterior(prior, hypotheses, joint - whole, weights, tuple(roots), whole)


def _mean(logits: Matrix64, log_probabilities: Matrix64) -> Matrix64:
    """Return log sum_h P(h) sigma(logit_h), shape (n,)."""
    return np.asarray(np.logaddexp.reduce(log_probabilities - np.logaddexp(0.0, -logits), axis=1))
