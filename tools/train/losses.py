"""Preference losses, written once. All take log-likelihoods and know nothing of models.

Direct preference optimization (DPO, arXiv 2305.18290) fits the implicit reward
beta * log(policy / reference) to comparisons; ``preference`` is its cross-entropy with labels that
may lie between 0 and 1. Two ways to a policy for a weighting w of several traits:

- weighted DPO: the sum over traits k of w_k times the DPO loss on the comparisons by trait k. Over
  the same pairs that is one cross-entropy, with the label sum of w_k * label_k.
- MODPO (arXiv 2310.03708, equation 8): the comparisons are by one trait k, and the other traits'
  rewards enter as a margin. Its optimum is the policy for the weighted sum of rewards itself.
"""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid


def advantages(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """How much more than its reference a policy favours the first answer of each pair.

    Args:
        policy: log-likelihoods of both answers, shape (pairs, 2), nats.
        reference: the same under the reference.

    Returns:
        Differences of log-ratios, shape (pairs,), nats.
    """
    ratios = policy - reference
    return ratios[:, 0] - ratios[:, 1]


def preference(advantage: torch.Tensor, labels: torch.Tensor, beta: float) -> torch.Tensor:
    """DPO with soft labels.

    Args:
        advantage: of the first answers, shape (pairs,), nats.
        labels: probability that the first answer is the better one, shape (pairs,).
        beta: how closely the policy is held to its reference.

    Returns:
        Losses, shape (pairs,), nats.
    """
    reward = beta * advantage
    return -(labels * logsigmoid(reward) + (1 - labels) * logsigmoid(-reward))


def weighted_labels(gains: torch.Tensor, weights: torch.Tensor, scale: float) -> torch.Tensor:
    """Labels of weighted DPO.

    Args:
        gains: rewards of first answers less those of second ones, shape (pairs, traits).
        weights: of the traits, shape (traits,), sum 1.
        scale: a reward is this many logits: each trait's comparisons are Bradley-Terry in it.

    Returns:
        Probabilities that the first answer is the better one, shape (pairs,).
    """
    return torch.sigmoid(scale * gains) @ weights


def modpo(
    advantage: torch.Tensor,
    gains: torch.Tensor,
    weights: torch.Tensor,
    beta: float,
    scale: float,
) -> torch.Tensor:
    """MODPO, with comparisons by the trait that weighs most.

    Args:
        advantage: of the first answers, shape (pairs,), nats.
        gains: rewards of first answers less those of second ones, shape (pairs, traits).
        weights: of the traits, shape (traits,), sum 1.
        beta: how closely the policy is held to its reference.
        scale: a reward is this many logits.

    Returns:
        Losses, shape (pairs,), nats. Their least lies where beta * advantage is scale times the
        weighted gain, if all comparisons that the labels stand for were made.
    """
    anchor = int(weights.argmax())
    others = weights.clone()
    others[anchor] = 0.0
    margin = scale * gains @ others
    reward = (beta * advantage - margin) / weights[anchor]
    labels = torch.sigmoid(scale * gains[:, anchor])
    return -(labels * logsigmoid(reward) + (1 - labels) * logsigmoid(-reward))
