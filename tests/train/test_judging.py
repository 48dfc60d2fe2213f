"""What is said of a portfolio is computed from answers, and follows them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train


def answers(means: Any, count: int, seed: int, noise: float = 0.1) -> Any:
    """Rewards that scatter around means of policies, shape (policies, count, traits)."""
    random = np.random.default_rng(seed)
    means = np.array(means)
    found = means[:, None] + random.normal(0, noise, (len(means), count, means.shape[1]))
    return found - found.mean(axis=1, keepdims=True) + means[:, None]


FRONT = [[0.4, 0.4], [0.8, 0.3], [0.6, 0.62], [0.3, 0.8], [0.59, 0.6]]


def test_a_portfolio_is_chosen_by_one_part_and_judged_by_the_other() -> None:
    """A policy that seemed needless on the tune part and is best on the test part is missed."""
    from tools.train.palm.judging import report

    tune = answers(FRONT, 40, 0)
    better = [*FRONT[:4], [0.8, 0.8]]
    topics = [str(i // 2) for i in range(40)]
    weights = np.array([[0, 0], [1, 0], [0.5, 0.5], [0, 1], [0.5, 0.5]])
    same = report(tune, answers(FRONT, 40, 1), topics, weights, 0.015)
    assert same["smallest"]["policies"] == [1, 2, 3]
    assert same["smallest"]["worst"] == pytest.approx(0, abs=1e-9)
    assert same["smallest"]["worst"] <= same["random"]["worst"] < same["base alone"]["worst"]
    assert same["best single"]["policies"] == [2]
    missed = report(tune, answers(better, 40, 1), topics, weights, 0.015)
    assert missed["smallest"]["policies"] == [1, 2, 3]
    assert missed["smallest"]["worst"] == pytest.approx(0.2404, abs=1e-3)
    assert missed["smallest"]["where chosen"] <= 0.015


def test_redrawn_topics_keep_their_answers_together() -> None:
    from tools.train.palm.judging import redrawn

    values = np.zeros((1, 4, 1))
    values[0, :2] = 1.0  # one topic earns everything, the other nothing
    means = redrawn(values, ["rust", "rust", "glass", "glass"], 400)[:, 0, 0]
    assert set(means.tolist()) == {0.0, 0.5, 1.0}
    assert means.mean() == pytest.approx(0.5, abs=0.06)


def test_the_likely_loss_is_none_without_noise_and_grows_with_it() -> None:
    from tools.train.palm.judging import likely

    topics = [str(i) for i in range(60)]
    exact = likely(answers(FRONT, 60, 2, noise=0.0), topics, [1, 2, 3])
    assert exact == {"median": pytest.approx(0, abs=1e-9), "most": pytest.approx(0, abs=1e-9)}
    little, much = (likely(answers(FRONT, 60, 2, noise=n), topics, [1, 2, 3]) for n in (0.05, 0.4))
    assert 0 <= little["median"] <= little["most"] < much["most"]


def test_few_answers_choose_worse_than_many() -> None:
    from tools.train.palm.judging import by_answers

    tune, test = answers(FRONT, 800, 3, noise=0.5), answers(FRONT, 800, 4, noise=0.5)
    found = by_answers(tune, test, 0.015)
    assert list(found) == [24, 48, 96, 192, 384, 768]
    assert found[768]["worst"] < found[24]["worst"] / 2
    assert found[768]["size"] == pytest.approx(3, abs=0.5)


def test_sizes_are_given_for_every_set_of_traits() -> None:
    from tools.train.palm.judging import growth

    tune = answers([[0.8, 0.1, 0.2], [0.1, 0.8, 0.2], [0.2, 0.1, 0.8]], 10, 5)
    found = growth(tune, tune, ("a", "b", "c"), (0.015,))
    assert [len(one["traits"]) for one in found] == [1, 1, 1, 2, 2, 2, 3]
    assert [one["size"] for one in found] == [1, 1, 1, 2, 2, 2, 3]
    assert max(one["missed"] for one in found) < 1e-6


def test_policies_for_the_same_weights_are_each_taken_once() -> None:
    from tools.train.palm.judging import evenly_spread

    twice = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [0.5, 0.0]])
    assert evenly_spread(twice, 3) == [1, 2, 3]
