"""Beliefs: which dimensions explain a person's choices, and how sure that is.

The model. Choice i points to the high pole of dimension j by x_ij usual differences (a text
contrast, a standardized model contrast, or the mean of both; the text contrast alone where it is
exact, as for length), of which

    z_ij = LARGEST * tanh(x_ij / LARGEST)

counts, so that no single answer decides; z_ij = 0 where nothing is known. An explanation S is a set
of at most MOST_CAUSES poles, one of a dimension, with sign s_j = +1 (high) or -1 (low). Under S
the chosen answer is preferred with a Bradley-Terry probability, except for a share e of choices
that are made by coin:

    p(i | S, b, e) = (1 - e) * sigmoid(b * sum_{j in S} s_j z_ij) + e / 2

    L(S) = sum_{b, e} P(b) P(e) prod_i p(i | S, b, e)^w_i,    b in STRENGTHS, e in LAPSES
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

Where no pole is sure but one of two is, the ambiguity is reported, so that a question can settle
it. Until then poles are named together. A group G starts with the likeliest pole; then each pole of
at least IN_GROUP joins, the likeliest first and GROUP_SIZE at most, that usually comes along with
one in G (`Pole.companions`) and contradicts none. With the mass of its explanations

    P(G) = sum of P(S | choices) over all S that share a pole with G,

G is named if P(G) >= SURE_TOGETHER, or if P(G) >= SURE_UNANIMOUS and the choices are unanimous:
none points away from G (sum_{j in G} s_j z_ij < -CLEAR), and UNANIMOUS_CHOICES or more point to it.
All these words are then true of most of what was chosen: simple answers were shorter as well. While
a pole outside G is LIKELY, words of G could be wrong for who likes that one, and nothing is named.

Explanations are searched best first: all single poles, then extensions of the BEAM best sets of
each size. This is exact where there are few dimensions, and deterministic.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from pocketpref.personalization.dimensions import Dimensions, PoleName
from pocketpref.personalization.measures import MEASURES, measures
from pocketpref.records import Matrix64, Pair

STRENGTHS: Final = ((0.7, 0.45), (1.5, 0.45), (4.0, 0.1))
LAPSES: Final = (0.03, 0.35)
LARGEST: Final = 4.0
NO_TASTE: Final = 0.6
FURTHER: Final = 0.3
MOST_CAUSES: Final = 4
BEAM: Final = 8
MOST_CHOICES: Final = 256
"""Choices that are compared, the heaviest and latest: enough for certainty, in 10 ms."""
MOST_EVIDENCE: Final = 50.0
"""Total weight of the choices at most. Choices are never fully independent; without a limit, ten
thousand of them would find causes in differences that nobody notices."""
SURE: Final = 0.6
"""A pole is believed from this probability on.

NO_TASTE and SURE are set so that at most one in twenty people who choose by coin has a belief after
12 choices (tools/eval/taste_naming.py): 10 of 12 suffice where the difference stands out, 9 do not.
Sooner, 4 of 4 suffice, which by coin happens to one person in eight on such a dimension; 3 of 3,
one person in four, suffice only where answers differ by several times what is usual. Where
differences are ordinary (MT-Bench, photo descriptions, arguments), at most one in twenty-five
people who choose by coin has a belief after 3 to 6 choices."""
SURE_TOGETHER: Final = 0.7
"""Poles that cannot be told apart are named together from this probability on; at SURE, the rate by
coin after 12 choices would be 6.5 % on photo descriptions, not 4.8 % (docs/log.md)."""
SURE_UNANIMOUS: Final = 0.5
"""The same where no choice speaks against them. By coin, six choices agree on a dimension for one
person in 32, twelve for one in 2048. At 0.4, 4 to 6 % of people who choose by coin would have a
belief after six choices, at 0.5 it is 2 to 4 % where differences are ordinary."""
UNANIMOUS_CHOICES: Final = 6
"""Fewer choices agree too often by coin: four of four for one person in eight."""
IN_GROUP: Final = 0.1
"""A pole is named together with others from this probability on. Where simple answers are shorter
and more casual too, simple words are often the third explanation: at 0.15 they are named after six
choices for half of such people, at 0.1 for three in four."""
GROUP_SIZE: Final = 3
"""Poles of a group at most, which leaves one clause for what the person states."""
LIKELY: Final = 0.2
"""A pole is open, or one side of an ambiguity, from this probability on."""
NOTICED: Final = 0.25
"""A dimension on which no choice differs by so many usual differences is no cause."""
CLEAR: Final = 0.01
"""Usual differences from which a choice is counted as for or against a pole."""
_TARGET_CHOICES: Final = 8
_LONG: Final = 120
_NOT_BRIEF: Final = 60
_SHORTEST_TARGET: Final = 15
_NEGLIGIBLE: Final = 8.0  # a level of larger sets whose best is so far below holds under 1/1000

_Cause = tuple[int, int]  # dimension, sign
Explanation = frozenset[_Cause]
_POLES: Final[tuple[PoleName, PoleName]] = ("high", "low")


@dataclass(frozen=True, slots=True)
class Belief:
    """One thing that a person likes.

    Attributes:
        dimension: name of the dimension.
        pole: which end of it.
        probability: posterior probability that it is a cause of the choices.
        strength: how far the chosen answers point to it on average, in usual differences.
        supporting: number of choices that clearly point to it.
        contrary: number of choices that clearly point away.
        choices: indices of the supporting choices.
        target: wanted number of words, for `length` where it can be told, else None.
        together: it could not be told apart from others that are named with it; `probability` is
            then that at least one of them is a cause.
    """

    dimension: str
    pole: PoleName
    probability: float
    strength: float
    supporting: int
    contrary: int
    choices: tuple[int, ...]
    target: int | None = None
    together: bool = False

    @property
    def key(self) -> str:
        """The pole's full name, as in ``dimensions.toml``: ``length:low``."""
        return f"{self.dimension}:{self.pole}"


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """Two poles that could not be told apart: one is a cause, but which is not sure.

    Attributes:
        first: the likelier one.
        second: the other one.
        either: probability that at least one of them is a cause.
    """

    first: Belief
    second: Belief
    either: float


