"""What was learned, put to use: a condition for a prompt, and the best of several replies."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, Literal

from pocketpref.errors import InputError
from pocketpref.methods.exact.retrieval import PromptIndex
from pocketpref.methods.exact.selection import Exact
from pocketpref.methods.reranking.reranker import Reranker
from pocketpref.personalization import auto_decision
from pocketpref.protocols import EmbedderLoader, MemoryStore, ModelLoader
from pocketpref.records import Condition, Message, Sampling
from pocketpref.summary import objective
from pocketpref.summary import store as summary_store

PersonalizeMethod = Literal["exact", "popi", "auto", "palm", "profile-to-peft"]

IN_WEIGHTS: Final = ("palm", "profile-to-peft")
"""Methods by which what was learned is in the model's weights, not in the prompt."""

TASTE_FROM: Final = 1000
"""The newest choices that a taste is learned from: opening more would take as long as replying."""


class Conditions:
    """What is put before the model for a prompt. Safe to use from several threads."""

    def __init__(
        self,
        store: MemoryStore,
        method: Exact,
        embedder: EmbedderLoader,
        recipe: Callable[[], str],
    ) -> None:
        self._store = store
        self._method = method
        self._embedder = embedder
        self._recipe = recipe
        self._lock = threading.RLock()
        self._index: tuple[int, PromptIndex] | None = None

    def of(self, prompt: str, method: PersonalizeMethod) -> Condition:
        """The condition for a prompt; an empty one for nothing.

        Raises:
            ModelError: the embedder is missing or failed.
            VaultError: the vault cannot be read.
        """
        chosen = auto_decision.applied(self._store, self._recipe()) if method == "auto" else method
        if chosen in IN_WEIGHTS:
            return Condition(method=chosen)
        if chosen == "popi":
            return objective.condition(summary_store.current(self._store))
        index = self.index()
        if chosen == "none" or not len(index):
            return Condition()
        embedder = self._embedder()
        query = embedder.embed([prompt])[0]
        return self._method.condition(query, index, embedder.relevance)

    def index(self) -> PromptIndex:
        """The index as of now: built again when any process has changed the vault."""
        store = self._store
        with self._lock:
            version = store.version()
            if self._index is None or self._index[0] != version:
                lessons = store.lessons(self._recipe())
                # A change that taught nothing, such as a new pair, leaves the index as it was.
                known = self._index[1] if self._index else None
                same = known is not None and known.lessons is lessons
                self._index = (version, known if known and same else PromptIndex(lessons))
            return self._index[1]


def best_reply(
    store: MemoryStore,
    model: ModelLoader,
    messages: Sequence[Message],
    sampling: Sampling | None,
    count: int,
) -> str:
    """Of several replies of the local model, the one that the person would most likely prefer.

    Args:
        store: the person's part of the vault.
        model: loads the model that replies.
        messages: the conversation.
        sampling: how to draw; with a seed, each reply has the next one.
        count: replies that are drawn, one after the other.

    Raises:
        InputError: replies that are all the same were asked for, or none.
        ModelError: the model is missing or failed.
    """
    sampling = sampling or Sampling()
    if count < 1 or sampling.temperature <= 0:
        raise InputError(
            "the best of several replies needs replies that differ",
            hint="ask for at least one, with a temperature above 0",
        )
    seeds = [None if sampling.seed is None else sampling.seed + place for place in range(count)]
    writer = model()
    replies = [
        "".join(writer.generate(messages, sampling=replace(sampling, seed=seed))) for seed in seeds
    ]
    choices = islice(store.memories(), TASTE_FROM)
    return replies[Reranker([memory.pair for memory in choices]).best(replies)]
