"""Beliefs: which dimensions explain a person's choices, and how sure that is.

The model. Choice i points to the high pole of dimension j by x_ij usual differences (a text
contrast, a standardized model contrast, or their sum), of which

    z_ij = LARGEST * tanh(x_ij / LARGEST)

counts, so that no single answer decides; z_ij = 0 where nothing is known. An explanation S is a set
of at most MOST_CAUSES poles, one of a dimension, with sign s_j = +1 (high) or -1 (low). Under S
the chosen answer is preferred with a Bradley-Terry probability, except for a share e of choices
that are made by coin:

    p(i | S, b, e) = (1 - e) * sigmoid(b * sum_{j in S} s_j z_ij) + e / 2

    L(S) = mean_{b, e} prod_i p(i | S, b, e)^w_i,    b in STRENGTHS, e in LAPSES
    L({}) = prod_i (1/2)^w_i

where w_i is the weight of a choice (recency, kind of evidence, similarity to the prompt at hand).

The prior prefers no cause, then one cause, and what stands out: a reader notices that one answer
is a list and the other is not before noticing that it is also ten words shorter. With the salience
a_j = sum_i w_i |z_ij| / sum_i w_i, which does not depend on what was chosen,

    P({}) = NO_TASTE
    P(S) ~ (1 - NO_TASTE) * FURTHER^(|S| - 1) * prod_{j in S} q_j / 2,
    q_j = common_j a_j^2 / sum_k common_k a_k^2 .

The probability of a pole is the posterior mass of the explanations that hold it. Measures that go
together compete in this comparison: if bulleted answers are also a little shorter, {bullets}
explains the choices better than {short}, whose differences are smaller than usual and less
consistent, and {bullets, short} pays for a second cause that explains nothing more.

Explanations are searched best first: all single poles, then extensions of the BEAM best sets of
each size. This is exact where there are few dimensions, and deterministic.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from pocketpref.personalization.dimensions import Dimensions, PoleName
from pocketpref.personalization.measures import Matrix

STRENGTHS: Final = (0.7, 1.5)
LAPSES: Final = (0.03, 0.35)
LARGEST: Final = 4.0
NO_TASTE: Final = 0.6
FURTHER: Final = 0.3
MOST_CAUSES: Final = 4
BEAM: Final = 8
SURE: Final = 0.6
"""A pole is believed from this probability on.

NO_TASTE and SURE are set so that at most one in twenty people who choose by coin gets a belief
after 12 choices (tools/eval/taste_naming.py): unanimity in 6 choices or 10 of 12 with a difference
that stands out suffice; 5 of 6, 9 of 12, and 3 of 3 do not."""
CLEAR: Final = 0.25
"""Usual differences from which a choice counts as for or against a pole."""
LIKELY: Final = 0.3
"""A pole is open, or one side of an ambiguity, from this probability on."""

_Signed = tuple[int, int]  # dimension, sign


@dataclass(frozen=True, slots=True)
class Belief:
    """One thing that a person likes.

    Attributes:
        dimension: name of the dimension.
        pole: which end of it.
        probability: posterior probability that it is a cause of the choices.
        strength: how far the chosen answers point to it on average, in (-1, 1).
        supporting: weight of the choices that clearly point to it.
        contrary: weight of the choices that clearly point away.
        choices: indices of the supporting choices.
        target: wanted number of words for `length` where choices are consistent, else None.
    """

    dimension: str
    pole: PoleName
    probability: float
    strength: float
    supporting: float
    contrary: float
    choices: tuple[int, ...]
    target: int | None = None


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """Two poles that explain the choices about equally well; a question can tell them apart."""

    first: tuple[str, PoleName]
    second: tuple[str, PoleName]
    probabilities: tuple[float, float]


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of a person.

    Attributes:
        sure: beliefs to act on, the most important first.
        open: poles that are likely but not sure, the likeliest first.
        ambiguities: pairs of poles that could not be told apart.
        no_taste: posterior probability that no dimension explains the choices.
        probabilities: of every pole, shape (dimensions, 2): high, low.
    """

    sure: tuple[Belief, ...] = ()
    open: tuple[Belief, ...] = ()
    ambiguities: tuple[Ambiguity, ...] = ()
    no_taste: float = 1.0
    probabilities: Matrix = field(default_factory=lambda: np.zeros((0, 2)))


def evidence(text: Matrix, model: Matrix | None = None) -> Matrix:
    """Return z, the bounded contrast of each choice on each dimension, NaN where unknown.

    Args:
        text: `Dimensions.text_contrasts`, shape (choices, dimensions).
        model: model contrasts divided by their usual size on that model, same shape; NaN where
            not computed.
    """
    if model is None:
        return LARGEST * np.tanh(text / LARGEST)
    both = np.nan_to_num(text) + np.nan_to_num(model)
    return np.where(np.isnan(text) & np.isnan(model), np.nan, LARGEST * np.tanh(both / LARGEST))


