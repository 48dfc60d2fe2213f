"""What the scoring benchmark makes of its rows."""

from __future__ import annotations

import math

import pytest

from tools.bench import scoring_statistics as stats
from tools.bench.scoring_report import report
from tools.bench.scoring_statistics import CostRow, Document, Row


def cost(seconds: float, *, operations: float = 0.0, kind: str = "float32") -> CostRow:
    parts = {"decode": 0.8 * seconds, "log-softmax": 0.1 * seconds, "estimates": 0.0}
    return {
        "seconds": seconds, "tokens": 100.0, "parts": parts, "operations": {kind: operations},
    }  # fmt: skip


def row(number: int, *, default_picks: list[str], default_objective: float) -> Row:
    """One pair; plain takes 1 s for a condition, the reference evaluated 50 of them."""
    exact = {"warm": 3.0 + number, "brief": 2.0, "formal": -1.0}
    return {
        "file": "pairs.jsonl",
        "place": number,
        "half": "long" if number % 2 else "short",
        "tokens": [10, 20, 30 + number],
        "conditions": 50,
        "costs": {
            "plain": cost(1.0, kind="integers", operations=1.0),
            "transformers f32": cost(0.5),
            "transformers bf16": cost(0.25, kind="bfloat16"),
            "exhaustive f32": cost(10.0, operations=6e9),
            "exhaustive f16": cost(8.0, operations=4e9),
            "default": cost(2.0, operations=1e9, kind="bfloat16"),
        },
        "selected": {
            "exhaustive f32": ["warm", "brief"],
            "exhaustive f16": ["warm", "brief"],
            "default": default_picks,
        },
        "objectives": {
            "exhaustive f32": 4.0, "exhaustive f16": 4.0, "default": default_objective,
        },
        "singles": {
            "f32": exact,
            "f16": {name: 2 * value for name, value in exact.items()},
            "default": {"warm": exact["warm"], "brief": exact["brief"] + 0.5},
            "transformers f32": dict(exact),
        },
        "plain": {"f32": [-10.0, -20.0], "transformers f32": [-10.0, -20.25]},
    }  # fmt: skip


@pytest.fixture
def document() -> Document:
    return {
        "model": "starter.gguf",
        "system": "a machine",
        "threads": 2,
        "attributes": 42,
        "planned": 20,
        "seed": 0,
        "peaks": {"float32": 1e9, "bfloat16": 2e9},
        "noise": {"f32": 0.1, "f16": 0.2, "bf16": 0.3, "q4_1": 1.0, "default": 1.5},
        "memory": {"default": 300 * 2**20},
        "batches": {"transformers f32": {"short": 8, "long": 4}},
        "left_out": {},
        "pairs": [
            row(0, default_picks=["warm", "brief"], default_objective=4.0),
            row(1, default_picks=["brief"], default_objective=2.0),
        ],
        "seconds": 600.0,
    }


def test_the_papers_search_has_123_conditions() -> None:
    assert stats.greedy_conditions(42) == 123
    assert stats.greedy_conditions(2) == 3


def test_sampled_contenders_are_multiplied_and_searches_are_not(document: Document) -> None:
    assert stats.seconds(document, "plain") == [50.0, 50.0]
    assert stats.seconds(document, "plain", paper=True) == [123.0, 123.0]
    assert stats.seconds(document, "default", paper=True) == [2.0, 2.0]
    assert stats.ratio(document, "plain", "default") == 25.0
    assert stats.ratio(document, "plain", "default", paper=True) == 61.5
    assert stats.better_torch(document) == "transformers bf16"


def test_the_share_of_the_peak_counts_each_arithmetic_by_its_own(document: Document) -> None:
    assert stats.peak_share(document, "exhaustive f32") == pytest.approx(6.0 / 8.0)
    assert stats.peak_share(document, "default") == pytest.approx(0.5 / 1.6)
    assert stats.peak_share(document, "plain") is None  # no peak of integers is measured
    del document["peaks"]["bfloat16"]
    assert stats.peak_share(document, "default") is None


def test_parts_are_shares_of_all_time(document: Document) -> None:
    shares = stats.part_shares(document, "plain")
    assert shares == pytest.approx({"decode": 0.8, "log-softmax": 0.1, "estimates": 0.0})


def test_the_first_attribute_counts_where_the_reference_leads_clearly(document: Document) -> None:
    assert stats.same_first(document, "default", -math.inf) == (1, 2)
    assert stats.same_first(document, "default", 1.0) == (0, 1)  # leads are 1 and 2 nats
    assert stats.same_first(document, "exhaustive f16", 1.0) == (1, 1)


def test_two_empty_sets_are_the_same() -> None:
    assert stats.jaccard([], []) == 1.0
    assert stats.jaccard(["a", "b"], ["b", "c"]) == pytest.approx(1 / 3)


def test_objectives_are_compared_in_sum_and_pair_by_pair(document: Document) -> None:
    assert stats.objective_ratio(document, "default") == (0.75, [1.0, 0.5])
    document["pairs"][0]["objectives"]["exhaustive f32"] = 0.0  # nothing to explain
    total, each = stats.objective_ratio(document, "default")
    assert (total, each) == (1.5, [0.5])


def test_fidelity_uses_the_margins_that_both_computed(document: Document) -> None:
    found = stats.fidelity(document, "f16")
    assert found is not None
    assert found["count"] == 6
    assert found["correlation"] == pytest.approx(1.0)
    found = stats.fidelity(document, "default")
    assert found is not None
    assert (found["count"], found["most"]) == (4, 0.5)
    assert found["rms"] == pytest.approx(math.sqrt(0.125))
    assert stats.fidelity(document, "bf16") is None


def test_the_report_says_everything_and_judges_the_targets(document: Document) -> None:
    lines = report(document).splitlines()
    assert lines[0].startswith("2 of 20 pairs (1 short, 1 long), seed 0, 60 to 61 tokens each")
    text = "\n".join(lines)
    assert "fastest rows of a batch 8 for short pairs, 4 for long pairs" in text
    assert "first attribute the same on 1 of 2 pairs" in text
    assert "log p(answer | prompt) differs by at most 0.250 nats" in text
    verdicts = {line.partition(":")[0]: line.split()[-2:] for line in lines if ": >=" in line}
    assert verdicts["default / plain, pairs per minute"] == ["25.0", "yes"]
    assert verdicts["default / the faster transformers"] == ["6.2", "no"]
    assert verdicts["objective of default / exhaustive, in float32"] == ["0.750", "no"]
    assert verdicts["decode of the exhaustive search in float32, of peak"] == ["75%", "yes"]
    assert verdicts["decode of the default search, of peak"] == ["31%", "no"]
    assert max(map(len, lines)) <= 120


def test_a_contender_that_is_left_out_is_named_and_its_target_left_open(
    document: Document,
) -> None:
    for pair in document["pairs"]:
        for name in stats.TORCH:
            del pair["costs"][name]
    document["left_out"] = {"transformers f32": "not installed: torch"}
    text = report(document)
    assert "left out: transformers f32: not installed: torch" in text
    (line,) = [line for line in text.splitlines() if "faster transformers" in line]
    assert line.split()[-2:] == ["-", "-"]


def test_a_run_that_finished_nothing_says_so(document: Document) -> None:
    document["pairs"] = []
    assert report(document) == "no pair was finished"
