"""PALM on the device: weights from choices, and the policy that they ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketpref.errors import AdapterError
from pocketpref.evaluation.predictors import Case
from pocketpref.evaluation.predictors.published import Weighed
from pocketpref.methods.palm.inference import (
    STRICTNESS,
    TraitPosterior,
    infer,
    information,
    simplex,
)
from pocketpref.methods.palm.portfolio import Part, Portfolio
from pocketpref.methods.palm.service import SURE, best_question, choose, in_words
from pocketpref.records import Matrix64, Pair

TRAITS = ["brevity", "plainness", "formality"]
REWARDS = [[0.4, 0.4, 0.5], [0.9, 0.4, 0.4], [0.4, 0.8, 0.4], [0.4, 0.3, 0.9], [0.7, 0.65, 0.4]]


def described() -> dict[str, Any]:
    """A portfolio's file, of rewards that nobody trained: for tests of what is done with them."""
    names = ("bare", "brief", "plain", "formal", "both")
    weights = (None, [1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0])
    policies: list[dict[str, Any]] = [
        {"name": n, "rewards": r} for n, r in zip(names, REWARDS, strict=True)
    ]
    for policy, vector in zip(policies, weights, strict=True):
        if vector is not None:
            policy |= {"file": f"{policy['name']}.gguf", "sha256": "cd" * 32, "weights": vector}
    return {
        "schema": 1,
        "base_sha256": "ab" * 32,
        "base": "starter",
        "architecture": "llama",
        "traits": TRAITS,
        "pool": [*REWARDS, [0.5, 0.5, 0.5]],
        "policies": policies,
        "bare": REWARDS[0],
        "epsilon": 0.01,
        "delta": 0.0,
        "guarantee": {"how": "computed"},
        "made": {},
    }


def written(folder: Path, content: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "manifest.json").write_text(json.dumps(content))
    return folder


@pytest.fixture
def portfolio(tmp_path: Path) -> Portfolio:
    return Portfolio.load(written(tmp_path / "p", described()))


def choices(weights: Matrix64, beta: float, count: int, seed: int) -> Matrix64:
    """Differences of rewards, turned as a person of these weights would choose."""
    rng = np.random.default_rng(seed)
    differences = rng.normal(0, 0.25, (count, len(weights)))
    first = rng.random(count) < 1 / (1 + np.exp(-beta * differences @ weights))
    return np.where(first[:, None], differences, -differences)


# ------------------------------------------------------------------------------- inference


@pytest.mark.parametrize("traits", [1, 2, 3, 4, 5, 6])
def test_points_cover_the_simplex_once(traits: int) -> None:
    points = simplex(traits)
    assert np.allclose(points.sum(axis=1), 1)
    assert points.min() >= 0
    assert len(np.unique(points, axis=0)) == len(points) <= 2100
    for corner in np.eye(traits):
        assert (points == corner).all(axis=1).any()


def test_the_posterior_is_that_of_numerical_integration() -> None:
    """Two traits, by the trapezoidal rule over a fine grid of weights for each strictness."""
    d = choices(np.array([0.7, 0.3]), 8.0, 15, seed=3)
    w = np.linspace(0, 1, 20_001)
    along = np.outer(w, d[:, 0]) + np.outer(1 - w, d[:, 1])
    curves = [np.prod(1 / (1 + np.exp(-beta * along)), axis=1) for beta in STRICTNESS]
    evidence = [np.trapezoid(curve, w) for curve in curves]
    first = [np.trapezoid(w * curve, w) for curve in curves]
    found = infer(d)
    assert found.mean[0] == pytest.approx(sum(first) / sum(evidence), abs=0.01)
    follows = np.mean(evidence) / (np.mean(evidence) + 0.5**15)
    assert found.follows == pytest.approx(follows, rel=0.02)


def test_many_choices_find_the_weights() -> None:
    for seed, weights in enumerate(([0.6, 0.3, 0.1], [0.0, 0.2, 0.8], [1.0, 0.0, 0.0])):
        found = infer(choices(np.array(weights), 10.0, 800, seed))
        assert np.abs(found.mean - weights).max() < 0.08
        assert found.follows > 0.999


