"""Pocket: the whole flow on one page.

    add -> learn (embed, score, select) -> personalize (embed, recall, compose) -> reply

It works on the parts it is given; ``assemble.open`` chooses real ones. A Pocket may be used from
several threads; in asyncio, call it through ``asyncio.to_thread``.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Literal, Self, overload

from pocketpref.attributes import AttributeBank
from pocketpref.errors import InputError, NotFoundError
from pocketpref.methods.exact import Exact
from pocketpref.protocols import EmbedderLoader, MemoryStore, ModelLoader
from pocketpref.records import (
    Counts,
    Feedback,
    Forgotten,
    Learned,
    LearnReport,
    Memory,
    Message,
    Origin,
    Pair,
    Personalized,
    Profile,
    ProfileEntry,
    Progress,
    Sampling,
)
from pocketpref.retrieval import PromptIndex
from pocketpref.scoring import PairScorer, compose

ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a Pocket works with.

    Attributes:
        store: the user's part of a vault.
        bank: the attributes.
        method: builds the method once the model that scores is known (it brings its own noise).
        model: loads the model that replies.
        scorer: loads the model that scores; often a copy of it with better numerics.
        scorer_fingerprint: tells, without loading it, which model scores.
        embedder: loads the embedder.
        on_close: frees whatever was opened for this Pocket.
    """

    store: MemoryStore
    bank: AttributeBank
    method: Callable[[], Exact]
    model: ModelLoader
    scorer: ModelLoader
    scorer_fingerprint: Callable[[], str]
    embedder: EmbedderLoader
    on_close: Callable[[], None] = lambda: None


class Pocket:
    """One person's preferences on this machine, and replies that follow them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._lock = threading.RLock()
        self._index: tuple[int, str, PromptIndex] | None = None
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Pocket({'closed' if self._closed else 'open'})"

    @property
    def user(self) -> str:
        """The name this Pocket was opened under."""
        return self._parts.store.user

    @property
    def attributes(self) -> AttributeBank:
        """The attributes that choices are explained by."""
        return self._parts.bank

    def close(self) -> None:
        """Close the vault and free the models; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._parts.on_close()

    # ------------------------------------------------------------------------------ memory

    def add(
        self,
        prompt: str,
        chosen: str,
        rejected: str,
        *,
        meta: Mapping[str, Any] | None = None,
        origin: Origin = "user",
    ) -> str:
        """Remember that of two answers the person preferred one.

        Durable when it returns, and it never waits for a model: ``learn`` does that later.

        Returns:
            The memory's id.

        Raises:
            PairError: a text is empty, over-long or invalid, or the answers are the same.
            VaultError: it could not be kept; nothing was changed.
        """
        # Text that came out of memory is not evidence: an injected block is taken off again.
        pair = Pair(self._parts.bank.strip(prompt), chosen, rejected)
        return self._parts.store.add(Feedback(pair, origin=origin, meta=meta or {}))

    def add_many(self, feedback: Iterable[Feedback]) -> list[str]:
        """Remember many choices at once: all of them or none. Returns their ids."""
        clean = (self._without_block(item) for item in feedback)
        return self._parts.store.add_many(clean)

    def _without_block(self, item: Feedback) -> Feedback:
        prompt = self._parts.bank.strip(item.pair.prompt)
        return item if prompt == item.pair.prompt else replace(
            item, pair=replace(item.pair, prompt=prompt)
        )

    def memories(self) -> Iterator[Memory]:
        """Everything remembered, the newest first."""
        return self._parts.store.memories()

    def memory(self, memory_id: str) -> Memory:
        """One memory.

        Raises:
            NotFoundError: there is none of this id.
        """
        return self._parts.store.get(memory_id)

    def forget(self, *ids: str, dry_run: bool = False) -> Forgotten:
        """Remove memories and everything derived from them.

        Raises:
            NotFoundError: one of the ids is unknown; nothing was removed.
        """
        if not ids:
            raise InputError("nothing to forget: name at least one id")
        return self._parts.store.forget(ids, dry_run=dry_run)

    def forget_everything(self) -> None:
        """Destroy this person's key, and with it everything remembered about them."""
        self._parts.store.forget_everything()

    def counts(self) -> Counts:
        """How many choices are remembered, and how many of them are indexed."""
        return self._parts.store.counts()

    # ------------------------------------------------------------------------------ learning

    def learn(
        self, *, budget: float | None = None, on_progress: ProgressCallback | None = None
    ) -> LearnReport:
        """Index what is new, the newest first: which attributes explain each choice.

        Every pair is kept as soon as it is done, so that an interruption of any kind costs at most
        the pair at work. ``KeyboardInterrupt`` passes through.

        Args:
            budget: seconds after which to stop; the rest waits for the next call.
            on_progress: told of every step; what it raises ends learning.

        Raises:
            ModelError: a model is missing or failed.
            VaultError: the vault cannot be read or written.
        """
        run = _LearnRun(self._parts, budget, on_progress or (lambda _: None))
        return run.all()

    # ------------------------------------------------------------------------------ using

    def personalize(
        self, prompt: str, *, system: str | None = None, history: Sequence[Message] = ()
    ) -> Personalized:
        """Add what was learned to a prompt, if anything relevant was.

        Only the embedder is needed, no language model.

        Raises:
            InputError: the prompt is empty.
            ModelError: the embedder is missing or failed.
        """
        if not prompt.strip():
            raise InputError("the prompt is empty")
        condition = self._condition(prompt)
        before: tuple[Message, ...] = tuple(history)
        if system:
            before = (Message(role="system", content=system), *before)
        messages = compose(prompt, condition.block, before)
        return Personalized(
            prompt=messages[-1]["content"],
            messages=messages,
            attributes=condition.attributes,
            sources=condition.sources,
            method=condition.method,
        )

    def _condition(self, prompt: str):  # noqa: ANN202
        raise NotImplementedError

    @overload
    def reply(self, prompt: str, *, stream: Literal[True], **options: Any) -> Iterator[str]: ...
    @overload
    def reply(self, prompt: str, *, stream: Literal[False] = False, **options: Any) -> str: ...
    def reply(self, prompt: str, *, stream: bool = False, **options: Any) -> str | Iterator[str]:
        """The local model's answer, personalized."""
        raise NotImplementedError
