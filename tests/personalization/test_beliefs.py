"""Tastes are named from few choices, and nothing is named where there is no taste."""

from __future__ import annotations

import itertools
import json
import math
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from pocketpref.personalization import beliefs as module
from pocketpref.personalization.beliefs import Beliefs, evidence, explain, infer, infer_from_pairs
from pocketpref.personalization.dimensions import Dimensions
from pocketpref.personalization.measures import measures
from pocketpref.records import Matrix64, Pair

DIMENSIONS = Dimensions.standard()
ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "taste_pairs.jsonl").read_text().splitlines()
]


def contrasts(axis: str) -> Matrix64:
    rows = [measures(r["high"]) - measures(r["low"]) for r in ROWS if r["axis"] == axis]
    return DIMENSIONS.text_contrasts(np.array(rows))


def people(axis: str, sign: float, choices: int) -> Iterable[Matrix64]:
    pool = contrasts(axis)
    for seed in range(10):
        yield sign * pool[np.random.default_rng(seed).choice(len(pool), choices)]


def named(beliefs: Beliefs) -> list[str]:
    return [belief.key for belief in beliefs.sure]


def enumerate_explanations(
    z: Matrix64, weights: Matrix64, common: Matrix64
) -> dict[frozenset[tuple[int, int]], float]:
    """The equations of the docstring, one explanation and one choice at a time."""
    scores = {}
    dims = [j for j in range(len(common)) if common[j] > 0]
    for size in range(module.MOST_CAUSES + 1):
        for chosen in itertools.combinations(dims, size):
            for signs in itertools.product((1, -1), repeat=size):
                prior = module.NO_TASTE
                if size:
                    prior = (1 - module.NO_TASTE) * module.FURTHER ** (size - 1)
                    for j in chosen:
                        prior *= common[j] / sum(common) / 2
                likelihood = 0.0
                for (strength, share), lapse in itertools.product(module.STRENGTHS, module.LAPSES):
                    product = 1.0
                    for row, weight in zip(z, weights, strict=True):
                        total = sum(s * row[j] for j, s in zip(chosen, signs, strict=True))
                        p = 1 / (1 + math.exp(-strength * total))
                        product *= ((1 - lapse) * p + lapse / 2) ** weight
                    likelihood += product * share / len(module.LAPSES)
                scores[frozenset(zip(chosen, signs, strict=True))] = prior * likelihood
    total = sum(scores.values())
    return {explanation: score / total for explanation, score in scores.items()}