def test_intervals_hold_what_they_promise() -> None:
    """Of people whose weights are drawn from the prior, 90 % lie within their 90 % intervals."""
    rng = np.random.default_rng(0)
    inside = []
    for seed in range(150):
        weights = rng.dirichlet(np.ones(3))
        found = infer(choices(weights, float(rng.choice(STRICTNESS)), 12, seed))
        for trait in range(3):
            low, high = found.interval(trait)
            inside.append(low - 0.0125 <= weights[trait] <= high + 0.0125)  # half a step
    assert 0.85 < np.mean(inside) < 0.96


def test_who_chooses_by_coin_is_told_from_who_follows_the_traits() -> None:
    """And who chooses against them counts as one who does not go by them."""
    weights = np.array([0.5, 0.5, 0.0])
    coin = [infer(choices(weights, 0.0, 40, seed)).follows for seed in range(30)]
    against = [infer(-choices(weights, 8.0, 40, seed)).follows for seed in range(30)]
    with_it = [infer(choices(weights, 16.0, 40, seed)).follows for seed in range(30)]
    assert np.mean(np.array(coin) > SURE) <= 0.1
    assert max(against) < 0.5
    assert np.mean(np.array(with_it) > SURE) > 0.9


def test_a_prior_speaks_until_choices_do() -> None:
    prior = np.array([8.0, 1.0, 1.0])
    nothing = infer(np.zeros((0, 3)), prior)
    assert nothing.mean[0] == pytest.approx(0.8, abs=0.02)
    assert infer(choices(np.array([0.0, 0.0, 1.0]), 16.0, 200, 1), prior).mean[2] > 0.85


def test_a_thousand_choices_or_none_take_no_overflow_and_no_error() -> None:
    assert infer(np.zeros((0, 3))).follows == pytest.approx(0.5)
    assert infer(np.zeros((5000, 2))).follows == pytest.approx(0.5)
    extreme = infer(np.tile([1.0, -1.0], (3000, 1)))
    assert extreme.mean[0] > 0.8
    assert extreme.follows == pytest.approx(1.0)
    assert infer(np.tile([-1.0, -1.0], (3000, 1))).follows == pytest.approx(0.0)


def test_predictions_are_calibrated_probabilities() -> None:
    found = infer(choices(np.array([1.0, 0.0]), 8.0, 60, 2))
    first, same, other = found.predict(np.array([[0.5, 0.0], [0.0, 0.0], [-0.5, 0.0]]))
    assert first > 0.9
    assert same == pytest.approx(0.5)
    assert first + other == pytest.approx(1.0)


# ------------------------------------------------------------------------------- questions


def test_the_best_question_is_about_what_is_uncertain() -> None:
    """Of who surely goes by the traits, one against another; of others, whether they do at all."""
    questions = np.array([[0.3, 0.3, 0.3], [0.5, -0.5, 0.0], [0.0, 0.0, 0.0]])
    nothing = infer(np.zeros((0, 3)))
    told = information(nothing, questions)
    assert told[2] == pytest.approx(0, abs=1e-9)
    assert min(told[:2]) > 0.01
    told = information(replace(nothing, follows=1.0), questions)
    assert told.argmax() == 1
    assert told[0] < told[1] / 2
    assert best_question(infer(np.zeros((0, 3))), questions, asked=[1]) == 0
    assert best_question(infer(np.zeros((0, 3))), questions, asked=[0, 1, 2]) is None
    assert best_question(infer(np.zeros((0, 3))), np.zeros((0, 3))) is None


def test_information_is_how_much_answers_shrink_the_uncertainty() -> None:
    """The mean fall of the entropy of weights and of whether they count, over both answers."""
    before = infer(choices(np.array([0.6, 0.4]), 8.0, 4, 1))
    question = np.array([[0.4, -0.3]])

    def entropy(p: TraitPosterior) -> float:
        joint = np.append(p.weights[p.weights > 0] * p.follows, 1 - p.follows)
        return float(-(joint * np.log(joint)).sum())

    d = choices(np.array([0.6, 0.4]), 8.0, 4, 1)
    yes, no = infer(np.vstack([d, question])), infer(np.vstack([d, -question]))
    p = float(before.predict(question)[0])
    expected = entropy(before) - p * entropy(yes) - (1 - p) * entropy(no)
    assert information(before, question)[0] == pytest.approx(expected, abs=1e-6)


