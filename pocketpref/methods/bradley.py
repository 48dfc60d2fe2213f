"""Bradley-Terry with a Gaussian prior: the probability that one answer is preferred to another.

    P(y_w preferred to y_l) = sigma(b . (phi(y_w) - phi(y_l)))    b ~ N(mean, diag(1 / precision))

Without an intercept it cannot matter which of the two answers stands first.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pocketpref.methods.contest import Matrix

_STEPS = 60
_CLOSE = 1e-10


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is known of the weights (Laplace's approximation at the mode).

    Attributes:
        mean: the mode, shape (features,).
        covariance: shape (features, features).
    """

    mean: Matrix
    covariance: Matrix

    def score(self, difference: Matrix) -> float:
        """Log-odds that the first answer is preferred, weakened by what is not known.

        MacKay's approximation of the integral over the posterior; the sign is that of the mode.
        """
        variance = float(difference @ self.covariance @ difference)
        return float(difference @ self.mean) / float(np.sqrt(1 + np.pi * variance / 8))


def fit(
    differences: Matrix, mean: Matrix, precision: Matrix, weights: Matrix | None = None
) -> Posterior:
    """The posterior of the weights; arguments as of ``mode``."""
    at = mode(differences, mean, precision, weights)
    counts = np.ones(len(differences)) if weights is None else weights
    _, curvature = _derivatives(at, differences, mean, precision, counts)
    return Posterior(at, np.asarray(np.linalg.inv(curvature), dtype=np.float64))


def mode(
    differences: Matrix, mean: Matrix, precision: Matrix, weights: Matrix | None = None
) -> Matrix:
    """The likeliest weights, by Newton's method, shape (features,).

    Args:
        differences: features of the chosen answer minus those of the rejected one, shape
            (pairs, features).
        mean: of the prior, shape (features,).
        precision: of the prior, positive, shape (features,).
        weights: how much each pair counts, shape (pairs,); None counts each once.
    """
    counts = np.ones(len(differences)) if weights is None else weights
    at = mean.copy()
    value = _objective(at, differences, mean, precision, counts)
    for _ in range(_STEPS):
        slope, curvature = _derivatives(at, differences, mean, precision, counts)
        step = np.linalg.solve(curvature, slope)
        promised = float(slope @ step)
        if promised < _CLOSE:
            break
        size = 1.0
        # Concave: a short enough step always gains.
        while size > _CLOSE:
            there = _objective(at + size * step, differences, mean, precision, counts)
            if there >= value + 1e-4 * size * promised:
                break
            size /= 2
        else:
            break
        at, value = at + size * step, there
    return at


def log_losses(weights: Matrix, differences: Matrix) -> Matrix:
    """-log P of each choice, nats, shape (pairs,)."""
    return np.asarray(np.logaddexp(0.0, -(differences @ weights)))


def _objective(
    at: Matrix, differences: Matrix, mean: Matrix, precision: Matrix, counts: Matrix
) -> float:
    away = at - mean
    return -float(counts @ log_losses(at, differences) + 0.5 * (precision * away) @ away)


def _derivatives(
    at: Matrix, differences: Matrix, mean: Matrix, precision: Matrix, counts: Matrix
) -> tuple[Matrix, Matrix]:
    """Slope, and minus the curvature, of the objective."""
    wrong = 1 / (1 + np.exp(np.clip(differences @ at, -500, 500)))
    slope = differences.T @ (counts * wrong) - precision * (at - mean)
    curvature = (differences.T * (counts * wrong * (1 - wrong))) @ differences
    return slope, curvature + np.diag(precision)
