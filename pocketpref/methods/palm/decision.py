"""Which policy a person gets, when it changes, and what to ask them next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from pocketpref.methods.palm.inference import TraitPosterior, information
from pocketpref.methods.palm.portfolio import Policy, Portfolio
from pocketpref.methods.palm.traits import WORDS
from pocketpref.records import Matrix64

SURE: Final = 0.6
"""How likely it must be that a person chooses by these traits at all, before a policy is used. It
begins at a half, so that this takes a few choices; who chooses against the traits falls below."""

_CHANGE_SURE: Final = 0.75
_CHANGE_GAIN: Final = 0.005
"""From one policy to another: how likely it must be the better one, and by how much on average. A
change empties caches and alters the tone of replies; a hair's breadth is not worth it."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which policy is used, and why.

    Attributes:
        policy: what is used; None for the bare model.
        kept: whether it is the policy in force though another is a little better on average.
        regret: what is lost on average against knowing the weights exactly, in reward.
        follows: probability that the person chooses by these traits.
        pairs: how many choices speak.
    """

    policy: Policy | None
    kept: bool
    regret: float
    follows: float
    pairs: int

    def words(self) -> str:
        """Why, for people."""
        if self.pairs == 0:
            return "no policy: there are no choices to infer weights from"
        if self.policy is None:
            return (
                f"no policy: your {self.pairs} choices do not show that you go by these traits "
                f"(probability {self.follows:.0%})"
            )
        what = "is kept, others are hardly better" if self.kept else "suits you best"
        return f"the policy {self.policy.name} {what}, by {self.pairs} choices"


def choose(portfolio: Portfolio, posterior: TraitPosterior, in_force: str | None = None) -> Choice:
    """The policy with the best expected reward, or the one in force if that is as good.

    A policy's reward is linear in the weights, so the best one on average is the best one at the
    average weights.

    Args:
        portfolio: the policies.
        posterior: what is believed of the person's weights.
        in_force: name of the policy used so far.
    """
    if not posterior.pairs or posterior.follows < SURE:
        return Choice(
            None, kept=False, regret=0.0, follows=posterior.follows, pairs=posterior.pairs
        )
    values = posterior.points @ portfolio.rewards.T  # (points, policies)
    expected = posterior.weights @ values
    best = int(expected.argmax())
    names = [policy.name for policy in portfolio.policies]
    kept = False
    if in_force in names and in_force != names[best]:
        present = names.index(in_force)
        better = float(posterior.weights @ (values[:, best] > values[:, present]))
        gain = expected[best] - expected[present]
        if better < _CHANGE_SURE or gain < _CHANGE_GAIN:
            best, kept = present, True
    regret = float(posterior.weights @ (values.max(axis=1) - values[:, best]))
    return Choice(portfolio.policies[best], kept, regret, posterior.follows, posterior.pairs)


def best_question(
    posterior: TraitPosterior, differences: Matrix64, asked: Sequence[int] = ()
) -> int | None:
    """Which of these questions to ask next: the one whose answer tells most about the person.

    Args:
        posterior: what is believed so far.
        differences: what one answer of each earns more than the other, shape (questions, traits).
        asked: questions that are not asked again.

    Returns:
        Its place, or None if all were asked.
    """
    told = information(posterior, differences)
    told[list(asked)] = -np.inf
    place = int(told.argmax()) if len(told) else -1
    return place if place >= 0 and np.isfinite(told[place]) else None


def in_words(portfolio: Portfolio, posterior: TraitPosterior) -> list[str]:
    """The inferred weights, one line for each trait, the weightiest first."""
    mean = posterior.mean
    lines = []
    for place in np.argsort(-mean, kind="stable"):
        low, high = posterior.interval(int(place))
        trait = portfolio.traits[int(place)]
        lines.append(
            f"{WORDS[trait]} ({trait}): weight {mean[place]:.0%}, "
            f"between {low:.0%} and {high:.0%} with probability 90 %"
        )
    return lines
