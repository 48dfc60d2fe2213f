"""Personalize a prompt by one of the methods, and pick the best of several replies."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Literal

from pocketpref.errors import InputError
from pocketpref.messages import compose, with_system
from pocketpref.methods.exact import Exact, PromptIndex
from pocketpref.personalization import decisions
from pocketpref.personalization.frames import Frame, Instruction
from pocketpref.personalization.preferences import Preferences
from pocketpref.protocols import EmbedderLoader, MemoryStore, ModelLoader
from pocketpref.records import Condition, Message, Sampling
from pocketpref.results import Personalized
from pocketpref.summary import objective as popi
from pocketpref.summary.records import Summary

PersonalizeMethod = Literal["auto", "exact", "popi", "palm", "profile-to-peft", "none"]

METHODS: Final[tuple[PersonalizeMethod, ...]] = (
    *("auto", "exact", "popi", "palm", "profile-to-peft", "none"),
)  # fmt: skip

_REMEMBERED: Final = 64
"""Instructions that are recognized in prompts that come back."""

IN_WEIGHTS: Final = ("palm", "profile-to-peft")
"""Methods that change the model's weights and leave the prompt as it is."""


class Conditions:
    """Personalizes prompts for one person. Safe to use from several threads."""

    def __init__(
        self,
        store: MemoryStore,
        preferences: Preferences,
        *,
        method: Exact,
        embedder: EmbedderLoader,
        recipe: Callable[[], str],
        frame: Callable[[], Frame],
        summary: Callable[[], Summary | None],
    ) -> None:
        """Build the service.

        Args:
            store: the person's part of the vault.
            preferences: what is inferred from it.
            method: EXACT, for ``method="exact"``.
            embedder: loads the embedder that recall uses.
            recipe: fingerprint of what decides EXACT's index.
            frame: gives the frame that moves the model in use.
            summary: gives the summary in force, for ``method="popi"``.
        """
        self._store = store
        self._preferences = preferences
        self._method = method
        self._embedder = embedder
        self._recipe = recipe
        self._frame = frame
        self._summary = summary
        self._lock = threading.RLock()
        self._index: tuple[int, PromptIndex] | None = None
        self._appended: deque[str] = deque(maxlen=_REMEMBERED)

    def personalize(
        self,
        prompt: str,
        system: str | None,
        history: Sequence[Message],
        method: PersonalizeMethod,
    ) -> Personalized:
        """Return the conversation with what was learned in it; see ``Pocket.personalize``.

        Raises:
            ModelError: the embedder is missing or failed.
            VaultError: the vault cannot be read.
        """
        if method == "auto" and decisions.is_off(self._store):
            method = "none"
        if method == "auto":
            return self.instructed(prompt, system, history)
        condition = self._condition(prompt, method)
        messages = with_system(system, compose(prompt, condition.block, history))
        return Personalized(
            prompt=messages[-1]["content"],
            messages=messages,
            attributes=condition.attributes,
            sources=condition.sources,
            method=condition.method,
            instruction=condition.block.strip(),
        )

    def instructed(
        self, prompt: str, system: str | None, history: Sequence[Message]
    ) -> Personalized:
        """Say what is sure and what was stated, in the frame that moves the model.

        Also where the person switched it off: ``evaluate`` asks what it would do.
        """
        words = self._preferences.words(prompt)
        instruction = Instruction(
            orders=tuple(clause.order for clause in words.clauses),
            clauses=tuple(clause.clause for clause in words.clauses),
        )
        if not any(clause.belief for clause in words.clauses) and (searched := self._measured()):
            # No dimension explains the choices; what a search found to help on others of them does.
            instruction = Instruction(orders=(*instruction.orders, searched.text))
        plain = with_system(system, compose(prompt, "", history))
        if not instruction:
            return Personalized(prompt, plain, (), (), "none")
        frame = self._frame()
        messages = tuple(frame.apply(plain, instruction))
        framed = messages[-1]["content"]
        appended = framed.removeprefix(prompt)
        if framed != prompt and framed.startswith(prompt) and appended not in self._appended:
            self._appended.append(appended)
        return Personalized(
            prompt=framed,
            messages=messages,
            attributes=self._preferences.labels(words),
            sources=(),
            method="auto",
            instruction=instruction.text(frame.form),
        )

    def bare(self, prompt: str) -> str:
        """Return a prompt without the instruction that was appended to it here.

        So that words which came out of the memory are never taken for words of the person.
        """
        for appended in self._appended:
            if prompt.endswith(appended):
                return prompt.removesuffix(appended)
        return prompt

    def clear(self) -> None:
        """Drop the instructions that were appended here, and the index."""
        with self._lock:
            self._appended.clear()
            self._index = None

    def _measured(self) -> Summary | None:
        """The summary in force, if it was found to help on choices it was not written from."""
        found = self._summary()
        return found if found and found.margin is not None and found.margin.low > 0 else None

    def _condition(self, prompt: str, method: PersonalizeMethod) -> Condition:
        if method in IN_WEIGHTS:
            return Condition(method=method)
        if method == "popi":
            return popi.condition(self._summary())
        if method == "none":
            return Condition()
        index = self.index()
        if not len(index):
            return Condition()
        embedder = self._embedder()
        query = embedder.embed([prompt])[0]
        return self._method.condition(query, index, embedder.relevance)

    def index(self) -> PromptIndex:
        """The index as of now: built again when any process has changed the vault."""
        with self._lock:
            version = self._store.version()
            if self._index is None or self._index[0] != version:
                lessons = self._store.lessons(self._recipe())
                # A change that taught nothing, such as a new pair, leaves the index as it was.
                known = self._index[1] if self._index else None
                same = known is not None and known.lessons is lessons
                self._index = (version, known if known and same else PromptIndex(lessons))
            return self._index[1]


def best_reply(
    preferences: Preferences,
    model: ModelLoader,
    prompt: str,
    *,
    messages: Sequence[Message],
    sampling: Sampling | None,
    count: int,
) -> str:
    """Draw several replies and return the one that the person would most likely prefer.

    Args:
        preferences: what the person likes.
        model: loads the model that replies.
        prompt: what was asked, without any instruction.
        messages: the conversation as the model gets it.
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
    probabilities = preferences.rank(prompt, replies)
    return replies[max(range(count), key=probabilities.__getitem__)]
