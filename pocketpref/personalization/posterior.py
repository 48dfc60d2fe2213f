"""What is known of a person's taste, and the probability that they prefer one answer to another.

Let d_1 ... d_n be the features of the answers that a person chose minus those of the rejected ones,
counted c_1 ... c_n times (``evidence.py``), and h the hypotheses of the prior (``prior.py``) with
prior probabilities pi_h. Each hypothesis is a Bradley-Terry model with a Gaussian prior, fitted to
the choices by Laplace's method (``fit``), with evidence E_h, mode w_h and covariance
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
from pocketpref.personalization.measures import measures
from pocketpref.personalization.prior import Hypothesis, Prior, log_shares, shipped_prior
from pocketpref.records import Matrix64, RedactedRepr

# Bradley-Terry models with Gaussian priors, several of them fitted at once.
#
# A model gives an answer with features x the worth w . x, and a choice the probability
#
#     P(a chosen over b) = sigma(w . (a - b)),    w = mean + root z,    z ~ N(0, I)
#
# so the prior covariance of w is root root^T, of any rank (Bradley and Terry 1952; worth as a
# linear function of features: Springall 1973). There is no intercept, so the order of the two
# answers cannot matter.
#
# The posterior of z is Laplace's approximation at the mode, with choice i counted c_i times:
#
#     log L(z) = sum_i c_i log sigma(w . d_i)
#     evidence = log L(z*) - |z*|^2 / 2 - log det(I + H) / 2
#
# H is minus the curvature of log L at the mode z* (MacKay 1992, "Bayesian interpolation"; Bishop
# 2006, "Pattern recognition and machine learning", equation 4.137).

_STEPS = 60
_CLOSE = 1e-10  # nats that another step would gain


@dataclass(frozen=True, slots=True)
class Fits:
    """Posteriors of B models with K latent weights each.

    Attributes:
        modes: of z, shape (B, K).
        covariances: of z, shape (B, K, K).
        evidences: log marginal likelihoods, nats, shape (B,).
    """

    modes: Matrix64
    covariances: Matrix64
    evidences: Matrix64


def fit(designs: Matrix64, offsets: Matrix64, counts: Matrix64) -> Fits:
    """Fit B models to the same n choices.

    Args:
        designs: differences (chosen minus rejected) times each model's root, shape (B, n, K).
        offsets: differences times each model's mean, shape (B, n).
        counts: how much each choice counts, 0 or more, shape (n,).
    """
    models, _, latent = designs.shape
    at = np.zeros((models, latent))
    value = _objective(designs, offsets, counts, at)
    for _ in range(_STEPS):
        slope, curvature = _derivatives(designs, offsets, counts, at)
        step = np.linalg.solve(curvature, slope[:, :, None])[:, :, 0]
        gain = (slope * step).sum(axis=1)
        if gain.max(initial=0.0) < _CLOSE:
            break
        # The objective is concave, so a short enough step gains; each model halves its own. The
        # slack is rounding: near the mode a step gains less than the sum of n terms resolves.
        size = np.ones(models)
        slack = 1e-12 * (1 + np.abs(value))
        for _ in range(30):
            there = _objective(designs, offsets, counts, at + size[:, None] * step)
            short = there < value + 1e-4 * size * gain - slack
            if not short.any():
                break
            size = np.where(short, size / 2, size)
        at, value = at + size[:, None] * step, there
    _, curvature = _derivatives(designs, offsets, counts, at)
    evidences = value - 0.5 * np.linalg.slogdet(curvature)[1]
    covariances = np.asarray(np.linalg.inv(curvature), dtype=np.float64)
    return Fits(at, covariances, np.asarray(evidences, dtype=np.float64))


def _objective(designs: Matrix64, offsets: Matrix64, counts: Matrix64, at: Matrix64) -> Matrix64:
    """Return log L(z) - |z|^2 / 2 of each model, shape (B,)."""
    logits = offsets + np.matmul(designs, at[:, :, None])[:, :, 0]
    value = -(np.logaddexp(0.0, -logits) @ counts) - 0.5 * (at**2).sum(axis=1)
    return np.asarray(value, dtype=np.float64)


def _derivatives(
    designs: Matrix64, offsets: Matrix64, counts: Matrix64, at: Matrix64
) -> tuple[Matrix64, Matrix64]:
    """Return the slope, shape (B, K), and minus the curvature, shape (B, K, K)."""
    logits = offsets + np.matmul(designs, at[:, :, None])[:, :, 0]
    wrong = np.exp(-np.logaddexp(0.0, logits))
    slope = np.matmul((wrong * counts)[:, None, :], designs)[:, 0] - at
    heavy = (wrong * (1 - wrong) * counts)[:, :, None]
    curvature = np.matmul(designs.transpose(0, 2, 1), designs * heavy)
    return slope, curvature + np.eye(at.shape[1])


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