@dataclass(frozen=True, slots=True)
class Beliefs:
    """What is believed of a person.

    Attributes:
        sure: beliefs to act on, the surest first; if none is sure alone, those named together.
        open: poles that are likely but not sure and not in `sure`, the likeliest first.
        ambiguities: pairs of poles of which one is a cause, neither sure; the clearest first.
        no_taste: posterior probability that no dimension explains the choices.
        probabilities: of every pole, shape (dimensions, 2): high, low.
    """

    sure: tuple[Belief, ...] = ()
    open: tuple[Belief, ...] = ()
    ambiguities: tuple[Ambiguity, ...] = ()
    no_taste: float = 1.0
    probabilities: Matrix64 = field(default_factory=lambda: np.zeros((0, 2)))


def evidence(dimensions: Dimensions, text: Matrix64, model: Matrix64 | None = None) -> Matrix64:
    """Return z, the bounded contrast of each choice on each dimension, 0 where unknown.

    Args:
        dimensions: the registry.
        text: `Dimensions.text_contrasts`, shape (choices, dimensions).
        model: model contrasts divided by their usual size on that model, same shape; NaN where
            not computed. Ignored where the text measure is exact and present.
    """
    x = text
    if model is not None:
        exact = np.array([d.exact for d in dimensions])
        both = np.where(exact, text, (text + model) / 2.0)
        x = np.where(np.isnan(text), model, np.where(np.isnan(model), text, both))
    return np.asarray(LARGEST * np.tanh(np.nan_to_num(x) / LARGEST))


def explain(z: Matrix64, weights: Matrix64, common: Matrix64) -> dict[Explanation, float]:
    """Return the posterior probability of each explanation that was searched.

    Args:
        z: bounded contrasts without NaN, shape (choices, dimensions).
        weights: shape (choices,).
        common: prior weight q of each dimension, shape (dimensions,), of any sum; 0 leaves it out.
    """
    prior = np.log(np.maximum(common, 1e-300) / (2.0 * max(float(common.sum()), 1e-300)))
    causes = [(int(j), sign) for j in np.flatnonzero(common) for sign in (1, -1)]
    scores: dict[Explanation, float] = {
        frozenset(): float(np.log(NO_TASTE) - np.log(2.0) * weights.sum())
    }
    beam: dict[Explanation, Matrix64] = {frozenset(): np.zeros(len(z))}
    for size in range(1, MOST_CAUSES + 1):
        extended: dict[Explanation, Matrix64] = {}
        for parent, direction in beam.items():
            taken = {j for j, _ in parent}
            for j, sign in causes:
                if j not in taken and (larger := parent | {(j, sign)}) not in extended:
                    extended[larger] = direction + sign * z[:, j]
        if not extended:
            break
        fits = _log_likelihoods(np.array(list(extended.values())), weights)
        base = np.log(1.0 - NO_TASTE) + (size - 1) * np.log(FURTHER)
        level = {
            explanation: float(base + fit + sum(prior[j] for j, _ in explanation))
            for explanation, fit in zip(extended, fits, strict=True)
        }
        scores |= level
        best = sorted(level, key=lambda explanation: -level[explanation])[:BEAM]
        beam = {explanation: extended[explanation] for explanation in best}
        if level[best[0]] < max(scores.values()) - _NEGLIGIBLE:
            break
    peak = max(scores.values())
    mass = {explanation: float(np.exp(score - peak)) for explanation, score in scores.items()}
    total = sum(mass.values())
    return {explanation: value / total for explanation, value in mass.items()}


