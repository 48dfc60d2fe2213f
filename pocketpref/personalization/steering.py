"""Signed control vectors: a preference as a direction in a model's hidden states.

A direction is the mean difference between the hidden states that a model has while it reads answers
in one style and answers to the same questions in the opposite style (contrastive activation
addition, Rimsky et al. 2024, arXiv 2312.06681). Added to the output of one layer while the model
writes, it moves the reply to that style; subtracted, to the opposite one. A negative strength needs
no negated wording, which small models read backwards.

Where it helps is measured for each pole, not assumed: the starter model writes more formally and
in simpler words under a vector than under any order, an order for short answers works better than
the vector, and lists need both (``tools/eval/taste_steering.py``). So each pole has its own
strength, and its own answer to whether the order is given as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

VERSION: Final = 1
"""Of the JSON form."""

MOST_STRENGTH: Final = 1.0
"""Greatest sum of strengths, in usual differences between the two styles. Above it the starter
model leaves the subject."""

Direction = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class PoleSteering:
    """How one pole of a preference is steered to.

    Attributes:
        direction: name of the direction.
        strength: how many usual differences are added; negative for the opposite style.
        with_order: whether the order in words is given as well.
    """

    direction: str
    strength: float
    with_order: bool


@dataclass(frozen=True, slots=True)
class SteeringVectors:
    """The directions that are known for one model.

    Attributes:
        model: fingerprint of the model; the vectors mean nothing for another.
        layer: to whose output they are added, counted from 0.
        directions: by name, each of shape (hidden size,).
        poles: what is done for each pole that steering was measured to help.

    Raises:
        ValueError: the directions differ in shape, are not finite, or a pole names none of them.
    """

    model: str
    layer: int
    directions: Mapping[str, Direction]
    poles: Mapping[str, PoleSteering]

    def __post_init__(self) -> None:
        shapes = {direction.shape for direction in self.directions.values()}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise ValueError("directions must be vectors of one length")
        if not all(np.isfinite(direction).all() for direction in self.directions.values()):
            raise ValueError("directions must be finite")
        if any(pole.direction not in self.directions for pole in self.poles.values()):
            raise ValueError("a pole names an unknown direction")

    def vector(self, liked: Mapping[str, float]) -> Direction | None:
        """The vector to add for a person, or None if nothing is steered.

        Args:
            liked: for each pole how surely it is liked, in [0, 1]; poles without a measured
                strength are left out.
        """
        parts = {name: self.poles[name] for name in liked if name in self.poles}
        weights = {
            name: float(np.clip(liked[name], 0.0, 1.0)) * pole.strength
            for name, pole in parts.items()
        }
        total = sum(abs(weight) for weight in weights.values())
        if total == 0:
            return None
        scale = min(1.0, MOST_STRENGTH / total)
        parts_sum = sum(
            scale * weight * self.directions[parts[name].direction]
            for name, weight in weights.items()
        )
        return np.asarray(parts_sum, dtype=np.float32)

    def without_order(self, liked: Mapping[str, float]) -> frozenset[str]:
        """The poles whose order in words is better left out, because the vector does it alone."""
        return frozenset(
            name for name in liked if name in self.poles and not self.poles[name].with_order
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON; numbers with four significant digits, which costs nothing measurable."""
        return {
            "version": VERSION,
            "model": self.model,
            "layer": self.layer,
            "directions": {
                name: [float(f"{number:.4g}") for number in direction]
                for name, direction in self.directions.items()
            },
            "poles": {
                name: {
                    "direction": pole.direction,
                    "strength": pole.strength,
                    "with_order": pole.with_order,
                }
                for name, pole in self.poles.items()
            },
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SteeringVectors:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: it is not in this form.
        """
        try:
            if data["version"] != VERSION:
                raise ValueError(f"steering vectors of version {VERSION} can be read")
            directions = {
                str(name): np.asarray(numbers, dtype=np.float32)
                for name, numbers in data["directions"].items()
            }
            poles = {
                str(name): PoleSteering(
                    str(pole["direction"]), float(pole["strength"]), bool(pole["with_order"])
                )
                for name, pole in data["poles"].items()
            }
            return cls(str(data["model"]), int(data["layer"]), directions, poles)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError("these are no steering vectors") from error


def direction_between(
    styled: Sequence[NDArray[np.float32]], opposite: Sequence[NDArray[np.float32]]
) -> Direction:
    """The mean difference of hidden states between two styles.

    Args:
        styled: for each question, hidden states of the answer in the style, shape (tokens, hidden
            size); every question counts the same, however long its answer is.
        opposite: the same questions, answered in the opposite style.

    Raises:
        ValueError: there are no questions, or not the same number of both.
    """
    if not styled or len(styled) != len(opposite):
        raise ValueError("one answer in either style for each question")
    differences = [
        first.mean(axis=0) - second.mean(axis=0)
        for first, second in zip(styled, opposite, strict=True)
    ]
    return np.asarray(np.mean(differences, axis=0), dtype=np.float32)
