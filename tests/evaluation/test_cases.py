"""Splits: what is learned from never holds what is asked about."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketpref.evaluation.cases import Crowds, cases_of, ordered, shuffled
from pocketpref.evaluation.predictors import Case
from pocketpref.records import Feedback, Pair
from pocketpref.testing import HashEmbedder

histories = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=40)


def cases_from(history: list[tuple[int, int]]) -> list[Case]:
    return [
        Case("u", Pair(f"p{g}", f"a{i}", f"b{i}"), np.ones(1, np.float32), f"g{g}", f"i{g}", when)
        for i, (g, when) in enumerate(history)
    ]


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(histories, st.integers(0, 5))
def test_a_random_split_keeps_groups_whole_and_loses_nothing(
    history: list[tuple[int, int]], seed: int
) -> None:
    cases = cases_from(history)
    split = shuffled(cases, seed)
    if len({case.group for case in cases}) < 2:
        assert split is None
        return
    assert split is not None
    assert {c.group for c in split.past} & {c.group for c in split.asked} == set()
    assert sorted(map(id, (*split.past, *split.asked))) == sorted(map(id, cases))
    assert split.past
    # A fifth, or all but one group if the groups are too large for that.
    assert len(split.asked) >= 0.2 * len(cases) or len({c.group for c in split.past}) == 1


@settings(deadline=None)  # a busy machine is slow, not wrong
@given(histories)
def test_an_ordered_split_learns_from_what_came_before_and_from_other_groups(
    history: list[tuple[int, int]],
) -> None:
    split = ordered(cases_from(history))
    if split is None:
        return
    assert max(c.when for c in split.past) < min(c.when for c in split.asked)
    assert {c.group for c in split.past} & {c.group for c in split.asked} == set()
    assert len(split.asked) >= 0.2 * len(history)


def test_another_seed_asks_about_other_prompts() -> None:
    cases = cases_from([(place, 0) for place in range(20)])
    asked = [{c.group for c in shuffled(cases, seed).asked} for seed in range(5)]  # type: ignore[union-attr]  # 20 groups can be split
    assert len({frozenset(groups) for groups in asked}) == 5


def test_the_crowd_is_other_people_and_other_items() -> None:
    def case(user: str, item: str) -> Case:
        return Case(user, Pair(item, "a", "b"), np.ones(1, np.float32), item, item)

    cases = [case(user, item) for user in "xyz" for item in ("tea", "cats", "rain")]
    crowds = Crowds(cases)
    crowd = crowds.around(cases[0])
    assert {(c.user, c.item) for c in crowd} == {(u, i) for u in "yz" for i in ("cats", "rain")}
    assert crowds.around(case("x", "tea")) is crowd


def test_of_many_people_none_is_in_their_own_crowd() -> None:
    users = [f"u{place}" for place in range(23)]
    cases = [
        Case(user, Pair(item, "a", "b"), np.ones(1, np.float32), item, item)
        for user in users
        for item in ("tea", "cats")
    ]
    crowds = Crowds(cases)
    for asked in cases:
        crowd = crowds.around(asked)
        assert asked.user not in {c.user for c in crowd}
        assert asked.item not in {c.item for c in crowd}
        assert len(crowd) >= 18  # four fifths of 23 people, one item each


def test_pairs_of_one_ranking_are_one_group() -> None:
    def entry(prompt: str, **meta: str) -> Feedback:
        return Feedback(Pair(prompt, "a", "b"), meta=meta)

    found = cases_of(
        [entry("p"), entry("p"), entry("p", ranking="1"), entry("p", ranking="2")],
        HashEmbedder(),
        item_of=lambda f: f.pair.prompt,
    )
    assert len({case.group for case in found}) == 3
    assert len({case.item for case in found}) == 1