def _log_likelihoods(directions: Matrix64, weights: Matrix64) -> Matrix64:
    """Return log L(S), shape (explanations,), of sums of contrasts (explanations, choices)."""
    fits = [
        np.log(prior / len(LAPSES)) + np.log((1.0 - lapse) * preferred + 0.5 * lapse) @ weights
        for strength, prior in STRENGTHS
        for preferred in [1.0 / (1.0 + np.exp(-strength * directions))]
        for lapse in LAPSES
    ]
    return np.asarray(np.logaddexp.reduce(fits, axis=0))


def infer(
    dimensions: Dimensions,
    text: Matrix64,
    weights: Matrix64 | None = None,
    model: Matrix64 | None = None,
    lengths: Matrix64 | None = None,
) -> Beliefs:
    """Infer what a person likes from the contrasts of their choices.

    Args:
        dimensions: the registry.
        text: `Dimensions.text_contrasts` of the choices, shape (choices, dimensions).
        weights: importance of each choice, 1 for a fresh deliberate one, shape (choices,).
        model: standardized model contrasts, shape (choices, dimensions), NaN where not computed.
        lengths: words of the chosen answers, shape (choices,), for a target.
    """
    z = evidence(dimensions, text, model)
    weights = np.ones(len(z)) if weights is None else np.asarray(weights, dtype=np.float64)
    # The heaviest choices, of equal ones the latest.
    used = np.lexsort((-np.arange(len(z)), -weights))[:MOST_CHOICES]
    heaviest = weights[used] * min(1.0, MOST_EVIDENCE / max(float(weights[used].sum()), 1e-12))
    common = _prior_weights(dimensions, z[used], heaviest)
    if not common.any():
        return Beliefs(probabilities=np.zeros((len(dimensions), 2)))
    posterior = explain(z[used], heaviest, common)
    probabilities = _pole_probabilities(posterior, len(dimensions))
    # Rounded, so that a difference in the last bit between machines changes no order.
    ranked = [(int(j), int(side)) for j, side in np.argwhere(probabilities >= IN_GROUP)]
    ranked.sort(key=lambda at: (-round(float(probabilities[at]), 6), at))
    believed = {
        at: _belief(
            dimensions, z, weights, at, probability=float(probabilities[at]), lengths=lengths
        )
        for at in ranked
    }
    likely = {at: belief for at, belief in believed.items() if LIKELY <= belief.probability < SURE}
    sure = [belief for belief in believed.values() if belief.probability >= SURE]
    if not sure:
        sure = _together(dimensions, z[weights > 0], posterior, believed)
    return Beliefs(
        sure=tuple(sure),
        open=tuple(b for b in likely.values() if b.key not in {named.key for named in sure}),
        ambiguities=_ambiguities(posterior, likely),
        no_taste=posterior[frozenset()],
        probabilities=probabilities,
    )


def _prior_weights(dimensions: Dimensions, z: Matrix64, weights: Matrix64) -> Matrix64:
    """Return q without its normalization, shape (dimensions,); 0 for what nobody would notice."""
    noticed = np.abs(z[weights > 0]).max(axis=0, initial=0.0) > NOTICED
    salience = (weights @ np.abs(z)) / max(float(weights.sum()), 1e-12)
    return np.asarray(np.array([d.common for d in dimensions]) * noticed * salience**2)


def _pole_probabilities(posterior: Mapping[Explanation, float], count: int) -> Matrix64:
    """Return the posterior mass of each pole, shape (dimensions, 2): high, low."""
    probabilities = np.zeros((count, 2))
    for explanation, probability in posterior.items():
        for j, sign in explanation:
            probabilities[j, 0 if sign > 0 else 1] += probability
    return probabilities


