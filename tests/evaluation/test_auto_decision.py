"""What "auto" applies for a person: decided on their choices, kept sealed, forgotten with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

import pocketpref
from pocketpref.errors import InputError, TamperedError
from pocketpref.personalization import auto_decision
from pocketpref.pocket import Pocket
from pocketpref.records import Feedback, Sampling
from pocketpref.summary.records import Clause, Interval, Summary
from pocketpref.summary.store import keep
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.cli.conftest import Desk

TASTES = {"short and to the point": {"Yes.": 3.0}}
METHODS = ["none", "auto"]


@pytest.fixture
def pocket(tmp_path: Path) -> Iterator[Pocket]:
    key = KeyFile.make(tmp_path / "key")
    model = ScriptedModel(TASTES)
    with pocketpref.open(
        "ada", path=tmp_path / "v.db", key=key, model=model, embedder=HashEmbedder()
    ) as opened:
        yield opened


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path, ScriptedModel(TASTES))


def teach(pocket: Pocket, count: int, *, liked: bool = True) -> list[str]:
    """Somebody who likes an answer that the model finds likely only if told to be short."""
    ids = []
    for place in range(count):
        answers = f"Yes. Yes. it is {place}", f"No {place}"
        chosen, rejected = answers if liked or place % 2 else answers[::-1]
        ids.append(pocket.add(f"is tea number {place} good", chosen, rejected))
    pocket.learn()
    return ids


def test_what_predicts_a_person_is_applied_from_then_on(pocket: Pocket) -> None:
    teach(pocket, 12)
    prompt = "is tea number 99 good"
    assert pocket.personalize(prompt, method="auto").attributes == ()  # not tested yet
    report = pocket.evaluate(methods=METHODS, seeds=1)
    assert report.verdict is not None
    assert report.verdict.method == "exact"
    assert report.verdict.accuracies == {"none": 0.0, "exact": 1.0}
    assert pocket.personalize(prompt, method="auto").attributes == ("Concise",)
    assert "exact is applied" in pocket.profile().auto


def test_what_may_be_luck_is_not_applied(pocket: Pocket) -> None:
    teach(pocket, 12, liked=False)
    report = pocket.evaluate(methods=METHODS, seeds=1)
    assert report.verdict is not None
    assert report.verdict.method == "none"
    result = pocket.personalize("is tea number 99 good", method="auto")
    assert (result.attributes, result.method) == ((), "none")
    assert pocket.profile().auto.startswith("nothing is applied")


def test_a_verdict_goes_with_the_first_choice_forgotten(pocket: Pocket) -> None:
    ids = teach(pocket, 12)
    pocket.evaluate(methods=METHODS, seeds=1)
    forgotten = pocket.forget(ids[3])
    assert forgotten.documents == 1
    assert pocket.profile().auto == ""
    assert pocket.personalize("is tea number 99 good", method="auto").attributes == ()


def test_other_peoples_choices_decide_nothing(pocket: Pocket) -> None:
    teach(pocket, 12)
    others = [Feedback(memory.pair, "bob") for memory in pocket.memories()]
    assert pocket.evaluate(others, methods=METHODS, seeds=1).verdict is None
    assert pocket.profile().auto == ""


def test_a_verdict_under_another_model_says_nothing(pocket: Pocket) -> None:
    teach(pocket, 12)
    report = pocket.evaluate(methods=METHODS, seeds=1)
    assert report.verdict is not None
    store = pocket._components.store
    assert auto_decision.current(store, pocket._components.recipe()) == report.verdict
    assert auto_decision.current(store, "another recipe") is None


def test_a_later_verdict_takes_the_place_of_an_earlier_one(pocket: Pocket) -> None:
    teach(pocket, 12)
    pocket.evaluate(methods=METHODS, seeds=1)
    pocket.evaluate(methods=METHODS, seeds=1)
    with pocket._components.store.documents() as documents:
        assert len(documents.all(auto_decision.KIND)) == 1


@pytest.mark.parametrize(("low", "said"), [(0.1, True), (-0.1, False), (None, False)])
def test_without_recall_that_helps_a_summary_that_does_is_applied(
    pocket: Pocket, low: float | None, said: bool
) -> None:
    teach(pocket, 12, liked=False)
    pocket.evaluate(methods=METHODS, seeds=1)
    margin = None if low is None else Interval(0.5, low, 1.0)
    clauses = (Clause("Be kind."),)
    moment = datetime.now(UTC)
    summary = Summary("", "Be kind.", 3, "en", clauses, margin, (), "edit", "m", "r", moment)
    keep(pocket._components.store, summary, None)
    result = pocket.personalize("is tea number 99 good", method="auto")
    assert ("Be kind." in result.prompt) is said


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"method": "exact"}',
        b'{"method": "exact", "accuracies": {"exact": 1}, "pairs": 3, "chance": 0, "recipe": "r"}',
        b'{"method": "x", "accuracies": {"none": NaN}, "pairs": 3, "chance": 0, "recipe": "r"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_verdict_is_named(pocket: Pocket, content: bytes) -> None:
    store = pocket._components.store
    with store.changing() as documents:
        documents.insert(auto_decision.KIND, content)
    with pytest.raises(TamperedError, match="verdict"):
        auto_decision.current(store, "r")


def test_the_command_line_decides_shows_and_applies(desk: Desk) -> None:
    for place in range(8):
        desk.teach(f"is tea number {place} better than coffee?")
    assert desk.run("learn").code == 0
    assert "not tested yet" in desk.run("profile").out
    done = desk.run("eval", "--methods", "none,auto", "--seeds", "1", "--json")
    assert done.code == 0, done.err
    verdict = json.loads(done.out)["verdict"]
    assert set(verdict) == {"method", "accuracies", "pairs", "chance", "why"}
    assert verdict["why"] in desk.run("profile").out
    assert json.loads(desk.run("profile", "--json").out)["auto"] == verdict["why"]
    applied = desk.run("personalize", "is tea number 9 better?", "--method", "auto", "--json")
    assert json.loads(applied.out)["method"] == verdict["method"]


# ------------------------------------------------------------------------------ the best of several


def draws(pocket: Pocket) -> list[str]:
    """Seeded draws of the scripted model are told apart by their number."""
    return [pocket.reply("tea?", sampling=Sampling(seed=seed)) for seed in (8, 9, 10, 11)]


def test_the_best_of_several_replies_is_one_of_them(pocket: Pocket) -> None:
    best = pocket.reply("tea?", sampling=Sampling(seed=8), best_of=4)
    assert best in draws(pocket)


def test_the_best_of_one_is_the_reply_itself(pocket: Pocket) -> None:
    seeded = Sampling(seed=8)
    assert pocket.reply("tea?", sampling=seeded, best_of=1) == draws(pocket)[0]


@pytest.mark.parametrize(
    "options", [{"best_of": 0}, {"best_of": 4, "stream": True}, {"best_of": -1}]
)
def test_what_cannot_be_the_best_is_refused(pocket: Pocket, options: dict[str, object]) -> None:
    with pytest.raises(InputError, match="best of several"):
        pocket.reply("tea?", **options)  # type: ignore[call-overload]  # what a caller may try


def test_without_chance_there_is_nothing_to_choose_from(pocket: Pocket) -> None:
    with pytest.raises(InputError, match="differ"):
        pocket.reply("tea?", sampling=Sampling(temperature=0), best_of=4)
