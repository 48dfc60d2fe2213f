"""Signals: which choices a summary is made from."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketpref.records import Memory, Pair, Selection
from pocketpref.summary.evidence import READ, Signal, balanced, clusters, gather, halves, leanings
from pocketpref.testing import HashEmbedder

NOW = datetime(2026, 9, 1, tzinfo=UTC)


def memory(
    number: int, prompt: str = "", *, days: float = 0, chosen: str = "yes", **meta
) -> Memory:
    pair = Pair(prompt or f"question{number}", chosen, "no")
    return Memory(f"id{number:010}", pair, NOW - timedelta(days=days), "user", meta)


def signal(number: int, *, prompt: str = "", weight: float = 1.0, subject: int = 0) -> Signal:
    return Signal(f"id{number}", Pair("p", "a", "b"), weight, prompt or str(number), subject)


def gathered(memories, most=100):
    return gather(memories, [], HashEmbedder(), most=most)


def test_recent_choices_come_first_and_count_more():
    found = gathered([memory(1, "same", days=60), memory(2, "same", days=0)])
    assert [s.id for s in found] == ["id0000000002", "id0000000001"]
    assert [s.weight for s in found] == [1.0, 0.5]


def test_a_long_pause_makes_nothing_older():
    found = gathered([memory(1, days=900), memory(2, days=900)])
    assert [s.weight for s in found] == [1.0, 1.0]


def test_topics_take_turns():
    cats = [memory(n, f"cats cats cats {n}") for n in range(9)]
    found = gathered([*cats, memory(10, "taxes", days=300)], most=2)
    assert "id0000000010" in [s.id for s in found]


def test_answers_given_under_a_summary_are_left_out():
    assert gathered([memory(1, answered_under="abc")]) == []
    assert len(gathered([memory(1, answered_under="")])) == 1


def test_long_answers_are_cut_and_those_that_begin_alike_left_out():
    long = "word " * READ
    (found,) = gathered([memory(1, chosen=long)])
    assert len(found.pair.chosen) <= READ
    assert found.pair.chosen.split() == ["word"] * len(found.pair.chosen.split())
    same = Memory("id2", Pair("p", long + "a", long + "b"), NOW, "user", {})
    assert gathered([same]) == []


def test_reasons_are_taken_along():
    (found,) = gathered([memory(1, reason=" shorter ")])
    assert found.reason == "shorter"
    (other,) = gathered([memory(1, reason=7)])
    assert other.reason == ""


def test_related_prompts_are_one_cluster():
    vectors = HashEmbedder().embed(["a b c", "x y z", "a b c d"])
    assert clusters(vectors, 0.5) == [0, 1, 0]


def test_leanings_are_in_standard_deviations():
    found = leanings(Selection((), (), {}, {"A": 3.0, "B": 1.0}))
    assert found == {"A": 1.0, "B": -1.0}
    assert leanings(Selection((), (), {}, {"A": 3.0, "B": 3.0})) == {}
    assert leanings(Selection((), ())) == {}


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40))
def test_halves_keep_prompts_together_and_lose_nothing(prompts):
    signals = [signal(n, prompt=f"p{p}") for n, p in enumerate(prompts)]
    first, second = halves(signals)
    assert sorted(s.id for s in (*first, *second)) == sorted(s.id for s in signals)
    if len(set(prompts)) > 1:
        assert not {s.prompt for s in first} & {s.prompt for s in second}
    assert first
    assert second
    for half in (first, second):
        assert [s.id for s in signals if s in half] == [s.id for s in half]


@given(st.lists(st.integers(0, 3), max_size=30), st.integers(0, 40))
def test_balanced_gives_each_subject_its_turn(subjects, most):
    signals = [signal(n, subject=s) for n, s in enumerate(subjects)]
    found = balanced(signals, lambda s: s.weight, most)
    assert len(found) == min(most, len(signals))
    assert len({s.id for s in found}) == len(found)
    first = found[: len(set(subjects))]
    assert len({s.subject for s in first}) == len(first)


@pytest.mark.parametrize("texts", [[], ["one"]])
def test_next_to_nothing_is_no_error(texts):
    assert len(gathered([memory(n, text) for n, text in enumerate(texts)])) == len(texts)