def _belief(
    dimensions: Dimensions,
    z: Matrix64,
    weights: Matrix64,
    at: tuple[int, int],
    *,
    probability: float,
    lengths: Matrix64 | None,
) -> Belief:
    """Return the belief in one pole (dimension, side), with the choices that speak for it."""
    j, side = at
    toward = z[:, j] * (1 - 2 * side)
    supporting = np.flatnonzero((toward > CLEAR) & (weights > 0))
    name = dimensions.names[j]
    target = None
    if name == "length" and lengths is not None:
        target = _target(lengths[supporting], _POLES[side])
    return Belief(
        dimension=name,
        pole=_POLES[side],
        probability=probability,
        strength=float(weights @ toward / weights.sum()),
        supporting=len(supporting),
        contrary=int(((toward < -CLEAR) & (weights > 0)).sum()),
        choices=tuple(map(int, supporting)),
        target=target,
    )


def infer_from_pairs(
    dimensions: Dimensions,
    pairs: Sequence[Pair],
    weights: Matrix64 | None = None,
    model: Matrix64 | None = None,
) -> Beliefs:
    """Infer what a person likes from pairs; see `infer`."""
    chosen = np.array([measures(pair.chosen) for pair in pairs]).reshape(-1, len(MEASURES))
    rejected = np.array([measures(pair.rejected) for pair in pairs]).reshape(-1, len(MEASURES))
    return infer(
        dimensions,
        dimensions.text_contrasts(chosen - rejected),
        weights,
        model,
        lengths=np.expm1(chosen[:, MEASURES.index("length")]),
    )


def _ambiguities(
    posterior: Mapping[Explanation, float], likely: Mapping[tuple[int, int], Belief]
) -> tuple[Ambiguity, ...]:
    """Return the pairs of likely poles (dimension, side) of which one is surely a cause."""
    found = []
    for (one, first), (other, second) in itertools.combinations(likely.items(), 2):
        pair = {(j, 1 - 2 * side) for j, side in (one, other)}
        either = sum(p for explanation, p in posterior.items() if explanation & pair)
        if either >= SURE and one[0] != other[0]:
            found.append(Ambiguity(first, second, either))
    return tuple(sorted(found, key=lambda a: -round(a.either, 6)))


def _together(
    dimensions: Dimensions,
    z: Matrix64,
    posterior: Mapping[Explanation, float],
    believed: Mapping[tuple[int, int], Belief],
) -> list[Belief]:
    """Return the poles that are named together because none of them is sure, or nothing.

    Args:
        dimensions: the registry.
        z: bounded contrasts of the choices that count, shape (choices, dimensions).
        posterior: of `explain`.
        believed: beliefs by pole (dimension, side), the likeliest first.
    """
    group: dict[tuple[int, int], Belief] = {}
    for at, belief in believed.items():
        related = [_go_together(dimensions, belief, other) for other in group.values()]
        if len(group) < GROUP_SIZE and (not group or (any(related) and None not in related)):
            group[at] = belief
    if any(belief.probability >= LIKELY for at, belief in believed.items() if at not in group):
        return []
    causes = {(j, 1 - 2 * side) for j, side in group}
    either = sum(p for explanation, p in posterior.items() if explanation & causes)
    toward = np.zeros(len(z)) + sum(sign * z[:, j] for j, sign in causes)
    unanimous = (toward >= -CLEAR).all() and (toward > CLEAR).sum() >= UNANIMOUS_CHOICES
    if either < (SURE_UNANIMOUS if unanimous else SURE_TOGETHER):
        return []
    alone = len(group) == 1
    return [replace(b, probability=either, together=not alone) for b in group.values()]


def _go_together(dimensions: Dimensions, one: Belief, other: Belief) -> bool | None:
    """Return whether two poles usually come along with each other; None if they contradict."""
    first, second = (dimensions[b.dimension].pole(b.pole) for b in (one, other))
    same = one.dimension == other.dimension
    if same or one.key in second.contradicts or other.key in first.contradicts:
        return None
    return one.key in second.companions or other.key in first.companions


def _target(words: Matrix64, pole: PoleName) -> int | None:
    """Return the wanted number of words, rounded, or None where none can be told.

    Args:
        words: lengths of the answers that were chosen.
        pole: `high` wants long answers, `low` short ones.
    """
    if len(words) < _TARGET_CHOICES:
        return None
    low, middle, high = map(float, np.percentile(words, (25, 50, 75)))
    consistent = high <= 1.6 * low
    # Fewer words than a model writes anyway would shorten what should become longer, and "one or
    # two sentences" would be wrong for somebody who likes 150 words better than 400.
    is_long = pole == "high"
    wanted = (consistent and middle >= _LONG) if is_long else (consistent or middle > _NOT_BRIEF)
    if not wanted:
        return None
    step = 5 if middle < 50 else 10 if middle < 100 else 50
    return max(_SHORTEST_TARGET, step * round(middle / step))
