"""Each method learns what it should, and none of them can see the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, replace

import numpy as np
import pytest

from pocketpref.errors import InputError
from pocketpref.evaluation.cases import shuffled
from pocketpref.evaluation.predictors import Case, CaseEvidence, Judge, Predictor, ScoringFrame
from pocketpref.evaluation.predictors.auto import Auto
from pocketpref.evaluation.predictors.baselines import Longer, Other, Placebo, Shorter, history
from pocketpref.evaluation.predictors.bradley_terry import FeatureSet, Reward
from pocketpref.evaluation.predictors.published import Drift, Explained, Global, Recalled, weights
from pocketpref.evaluation.service import Roster
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.records import Pair
from tests.evaluation.conftest import exchanged, pairs_of, people, person, small_bank

ALL = Roster(CaseEvidence(None, small_bank())).names  # type: ignore[arg-type]  # names need no model


def accuracy(method: Predictor, cases: list[Case], crowd: list[Case] | None = None) -> float:
    split = shuffled(cases, 0)
    assert split is not None
    judge = method.fit(split.past, crowd or [])
    return float(np.mean([judge(case).absolute > 0 for case in split.asked]))


@pytest.mark.parametrize("name", ALL)
def test_no_method_can_tell_which_answer_was_chosen(name: str, evidence: CaseEvidence) -> None:
    """Exchange the answers of what is asked, and every judgement is turned round, no more."""
    crowd = people(6, 6)
    past, asked = person("me", {"Warm": 1.0}, 20, 1)[:14], person("me", {}, 5, 2)
    judge = Roster(evidence).pick([name])[0].fit(past, crowd)
    for case in asked:
        here, there = astuple(judge(case)), astuple(judge(exchanged(case)))
        np.testing.assert_allclose(here, -np.array(there), atol=1e-9)


@pytest.mark.parametrize("name", ALL)
def test_every_method_can_do_without_any_past(name: str, evidence: CaseEvidence) -> None:
    (case,) = person("me", {"Warm": 1.0}, 1, 3)
    judge = Roster(evidence).pick([name])[0].fit([], [])
    assert np.isfinite(astuple(judge(case))).all()


def test_drifts_weights_are_the_closed_form() -> None:
    found = weights(np.array([[1.0, 0.0], [2.0, 4.0]]))
    assert found.tolist() == [3 / 5, 4 / 5]
    assert weights(np.zeros((2, 3))).tolist() == [0, 0, 0]


def test_drift_recovers_what_a_person_likes(evidence: CaseEvidence) -> None:
    assert accuracy(Drift(evidence), person("me", {"Warm": 1.0}, 60, 4)) > 0.75


def test_contrasts_see_both_sides_of_an_attribute(evidence: CaseEvidence) -> None:
    pair = Pair("q", "sun sun road ice", "drum road road road")
    # Three words of Warm's: (2 * 0.7) - 0.7 for the chosen one; the other has one of Loud's.
    contrasts = evidence.contrasts(pair)
    assert contrasts[:, 0].tolist() == pytest.approx([0.7, -0.7, 0.0])
    assert contrasts[:, 1].tolist() == pytest.approx([0.7 / 4, -0.7 / 4, 0.0])
    assert evidence.singles(pair)[:, 0].tolist() == pytest.approx([1.4, -0.7, 0.0])


def test_a_judgement_reads_sums_and_means_against_the_plain_prompt(evidence: CaseEvidence) -> None:
    pair = Pair("q", "sun road", "road road road sun")
    found = evidence.judge(pair, ScoringFrame(evidence.bank.block(["Warm"])))
    assert found.absolute == pytest.approx((-2 + 0.7) - (-4 + 0.7))
    assert found.anchored == pytest.approx(0.0)
    assert found.absolute_mean == pytest.approx(-1.3 / 2 - -3.3 / 4)
    assert found.anchored_mean == pytest.approx(0.7 / 2 - 0.7 / 4)


def test_exact_recalls_by_prompt_and_the_global_set_does_not(evidence: CaseEvidence) -> None:
    """Warm answers to one prompt, loud ones to another: recall follows, one set cannot."""
    exact = Explained(evidence, Exact(evidence.bank, ExactSettings(k=1)))
    warm, loud = person("me", {"Warm": 1.0}, 1, 5)[0], person("me", {"Loud": 1.0}, 1, 6)[0]
    vectors = np.eye(2, dtype=np.float32)

    def case(base: Case, pair: Pair, vector: np.ndarray) -> Case:
        return Case("me", pair, vector, pair.prompt, pair.prompt)

    past = [
        case(warm, Pair("tea", "sun sun sun road", "road road road"), vectors[0]),
        case(loud, Pair("cats", "drum drum road", "road road road"), vectors[1]),
    ]
    asked = case(loud, Pair("more cats", "drum road", "sun road"), vectors[1])
    assert Recalled(exact).fit(past, [])(asked).anchored == pytest.approx(0.7)
    assert Global(exact).fit(past, [])(asked).anchored == pytest.approx(-0.7)


def test_exact_injects_nothing_below_the_relevance(evidence: CaseEvidence) -> None:
    exact = Explained(evidence, Exact(evidence.bank))
    past, asked = person("me", {"Warm": 1.0}, 3, 7), person("me", {}, 1, 8)[0]
    assert Recalled(exact, relevance=1.1).fit(past, [])(asked).anchored == 0


def test_a_placebo_is_the_same_for_the_same_prompt_and_not_for_all(evidence: CaseEvidence) -> None:
    pair = Pair("q", "sun road", "oak oak drum")
    case = Case("me", pair, np.ones(1, np.float32), "q", "q")
    one, two = Placebo(evidence), Placebo(evidence)
    assert one.fit([], [])(case) == two.fit([], [])(case)
    others = {Placebo(evidence, seed=s).fit([], [])(case).anchored for s in range(12)}
    assert len(others) == 3  # one for each attribute of the bank


def test_longer_counts_characters() -> None:
    case = person("me", {}, 1, 10)[0]
    expected = len(case.pair.chosen) - len(case.pair.rejected)
    assert Longer().fit([], [])(case).absolute == expected


def test_shorter_is_the_opposite_of_longer() -> None:
    case = person("me", {}, 1, 10)[0]
    found = Shorter().fit([], [])(case).absolute
    assert found == -Longer().fit([], [])(case).absolute != 0


def likes_length(count: int, sign: int) -> list[Case]:
    """Somebody who likes the longer (1) or the shorter (-1) of two answers."""
    cases = []
    for place in range(count):
        short, long = (
            "Rain falls.",
            "Rain falls since water rises, cools and gathers. " * (2 + place),
        )
        chosen, rejected = (long, short)[::sign]
        pair = Pair(f"p{place}", chosen, rejected)
        vector = np.array([place % 2, (place + 1) % 2], np.float32)
        cases.append(Case("me", pair, vector, f"p{place}", f"p{place}", float(place)))
    return cases


@pytest.mark.parametrize("sign", [1, -1])
def test_auto_learns_a_taste_without_any_crowd(sign: int) -> None:
    assert accuracy(Auto(), likes_length(12, sign)) == 1.0


def test_auto_predicts_each_topic_by_its_own_taste() -> None:
    """Long answers to one kind of question, short ones to the other: one taste is half right."""
    cases = [
        case
        for pair in zip(likes_length(30, 1), likes_length(30, -1), strict=True)
        for case in pair
    ]
    axes = np.eye(2, dtype=np.float32)
    tagged = [replace(c, vector=axes[place % 2]) for place, c in enumerate(cases)]
    tagged = [replace(c, group=f"{place}", item=f"{place}") for place, c in enumerate(tagged)]
    judge = Auto().fit(tagged[:40], [])
    assert np.mean([judge(case).absolute > 0 for case in tagged[40:]]) == 1.0


def test_history_keeps_the_newest_within_its_bounds() -> None:
    pairs = pairs_of(person("me", {}, 300, 11))
    text = history(pairs, 2_000)
    assert len(text) <= 2_000
    assert pairs[-1].chosen in text
    assert pairs[0].chosen not in text
    assert history(pairs, 10**6).count("\nPreferred: ") == 200
    assert text.index(pairs[-2].chosen) < text.index(pairs[-1].chosen)
    assert history([]) == history(pairs, 10) == ""


def test_reward_learns_one_person_from_stated_features() -> None:
    """Somebody who likes questions: punctuation is all there is to learn from."""
    random = np.random.default_rng(12)
    cases = []
    for place in range(40):
        marks = random.permutation(["?", "."])
        texts = [f"road {place} house water{mark}" for mark in marks]
        chosen = texts[int(np.argmax(marks == "?"))]
        rejected = texts[int(np.argmin(marks == "?"))]
        pair = Pair(f"p{place}", chosen, rejected)
        cases.append(Case("me", pair, np.ones(1, np.float32), f"p{place}", f"p{place}"))
    assert accuracy(Reward(FeatureSet(("style",))), cases) == 1.0


def test_another_persons_profile_is_another_persons(evidence: CaseEvidence) -> None:
    """Everybody else likes what this person dislikes: their profile is wrong about them."""
    mine = person("me", {"Warm": -1.0}, 50, 13)
    crowd = people(6, 50, alike=True)
    assert accuracy(Drift(evidence), mine, crowd) > 0.6
    assert accuracy(Other(Drift(evidence)), mine, crowd) < 0.4


def test_an_unknown_method_is_refused(evidence: CaseEvidence) -> None:
    with pytest.raises(InputError, match="no such method"):
        Roster(evidence).pick(["magic"])


def test_another_method_can_take_part(evidence: CaseEvidence) -> None:
    """A summary, say: a system text before every prompt."""

    class Summarized:
        name = "popi"

        def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
            frame = ScoringFrame(system="Answers please, in a warm wording.")
            return lambda case: evidence.judge(case.pair, frame)

    roster = Roster(evidence)
    roster.add("popi", Summarized)
    assert [method.name for method in roster.pick(["none", "popi"])] == ["none", "popi"]
