"""A comparison gives every method the same cases, and nobody the answers."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np

from pocketpref.evaluation.predictors import Case, CaseEvidence, Judge, Judgement
from pocketpref.evaluation.predictors.baselines import Longer, Plain
from pocketpref.evaluation.predictors.published import Drift
from pocketpref.evaluation.runner import READINGS, Outcomes, compare, curve
from tests.evaluation.conftest import people, person


class Spy:
    """Keeps what it was given, and is always right."""

    name = "spy"

    def __init__(self) -> None:
        self.seen: list[tuple[Sequence[Case], Sequence[Case], list[Case]]] = []

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        asked: list[Case] = []
        self.seen.append((past, crowd, asked))

        def judge(case: Case) -> Judgement:
            asked.append(case)
            return Judgement.own(1.0)

        return judge


def shared_items(users: int, pairs: int) -> list[Case]:
    """People who were asked the same things."""
    found = []
    for user in range(users):
        for place, case in enumerate(person(f"u{user}", {}, pairs, user)):
            found.append(
                Case(case.user, case.pair, case.vector, f"p{place}", f"p{place}", case.when)
            )
    return found


def test_nobody_learns_from_what_they_are_asked_about() -> None:
    for protocol in ("shuffled", "ordered"):
        spy = Spy()
        compare(shared_items(4, 20), [spy], protocol=protocol, seeds=2)  # type: ignore[arg-type]  # a literal
        assert sum(len(asked) for _, _, asked in spy.seen) == 16 * (protocol == "shuffled") + 16
        for past, crowd, asked in spy.seen:
            assert asked
            items, user = {c.item for c in asked}, asked[0].user
            assert {c.item for c in past} & items == set()
            assert {c.item for c in crowd} & items == set()
            assert {c.user for c in past} == {user}
            assert user not in {c.user for c in crowd}


def test_every_method_is_asked_the_same() -> None:
    first, second = Spy(), Spy()
    found = compare(shared_items(3, 10), [first, second], seeds=3)
    for one, two in zip(first.seen, second.seen, strict=True):
        assert one[2] == two[2]
    assert found.outcomes[0].users == found.outcomes[1].users


def test_the_report_is_what_was_promised(evidence: CaseEvidence) -> None:
    found = compare(people(6, 10), [Plain(evidence), Longer(), Spy()], seeds=2)
    value = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert list(value["methods"]) == ["none", "longer", "spy"]
    spied = value["methods"]["spy"]
    assert spied["absolute"] == {"accuracy": 1.0, "low": 1.0, "high": 1.0}
    assert spied["users"] == 6
    assert spied["pairs"] == 6 * 2 * 2  # a fifth of ten, twice
    assert value["methods"]["none"]["anchored"]["accuracy"] == 0.5
    assert value["protocol"]["seeds"] == 2


def test_one_person_alone_gets_a_mean_and_no_interval(evidence: CaseEvidence) -> None:
    value = compare(person("me", {"Warm": 1.0}, 20, 1), [Longer()]).to_dict()
    assert value["methods"]["longer"]["absolute"]["low"] is None
    json.dumps(value, allow_nan=False)


def test_people_with_too_few_pairs_are_left_out() -> None:
    spy = Spy()
    compare([*person("many", {}, 10, 1), *person("few", {}, 4, 2)], [spy], seeds=1)
    assert {c.user for _, _, asked in spy.seen for c in asked} == {"many"}


def test_a_learning_curve_learns_from_so_many_choices(evidence: CaseEvidence) -> None:
    spy = Spy()
    curve(people(2, 20), [spy], [0, 1, 5, 100], seeds=1)
    assert [len(past) for past, _, _ in spy.seen] == [0, 1, 5, 16] * (len(spy.seen) // 4)
    found = curve(people(9, 40), [Drift(evidence)], [0, 1, 30], seeds=1)["drift"]
    means = [found[past].accuracy("absolute").mean for past in (0, 1, 30)]
    assert means[0] == 0.5
    assert means[2] >= means[1] > 0.6


def test_a_difference_is_taken_case_by_case() -> None:
    """Two methods that are right about other people each: the interval is of the difference."""
    users = tuple("aabb")
    ones = np.tile([[1.0], [1.0], [-1.0], [-1.0]], (1, len(READINGS)))
    one, other = Outcomes("one", users, ones), Outcomes("other", users, -ones)
    gained = one.above(other, "absolute")
    assert (gained.mean, gained.low, gained.high) == (0.0, -1.0, 1.0)
    assert one.of_users("absolute") == {"a": (1.0, 2), "b": (0.0, 2)}
