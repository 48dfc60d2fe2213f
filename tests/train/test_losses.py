"""Preference losses are least where the papers say that they are."""

from __future__ import annotations

import math
from typing import Any

import pytest

pytestmark = pytest.mark.train

BETA, SCALE = 0.1, 12.0


def least(loss: Any, pairs: int) -> Any:
    """The advantages at which a loss is least, found by Newton-free descent."""
    import torch

    advantage = torch.zeros(pairs, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([advantage], lr=1.0, max_iter=200, tolerance_grad=1e-9)

    def closure() -> Any:
        optimizer.zero_grad()
        value = loss(advantage).sum()
        value.backward()
        return value

    optimizer.step(closure)
    return advantage.detach()


@pytest.fixture
def gains() -> Any:
    """Pairs on which traits agree, disagree, and do not care."""
    import torch

    rows = [[0.3, 0.2], [0.3, -0.25], [-0.1, 0.4], [0.0, 0.3], [0.2, 0.0]]
    return torch.tensor(rows, dtype=torch.float64)


@pytest.mark.parametrize("weights", [[1.0, 0.0], [0.7, 0.3], [0.5, 0.5], [0.2, 0.8]])
def test_modpos_optimum_is_the_policy_for_the_weighted_reward(gains: Any, weights: Any) -> None:
    """beta * log-ratio = scale * w.gain, whichever trait the comparisons are by."""
    import torch

    from tools.train.losses import modpo

    w = torch.tensor(weights, dtype=torch.float64)
    found = least(lambda a: modpo(a, gains, w, BETA, SCALE), len(gains))
    assert torch.allclose(BETA * found, SCALE * gains @ w, atol=1e-3)


def test_weighted_dpo_believes_the_weighted_share_of_traits(gains: Any) -> None:
    import torch

    from tools.train.losses import preference, weighted_labels

    w = torch.tensor([0.7, 0.3], dtype=torch.float64)
    labels = weighted_labels(gains, w, SCALE)
    found = least(lambda a: preference(a, labels, BETA), len(gains))
    assert torch.allclose(torch.sigmoid(BETA * found), labels, atol=1e-4)
    assert labels[1] == pytest.approx(
        0.7 / (1 + math.exp(-SCALE * 0.3)) + 0.3 / (1 + math.exp(SCALE * 0.25))
    )


def test_a_policy_that_is_its_reference_has_the_loss_of_a_coin() -> None:
    import torch

    from tools.train.losses import advantages, preference

    likely = torch.tensor([[-30.0, -50.0], [-10.0, -9.0]])
    losses = preference(advantages(likely, likely), torch.tensor([1.0, 0.0]), BETA)
    assert losses.tolist() == pytest.approx([math.log(2)] * 2)
    better = advantages(likely + torch.tensor([1.0, 0.0]), likely)
    assert preference(better, torch.ones(2), BETA).max() < math.log(2)
