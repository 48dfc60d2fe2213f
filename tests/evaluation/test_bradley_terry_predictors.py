"""Ours, on people whose tastes are known: what is there is found, what is not is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pocketpref.evaluation.predictors import Case, CaseEvidence
from pocketpref.evaluation.predictors.bradley_terry import (
    FeatureSet,
    Ours,
    Person,
    fit_prior,
    shipped,
)
from pocketpref.evaluation.runner import compare, curve
from pocketpref.personalization.measures import MEASURES
from pocketpref.records import Vector
from tests.evaluation.conftest import people, person


def test_where_people_differ_a_person_is_adapted_to(evidence: CaseEvidence) -> None:
    """Half like what the other half dislikes: what they have in common says nothing."""
    traits = FeatureSet(("contrast",), evidence)
    methods = [Ours(traits, name="pooled", adapt=False), Ours(traits)]
    found = compare(people(12, 30), methods, seeds=1)
    assert found["pooled"].accuracy("absolute").mean < 0.65
    assert found["ours"].accuracy("absolute").mean > 0.8
    assert found["ours"].above(found["pooled"], "absolute").low > 0.1


@pytest.mark.parametrize("pairs", [5, 10, 20])
def test_a_few_choices_are_enough_to_adapt(evidence: CaseEvidence, pairs: int) -> None:
    traits = FeatureSet(("contrast",), evidence)
    methods = [Ours(traits, name="pooled", adapt=False), Ours(traits)]
    found = curve(people(12, 30), methods, [pairs], seeds=2)
    assert found["ours"][pairs].above(found["pooled"][pairs], "absolute").low > 0


def test_where_people_are_alike_the_first_choice_is_predicted(evidence: CaseEvidence) -> None:
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


def test_shipped_crowd_fits_the_text_measures() -> None:
    prior = shipped()
    assert prior.names == MEASURES
    assert prior.mean.shape == prior.scale.shape == prior.spread.shape == (len(MEASURES),)
    assert (prior.scale > 0).all()


def test_what_is_near_counts_more(evidence: CaseEvidence) -> None:
    """Two topics, two tastes: with similarity the one that is asked about decides."""
    tea, cats = (person("me", {"Warm": s}, 30, 20 + i) for i, s in enumerate((1.0, -1.0)))
    axes = np.eye(2, dtype=np.float32)
    past = [_with_vector(c, axes[0]) for c in tea[:25]] + [_with_vector(c, axes[1]) for c in cats]
    asked = [_with_vector(c, axes[0]) for c in tea[25:]]
    judge = Ours(FeatureSet(("contrast",), evidence), width=0.2).fit(past, [])
    assert sum(judge(case).absolute > 0 for case in asked) >= 4


def test_what_is_old_counts_less(evidence: CaseEvidence) -> None:
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
