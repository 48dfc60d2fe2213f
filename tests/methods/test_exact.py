"""EXACT: the fast search against the slow reference, and its rules one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pocketpref.attributes import AttributeBank
from pocketpref.methods.exact import LEAST, MOST, Exact, ExactSettings, PromptIndex
from pocketpref.records import Attribute, Effort, Learned, Likelihoods, Message, Pair, Selection
from pocketpref.scoring import PairScorer
from tests.methods import reference

PAIR = Pair("How do tides work?", "The moon pulls the water.", "Oh, that is a long story!")


class TableModel:
    """A model that knows one number for each injected set of attributes: the pair's margin."""

    name = fingerprint = "table"
    context_size = 4096

    def __init__(self, bank: AttributeBank, value: Mapping[frozenset[str], float]) -> None:
        self._bank, self._value = bank, value

    def _margin(self, content: str) -> float:
        _, _, block = content.partition("\nAttributes: <")
        names = frozenset(a.name for a in self._bank if a.wording in block.rstrip(">").split("; "))
        return self._value.get(names, 0.0)

    def likelihoods(
        self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
    ) -> Likelihoods:
        totals = np.array([[self._margin(c[-1]["content"]), 0.0] for c in contexts])
        return Likelihoods(totals, np.array([4, 4]))

    def estimates(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        signs: Sequence[float],
    ) -> NDArray[np.float64] | None:
        """A blurred view of the margins: the order is right where they are two nats apart."""
        margins = np.array([self._margin(c[-1]["content"]) for c in contexts])
        return np.asarray(margins + np.resize([1.0, -1.0, 0.0], len(contexts)))


def small_bank(size: int = 5) -> AttributeBank:
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[:size]
    return AttributeBank(Attribute(x, f"word {x}", f"not {x}", "style") for x in letters)


def value_of(**sets: float) -> dict[frozenset[str], float]:
    return {frozenset(names): value for names, value in sets.items()}


def test_adds_the_attribute_that_raises_the_margin_most() -> None:
    bank = small_bank()
    model = TableModel(bank, value_of(A=1.0, B=2.0, AB=2.5, BC=3.0, ABC=3.1, BCD=3.4))
    found = Exact(bank).select(PairScorer(model, PAIR))
    assert found.attributes == ("B", "C", "D")
    assert found.gains == pytest.approx((2.0, 1.0, 0.4))
    assert found.objective == pytest.approx(3.4)


def test_stops_when_nothing_adds_more_than_the_noise() -> None:
    bank = small_bank()
    model = TableModel(bank, value_of(A=1.0, AB=1.2, ABC=9.0))
    assert Exact(bank).select(PairScorer(model, PAIR, noise=0.3)).attributes == ("A",)
    assert Exact(bank).select(PairScorer(model, PAIR, noise=0.1)).attributes == ("A", "B", "C")


def test_selects_nothing_when_every_attribute_hurts() -> None:
    bank = small_bank()
    model = TableModel(bank, value_of(A=-1.0, B=-2.0, C=-1.0, D=-0.5, E=-3.0))
    found = Exact(bank).select(PairScorer(model, PAIR))
    assert found.attributes == ()
    assert found.objective == 0


@given(
    st.lists(st.floats(-5, 5), min_size=32, max_size=32),
    st.integers(1, 4),
    st.sampled_from([0.0, 0.5]),
)
def test_equals_the_reference_on_any_objective(values: list[float], k: int, noise: float) -> None:
    bank = small_bank(5)
    sets = [frozenset(n for i, n in enumerate("ABCDE") if bits >> i & 1) for bits in range(32)]
    table = {**dict(zip(sets, values, strict=True)), frozenset(): 0.0}
    model = TableModel(bank, table)

    def log_likelihood(prompt: str, answer: str) -> float:
        totals = model.likelihoods([[{"role": "user", "content": prompt}]], [answer]).totals
        return float(totals[0, 0]) if answer == PAIR.chosen else 0.0

    expected, objective = reference.algorithm_1(log_likelihood, PAIR, bank, k, noise)
    settings = ExactSettings(k=k, exhaustive=True)
    found = Exact(bank, settings).select(PairScorer(model, PAIR, noise=noise))
    assert list(found.attributes) == expected
    assert found.objective == pytest.approx(objective)


def test_estimates_spare_evaluations_and_a_clear_winner_is_found() -> None:
    bank = small_bank(26)
    model = TableModel(bank, value_of(Q=4.0, Z=0.5, QZ=7.0))
    everything = Exact(bank, ExactSettings(exhaustive=True)).select(PairScorer(model, PAIR))
    found = Exact(bank).select(PairScorer(model, PAIR))
    assert found.attributes == everything.attributes == ("Q", "Z")
    assert LEAST[0] <= len(found.singles) <= MOST[0]
    assert set(found.screened) == set(bank.names)
    assert found.evaluations <= 2 * (1 + MOST[0] + 2 * MOST[1]) < everything.evaluations / 2
    assert (found.effort, everything.effort) == (Effort.DEFAULT, Effort.EXHAUSTIVE)


def test_a_model_without_estimates_is_searched_exhaustively() -> None:
    class Plain(TableModel):
        def estimates(self, *_: object) -> None:
            return None

    bank = small_bank(26)
    found = Exact(bank).select(PairScorer(Plain(bank, value_of(Q=4.0)), PAIR))
    assert found.attributes == ("Q",)
    assert set(found.singles) == set(bank.names)
    assert not found.screened