def test_chosen_questions_find_the_weights_sooner_than_chance() -> None:
    rng = np.random.default_rng(4)
    questions = rng.normal(0, 0.2, (60, 3))

    def error(*, chosen: bool, seed: int) -> float:
        rng = np.random.default_rng(seed)
        weights = rng.dirichlet(np.ones(3))
        asked: list[int] = []
        answers = np.zeros((0, 3))
        for _ in range(8):
            place = best_question(infer(answers), questions, asked) if chosen else len(asked)
            assert place is not None
            asked.append(place)
            d = questions[place]
            sign = 1 if rng.random() < 1 / (1 + np.exp(-16 * d @ weights)) else -1
            answers = np.vstack([answers, sign * d])
        return float(np.abs(infer(answers).mean - weights).sum())

    seeds = range(40)
    by_choice = np.mean([error(chosen=True, seed=s) for s in seeds])
    by_chance = np.mean([error(chosen=False, seed=s) for s in seeds])
    assert by_choice < 0.95 * by_chance


# ------------------------------------------------------------------------------- the policy


@pytest.mark.parametrize(
    ("weights", "name"),
    [([1, 0, 0], "brief"), ([0, 1, 0], "plain"), ([0, 0, 1], "formal"), ([0.5, 0.5, 0], "both")],
)
def test_the_policy_is_the_best_for_the_weights(
    portfolio: Portfolio, weights: list[float], name: str
) -> None:
    found = choose(portfolio, infer(choices(np.array(weights, float), 16.0, 200, 5)))
    assert found.policy is not None
    assert found.policy.name == name
    assert found.regret < 0.03
    assert name in found.words()


def test_nothing_is_put_on_where_choices_show_nothing(portfolio: Portfolio) -> None:
    coin = choose(portfolio, infer(choices(np.array([1.0, 0, 0]), 0.0, 40, 2)))
    none = choose(portfolio, infer(np.zeros((0, 3))))
    assert coin.policy is None
    assert none.policy is None
    assert "do not show" in coin.words()
    assert "no choices" in none.words()


def test_a_policy_in_force_stays_until_another_is_clearly_better(portfolio: Portfolio) -> None:
    """At weights where two policies are nearly as good, the one in force is kept, either way."""
    # "brief" and "both" earn the same at a weight of about 0.56 for brevity.
    between = infer(choices(np.array([0.56, 0.44, 0.0]), 16.0, 300, 8))
    best = choose(portfolio, between).policy
    assert best is not None
    for name in ("brief", "both"):
        found = choose(portfolio, between, in_force=name)
        assert found.policy is not None
        assert found.policy.name == name
        assert found.kept == (name != best.name)
    clear = infer(choices(np.array([0.0, 0.0, 1.0]), 16.0, 100, 8))
    changed = choose(portfolio, clear, in_force="brief")
    assert changed.policy is not None
    assert changed.policy.name == "formal"
    gone = choose(portfolio, clear, in_force="no longer there")
    assert gone.policy == changed.policy


def test_weights_are_told_in_words(portfolio: Portfolio) -> None:
    lines = in_words(portfolio, infer(choices(np.array([0.1, 0.1, 0.8]), 16.0, 150, 3)))
    assert lines[0].startswith("formal language (formality): weight ")
    assert len(lines) == 3


# ------------------------------------------------------------------------------- files


def test_a_portfolio_is_read_as_it_was_written(portfolio: Portfolio) -> None:
    assert portfolio.rewards.tolist() == REWARDS
    assert [p.parts for p in portfolio.policies[:2]] == [(), (Part("brief.gguf", "cd" * 32),)]
    files = [part.file for part in portfolio.parts()]
    assert files == ["brief.gguf", "plain.gguf", "formal.gguf", "both.gguf"]
    assert portfolio.pool.shape == (6, 3)
    assert portfolio.bare.tolist() == REWARDS[0]
    differences = portfolio.differences([("Yes.", "It is, as far as anybody can say, so. " * 9)])
    assert differences.shape == (1, 3)
    assert differences[0, 0] > 0.3
    assert portfolio.differences([]).shape == (0, 3)


def test_a_blend_is_a_policy_of_several_parts(tmp_path: Path) -> None:
    content = described()
    parts = [
        {"file": f"{name}.gguf", "sha256": name * 64, "scale": scale}
        for name, scale in (("a", 0.4), ("b", 0.6))
    ]
    content["policies"][4] = {"name": "both", "parts": parts, "rewards": REWARDS[4]}
    policy = Portfolio.load(written(tmp_path, content)).policy("both")
    assert policy.parts == (Part("a.gguf", "a" * 64, 0.4), Part("b.gguf", "b" * 64, 0.6))


