"""A pool grows where there is something to gain; its portfolio is one that the device reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.train

TRAITS = ("plainness", "formality")
PARTS = ("tune", "guard", "test")
REWARDS = {
    "base": (0.4, 0.4),
    "plainness": (0.8, 0.3),
    "formality": (0.2, 0.9),
    "blend-50-50": (0.6, 0.7),
    "50-50": (0.61, 0.7),
    "blend-67-33": (0.5, 0.5),
    "67-33": (0.75, 0.6),
    "blend-33-67": (0.4, 0.86),
    "33-67": (0.38, 0.85),
    "blend-80-20": (0.3, 0.3),
    "80-20": (0.3, 0.3),
    "blend-20-80": (0.3, 0.3),
    "20-80": (0.3, 0.3),
}


def prompts(part: str) -> list[Any]:
    from tools.train.prompts import Prompt

    return [Prompt(f"What is rust, {part} {i}?", part, f"topic {i // 2}") for i in range(4)]


def said_by(name: str, part: str) -> list[Any]:
    """What was measured of a policy, without letting it speak; the test part says a bit less."""
    from tools.train.measure import Said

    lower = 0.9 if part == "test" else 1.0
    return [
        Said(
            prompt=prompt.text,
            text="No." if name == "blend-33-67" else "Rust is old iron.",
            rewards=tuple(lower * reward for reward in REWARDS[name]),
            words=5,
            ended=True,
            repeated=0.0,
            surprise=2.0,
        )
        for prompt in prompts(part)
    ]


@pytest.fixture
def pool(tmp_path: Path) -> Any:
    """Measured before it is made: everything but training is real."""
    from tools.train.measure import write_said
    from tools.train.palm.pool import Pool

    for name in REWARDS:
        (tmp_path / "pool" / name).mkdir(parents=True)
        for part in PARTS:
            write_said(tmp_path / "pool" / name / f"{part}-0.jsonl", said_by(name, part))
    return Pool(tmp_path / "pool", TRAITS, {part: prompts(part) for part in PARTS})


def write_adapter(folder: Path) -> None:
    from tools.train.base import Shape
    from tools.train.export import gguf_bytes
    from tools.train.lora import LoraShape
    from tools.train.palm.policy import ADAPTER, RECIPE, Recipe

    random = np.random.default_rng(len(folder.name))
    factors = {
        (0, module, which): random.normal(0, 0.02, shape).astype(np.float32)
        for module, rows in (("q_proj", 576), ("v_proj", 192))
        for which, shape in (("A", (8, 576)), ("B", (rows, 8)))
    }
    data = gguf_bytes(factors, LoraShape(), Shape("llama", 30, 9, 3), folder.name)
    (folder / ADAPTER).write_bytes(data)
    (folder / RECIPE).write_text(Recipe().words(), "utf-8")


def test_extremes_first_then_blends_then_training_where_a_blend_gains_nothing(pool: Any) -> None:
    from tools.train.palm.main import grow
    from tools.train.weights import Grid

    trained = []

    def train(weights: Any, name: str) -> None:
        trained.append((name, weights.tolist()))

    assert not grow(pool, train, Grid(), policies=9, most=2)
    assert trained == [("plainness", [1.0, 0.0]), ("formality", [0.0, 1.0])]
    assert not grow(pool, train, Grid(), policies=9, most=1)
    assert [m.name for m in pool.members()][3:] == ["blend-50-50"]
    assert pool.members()[3].parts == (("plainness", 1.0), ("formality", 1.0))
    assert grow(pool, train, Grid(), policies=9, most=20)
    names = [m.name for m in pool.members()]
    assert len(names) == len(set(names)) <= 10, "a blend may be followed by its training"
    assert {"blend-67-33", "67-33"} <= set(names), "this blend is no better than its neighbours"
    assert {"blend-33-67", "33-67"} <= set(names), "this one no longer answers"
    assert "50-50" not in names, "this one is better"
    assert {name for name, _ in trained} == {n for n in names if not n.startswith(("b", "blend"))}


@pytest.mark.parametrize("mixtures", ["blend", "both", "train"])
def test_mixtures_are_blended_or_trained_as_is_asked_for(pool: Any, mixtures: Any) -> None:
    from tools.train.palm.main import grow
    from tools.train.weights import Grid

    trained = []
    grow(
        pool,
        lambda weights, name: trained.append(name),
        Grid(),
        policies=6,
        most=6,
        mixtures=mixtures,
    )
    names = [member.name for member in pool.members()][3:]
    if mixtures == "train":
        assert trained[2:] == names == ["50-50", *names[1:]]
    elif mixtures == "blend":
        assert trained == list(TRAITS)
        assert len(names) == 3
        assert all(name.startswith("blend-") for name in names)
    else:
        assert trained[2:] == names[1::2]
        assert names[0::2] == [f"blend-{name}" for name in names[1::2]]


def test_what_was_trained_can_be_added_at_another_scale_or_blended(tmp_path: Path) -> None:
    """By the command line, which leaves behind how the pool is made again."""
    from tools.train.data import COMMAND
    from tools.train.palm import main as palm
    from tools.train.palm.pool import Member, Pool

    brief = ["--name", "brevity", "--weights", "1", "0", "0", "--worn", "brevity-full:0.8"]
    both = ["--name", "both", "--weights", "1", "1", "0", "--worn", "brevity-full:0.6", "plain:0.5"]
    for added in (brief, both):
        assert palm.main(["add", str(tmp_path), *added]) == 0
    found = Pool(tmp_path, palm.REWARDS, {}).members()[1:]
    assert found == [
        Member("brevity", (1.0, 0.0, 0.0), (("brevity-full", 0.8),)),
        Member("both", (0.5, 0.5, 0.0), (("brevity-full", 0.6), ("plain", 0.5))),
    ]
    first, second = (tmp_path / COMMAND).read_text("utf-8").strip().split("; ")
    assert "--worn brevity-full:0.8" in first
    assert second.startswith("python -m tools.train.palm add POOL --name both")


def test_a_policy_has_to_answer_on_every_part_that_may_be_looked_at(pool: Any) -> None:
    """Sound on tune prompts and not on the guard's is not sound; the test part is not asked."""
    from dataclasses import replace

    from tools.train.measure import write_said
    from tools.train.palm.pool import Member

    member = Member("50-50", (0.5, 0.5), (("50-50", 1.0),))
    assert pool.sound(member)
    for part, sound in (("test", True), ("guard", False)):
        odd = [replace(one, surprise=2.6) for one in said_by("50-50", part)]
        write_said(pool.folder / "50-50" / f"{part}-0.jsonl", odd)
        assert pool.sound(member) is sound, part
    assert pool.cost(member, "guard").more_surprising == pytest.approx(np.exp(0.6))
    assert pool.cost(member, "tune").more_surprising == 1.0


