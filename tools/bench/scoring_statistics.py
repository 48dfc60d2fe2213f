"""What ``bench_scoring`` found, as numbers; all from what its JSON file holds."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import TypedDict

import numpy as np

PLAIN, DEFAULT = "plain", "default"
TORCH = {"transformers f32": "float32", "transformers bf16": "bfloat16"}
EXHAUSTIVE = {"exhaustive f32": "f32", "exhaustive f16": "f16"}
REFERENCE = "exhaustive f32"

SAMPLED = (PLAIN, *TORCH)
"""Contenders that are timed on a few conditions; their rows hold the cost of one condition."""

CONTENDERS = (*SAMPLED, *EXHAUSTIVE, DEFAULT)


class CostRow(TypedDict):
    """A ``Cost`` as JSON."""

    seconds: float
    tokens: float
    parts: dict[str, float]
    operations: dict[str, float]


class Row(TypedDict):
    """What was measured on one pair.

    Attributes:
        conditions: conditions that the float32 exhaustive search evaluated.
        costs: by contender; for one condition where it is timed on a sample.
        selected: the attributes that a search chose.
        objectives: the float32 margin of what a search chose, nats.
        singles: margins of single attributes, nats, by what computed them.
        plain: log-likelihoods of both answers without attributes, nats, by what computed them.
    """

    file: str
    place: int
    half: str
    tokens: list[int]
    conditions: int
    costs: dict[str, CostRow]
    selected: dict[str, list[str]]
    objectives: dict[str, float]
    singles: dict[str, dict[str, float]]
    plain: dict[str, list[float]]


class Document(TypedDict):
    """The JSON file.

    Attributes:
        peaks: operations per second of the best matrix product, by arithmetic.
        noise: floors in nats, by weights.
        memory: peaks in bytes, by contender.
        batches: rows of a batch that were fastest, by contender and half.
        seconds: that measuring took, without what starts the contenders.
        left_out: contenders that could not take part, and why.
    """

    model: str
    system: str
    threads: int
    attributes: int
    planned: int
    seed: int
    peaks: dict[str, float]
    noise: dict[str, float]
    memory: dict[str, int]
    batches: dict[str, dict[str, int]]
    left_out: dict[str, str]
    pairs: list[Row]
    seconds: float


def greedy_conditions(attributes: int) -> int:
    """Conditions of the paper's greedy search for three attributes; 123 for 42."""
    return sum(max(0, attributes - taken) for taken in range(3))


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """Median, least and most."""
    if not values:
        return "-"
    return f"{statistics.median(values):{form}} ({min(values):{form}} - {max(values):{form}})"


def seconds(document: Document, name: str, *, paper: bool = False) -> list[float]:
    """Seconds of each pair; of sampled contenders for as many conditions as are asked for.

    Args:
        document: the results.
        name: a contender.
        paper: count the paper's conditions rather than those that the reference evaluated.
    """
    return [
        row["costs"][name]["seconds"] * conditions(document, row, name, paper=paper)
        for row in document["pairs"]
    ]


def conditions(document: Document, row: Row, name: str, *, paper: bool = False) -> int:
    """How many conditions a cost is multiplied by; 1 for what was done in full."""
    if name not in SAMPLED:
        return 1
    return greedy_conditions(document["attributes"]) if paper else row["conditions"]


def ratio(document: Document, slow: str, fast: str, *, paper: bool = False) -> float:
    """How many times the pairs per minute of one contender another one does."""
    of = (sum(seconds(document, name, paper=paper)) for name in (slow, fast))
    return next(of) / next(of)


def better_torch(document: Document) -> str | None:
    """The faster of the two transformers contenders."""
    there = [name for name in TORCH if name in document["pairs"][0]["costs"]]
    return min(there, key=lambda name: sum(seconds(document, name)), default=None)


def peak_share(document: Document, name: str) -> float | None:
    """The part of the machine's matrix peak that decoding reaches; None if no peak is known.

    The least time for the operations of each arithmetic at its peak, over the time of decoding.
    """
    costs = [row["costs"][name] for row in document["pairs"]]
    least = 0.0
    for cost in costs:
        for arithmetic, operations in cost["operations"].items():
            if arithmetic not in document["peaks"]:
                return None
            least += operations / document["peaks"][arithmetic]
    took = sum(cost["parts"]["decode"] for cost in costs)
    return least / took if took else None


def part_shares(document: Document, name: str) -> dict[str, float]:
    """The share of each part in all the time that a contender took."""
    costs = [(row["costs"][name], conditions(document, row, name)) for row in document["pairs"]]
    whole = sum(cost["seconds"] * times for cost, times in costs)
    return {
        part: sum(cost["parts"][part] * times for cost, times in costs) / whole
        for part in costs[0][0]["parts"]
    }


def jaccard(a: Sequence[str], b: Sequence[str]) -> float:
    """Size of the intersection over that of the union; 1 for two empty sets."""
    union = set(a) | set(b)
    return len(set(a) & set(b)) / len(union) if union else 1.0


def lead(row: Row) -> float:
    """How far the reference's best single attribute is ahead of its second, nats."""
    values = sorted(row["singles"]["f32"].values(), reverse=True)
    return values[0] - values[1] if len(values) > 1 else float("inf")


def same_first(document: Document, name: str, floor: float) -> tuple[int, int]:
    """On how many pairs the first attribute is the reference's, of those with a clear lead.

    Args:
        document: the results.
        name: a search.
        floor: a lead must exceed it, nats; minus infinity for all pairs.
    """
    clear = [row["selected"] for row in document["pairs"] if lead(row) > floor]
    return sum(found[name][:1] == found[REFERENCE][:1] for found in clear), len(clear)


def objective_ratio(document: Document, name: str) -> tuple[float, list[float]]:
    """Objectives in float32 against the reference's: of the sums, and of each pair that has one."""
    found = [row["objectives"] for row in document["pairs"]]
    best = sum(values[REFERENCE] for values in found)
    each = [values[name] / values[REFERENCE] for values in found if values[REFERENCE] > 0]
    return (sum(values[name] for values in found) / best if best > 0 else float("nan")), each


class Fidelity(TypedDict):
    """How margins agree with float32: over all pairs together, and within each."""

    count: int
    correlation: float
    within: list[float]
    rms: float
    most: float


def fidelity(document: Document, name: str) -> Fidelity | None:
    """Agreement of the margins that ``name`` computed, as far as it did; None if under two."""
    both: list[tuple[list[float], list[float]]] = []
    for row in document["pairs"]:
        found, exact = row["singles"].get(name, {}), row["singles"]["f32"]
        both.append(([found[a] for a in found], [exact[a] for a in found]))
    a, b = (np.array([value for pair in both for value in pair[side]]) for side in (0, 1))
    if len(a) < 2:
        return None
    return Fidelity(
        count=len(a),
        correlation=_correlation(a, b),
        within=[_correlation(np.array(x), np.array(y)) for x, y in both if len(x) > 2],
        rms=float(np.sqrt(np.mean((a - b) ** 2))),
        most=float(np.abs(a - b).max()),
    )


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else float("nan")
