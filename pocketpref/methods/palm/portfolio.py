"""PALM's portfolio: a few policies and the rewards that each earns (arXiv 2604.04144).

A person is a vector of weights over a few traits of answers. A portfolio is a small set of
policies, each an adapter over the one base model, such that for every weighting one of them is
near-optimal. Trained and pruned elsewhere (docs/training.md), it is a folder:

    manifest.json    traits, policies, their mean rewards on held-out prompts, the guarantee
    NAME.gguf        an adapter, and its manifest NAME.json

The manifest is

    {"schema", "base_sha256", "base", "architecture", "traits": [name, ...],
     "pool": [[reward per trait], ...], "policies": [{"name", "file", "sha256", "rewards", ...}],
     "bare": [reward per trait], "epsilon", "delta", "guarantee": {...}, "made": {...}}

where a policy that blends several adapters has "parts": [{"file", "sha256", "scale"}, ...] instead
of a file, and the bare model, if it is one of them, neither. The pool is what was trained, `bare`
what the model earns without a policy. The guarantee, that for every
weighting some policy earns at least (1 - epsilon) of what the best of the pool does, less delta, is
checked here: a manifest that promises more than its own figures is refused.

``inference.py`` infers a person's weights from their choices; ``service.py`` decides which policy
suits them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from pocketpref.errors import AdapterError
from pocketpref.lora import Adapter, AdapterManifest, Base, Blend
from pocketpref.lora.manifest import FILE, NAME, SHA256, Fields, parse_object, read_bounded
from pocketpref.methods.palm import traits
from pocketpref.methods.palm.inference import simplex
from pocketpref.records import Matrix64

FILE_NAME: Final = "manifest.json"
SCHEMA: Final = 1
MOST_TRAITS: Final = 6
MOST_POLICIES: Final = 64

_WHOSE: Final = "the portfolio"
_MOST_BYTES: Final = 256 * 1024
_ROUNDED: Final = 2e-4
"""Rewards stand in manifests with four digits, so that their sums are off by no more than this."""


@dataclass(frozen=True, slots=True)
class Part:
    """One adapter of a policy.

    Attributes:
        file: in the portfolio's folder.
        sha256: of that file, hex.
        scale: that it is worn at.
    """

    file: str
    sha256: str
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Policy:
    """One way for the model to reply: a set of adapters.

    Attributes:
        name: for options and reports.
        parts: its adapters; () for the bare model.
        weights: what it was trained for, one for each trait, sum 1; () if for none.
        rewards: what it earns on held-out prompts, one for each trait, in [0, 1].
    """

    name: str
    parts: tuple[Part, ...]
    weights: tuple[float, ...]
    rewards: tuple[float, ...]


@dataclass(frozen=True)
class Portfolio:
    """Policies over one base model.

    Attributes:
        folder: where its adapters lie.
        base: the model that they are for.
        traits: what weights speak of, names of ``traits.KNOWN``.
        policies: at least one, each of another name. A policy of several parts is a blend of
            adapters whose rewards were measured like those of any other.
        pool: mean rewards of all policies that it was chosen from, shape (pool, traits).
        bare: what the model earns without a policy, shape (traits,).
        guarantee: epsilon, delta and how they were computed.
        made: how to make it again.
    """

    folder: Path
    base: Base
    traits: tuple[str, ...]
    policies: tuple[Policy, ...]
    pool: Matrix64
    bare: Matrix64
    guarantee: Mapping[str, Any]
    made: Mapping[str, Any]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a portfolio. Its adapters are read when they are first used.

        Raises:
            AdapterError: it is not there, not in the form described above, or its guarantee does
                not hold.
        """
        content = read_bounded(folder / FILE_NAME, _MOST_BYTES)
        fields = Fields(parse_object(content, _WHOSE), _WHOSE)
        if fields.whole("schema", 1, 10**6) != SCHEMA:
            raise AdapterError("the portfolio is of another version of pocketpref")
        names = tuple(fields.texts("traits", NAME))
        if not set(names) <= set(traits.KNOWN):
            raise AdapterError("the portfolio measures a trait that this version cannot")
        if len(names) > MOST_TRAITS or len(set(names)) < len(names):
            raise AdapterError("the portfolio has too many traits, or one of them twice")
        policies = tuple(_policy(part, len(names)) for part in fields.parts("policies"))
        if not policies or len({policy.name for policy in policies}) < len(policies):
            raise AdapterError("the portfolio has no policy, or two of one name")
        pool = np.array([_row(row, len(names)) for row in fields.items("pool")])
        epsilon, delta = fields.number("epsilon", 0.0, 1.0), fields.number("delta", 0.0, 1.0)
        check_guarantee(policies, pool, epsilon, delta)
        return cls(
            folder=folder,
            base=fields.base(),
            traits=names,
            policies=policies,
            pool=pool,
            bare=np.array(_row(fields.items("bare"), len(names))),
            guarantee={"epsilon": epsilon, "delta": delta, **fields.object("guarantee")},
            made=fields.object("made"),
        )

    @cached_property
    def rewards(self) -> Matrix64:
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

    def of_text(self, text: str) -> Matrix64:
        """What an answer earns, shape (traits,)."""
        return traits.rewards(text, self.traits)

    def differences(self, pairs: Sequence[tuple[str, str]]) -> Matrix64:
        """What the first of two answers earns more than the second, shape (pairs, traits)."""
        found = [self.of_text(first) - self.of_text(second) for first, second in pairs]
        return np.array(found).reshape(len(pairs), len(self.traits))

    def blend(self, policy: Policy) -> Blend:
        """A policy's adapters, to be put on the base.

        Raises:
            AdapterError: a file is not there, its manifest is none, or speaks of another file than
                the portfolio does.
        """
        return Blend(tuple((self.adapter(part), part.scale) for part in policy.parts))

    def adapter(self, part: Part) -> Adapter:
        """One adapter of the folder, with the manifest beside it.

        Raises:
            AdapterError: as for ``blend``.
        """
        path = self.folder / part.file
        found = Adapter.load(path.with_suffix(".json"), path)
        if found.manifest.sha256 != part.sha256:
            raise AdapterError(
                f"the portfolio and the manifest of the adapter {found.manifest.name} "
                "speak of different files"
            )
        return found

    def parts(self) -> list[Part]:
        """All adapters, in order of first use, each once, at scale 1."""
        parts = (part for policy in self.policies for part in policy.parts)
        return list(dict.fromkeys(Part(part.file, part.sha256) for part in parts))

    def manifest(self, part: Part) -> AdapterManifest:
        """What is known of one adapter of the folder."""
        return AdapterManifest.load((self.folder / part.file).with_suffix(".json"))


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