def test_answers_to_other_prompts_are_not_taken_for_these(pool: Any) -> None:
    from tools.train.palm.pool import BASE, Member, Pool

    base = Member(BASE, (), ())
    assert [one.prompt for one in pool.said(base, "tune")] == [p.text for p in prompts("tune")]
    other = Pool(pool.folder, TRAITS, {"tune": prompts("test"), "test": prompts("test")})
    with pytest.raises(ValueError, match="other prompts"):
        other.said(base, "tune")


def test_the_portfolio_is_read_by_the_library_and_reports_on_other_prompts(
    pool: Any, tmp_path: Path
) -> None:
    from pocketpref.methods.palm.portfolio import Portfolio
    from tools.train.base import identity, starter_path
    from tools.train.palm.cover import worst_share
    from tools.train.palm.policy import Recipe
    from tools.train.palm.pool import Member
    from tools.train.palm.portfolio import prune_pool

    half = (("plainness", 0.5), ("formality", 0.5))
    for name in TRAITS:
        write_adapter(pool.folder / name)
        worn = 0.8 if name == "formality" else 1.0
        pool.add(Member(name, tuple(float(t == name) for t in TRAITS), ((name, worn),)))
    pool.add(Member("blend-50-50", (0.5, 0.5), half))
    pool.add(Member("blend-33-67", (1 / 3, 2 / 3), half))
    report = prune_pool(pool, tmp_path / "palm", 0.02, "pytest")
    read = Portfolio.load(tmp_path / "palm")
    assert [policy.name for policy in read.policies] == ["plainness", "formality", "blend-50-50"]
    assert [(p.file, p.scale) for p in read.policies[2].parts] == [
        (f"{name}.gguf", scale) for name, scale in half
    ]
    assert [p.scale for p in read.policies[1].parts] == [0.8], "one adapter, worn lighter"
    assert read.rewards[0].tolist() == pytest.approx([0.72, 0.27]), "rewards of the test part"
    base = identity(starter_path())
    assert read.base == base
    for part in read.parts():
        adapter = read.adapter(part)
        assert adapter.manifest.recipe == Recipe().words()
        assert adapter.manifest.check(adapter.data, base.sha256).rank == 8
    test = 0.9 * np.array([REWARDS[m.name] for m in pool.members()[:-1]])
    assert read.pool == pytest.approx(test, abs=1e-4)
    assert read.guarantee["epsilon"] == pytest.approx(worst_share(test, [1, 2, 3]), abs=2e-5)
    assert report["no longer answer"] == ["blend-33-67"]
    every = np.array([REWARDS[m.name] for m in pool.members()])
    missed = report["missed if they counted, where chosen"]["plainness and formality"]
    assert missed == pytest.approx(worst_share(every, [1, 2, 3]))
    kinds = report["portfolios"]["plainness and formality"]
    assert kinds["smallest"]["worst"] <= kinds["random"]["worst"] <= kinds["base alone"]["worst"]
    assert kinds["evenly spread"]["policies"] == [1, 2, 3]
    assert kinds["base alone"]["worst"] == pytest.approx(1 - 0.4 / 0.9, abs=1e-3)
