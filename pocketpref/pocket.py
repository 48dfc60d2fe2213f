"""Pocket: the whole flow on one page.

    add -> learn (embed, score, select) -> personalize (embed, recall, compose) -> reply
    learn -> summarize (propose, judge) -> clear (grants, checks, log) -> reply_remotely

It works on the parts it is given; ``assemble.open`` chooses real ones. A Pocket may be used from
several threads; in asyncio, call it through ``asyncio.to_thread``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import TracebackType
from typing import Any, Literal, Self, overload

from pocketpref import profile
from pocketpref.attributes import AttributeBank, Wording
from pocketpref.components import Components
from pocketpref.described import Described
from pocketpref.errors import InputError
from pocketpref.evaluation import Report, evaluate
from pocketpref.messages import checked, compose, with_system
from pocketpref.methods.exact.indexing import LearnRun, ProgressCallback
from pocketpref.methods.palm.service import Policies
from pocketpref.methods.profile_to_peft import encoding
from pocketpref.methods.profile_to_peft.service import Tailoring
from pocketpref.personalization.conditions import Conditions, PersonalizeMethod, best_reply
from pocketpref.records import (
    Counts,
    Feedback,
    Forgotten,
    Memory,
    Message,
    Origin,
    Pair,
    Sampling,
    Vector,
)
from pocketpref.results import LearnReport, Personalized, Profile, Scores
from pocketpref.summary.wording import without_block


class Pocket(Described):
    """One person's preferences on this machine, and replies that follow them.

    Attributes:
        policies: what the person's choices say about traits of answers (PALM).
        tailoring: the adapter that a hypernetwork writes for the person (Profile-to-PEFT).
    """

    def __init__(self, parts: Components) -> None:
        super().__init__(parts)
        self._conditions = Conditions(parts)
        self.policies = Policies(parts)
        self.tailoring = Tailoring(parts)
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
        pair = Pair(self._bare()(prompt), chosen, rejected)
        return self._parts.store.add(Feedback(pair, origin=origin, meta=meta or {}))

    def add_many(self, feedback: Iterable[Feedback]) -> list[str]:
        """Remember many choices at once: all of them or none. Returns their ids."""
        bare = self._bare()
        return self._parts.store.add_many(_with_prompt(item, bare) for item in feedback)

    def _bare(self) -> Callable[[str], str]:
        """Gives prompts alone: text that came out of memory is not evidence."""
        injected = cache(lambda: [summary.text for summary in self.summaries()])

        def bare(prompt: str) -> str:
            if "\n" not in prompt:  # an injected block has a line of its own
                return prompt
            return without_block(self._parts.bank.strip(prompt), injected())

        return bare

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
            raise InputError("nothing to forget", hint="name at least one id")
        if not dry_run:
            self._erase(ids)
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
        return LearnRun(self._parts, budget, on_progress or (lambda _: None)).all()

    # ------------------------------------------------------------------------------ using

    def personalize(
        self,
        prompt: str,
        *,
        system: str | None = None,
        history: Sequence[Message] = (),
        method: PersonalizeMethod = "exact",
    ) -> Personalized:
        """Add what was learned to a prompt, if anything relevant was.

        Only the embedder is needed, no language model.

        Args:
            prompt: what is asked.
            system: a system prompt.
            history: earlier turns.
            method: what is added: the attributes recalled for prompts like this one ("exact"),
                the preference summary in force ("popi"), or what the person's own choices speak
                for, if anything ("auto"; ``evaluate`` decides it).

        Raises:
            InputError: the prompt is empty.
            ModelError: the embedder is missing or failed.
        """
        checked(prompt)
        condition = self._conditions.of(prompt, method)
        messages = with_system(system, compose(prompt, condition.block, history))
        return Personalized(
            prompt=messages[-1]["content"],
            messages=messages,
            attributes=condition.attributes,
            sources=condition.sources,
            method=condition.method,
        )

    @overload
    def reply(
        self,
        prompt: str,
        *,
        stream: Literal[True],
        system: str | None = ...,
        history: Sequence[Message] = ...,
        sampling: Sampling | None = ...,
        plain: bool = ...,
        method: PersonalizeMethod = ...,
    ) -> Iterator[str]: ...

    @overload
    def reply(
        self,
        prompt: str,
        *,
        stream: Literal[False] = ...,
        system: str | None = ...,
        history: Sequence[Message] = ...,
        sampling: Sampling | None = ...,
        plain: bool = ...,
        method: PersonalizeMethod = ...,
        best_of: int = ...,
    ) -> str: ...

    def reply(
        self,
        prompt: str,
        *,
        stream: bool = False,
        system: str | None = None,
        history: Sequence[Message] = (),
        sampling: Sampling | None = None,
        plain: bool = False,
        method: PersonalizeMethod = "exact",
        best_of: int = 1,
    ) -> str | Iterator[str]:
        """The local model's answer to a prompt, personalized unless ``plain``.

        Args:
            prompt: what is asked.
            stream: return an iterator of pieces instead of the whole answer.
            system: a system prompt.
            history: earlier turns.
            sampling: how to draw; None for EXACT's settings.
            plain: leave out what was learned.
            method: as in ``personalize``; "palm" has the model wear the person's policy instead,
                "profile-to-peft" an adapter that is written for them.
            best_of: draw so many answers, one after the other, and give the one that the person
                would most likely prefer; none of it can be streamed.

        Raises:
            InputError: the prompt is empty, or ``best_of`` does not go with the other options.
            ModelError: a model is missing or failed.
        """
        parts = self._parts
        if plain:
            messages = with_system(system, compose(checked(prompt), "", history))
        else:
            given = self.personalize(prompt, system=system, history=history, method=method)
            messages = given.messages
            worn = {"palm": self.policies.model, encoding.NAME: self.tailoring.model}
            parts = replace(parts, model=worn.get(method, parts.model))
        if best_of != 1:
            if stream:
                raise InputError(
                    "the best of several answers is known when the last is there",
                    hint="ask without stream",
                )
            return best_reply(parts, messages, sampling, best_of)
        pieces = parts.model().generate(messages, sampling=sampling)
        return pieces if stream else "".join(pieces)

    # ------------------------------------------------------------------------------ looking

    def embed(self, texts: Sequence[str]) -> Vector:
        """Unit vectors of texts by the embedder that recall uses, shape (texts, dimensions).

        Raises:
            ModelError: the embedder is missing or failed.
        """
        return self._parts.embedder().embed(texts)

    def status(self) -> dict[str, Any]:
        """Where everything is, in the ``--json`` shape of ``pocketpref status``."""
        return profile.status(self._parts) | {"egress": self._exit.describe()}

    def profile(self) -> Profile:
        """What was learned, strongest first, with the memories that speak for each part."""
        return profile.profile(self._parts, self.policies)

    def in_force(self) -> frozenset[str]:
        """Ids of the memories that recall draws on: for each distinct prompt the one that stands.

        Of several choices on one prompt, the one that its attributes explain best stands; the
        others are history.
        """
        return frozenset(entry.memory_id for entry in self._conditions.index().entries)

    def score(
        self,
        prompt: str,
        chosen: str,
        rejected: str,
        *,
        attributes: Sequence[str] | None = None,
        wording: Wording = "text",
    ) -> Scores:
        """Anchored margins of single attributes on a pair, without keeping anything.

        Args:
            prompt: the prompt of the pair.
            chosen: the answer that is preferred.
            rejected: the other one.
            attributes: names (None: the whole bank).
            wording: inject descriptions ("text") or bare names ("names").

        Raises:
            PairError: the pair cannot be used.
            NotFoundError: an attribute is not in the bank.
            ModelError: the model is missing or failed.
        """
        pair = Pair(prompt, chosen, rejected)
        return profile.score(self._parts, pair, attributes, wording)

    def evaluate(self, feedback: Iterable[Feedback] | None = None, **options: Any) -> Report:
        """Compare methods on choices that they did not learn from; see ``evaluation.evaluate``.

        Args:
            feedback: choices of one or many people; None for those remembered here.
            options: of ``evaluation.evaluate``.
        """
        return evaluate(self._parts, feedback, **options)


def _with_prompt(item: Feedback, bare: Callable[[str], str]) -> Feedback:
    prompt = bare(item.pair.prompt)
    if prompt == item.pair.prompt:
        return item
    return replace(item, pair=replace(item.pair, prompt=prompt))
