"""Preference dimensions: everything a person can like about an answer, with two poles each.

A dimension is seen by text measures, by a model contrast (log-likelihood of an answer under one
pole's wording minus that under the other's), or by both. The attributes of the bank are dimensions
too; an attribute that a named dimension already covers (Concise is short) joins it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.personalization.measures import MEASURES
from pocketpref.records import Attribute, Matrix64

PoleName = Literal["high", "low"]

USUAL_DIFFERENCES: Final[Mapping[str, float]] = {
    "length": 1.1,
    "word length": 0.14,
    "sentence length": 0.55,
    "bullets": 0.8,
    "steps": 0.8,
    "headings": 0.6,
    "tables": 0.8,
    "code": 1.0,
    "bold": 0.7,
    "emoji": 0.15,
    "exclamations": 0.15,
    "asks back": 0.8,
    "metric units": 0.15,
    "imperial units": 0.15,
    "formal": 0.12,
    "casual": 0.15,
    "hedges": 0.12,
    "examples": 0.1,
    "warmth": 0.12,
    "plain": 0.12,
    "second": 0.12,
}
"""Difference between two answers that is usual, in units of each measure.

Root mean square over MT-Bench votes and answers in known styles; for marks that most answers lack
(lists, tables, emoji), the difference that a reader notices.
"""


@dataclass(frozen=True, slots=True)
class Pole:
    """One end of a dimension, in words.

    Attributes:
        label: names it to people ("short answers").
        clause: completes "The user prefers answers that are ...".
        order: tells a model what to do, a full sentence.
        contradicts: poles ("bullets:low") that cannot be asked for together with this one.
        companions: poles that usually come along and are no cause of their own.
    """

    label: str
    clause: str
    order: str
    contradicts: frozenset[str] = frozenset()
    companions: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Dimension:
    """Something a person can like, with two poles.

    Attributes:
        measure: weight of each text measure, in units of its usual difference; positive points to
            `high`. Empty if no text measure sees this dimension.
        contrast: two opposite wordings (high, low) that a model compares.
        attribute: name of the attribute of the bank that this dimension is, or None.
        common: prior weight, relative to other dimensions.
        exact: whether the text measure is the dimension itself. A model contrast then adds only
            what goes along with it (a list reads as concise), and need not be computed.
    """

    name: str
    high: Pole
    low: Pole
    contrast: tuple[str, str]
    measure: Mapping[str, float] = field(default_factory=dict)
    attribute: str | None = None
    common: float = 1.0
    exact: bool = False

    def pole(self, name: PoleName) -> Pole:
        """Return one of the two poles."""
        return self.high if name == "high" else self.low


class Dimensions:
    """An ordered registry of dimensions.

    Iterating gives the dimensions; ``dimensions[name]`` finds one by its name or its attribute's.
    """

    def __init__(self, dimensions: tuple[Dimension, ...]) -> None:
        self._dimensions = dimensions
        self._index = {d.name.casefold(): i for i, d in enumerate(dimensions)}
        for i, dimension in enumerate(dimensions):
            if dimension.attribute is not None:
                self._index.setdefault(dimension.attribute.casefold(), i)
        self._weights = np.zeros((len(MEASURES), len(dimensions)))
        for i, dimension in enumerate(dimensions):
            for measure, weight in dimension.measure.items():
                scale = USUAL_DIFFERENCES[measure]
                self._weights[MEASURES.index(measure), i] = weight / scale

    @classmethod
    def standard(cls, bank: AttributeBank | None = None) -> Dimensions:
        """Return the named dimensions, then the attributes of a bank that none of them covers.

        Args:
            bank: the attribute bank, with the user's own attributes; the shipped one by default.
        """
        if bank is None:
            return _shipped()
        source = resources.files(__package__).joinpath("dimensions.toml").read_text("utf-8")
        named = tuple(_dimension(entry, bank) for entry in tomllib.loads(source)["dimension"])
        covered = {name.casefold() for d in named for name in (d.name, d.attribute) if name}
        others = (_from_attribute(a) for a in bank if a.name.casefold() not in covered)
        return cls(named + tuple(others))

    def __iter__(self) -> Iterator[Dimension]:
        return iter(self._dimensions)

    def __len__(self) -> int:
        return len(self._dimensions)

    def __getitem__(self, name: str) -> Dimension:
        return self._dimensions[self.index(name)]

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.strip().casefold() in self._index

    def index(self, name: str) -> int:
        """Return the position of a dimension, by its name or its attribute's.

        Raises:
            KeyError: there is no such dimension.
        """
        return self._index[name.strip().casefold()]

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(d.name for d in self._dimensions)

    def text_contrasts(self, differences: Matrix64) -> Matrix64:
        """Return how far each choice points to the high pole of each dimension.

        Args:
            differences: measures of chosen minus rejected, shape (choices, len(MEASURES)).

        Returns:
            Shape (choices, dimensions), in usual differences. NaN where no text measure sees the
            dimension, or where its measures are missing in the language of the answers.
        """
        known = ~np.isnan(differences)
        values = np.where(known, differences, 0.0) @ self._weights
        # Half of a dimension's weight must be measured, or the rest would pass for the whole.
        weight = np.abs(self._weights)
        share = known @ (weight / np.maximum(weight.sum(axis=0), 1e-12))
        return np.where(share >= 0.5, values, np.nan)


@cache
def _shipped() -> Dimensions:
    return Dimensions.standard(AttributeBank.standard())


def _pole(entry: Mapping[str, Any]) -> Pole:
    return Pole(
        label=entry["label"],
        clause=entry["clause"],
        order=entry["order"],
        contradicts=frozenset(entry.get("contradicts", ())),
        companions=frozenset(entry.get("companions", ())),
    )


def _dimension(entry: Mapping[str, Any], bank: AttributeBank) -> Dimension:
    high, low = _pole(entry["high"]), _pole(entry["low"])
    contrast = (high.clause, low.clause)
    attribute = entry.get("attribute")
    if attribute is not None and attribute in bank:
        wordings = (bank[attribute].wording, bank[attribute].opposite)
        contrast = wordings if entry["attribute_pole"] == "high" else wordings[::-1]
    return Dimension(
        name=entry["name"],
        high=high,
        low=low,
        contrast=contrast,
        measure=entry.get("measure", {}),
        attribute=attribute,
        common=entry.get("common", 1.0),
        exact=entry.get("exact", False),
    )


def _from_attribute(attribute: Attribute) -> Dimension:
    def pole(wording: str, label: str) -> Pole:
        return Pole(label, wording, f"Answer in a way that is {wording}.")

    return Dimension(
        name=attribute.name,
        high=pole(attribute.wording, attribute.wording),
        low=pole(attribute.opposite, attribute.opposite),
        contrast=(attribute.wording, attribute.opposite),
        attribute=attribute.name,
        common=0.15 if attribute.category == "values" else 0.4,
    )
