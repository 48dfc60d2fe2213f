"""Which policy a person gets, when it changes, and what to ask them next.

Weights are inferred again whenever the vault has changed. Only the name of the policy in force is
stored, so that it does not change back and forth. Its document names the choices that it was
decided on, and is deleted with the first of them that is forgotten.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Final

import numpy as np

from pocketpref.errors import AdapterError, NotFoundError
from pocketpref.lora import Adapter
from pocketpref.lora.blend import wearing
from pocketpref.lora.store import kept
from pocketpref.methods.palm.inference import TraitPosterior, infer, information
from pocketpref.methods.palm.portfolio import Policy, Portfolio
from pocketpref.methods.palm.traits import WORDS
from pocketpref.protocols import LanguageModel, MemoryStore, ModelLoader
from pocketpref.records import Matrix64, Memory, Pair

SURE: Final = 0.6
"""How likely it must be that a person chooses by these traits before a policy is used. It begins at
a half, so that this takes a few choices; it falls for people who choose against the traits."""

_CHANGE_SURE: Final = 0.75
_CHANGE_GAIN: Final = 0.005
"""A change of policy needs this probability that the new one is better, and this mean gain. It
empties caches and alters the tone of replies, which a tiny gain is not worth."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Which policy is used, and why.

    Attributes:
        policy: the policy; None for the bare model.
        kept: whether it is the policy in force though another is a little better on average.
        regret: expected loss against knowing the weights exactly, in reward.
        follows: probability that the person chooses by these traits.
        pairs: how many choices it was decided on.
    """

    policy: Policy | None
    kept: bool
    regret: float
    follows: float
    pairs: int

    def words(self) -> str:
        """The reason for the choice, for people."""
        if self.pairs == 0:
            return "no policy: there are no choices to infer weights from"
        if self.policy is None:
            return (
                f"no policy: your {self.pairs} choices do not show that you go by these traits "
                f"(probability {self.follows:.0%})"
            )
        what = "is kept, others are hardly better" if self.kept else "suits you best"
        return f"the policy {self.policy.name} {what}, by {self.pairs} choices"


def choose(portfolio: Portfolio, posterior: TraitPosterior, in_force: str | None = None) -> Choice:
    """Return the policy with the best expected reward, or the one in force if it is as good.

    A policy's reward is linear in the weights, so the best one on average is the best one at the
    average weights.

    Args:
        portfolio: the policies.
        posterior: of the person's weights.
        in_force: name of the policy used so far.
    """
    if not posterior.pairs or posterior.follows < SURE:
        return Choice(
            None, kept=False, regret=0.0, follows=posterior.follows, pairs=posterior.pairs
        )
    values = posterior.points @ portfolio.rewards.T  # (points, policies)
    expected = posterior.weights @ values
    best = int(expected.argmax())
    names = [policy.name for policy in portfolio.policies]
    kept = False
    if in_force in names and in_force != names[best]:
        present = names.index(in_force)
        better = float(posterior.weights @ (values[:, best] > values[:, present]))
        gain = expected[best] - expected[present]
        if better < _CHANGE_SURE or gain < _CHANGE_GAIN:
            best, kept = present, True
    regret = float(posterior.weights @ (values.max(axis=1) - values[:, best]))
    return Choice(portfolio.policies[best], kept, regret, posterior.follows, posterior.pairs)


def best_question(
    posterior: TraitPosterior, differences: Matrix64, asked: Sequence[int] = ()
) -> int | None:
    """Return the question whose answer tells most about the person.

    Args:
        posterior: of the person's weights.
        differences: what one answer of each earns more than the other, shape (questions, traits).
        asked: places of questions that are not asked again.

    Returns:
        Its place, or None if all were asked.
    """
    told = information(posterior, differences)
    told[list(asked)] = -np.inf
    place = int(told.argmax()) if len(told) else -1
    return place if place >= 0 and np.isfinite(told[place]) else None


def in_words(portfolio: Portfolio, posterior: TraitPosterior) -> list[str]:
    """The inferred weights, one line for each trait, the weightiest first."""
    mean = posterior.mean
    lines = []
    for place in np.argsort(-mean, kind="stable"):
        low, high = posterior.interval(int(place))
        trait = portfolio.traits[int(place)]
        lines.append(
            f"{WORDS[trait]} ({trait}): weight {mean[place]:.0%}, "
            f"between {low:.0%} and {high:.0%} with probability 90 %"
        )
    return lines


KIND: Final = "policy"
"""The kind of document that says which policy is in force."""

INFERRED_FROM: Final = 1000
"""The newest choices that weights are inferred from: a thousand take half a second."""


@dataclass(frozen=True, slots=True)
class _Inferred:
    """A posterior and the state of the vault that it was inferred from."""

    version: int
    posterior: TraitPosterior
    sources: tuple[str, ...]


class Policies:
    """The policy of one Pocket. Safe to use from several threads."""

    def __init__(
        self,
        store: MemoryStore,
        model: ModelLoader,
        portfolio: Callable[[], Portfolio | None],
    ) -> None:
        """Build the service.

        Args:
            store: the person's part of the vault.
            model: loads the model that replies.
            portfolio: reads the portfolio for that model; None if it has none.
        """
        self._store = store
        self._model = model
        self._read_portfolio = portfolio
        self._lock = threading.RLock()
        self._inferred: _Inferred | None = None
        self._measured: dict[str, Matrix64] = {}  # differences of rewards by memory
        self._worn: tuple[str | None, LanguageModel] | None = None

    def posterior(self) -> TraitPosterior:
        """Return the posterior of the person's weights.

        Raises:
            AdapterError: there is no portfolio for the model in use.
            VaultError: the vault cannot be read.
        """
        return self._current().posterior

    def portfolio(self) -> Portfolio | None:
        """Return the portfolio for the loaded model, or None.

        Raises:
            AdapterError: there is a portfolio that cannot be read.
        """
        return self._read_portfolio()

    def own(self) -> dict[str, Adapter]:
        """Adapters that were made for the person, by their ids.

        Raises:
            VaultError: they cannot be read.
        """
        return kept(self._store)

    def choice(self, *, keep: bool = True) -> Choice:
        """Return the policy for the person.

        Args:
            keep: store it as the one in force, which changes only for one that is clearly better.

        Raises:
            AdapterError: there is no portfolio for the model in use.
            VaultError: the vault cannot be read or written.
        """
        with self._lock:
            found = self._current()
            portfolio = self._portfolio()
            base = portfolio.base.sha256
            before = self._in_force(base)
            choice = choose(portfolio, found.posterior, before)
            name = choice.policy.name if choice.policy else None
            if keep and name != before:
                # A choice that was forgotten meanwhile: the next call decides without it.
                with suppress(NotFoundError), self._store.changing() as documents:
                    for document in documents.all(KIND):
                        documents.delete(KIND, document.id)
                    if name is not None:
                        content = json.dumps({"policy": name, "base": base}).encode()
                        documents.insert(KIND, content, found.sources)
            return choice

    def model(self) -> LanguageModel:
        """Return the local model with the policy applied.

        Raises:
            AdapterError: there is no portfolio for the model in use, or it cannot wear one.
            VaultError: the vault cannot be read or written.
        """
        policy = self.choice().policy
        model = self._model()
        if policy is None or not policy.parts:
            return model
        with self._lock:
            if self._worn is None or self._worn[0] != policy.name:
                self._worn = (policy.name, wearing(model, self._portfolio().blend(policy)))
            return self._worn[1]

    def words(self) -> list[str]:
        """Describe weights and policy for people; empty without a portfolio for the model."""
        try:
            portfolio = self.portfolio()
        except AdapterError as error:
            return [f"no policy: {error.message}"]
        if portfolio is None:
            return []
        choice = self.choice(keep=False)
        lines = in_words(portfolio, self.posterior()) if choice.policy else []
        return [choice.words(), *lines]

    def question(self, candidates: Sequence[Pair]) -> Pair | None:
        """Return the pair whose answer would tell most about the weights; None if all were asked.

        Pairs whose prompt is in the memory count as asked.

        Raises:
            AdapterError: there is no portfolio for the model in use.
            VaultError: the vault cannot be read.
        """
        portfolio = self._portfolio()
        known = {memory.pair.prompt for memory in self._memories()}
        asked = [i for i, pair in enumerate(candidates) if pair.prompt in known]
        place = best_question(self.posterior(), _differences(portfolio, candidates), asked)
        return None if place is None else candidates[place]

    def _portfolio(self) -> Portfolio:
        found = self.portfolio()
        if found is None:
            raise AdapterError(
                "there is no portfolio of policies for this model",
                hint="`pocketpref adapters list` says which there are",
            )
        return found

    def _current(self) -> _Inferred:
        with self._lock:
            version = self._store.version()
            if self._inferred is None or self._inferred.version != version:
                portfolio = self._portfolio()
                self._measured = {
                    memory.id: (
                        self._measured[memory.id]
                        if memory.id in self._measured
                        else _differences(portfolio, [memory.pair])
                    )
                    for memory in self._memories()
                }
                rows = np.array(list(self._measured.values()))
                posterior = infer(rows.reshape(-1, len(portfolio.traits)))
                self._inferred = _Inferred(version, posterior, tuple(self._measured))
            return self._inferred

    def _in_force(self, base: str) -> str | None:
        """Name of the stored policy for a base model, or None."""
        with self._store.documents() as documents:
            for document in documents.all(KIND):
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    content = json.loads(document.content)
                    if content["base"] == base:
                        return str(content["policy"])
        return None

    def _memories(self) -> list[Memory]:
        return list(islice(self._store.memories(), INFERRED_FROM))


def _differences(portfolio: Portfolio, pairs: Sequence[Pair]) -> Matrix64:
    found = portfolio.differences([(pair.chosen, pair.rejected) for pair in pairs])
    return np.asarray(found)
