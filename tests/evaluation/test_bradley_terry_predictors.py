"""Ours and auto, on people whose tastes are known: what is there is found, what is not is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pocketpref.evaluation.predictors.auto import LEVEL, Auto
from pocketpref.evaluation.predictors.base import Case, Evidence
from pocketpref.evaluation.predictors.baselines import Longer, Plain
from pocketpref.evaluation.predictors.bradley_terry import FeatureSet, Ours
from pocketpref.evaluation.predictors.drift import Drift
from pocketpref.evaluation.runner import compare, curve
from pocketpref.methods.reranking.bradley_terry import Person, Prior, fit_prior
from pocketpref.records import Vector
from tests.evaluation.conftest import people, person


def test_where_people_differ_a_person_is_adapted_to(evidence: Evidence) -> None:
    """Half like what the other half dislikes: what they have in common says nothing."""
    traits = FeatureSet(("contrast",), evidence)
    methods = [Ours(traits, name="pooled", adapt=False), Ours(traits)]
    found = compare(people(12, 30), methods, seeds=1)
    assert found["pooled"].accuracy("absolute").mean < 0.65
    assert found["ours"].accuracy("absolute").mean > 0.8
    assert found["ours"].above(found["pooled"], "absolute").low > 0.1


@pytest.mark.parametrize("pairs", [5, 10, 20])
def test_a_few_choices_are_enough_to_adapt(evidence: Evidence, pairs: int) -> None:
    traits = FeatureSet(("contrast",), evidence)
    methods = [Ours(traits, name="pooled", adapt=False), Ours(traits)]
    found = curve(people(12, 30), methods, [pairs], seeds=2)
    assert found["ours"][pairs].above(found["pooled"][pairs], "absolute").low > 0


def test_where_people_are_alike_the_first_choice_is_predicted(evidence: Evidence) -> None:
    """Nothing is known of a newcomer but what everybody likes."""
    ours = Ours(FeatureSet(("contrast",), evidence))
    found = curve(people(10, 20, alike=True), [ours], [0], seeds=1)
    assert found["ours"][0].accuracy("absolute").mean > 0.9


def test_how_far_people_differ_is_measured_and_may_be_nothing() -> None:
    random = np.random.default_rng(0)

    def crowd(spread: float) -> list[Person]:
        found = []
        for _ in range(30):
            own = np.array([1.0, 0.0]) + spread * random.normal(size=2)
            table = random.normal(size=(60, 2))
            likes = random.random(60) < 1 / (1 + np.exp(-table @ own))
            signs = np.where(likes, 1.0, -1.0)[:, None]
            found.append(Person(table * signs, tuple(str(i % 12) for i in range(60))))
        return found

    same, different = fit_prior(["a", "b"], crowd(0.0)), fit_prior(["a", "b"], crowd(1.0))
    assert same.spread.max() <= 0.12
    assert different.spread.min() >= 0.25
    assert same.mean == pytest.approx([1.0, 0.0], abs=0.2)


def test_a_prior_survives_json() -> None:
    prior = Prior(("a", "b"), np.array([2.0, 1.0]), np.array([0.5, -1.0]), np.array([0.12, 0.0]))
    again = Prior.from_dict(prior.to_dict())
    assert again.to_dict() == prior.to_dict()


def test_what_is_near_counts_more(evidence: Evidence) -> None:
    """Two topics, two tastes: with similarity the one that is asked about decides."""
    tea, cats = (person("me", {"Warm": s}, 30, 20 + i) for i, s in enumerate((1.0, -1.0)))
    axes = np.eye(2, dtype=np.float32)
    past = [_with_vector(c, axes[0]) for c in tea[:25]] + [_with_vector(c, axes[1]) for c in cats]
    asked = [_with_vector(c, axes[0]) for c in tea[25:]]
    judge = Ours(FeatureSet(("contrast",), evidence), width=0.2).fit(past, [])
    assert sum(judge(case).absolute > 0 for case in asked) >= 4


def test_what_is_old_counts_less(evidence: Evidence) -> None:
    """Somebody who changed their mind is followed when old choices fade."""
    old, new = person("me", {"Warm": 1.0}, 60, 22), person("me", {"Warm": -1.0}, 20, 23)
    asked = person("me", {"Warm": -1.0}, 20, 24)
    traits = FeatureSet(("contrast",), evidence)
    scores = {}
    for half_life in (None, 8.0):
        judge = Ours(traits, half_life=half_life).fit([*old, *new], [])
        scores[half_life] = np.mean([judge(case).absolute > 0 for case in asked])
    assert scores[8.0] > 0.8 > scores[None]


def _with_vector(case: Case, vector: Vector) -> Case:
    return replace(case, vector=vector)


def auto(evidence: Evidence) -> Auto:
    candidates = (Longer(), Drift(evidence), Ours(FeatureSet(("contrast",), evidence)))
    return Auto(Plain(evidence), candidates)


def test_auto_applies_what_a_persons_choices_speak_for(evidence: Evidence) -> None:
    verdict = auto(evidence).verdict(person("me", {"Warm": 1.0}, 40, 30), people(9, 20))
    assert verdict.method in {"drift", "ours"}
    assert verdict.chance <= LEVEL
    assert f"{verdict.method} is applied" in verdict.words()


def test_auto_leaves_a_random_person_alone(evidence: Evidence) -> None:
    """Sixty people who throw dice: luck passes for a preference no more often than promised."""
    found = [
        auto(evidence).verdict(person(f"r{seed}", {}, 30, 1000 + seed), []) for seed in range(60)
    ]
    applied = sum(verdict.method != "none" for verdict in found)
    assert applied <= 6  # 3 are expected at 5 %; 7 or more have a probability of 2 %
    assert any("may be luck" in verdict.words() for verdict in found)


def test_auto_does_for_a_random_person_what_the_model_does(evidence: Evidence) -> None:
    past, asked = person("r", {}, 30, 31), person("r", {}, 10, 32)
    method = auto(evidence)
    assert method.verdict(past, []).method == "none"
    judge, plain = method.fit(past, []), Plain(evidence).fit(past, [])
    assert [judge(c) for c in asked] == [plain(c) for c in asked]


def test_auto_needs_enough_to_go_by(evidence: Evidence) -> None:
    verdict = auto(evidence).verdict(person("me", {"Warm": 1.0}, 4, 33), people(9, 20))
    assert verdict.method == "none"
    assert "too few" in verdict.words()
    one_prompt = person("me", {"Warm": 1.0}, 40, 34, prompts=1)
    assert auto(evidence).verdict(one_prompt, people(9, 20)).method == "none"


def pooled_only(evidence: Evidence) -> Auto:
    pooled = Ours(FeatureSet(("contrast",), evidence), name="pooled", adapt=False)
    return Auto(Plain(evidence), [pooled])


def test_auto_begins_with_what_helps_other_people(evidence: Evidence) -> None:
    newcomer, alike = person("me", {"Warm": 1.0}, 2, 35), people(12, 20, alike=True)
    method = pooled_only(evidence)
    assert method.verdict(newcomer, alike).method == "pooled"
    assert "helps other people" in method.verdict(newcomer, alike).words()
    judge = method.fit(newcomer, alike)
    assert all(judge(case).absolute > 0 for case in person("me", {"Warm": 1.0}, 10, 36))


def test_auto_begins_with_nothing_where_others_throw_dice_or_are_few(evidence: Evidence) -> None:
    dice = [case for seed in range(9) for case in person(f"r{seed}", {}, 20, 70 + seed)]
    for crowd in (dice, people(4, 40, alike=True)):
        assert pooled_only(evidence).verdict([], crowd).method == "none"


def test_auto_leaves_what_helps_others_to_whom_it_harms(evidence: Evidence) -> None:
    contrary, alike = person("me", {"Warm": -1.0}, 30, 37), people(12, 20, alike=True)
    verdict = pooled_only(evidence).verdict(contrary, alike)
    assert verdict.method == "none"
    assert verdict.accuracies["pooled"] < 0.2 < verdict.accuracies["none"]


def test_auto_does_not_hurt_a_mixed_crowd(evidence: Evidence) -> None:
    dice = [case for seed in range(6) for case in person(f"r{seed}", {}, 30, 50 + seed)]
    found = compare([*people(6, 30), *dice], [Plain(evidence), auto(evidence)], seeds=1)
    gained = found["auto"].above(found["none"], "absolute")
    assert gained.mean > 0
    assert gained.low > -0.03