def test_a_search_that_is_stopped_returns_a_beginning_of_the_set() -> None:
    bank = small_bank(14)
    model = TableModel(bank, value_of(A=3.0, AB=6.0, ABC=9.0))
    seen: list[float] = []
    whole = Exact(bank).select(PairScorer(model, PAIR), lambda part: not seen.append(part))
    assert (whole.attributes, whole.effort) == (("A", "B", "C"), Effort.DEFAULT)
    for steps in range(len(seen)):
        left = iter(range(steps))
        found = Exact(bank).select(
            PairScorer(model, PAIR), lambda _, left=left: next(left, None) is not None
        )
        count = len(found.attributes)
        assert found.attributes == whole.attributes[:count]
        assert found.gains == whole.gains[:count]
        assert found.effort is (Effort.DEFAULT if steps == len(seen) - 1 else Effort.PARTIAL)


def test_progress_never_falls_and_ends_with_all() -> None:
    bank = small_bank(14)
    seen: list[float] = []

    def note(part: float) -> bool:
        seen.append(part)
        return True

    Exact(bank).select(PairScorer(TableModel(bank, value_of(A=3.0, AB=6.0)), PAIR), note)
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def learned(memory_id: str, vector: Sequence[float], digest: bytes, **gains: float) -> Learned:
    unit = np.array(vector, dtype=np.float32)
    unit /= np.linalg.norm(unit)
    selection = Selection(tuple(gains), tuple(gains.values()))
    return Learned(memory_id, unit, digest, selection, "recipe")


def test_recalls_the_attributes_of_the_nearest_prompt() -> None:
    bank = small_bank()
    index = PromptIndex([learned("m1", (1, 0), b"1", A=1.0), learned("m2", (0, 1), b"2", B=1.0)])
    found = Exact(bank).condition(np.array([0.6, 0.8], dtype=np.float32), index, 0.3)
    assert found.attributes == ("B",)
    assert found.block == "Attributes: <word B>"
    assert [(s.id, round(s.similarity, 3)) for s in found.sources] == [("m2", 0.8)]
    assert found.method == "exact"


def test_injects_nothing_when_no_past_prompt_is_relevant() -> None:
    index = PromptIndex([learned("m1", (1, 0), b"1", A=1.0)])
    found = Exact(small_bank()).condition(np.array([0, 1], dtype=np.float32), index, 0.3)
    assert (found.attributes, found.block, found.method) == ((), "", "none")


def test_of_pairs_with_one_prompt_the_largest_objective_stands() -> None:
    index = PromptIndex(
        [learned("new", (1, 0), b"1", A=1.0), learned("old", (1, 0), b"1", B=2.0, C=0.5)]
    )
    found = Exact(small_bank()).condition(np.array([1, 0], dtype=np.float32), index, 0.3)
    assert found.attributes == ("B", "C")


def test_names_wording_gives_the_papers_block() -> None:
    bank = AttributeBank.standard()
    index = PromptIndex([learned("m", (1, 0), b"1", Direct=2.0, Concise=1.0, Analytic=0.5)])
    method = Exact(bank, ExactSettings(wording="names"))
    found = method.condition(np.array([1, 0], dtype=np.float32), index, 0.3)
    assert found.block == "Attributes: <Direct, Concise, Analytic>"


@given(st.data())
def test_recall_equals_the_reference(data: st.DataObject) -> None:
    coordinate = st.integers(-4, 4)
    point = st.tuples(coordinate, coordinate, coordinate).filter(any)
    memory = [
        learned(f"m{i}", data.draw(point), bytes([data.draw(st.integers(0, 3))]), **{name: gain})
        for i, (name, gain) in enumerate(
            data.draw(st.lists(st.tuples(st.sampled_from("ABCDE"), st.floats(0.1, 3)), max_size=6))
        )
    ]
    query = np.array(data.draw(point), dtype=np.float32)
    query /= np.linalg.norm(query)
    similarities = {round(float(entry.vector @ query), 4) for entry in memory}
    if len(similarities) < len(memory):
        return  # which of two equally near prompts is taken is not specified
    found = Exact(small_bank()).condition(query, PromptIndex(memory), 0.31)
    assert found.attributes == reference.algorithm_2(query.tolist(), memory, 0.31)


def judged(
    bank: AttributeBank, fast: dict[frozenset[str], float], true: dict[frozenset[str], float]
) -> tuple[Selection, int]:
    """What is selected by noisy weights with faithful ones beside them, and their evaluations."""
    judge = PairScorer(TableModel(bank, true), PAIR, noise=0.01)
    found = Exact(bank).select(PairScorer(TableModel(bank, fast), PAIR, noise=0.2, judge=judge))
    return found, judge.evaluations // 2


def test_the_judge_decides_between_attributes_that_are_closer_than_the_noise() -> None:
    bank = small_bank()
    true = value_of(A=2.0, B=2.1, BC=3.0)
    found, asked = judged(bank, true | value_of(A=2.15), true)
    assert found.attributes == ("B", "C")
    assert found.gains == pytest.approx((2.1, 0.9))
    assert asked == 3, "both attributes, and no attribute; the second was clear"


def test_the_judge_decides_whether_a_small_gain_is_one() -> None:
    bank = small_bank()
    found, _ = judged(bank, value_of(A=0.15), value_of(A=0.1))
    assert found.attributes == ("A",)
    found, _ = judged(bank, value_of(A=2.0, AB=2.3), value_of(A=2.0, AB=2.0))
    assert found.attributes == ("A",)


def test_the_judge_is_not_asked_about_what_is_clear() -> None:
    bank = small_bank()
    true = value_of(A=2.0, AB=3.0)
    found, asked = judged(bank, true, value_of(E=9.0))
    assert (found.attributes, asked) == (("A", "B"), 0)
