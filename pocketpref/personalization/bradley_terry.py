"""Bradley-Terry models with Gaussian priors, several of them fitted at once.

A model gives an answer with features x the worth w . x, and a choice the probability

    P(a chosen over b) = sigma(w . (a - b)),    w = mean + root z,    z ~ N(0, I)

so the prior covariance of w is root root^T, of any rank (Bradley and Terry 1952; worth as a linear
function of features: Springall 1973). There is no intercept, so the order of the two answers cannot
matter.

The posterior of z is Laplace's approximation at the mode, with choice i counted c_i times:

    log L(z) = sum_i c_i log sigma(w . d_i)
    evidence = log L(z*) - |z*|^2 / 2 - log det(I + H) / 2

H is minus the curvature of log L at the mode z* (MacKay 1992, "Bayesian interpolation"; Bishop
2006, "Pattern recognition and machine learning", equation 4.137).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketpref.records import Matrix64

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