def explain(z: Matrix, weights: Matrix, common: Matrix) -> dict[frozenset[_Signed], float]:
    """Return the posterior probability of each explanation that was searched.

    Args:
        z: bounded contrasts without NaN, shape (choices, dimensions).
        weights: shape (choices,).
        common: prior weight of each dimension, shape (dimensions,); 0 leaves it out.
    """
    null = -np.log(2.0) * weights.sum()
    scores: dict[frozenset[_Signed], float] = {frozenset(): np.log(NO_TASTE) + null}
    share = common / (2.0 * max(common.sum(), 1e-12))
    usable = [int(j) for j in np.flatnonzero(share)]
    beam: list[tuple[frozenset[_Signed], Matrix]] = [(frozenset(), np.zeros(len(z)))]
    signed = [(j, sign) for j in usable for sign in (1, -1)]
    base = np.log(1.0 - NO_TASTE)
    for size in range(1, MOST_CAUSES + 1):
        found: dict[frozenset[_Signed], tuple[frozenset[_Signed], _Signed]] = {}
        for chosen, _ in beam:
            taken = {j for j, _ in chosen}
            for cause in signed:
                if cause[0] not in taken:
                    found.setdefault(chosen | {cause}, (chosen, cause))
        if not found:
            break
        sums = dict(beam)
        directions = np.stack(
            [sums[parent] + sign * z[:, j] for parent, (j, sign) in found.values()], axis=1
        )
        fits = _log_fit(directions, weights)
        prior = base + (size - 1) * np.log(FURTHER)
        level = []
        for column, (chosen, fit) in enumerate(zip(found, fits, strict=True)):
            score = prior + sum(np.log(share[j]) for j, _ in chosen) + float(fit)
            scores[chosen] = score
            level.append((score, column, chosen))
        level.sort(key=lambda entry: (-entry[0], entry[1]))
        beam = [(chosen, directions[:, column]) for _, column, chosen in level[:BEAM]]
        if level[0][0] < max(scores.values()) - 8.0:
            break  # larger sets pay more prior yet, and hold less than a thousandth
    peak = max(scores.values())
    mass = {chosen: float(np.exp(score - peak)) for chosen, score in scores.items()}
    total = sum(mass.values())
    return {chosen: value / total for chosen, value in mass.items()}


def _log_fit(directions: Matrix, weights: Matrix) -> Matrix:
    """Return log L of explanations, shape (explanations,), from their summed contrasts."""
    fits = []
    for strength in STRENGTHS:
        likelihood = 1.0 / (1.0 + np.exp(-strength * directions))
        for lapse in LAPSES:
            fits.append(weights @ np.log((1.0 - lapse) * likelihood + 0.5 * lapse))
    return np.asarray(np.logaddexp.reduce(fits, axis=0) - np.log(len(fits)))


def infer(
    dimensions: Dimensions,
    text: Matrix,
    weights: Matrix | None = None,
    model: Matrix | None = None,
    lengths: Matrix | None = None,
) -> Beliefs:
    """Infer what a person likes from choices.

    Args:
        dimensions: the registry.
        text: `Dimensions.text_contrasts` of the choices, shape (choices, dimensions).
        weights: importance of each choice, 1 for a fresh deliberate one, shape (choices,).
        model: standardized model contrasts, shape (choices, dimensions), NaN where not computed.
        lengths: words of the chosen and the rejected answers, shape (choices, 2), for a target.
    """
    known = evidence(text, model)
    z = np.nan_to_num(known)
    weights = np.ones(len(z)) if weights is None else np.asarray(weights, dtype=np.float64)
    seen = np.abs(z).max(axis=0, initial=0.0) > CLEAR
    salience = (weights @ np.abs(z)) / max(weights.sum(), 1e-12)
    common = np.array([d.common for d in dimensions]) * seen * salience**2
    if not seen.any():
        return Beliefs(probabilities=np.zeros((len(dimensions), 2)))
    posterior = explain(z, weights, common)
    probabilities = np.zeros((len(dimensions), 2))
    for chosen, probability in posterior.items():
        for j, sign in chosen:
            probabilities[j, 0 if sign > 0 else 1] += probability
    return _conclude(dimensions, z, weights, posterior, probabilities, lengths)


def _conclude(
    dimensions: Dimensions,
    z: Matrix,
    weights: Matrix,
    posterior: dict[frozenset[_Signed], float],
    probabilities: Matrix,
    lengths: Matrix | None,
) -> Beliefs:
    ranked = sorted(
        ((float(probabilities[j, side]), j, side) for j in range(len(z.T)) for side in (0, 1)),
        key=lambda entry: (-entry[0], entry[1], entry[2]),
    )
    believed = [
        _belief(dimensions, z, weights, j, side, probability, lengths)
        for probability, j, side in ranked
        if probability >= 0.1
    ]
    sure = [b for b in believed if b.probability >= SURE]
    return Beliefs(
        sure=tuple(sorted(sure, key=lambda b: (-b.probability.__round__(2), -b.strength))),
        open=tuple(b for b in believed if b.probability < SURE),
        ambiguities=(),
        no_taste=posterior[frozenset()],
        probabilities=probabilities,
    )


def _belief(
    dimensions: Dimensions,
    z: Matrix,
    weights: Matrix,
    j: int,
    side: int,
    probability: float,
    lengths: Matrix | None,
) -> Belief:
    toward = z[:, j] * (1 if side == 0 else -1)
    dimension = list(dimensions)[j]
    return Belief(
        dimension=dimension.name,
        pole="high" if side == 0 else "low",
        probability=probability,
        strength=float(weights @ toward / max(weights.sum(), 1e-12)),
        supporting=float(weights[toward > CLEAR].sum()),
        contrary=float(weights[toward < -CLEAR].sum()),
        choices=tuple(int(i) for i in np.flatnonzero(toward > CLEAR)),
    )
