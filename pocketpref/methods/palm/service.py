"""The policy that one person gets: inferred from their choices, and worn by the model.

Weights are inferred anew whenever the vault has changed. Only which policy is in force is kept, so
that it does not change back and forth (``palm_choice``); it names the choices that it was decided
on, and goes with the first of them that is forgotten.
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
from pocketpref.methods.palm.decision import Choice, best_question, choose, in_words
from pocketpref.methods.palm.inference import TraitPosterior, infer
from pocketpref.methods.palm.portfolio import Portfolio
from pocketpref.protocols import LanguageModel, MemoryStore, ModelLoader
from pocketpref.records import Matrix64, Memory, Pair

KIND: Final = "policy"
"""The kind of document that says which policy is in force."""

INFERRED_FROM: Final = 1000
"""The newest choices that weights are inferred from: a thousand take half a second."""


@dataclass(frozen=True, slots=True)
class _Inferred:
    """What was inferred from one state of the vault."""

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
        """What is believed of the person's weights now.

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
        """The policy for the person now.

        Args:
            keep: it is in force from now on, and changes only for one that is clearly better.

        Raises:
            AdapterError: there is no portfolio for the model in use.
            VaultError: the vault cannot be read or written.
        """
        with self._lock:
            found = self._current()
            before = self._in_force()
            choice = choose(self._portfolio(), found.posterior, before)
            name = choice.policy.name if choice.policy else None
            if keep and name != before:
                # A choice that was forgotten meanwhile: the next call decides without it.
                with suppress(NotFoundError):
                    self._put_in_force(name, found.sources)
            return choice

    def model(self) -> LanguageModel:
        """The local model, wearing the policy.

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
        """Weights and policy for people; nothing where no portfolio is for the model in use."""
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
        """Which of these pairs of answers to put to the person next; None if all were asked.

        The one whose answer would tell most about the weights. Pairs whose prompt stands in the
        memory count as asked.

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
                self._inferred = self._infer(version)
            return self._inferred

    def _infer(self, version: int) -> _Inferred:
        portfolio = self._portfolio()
        measured = {
            memory.id: (
                self._measured[memory.id]
                if memory.id in self._measured
                else _differences(portfolio, [memory.pair])
            )
            for memory in self._memories()
        }
        self._measured = measured
        rows = np.array(list(measured.values())).reshape(-1, len(portfolio.traits))
        return _Inferred(version, infer(rows), tuple(measured))

    def _memories(self) -> list[Memory]:
        return list(islice(self._store.memories(), INFERRED_FROM))

    def _in_force(self) -> str | None:
        with self._store.documents() as documents:
            for document in documents.all(KIND):
                with suppress(ValueError, KeyError, TypeError, RecursionError):
                    content = json.loads(document.content)
                    if content["base"] == self._portfolio().base.sha256:
                        return str(content["policy"])
        return None

    def _put_in_force(self, name: str | None, sources: Sequence[str]) -> None:
        content = json.dumps({"policy": name, "base": self._portfolio().base.sha256}).encode()
        with self._store.changing() as documents:
            for before in documents.all(KIND):
                documents.delete(KIND, before.id)
            if name is not None:
                documents.insert(KIND, content, sources)


def _differences(portfolio: Portfolio, pairs: Sequence[Pair]) -> Matrix64:
    found = portfolio.differences([(pair.chosen, pair.rejected) for pair in pairs])
    return np.asarray(found)
