"""PALM's portfolio: a few policies, and which rewards each of them earns (arXiv 2604.04144).

A person is a vector of weights over a few traits of answers. A portfolio is a small set of
policies, each an adapter over the one base model, such that for every weighting one of them is
near-optimal.
Trained and pruned elsewhere (docs/training.md), it is a folder:

    portfolio.json   traits, policies, their mean rewards on held-out prompts, the guarantee
    NAME.gguf        an adapter, and its manifest NAME.json

Which policy suits a person is inferred from their choices (``palm_weights.py``) and decided in
``palm_choice.py``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from pocketpref.adapters import Adapter, AdapterManifest, Base, Blend
from pocketpref.adapters.manifest import FILE, NAME, SHA256, Fields, parse_object, read_bounded
from pocketpref.errors import AdapterError
from pocketpref.methods import traits

FILE_NAME: Final = "portfolio.json"
SCHEMA: Final = 1
MOST_TRAITS: Final = 6
MOST_POLICIES: Final = 64

_WHOSE: Final = "the portfolio"
_MOST_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Trait:
    """A trait of answers.

    Attributes:
        name: for options and reports.
        words: what more of it means, for people: "short answers".
        reward: name of the function that measures it, of ``traits.KNOWN``.
    """

    name: str
    words: str
    reward: str


@dataclass(frozen=True, slots=True)
class Policy:
    """What the model may be made to do.

    Attributes:
        name: for options and reports.
        parts: files of adapters in the portfolio's folder, and their scales; () for the bare model.
        weights: what it was trained for, one for each trait, sum 1; () if for none.
        rewards: what it earns on held-out prompts, one for each trait, in [0, 1].
    """

    name: str
    parts: tuple[tuple[str, float], ...]
    weights: tuple[float, ...]
    rewards: tuple[float, ...]


@dataclass(frozen=True)
class Portfolio:
    """Policies over one base model.

    Attributes:
        folder: where its adapters lie.
        base: the model that they are for.
        traits: what weights speak of.
        policies: at least one, each of another name. A policy of several parts is a blend of
            adapters whose rewards were measured like those of any other.
        guarantee: epsilon, delta and how they were computed, as the file says it.
        made: how to make it again.
    """

    folder: Path
    base: Base
    traits: tuple[Trait, ...]
    policies: tuple[Policy, ...]
    guarantee: Mapping[str, Any]
    made: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a portfolio. Its adapters are read when they are first used.

        Raises:
            AdapterError: it is not there, or not in the form described here.
        """
        content = read_bounded(folder / FILE_NAME, _MOST_BYTES)
        fields = Fields(parse_object(content, _WHOSE), _WHOSE)
        if fields.whole("schema", 1, 10**6) != SCHEMA:
            raise AdapterError("the portfolio is of another version of pocketpref")
        base = fields.part("base")
        traits_ = tuple(_trait(part) for part in fields.parts("traits"))
        return cls(
            folder=folder,
            base=Base(
                base.text("name", NAME),
                base.text("sha256", SHA256),
                base.text("architecture", NAME),
            ),
            traits=traits_,
            policies=_policies(fields, len(traits_)),
            guarantee=fields.object("guarantee"),
            made=fields.object("made"),
        )

    @cached_property
    def rewards(self) -> NDArray[np.float64]:
        """Mean rewards, shape (policies, traits)."""
        return np.array([policy.rewards for policy in self.policies])

    def policy(self, name: str) -> Policy:
        """The policy of a name.

        Raises:
            AdapterError: there is none.
        """
        for policy in self.policies:
            if policy.name == name:
                return policy
        raise AdapterError("the portfolio has no policy of this name")

    def of_text(self, text: str) -> NDArray[np.float64]:
        """What an answer earns, shape (traits,)."""
        return traits.rewards(text, [trait.reward for trait in self.traits])

    def differences(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float64]:
        """What the first of two answers earns more than the second, shape (pairs, traits)."""
        found = [self.of_text(first) - self.of_text(second) for first, second in pairs]
        return np.array(found).reshape(len(pairs), len(self.traits))

    def blend(self, policy: Policy) -> Blend:
        """A policy's adapters, to be put on the base.

        Raises:
            AdapterError: a file is not there, or its manifest is none.
        """
        return Blend(tuple((self.adapter(file), scale) for file, scale in policy.parts))

    def adapter(self, file: str) -> Adapter:
        """One adapter of the folder, with the manifest beside it."""
        path = self.folder / file
        return Adapter.load(path.with_suffix(".json"), path)

    def files(self) -> list[str]:
        """The files of all adapters, in order of first use."""
        parts = (part for policy in self.policies for part in policy.parts)
        return list(dict.fromkeys(file for file, _ in parts))

    def manifest(self, file: str) -> AdapterManifest:
        """What is known of one adapter of the folder."""
        return AdapterManifest.load((self.folder / file).with_suffix(".json"))


def find(folders: Iterable[Path], base_sha256: str) -> Portfolio | None:
    """The first portfolio in these folders that is for a base model; None if there is none.

    Raises:
        AdapterError: a folder has a portfolio that cannot be read.
    """
    for folder in folders:
        if (folder / FILE_NAME).is_file():
            portfolio = Portfolio.load(folder)
            if portfolio.base.sha256 == base_sha256:
                return portfolio
    return None


def _trait(fields: Fields) -> Trait:
    trait = Trait(fields.text("name", NAME), fields.text("words"), fields.text("reward", NAME))
    if trait.reward not in traits.KNOWN:
        raise AdapterError("the portfolio measures a trait that this version cannot")
    return trait


def _policies(fields: Fields, count: int) -> tuple[Policy, ...]:
    """The policies, with their rows of the matrix of rewards."""
    described = fields.parts("policies")
    rows = fields.items("rewards")
    if not 1 <= count <= MOST_TRAITS or not described or len(rows) != len(described):
        raise AdapterError("the portfolio's traits, policies and rewards do not go together")
    policies = [
        _policy(part, Fields({"rewards": row}, _WHOSE).numbers("rewards", 0.0, 1.0), count)
        for part, row in zip(described, rows, strict=True)
    ]
    if len({policy.name for policy in policies}) < len(policies):
        raise AdapterError("the portfolio has two policies of one name")
    return tuple(policies)


def _policy(fields: Fields, rewards: Sequence[float], count: int) -> Policy:
    weights = tuple(fields.numbers("weights", 0.0, 1.0)) if fields.has("weights") else ()
    if len(rewards) != count or (weights and (len(weights) != count or not _whole(weights))):
        raise AdapterError("a policy's weights or rewards do not go with the traits")
    return Policy(fields.text("name", NAME), _parts(fields), weights, tuple(rewards))


def _parts(fields: Fields) -> tuple[tuple[str, float], ...]:
    """Adapters: one by its file's name, several with their scales, or none for the bare model."""
    if fields.has("adapter"):
        return ((fields.text("adapter", FILE), 1.0),)
    if fields.has("parts"):
        return tuple(
            (part.text("adapter", FILE), part.number("scale", 1e-6, 2.0))
            for part in fields.parts("parts")
        )
    return ()


def _whole(weights: Sequence[float]) -> bool:
    return abs(sum(weights) - 1.0) < 1e-6