def _policy(fields: Fields, count: int) -> Policy:
    """A policy: an adapter, a blend of several with their scales, or none for the bare model."""
    weights = tuple(fields.numbers("weights", 0.0, 1.0)) if fields.has("weights") else ()
    if weights and (len(weights) != count or not math.isclose(sum(weights), 1.0, abs_tol=1e-6)):
        raise AdapterError("a policy's weights do not go with the portfolio's traits")
    rewards = _row(fields.items("rewards"), count)
    name = fields.text("name", NAME)
    parts: Iterable[Part] = ()
    if fields.has("file"):
        parts = [Part(fields.text("file", FILE), fields.text("sha256", SHA256))]
    elif fields.has("parts"):
        parts = (
            Part(p.text("file", FILE), p.text("sha256", SHA256), p.number("scale", 1e-6, 2.0))
            for p in fields.parts("parts")
        )
    return Policy(name, tuple(parts), weights, rewards)


def _row(row: object, count: int) -> tuple[float, ...]:
    """The rewards of one policy."""
    found = Fields({"rewards": row}, _WHOSE).numbers("rewards", 0.0, 1.0)
    if len(found) != count:
        raise AdapterError("a policy's rewards do not go with the portfolio's traits")
    return tuple(found)


def check_guarantee(
    policies: Sequence[Policy], pool: Matrix64, epsilon: float, delta: float
) -> None:
    """Check a portfolio's guarantee at the weightings of a fine grid.

    Args:
        policies: of the portfolio.
        pool: mean rewards of all policies that it was chosen from, shape (pool, traits).
        epsilon: relative loss that the guarantee allows.
        delta: further loss that it allows, in reward.

    Raises:
        AdapterError: the pool is empty, or the policies earn less than promised somewhere.
    """
    if not len(pool):
        raise AdapterError("the portfolio does not say what it was chosen from")
    points = simplex(pool.shape[1])
    best = (points @ pool.T).max(axis=1)
    reached = (points @ np.array([policy.rewards for policy in policies]).T).max(axis=1)
    if (reached < (1 - epsilon) * best - delta - _ROUNDED).any():
        raise AdapterError("the portfolio promises more than its policies earn")