@pytest.mark.parametrize(
    ("promised", "holds"), [({"epsilon": 0.3}, True), ({"delta": 0.3}, True), ({}, False)]
)
def test_a_portfolio_that_promises_more_than_it_earns_is_refused(
    tmp_path: Path, promised: dict[str, float], holds: bool
) -> None:
    """Without the brief policy a pool with one is missed by more than a hundredth."""
    content = described() | promised
    del content["policies"][1]
    folder = written(tmp_path, content)
    if holds:
        assert Portfolio.load(folder).guarantee["how"] == "computed"
    else:
        with pytest.raises(AdapterError, match="promises more"):
            Portfolio.load(folder)


def spoiled(**changes: Any) -> dict[str, Any]:
    return described() | changes


def policy(**changes: Any) -> dict[str, Any]:
    content = described()
    content["policies"][1] |= changes
    return content


@pytest.mark.parametrize(
    "content",
    [
        [],
        {},
        spoiled(schema=2),
        spoiled(schema=True),
        spoiled(traits=[]),
        spoiled(traits=TRAITS[:2]),
        spoiled(traits=["os.system", *TRAITS[1:]]),
        spoiled(traits=[TRAITS[0], TRAITS[0], TRAITS[1]]),
        spoiled(policies=[]),
        spoiled(policies=described()["policies"][2:]),
        spoiled(pool=[]),
        spoiled(pool=[[0.1, 0.2]]),
        spoiled(pool=[[0.1, 0.2, 1.5]]),
        spoiled(pool=[[0.1, 0.2, 0.3]] * 65),
        spoiled(pool=[0.1] * 5),
        spoiled(bare=[0.1]),
        spoiled(bare=None),
        spoiled(epsilon=None),
        spoiled(epsilon=-0.1),
        spoiled(delta="0"),
        spoiled(base_sha256="no hash"),
        spoiled(base={"name": "starter"}),
        policy(rewards=[0.1, 0.2]),
        policy(rewards=[0.1, 0.2, 1.5]),
        policy(rewards=[0.1, 0.2, "0.3"]),
        policy(rewards=0.1),
        policy(sha256=None),
        policy(sha256="cd"),
        policy(name="bare"),
        policy(name="\x1b[31m"),
        policy(weights=[0.5, 0.2, 0.2]),
        policy(weights=[1]),
        policy(file="../../etc/passwd.gguf"),
        policy(file="/etc/passwd"),
        policy(file="brief.txt"),
        policy(file=None, parts=[{"file": "a.gguf", "sha256": "a" * 64, "scale": -1}]),
        policy(file=None, parts=[{"file": "a.gguf", "sha256": "a" * 64, "scale": 10**400}]),
        policy(file=None, parts=[{"file": "a.gguf", "scale": 1}]),
    ],
)
def test_a_portfolio_that_is_none_is_refused_by_name(tmp_path: Path, content: Any) -> None:
    with pytest.raises(AdapterError):
        Portfolio.load(written(tmp_path, content))


@pytest.mark.parametrize(
    "raw", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'{"schema": NaN}', b" " * 300_000]
)
def test_a_file_that_is_no_json_is_refused_by_name(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(raw)
    with pytest.raises(AdapterError):
        Portfolio.load(tmp_path)


def test_a_portfolio_that_is_not_there_is_missed_by_name(tmp_path: Path) -> None:
    with pytest.raises(AdapterError, match=r"manifest\.json cannot be read"):
        Portfolio.load(tmp_path)


def test_as_a_contestant_it_prefers_what_the_person_weighs() -> None:
    """And changes its mind when the two answers are exchanged."""
    short, long = "Use it.", "You could use it, if you like, as often as you want to. " * 5

    def case(chosen: str, rejected: str, number: int) -> Case:
        pair = Pair(f"Question {number}?", f"{chosen} {number}", f"{rejected} {number}")
        return Case("ada", pair, np.zeros(1, np.float32), str(number), str(number))

    for first, second in ((short, long), (long, short)):
        judge = Weighed(("brevity", "detail")).fit([case(first, second, i) for i in range(8)], [])
        right, wrong = judge(case(first, second, 9)), judge(case(second, first, 9))
        assert right.absolute > 0.2
        assert wrong.absolute == pytest.approx(-right.absolute)
    nothing_learned = Weighed(("brevity", "detail")).fit([], [])
    assert nothing_learned(case(short, long, 1)).absolute == pytest.approx(0, abs=1e-9)