@pytest.mark.parametrize("seed", range(5))
def test_search_agrees_with_enumeration(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(0.5, 1.5, (9, 4))
    weights = rng.uniform(0.2, 1.0, 9)
    common = np.array([3.0, 0.5, 1.0, 0.0])
    slow = enumerate_explanations(z, weights, common)
    monkeypatch.setattr(module, "BEAM", 100)
    monkeypatch.setattr(module, "_NEGLIGIBLE", 1e9)
    fast = explain(z, weights, common)
    assert fast.keys() == slow.keys()
    assert list(fast.values()) == pytest.approx([slow[e] for e in fast], abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_default_search_misses_almost_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    z = rng.normal(0.4, 1.5, (12, 5))
    weights, common = np.ones(12), np.ones(5)
    slow = enumerate_explanations(z, weights, common)
    fast = explain(z, weights, common)
    for cause in itertools.product(range(5), (1, -1)):
        mass = [sum(p for e, p in posterior.items() if cause in e) for posterior in (slow, fast)]
        assert mass[0] == pytest.approx(mass[1], abs=0.03)


@pytest.mark.parametrize("choices", [6, 12])
@pytest.mark.parametrize(
    ("axis", "sign", "expected"),
    [
        ("length", 1, "length:high"),
        ("length", -1, "length:low"),
        ("bullets", 1, "bullets:high"),
        ("bullets", -1, "bullets:low"),
        ("formality", 1, "formality:high"),
        ("formality", -1, "formality:low"),
        ("difficulty", 1, "difficulty:high"),
        ("difficulty", -1, "difficulty:low"),
    ],
)
def test_consistent_taste_is_named_alone(
    axis: str, sign: float, expected: str, choices: int
) -> None:
    for x in people(axis, sign, choices):
        assert named(infer(DIMENSIONS, x)) == [expected]


@pytest.mark.parametrize("axis", ["length", "bullets", "formality", "difficulty"])
def test_ten_of_twelve_choices_mostly_suffice(axis: str) -> None:
    found = []
    for x in people(axis, 1, 12):
        x[[3, 8]] *= -1
        found.append(named(infer(DIMENSIONS, x)))
    assert found.count([f"{axis}:high"]) >= 8
    # Formal and expert answers go along with one another; the taste itself comes first.
    assert all(names[:1] in ([], [f"{axis}:high"]) for names in found)


@pytest.mark.parametrize("axis", ["length", "bullets", "formality", "difficulty"])
def test_half_against_names_nothing(axis: str) -> None:
    for x in people(axis, 1, 12):
        x[::2] *= -1
        assert not infer(DIMENSIONS, x).sure


def test_coin_names_something_for_one_person_in_twenty() -> None:
    pool = np.concatenate([contrasts(a) for a in ("length", "bullets", "formality", "difficulty")])
    rng = np.random.default_rng(1)
    hits = 0
    for _ in range(300):
        x = pool[rng.choice(len(pool), 12)] * rng.choice([-1.0, 1.0], 12)[:, None]
        hits += bool(infer(DIMENSIONS, x).sure)
    assert hits <= 15


def test_two_tastes_are_named_together() -> None:
    # Bulleted answers are shorter here, so liking long ones alone explains half of the choices.
    x = np.concatenate([contrasts("length"), contrasts("bullets")] * 3)
    assert set(named(infer(DIMENSIONS, x))) == {"length:high", "bullets:high"}


def test_contrary_choices_cost_certainty() -> None:
    x = next(iter(people("length", 1, 12)))
    certainties = []
    for contrary in range(4):
        y = x.copy()
        y[:contrary] *= -1
        certainties.append(infer(DIMENSIONS, y).probabilities[DIMENSIONS.index("length"), 0])
    assert certainties == sorted(certainties, reverse=True)
    assert certainties[0] > certainties[-1] + 0.3


def test_weight_zero_leaves_a_choice_out() -> None:
    x = np.concatenate([contrasts("length"), -contrasts("length"), contrasts("length")])
    weights = np.repeat([1.0, 0.0, 1.0], 5)
    weighted, alone = infer(DIMENSIONS, x, weights), infer(DIMENSIONS, x[weights > 0])
    assert named(weighted) == named(alone) == ["length:high"]
    assert weighted.probabilities == pytest.approx(alone.probabilities)
    assert weighted.sure[0].choices == (*range(5), *range(10, 15))
    assert weighted.sure[0].contrary == 0


def test_model_contrast_names_what_no_measure_sees() -> None:
    text = np.full((8, len(DIMENSIONS)), np.nan)
    model = np.full_like(text, np.nan)
    model[:, DIMENSIONS.index("humour")] = 1.5
    assert named(infer(DIMENSIONS, text, model=model)) == ["humour:high"]
    assert not infer(DIMENSIONS, text).sure


def test_exact_measure_is_not_blurred_by_a_model() -> None:
    # Small models take a list for a concise answer.
    text = contrasts("bullets").repeat(2, axis=0)
    model = np.full_like(text, np.nan)
    model[:, DIMENSIONS.index("length")] = -3.0
    assert named(infer(DIMENSIONS, text, model=model)) == ["bullets:high"]


def test_text_and_model_contrasts_are_averaged_where_neither_is_exact() -> None:
    text = np.zeros((1, len(DIMENSIONS)))
    model = np.full_like(text, np.nan)
    at = DIMENSIONS.index("warmth")
    text[0, at], model[0, at] = 0.2, 0.4
    assert evidence(DIMENSIONS, text, model)[0, at] == pytest.approx(0.3, abs=0.01)


def shifted(choices: int, **contrast: float) -> Matrix64:
    """Choices that all differ in the same way, by dimension."""
    x = np.zeros((choices, len(DIMENSIONS)))
    for name, value in contrast.items():
        x[:, DIMENSIONS.index(name)] = value
    return x


@pytest.mark.parametrize(("sign", "pole"), [(1, "bullets:high"), (-1, "bullets:low")])
def test_lists_and_shorter_equally_clear_are_named_together(sign: int, pole: str) -> None:
    found = infer(DIMENSIONS, shifted(12, length=-1.65, bullets=sign * 1.85))
    assert set(named(found)) == {"length:low", pole}
    assert all(belief.together and belief.probability > 0.9 for belief in found.sure)
    assert not found.open
    ambiguity = found.ambiguities[0]
    assert {ambiguity.first.key, ambiguity.second.key} == {"length:low", pole}
    assert ambiguity.either > 0.9
    assert max(ambiguity.first.probability, ambiguity.second.probability) < module.SURE


@pytest.mark.parametrize("other", ["units", "headings"])
def test_tie_of_poles_that_do_not_go_together_names_nothing(other: str) -> None:
    # Metric units say nothing about length, and headings forbid short answers.
    found = infer(DIMENSIONS, shifted(12, length=-1.0, **{other: 1.75}))
    assert found.ambiguities[0].either > 0.9
    assert not found.sure
    assert {belief.key for belief in found.open} == {"length:low", f"{other}:high"}


def test_tie_of_three_is_named_after_six_choices_that_agree() -> None:
    x = shifted(6, length=-0.54, formality=-0.6, difficulty=-0.66)
    found = infer(DIMENSIONS, x)
    assert set(named(found)) == {"length:low", "formality:low", "difficulty:low"}
    assert module.SURE_UNANIMOUS <= found.sure[0].probability < module.SURE_TOGETHER
    assert not infer(DIMENSIONS, x[:5]).sure
    x[2] *= -1
    assert not infer(DIMENSIONS, x).sure


def test_probability_together_is_the_mass_of_explanations_with_one_of_them() -> None:
    x = shifted(8, length=-0.9, formality=-1.0, difficulty=-1.1)
    x[0, DIMENSIONS.index("length")] = 0.2
    found = infer(DIMENSIONS, x)
    z = evidence(DIMENSIONS, x)
    common = np.array([d.common for d in DIMENSIONS]) * np.abs(z).mean(axis=0) ** 2
    slow = enumerate_explanations(z, np.ones(8), common)
    group = {(DIMENSIONS.index(b.dimension), 1 if b.pole == "high" else -1) for b in found.sure}
    mass = sum(p for explanation, p in slow.items() if explanation & group)
    assert len(group) == 3
    assert [b.probability for b in found.sure] == pytest.approx([mass] * 3, abs=1e-6)


def test_coin_where_three_measures_tie_names_something_for_one_person_in_twenty() -> None:
    pool = np.array([[0.5, 1.2, 0.8], [1.1, 0.7, 0.9], [0.8, 0.0, 1.6], [0.9, 1.9, -0.2]])
    at = [DIMENSIONS.index(name) for name in ("length", "formality", "difficulty")]
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(300):
        x = np.zeros((12, len(DIMENSIONS)))
        x[:, at] = pool[rng.choice(len(pool), 12)] * rng.choice([-1.0, 1.0], (12, 1))
        hits += bool(infer(DIMENSIONS, x).sure)
    assert hits <= 15


def test_target_is_the_usual_length_of_what_was_chosen() -> None:
    pairs = [
        Pair("q", "Say it now. " * (n // 3), "Say it now. " * 70)
        for n in (36, 38, 40, 41, 44, 45, 39, 42)
    ]
    found = infer_from_pairs(DIMENSIONS, pairs)
    assert named(found) == ["length:low"]
    assert found.sure[0].target == 40
    assert found.sure[0].supporting == 8


def length_target(chosen: Iterable[int], rejected: int) -> int | None:
    text = "Say it now. "
    pairs = [Pair("q", text * (n // 3), text * (rejected // 3)) for n in chosen]
    found = infer_from_pairs(DIMENSIONS, pairs)
    assert named(found)[0].startswith("length")
    return found.sure[0].target


def test_varied_short_lengths_give_no_target() -> None:
    assert length_target((10, 20, 40, 55, 12, 15, 33, 50), 300) is None


def test_short_for_somebody_who_likes_paragraphs_is_a_number() -> None:
    assert length_target((90, 150, 200, 120, 140, 160, 220, 150), 900) == 150


def test_long_but_few_words_give_no_target() -> None:
    assert length_target((50, 52, 55, 50, 48, 51, 50, 49), 9) is None
    assert length_target((250, 252, 255, 250, 248, 251, 250, 249), 30) == 250


def test_few_choices_give_no_target() -> None:
    assert length_target((40, 40, 40, 41, 42, 40), 200) is None


def test_no_choices_and_one_choice_name_nothing() -> None:
    assert infer_from_pairs(DIMENSIONS, []).sure == ()
    assert infer_from_pairs(DIMENSIONS, [Pair("q", "Say it now. " * 99, "Say it.")]).sure == ()


def test_choices_in_five_languages_are_one_taste() -> None:
    short = ["Yes, do it.", "Ja, mach es.", "Sí, hazlo.", "Oui, fais-le.", "はい、どうぞ。"]
    long = [text + " " + text * 30 for text in short]
    pairs = [Pair("q", a, b) for a, b in zip(short, long, strict=True)] * 2
    assert named(infer_from_pairs(DIMENSIONS, pairs))[0] == "length:low"


def test_code_answers_are_compared() -> None:
    code = "```python\ndef f(x):\n    y = x + 1\n    return y\n```"
    prose = "Define a function that adds one to x and returns it, number"
    pairs = [Pair("q", f"{code}\n{i}", f"{prose} {i}.") for i in range(10)]
    assert "code:high" in named(infer_from_pairs(DIMENSIONS, pairs))


def test_latest_of_very_many_choices_decide() -> None:
    old = np.repeat(contrasts("length"), 100, axis=0)
    assert named(infer(DIMENSIONS, np.concatenate([old, -old[:300]]))) == ["length:low"]
    weights = np.repeat([1.0, 0.1], [500, 300])
    found = infer(DIMENSIONS, np.concatenate([old, -old[:300]]), weights)
    assert named(found) == ["length:high"]
    assert (found.sure[0].supporting, found.sure[0].contrary) == (500, 300)


def test_ten_thousand_identical_choices_stay_finite() -> None:
    x = np.repeat(contrasts("length")[:1], 10_000, axis=0)
    found = infer(DIMENSIONS, x)
    assert named(found) == ["length:high"]
    assert np.isfinite(found.probabilities).all()


def test_inference_is_deterministic() -> None:
    x = next(iter(people("formality", 1, 12)))
    first, second = infer(DIMENSIONS, x), infer(DIMENSIONS, x)
    assert first.sure == second.sure
    assert (first.probabilities == second.probabilities).all()


def test_thousand_choices_are_inferred_fast() -> None:
    pairs = [Pair("q", r["high"], r["low"]) for r in ROWS] * 50
    begun = time.process_time()
    infer_from_pairs(DIMENSIONS, pairs)
    assert time.process_time() - begun < 0.6  # 0.2 s where nothing else runs
