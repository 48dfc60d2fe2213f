"""Pocket: the whole flow on one page.

    add -> learn (embed, score, select) -> personalize (embed, recall, compose) -> reply
    learn -> summarize (propose, judge) -> clear (grants, checks, log) -> reply_remotely

It works on the components it is given; ``bootstrap.open`` chooses real ones. A Pocket may be used
from several threads; in asyncio, call it through ``asyncio.to_thread``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from types import TracebackType
from typing import Any, Literal, Self, overload

from pocketpref import chat_history
from pocketpref import profile as profiling
from pocketpref.attributes import AttributeBank, Wording
from pocketpref.chat_history import ChatRecorder, Exchange
from pocketpref.components import Components
from pocketpref.egress import Ask, EgressGate, Offer, Preview
from pocketpref.egress.api_keys import ApiKeys
from pocketpref.egress.disclosure import Disclosure, Level
from pocketpref.errors import InputError
from pocketpref.evaluation import HelpVerdict, Report, evaluate, helps
from pocketpref.messages import checked, compose, with_system
from pocketpref.methods import profile_to_peft
from pocketpref.methods.exact import LearnRun, ProgressCallback
from pocketpref.methods.palm.service import Policies
from pocketpref.methods.profile_to_peft import Tailoring
from pocketpref.personalization import decisions
from pocketpref.personalization.conditions import Conditions, PersonalizeMethod, best_reply
from pocketpref.personalization.decisions import Correction, take_back
from pocketpref.personalization.preferences import Preferences
from pocketpref.personalization.questions import Question
from pocketpref.protocols import Lesson
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
from pocketpref.remote import RemoteModels
from pocketpref.results import LearnReport, Personalized, Preference, Profile, ProfileEntry, Scores
from pocketpref.summary.records import Summary, SummaryReport
from pocketpref.summary.service import Summaries
from pocketpref.summary.store import Statement
from pocketpref.summary.wording import without_block


class Pocket:
    """One person's preferences on this machine, and replies that follow them.

    Attributes:
        policies: what the person's choices say about traits of answers (PALM).
        tailoring: the adapter that a hypernetwork writes for the person (Profile-to-PEFT).
    """

    def __init__(self, components: Components) -> None:
        parts = components
        self._components = parts
        self._store = parts.store
        self._preferences = Preferences(parts.store, parts.bank, parts.embedder)
        self._summaries = Summaries(
            parts.store,
            parts.bank,
            parts.summary_models,
            parts.recipe,
            self._preferences.summary,
        )
        self._conditions = Conditions(
            parts.store,
            self._preferences,
            method=parts.method,
            embedder=parts.embedder,
            recipe=parts.recipe,
            frame=parts.frame,
            summary=self._summaries.current,
        )
        self._remote = RemoteModels(
            parts.store, parts.names, parts.remote, self._profile_entries, self._summaries.current
        )
        self.policies = Policies(parts.store, parts.model, parts.portfolio)
        self.tailoring = Tailoring(parts.store, parts.model, parts.embedder, parts.hypernetwork)
        # Every turn of a chat asks for it, and only another lesson changes it.
        self._profiled: tuple[Sequence[Lesson], Sequence[ProfileEntry]] | None = None
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
        return self._store.user

    @property
    def attributes(self) -> AttributeBank:
        """The attributes that choices are explained by."""
        return self._components.bank

    def close(self) -> None:
        """Close the vault and free the models; a second call does nothing."""
        if not self._closed:
            self._closed = True
            self._components.on_close()

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
        return self._store.add(Feedback(pair, origin=origin, meta=meta or {}))

    def add_many(self, feedback: Iterable[Feedback]) -> list[str]:
        """Remember many choices at once: all of them or none. Returns their ids."""
        bare = self._bare()
        return self._store.add_many(_with_prompt(item, bare) for item in feedback)

    def _bare(self) -> Callable[[str], str]:
        """Gives prompts alone: text that came out of memory is not evidence."""
        injected = cache(lambda: [summary.text for summary in self.summaries()])

        def bare(prompt: str) -> str:
            if "\n" not in prompt:  # an injected block has a line of its own
                return prompt
            alone = self._conditions.bare(prompt)
            return without_block(self._components.bank.strip(alone), injected())

        return bare

    def memories(self) -> Iterator[Memory]:
        """Everything remembered, the newest first."""
        return self._store.memories()

    def memory(self, memory_id: str) -> Memory:
        """One memory.

        Raises:
            NotFoundError: there is none of this id.
        """
        return self._store.get(memory_id)

    def forget(self, *ids: str, dry_run: bool = False) -> Forgotten:
        """Remove memories and everything derived from them.

        Raises:
            NotFoundError: one of the ids is unknown; nothing was removed.
        """
        if not ids:
            raise InputError("nothing to forget", hint="name at least one id")
        if not dry_run:
            self._remote.erase(ids)
        found = self._store.forget(ids, dry_run=dry_run)
        if not dry_run:
            self._drop_inferred()
        return found

    def forget_everything(self) -> None:
        """Destroy this person's key, and with it everything remembered about them."""
        self._store.forget_everything()
        self._drop_inferred()

    def _drop_inferred(self) -> None:
        """What was inferred of something forgotten does not stay in memory."""
        self._preferences.clear()
        self._conditions.clear()

    def counts(self) -> Counts:
        """How many choices are remembered, and how many of them are indexed."""
        return self._store.counts()

    # ------------------------------------------------------------------------------ learning

    def learn(
        self, *, budget: float | None = None, on_progress: ProgressCallback | None = None
    ) -> LearnReport:
        """Index what is new, the newest first: which attributes explain each choice.

        Without a budget, it also finds out once how the model that replies is best told what the
        person likes (``personalization.frame_probe``).

        Every pair is kept as soon as it is done, so that an interruption of any kind costs at most
        the pair at work. ``KeyboardInterrupt`` passes through.

        Args:
            budget: seconds after which to stop; the rest waits for the next call.
            on_progress: told of every step; what it raises ends learning.

        Raises:
            ModelError: a model is missing or failed.
            VaultError: the vault cannot be read or written.
        """
        run = LearnRun(
            self._store,
            self._components.method,
            self._components.scoring,
            self._components.embedder,
            self._components.recipe,
            budget=budget,
            on_progress=on_progress or (lambda _: None),
        )
        found = run.all()
        if budget is None:  # it takes a minute: not out of a budget that was meant for choices
            self._components.probe_frame()
        return found

    # ------------------------------------------------------------------------------ using

    def personalize(
        self,
        prompt: str,
        *,
        system: str | None = None,
        history: Sequence[Message] = (),
        method: PersonalizeMethod = "auto",
    ) -> Personalized:
        """Add what is known of the person to a prompt, if anything is sure.

        No language model is needed.

        Args:
            prompt: what is asked.
            system: a system prompt.
            history: earlier turns.
            method: what is added: what the person stated and what their choices make sure
                ("auto"), the attributes recalled for prompts like this one ("exact"), the
                preference summary in force ("popi"), or nothing ("none"; and so for "palm" and
                "profile-to-peft", which change the model's weights).

        Raises:
            InputError: the prompt is empty.
            ModelError: the embedder is missing or failed.
        """
        return self._conditions.personalize(checked(prompt), system, history, method)

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
        method: PersonalizeMethod = "auto",
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
        model = self._components.model
        if plain:
            messages = with_system(system, compose(checked(prompt), "", history))
        else:
            given = self.personalize(prompt, system=system, history=history, method=method)
            messages = given.messages
            worn = {"palm": self.policies.model, profile_to_peft.NAME: self.tailoring.model}
            model = worn.get(method, model)
        if best_of != 1:
            if stream:
                raise InputError(
                    "the best of several answers is known when the last is there",
                    hint="ask without stream",
                )
            return best_reply(
                self._preferences,
                model,
                prompt,
                messages=messages,
                sampling=sampling,
                count=best_of,
            )
        pieces = model().generate(messages, sampling=sampling)
        return pieces if stream else "".join(pieces)

    def rank(self, prompt: str, answers: Sequence[str]) -> tuple[float, ...]:
        """Return the probability that each answer is the one the person prefers.

        No language model is needed: the text of past choices decides.

        Args:
            prompt: what they answer.
            answers: at least one.

        Raises:
            InputError: the prompt is empty, or there is no answer.
            VaultError: the vault cannot be read.
        """
        return self._preferences.rank(checked(prompt), answers)

    def question(self, *, skipped: Collection[str] = ()) -> Question | None:
        """Return the pair of public answers whose comparison would tell most about the person.

        ``add`` its outcome like any other choice; the next call then gives the next question.

        Args:
            skipped: prompts of questions that were put and not answered.

        Returns:
            None if every bundled question was asked.

        Raises:
            VaultError: the vault cannot be read.
        """
        return self._preferences.question(skipped)

    def preferences(self) -> tuple[Preference, ...]:
        """Return what is believed of the person, sure beliefs first, with the choices behind each.

        Raises:
            VaultError: the vault cannot be read.
        """
        return self._preferences.known()

    def correct(self, name: str, pole: str, *, only: str = "") -> str:
        """Keep a correction of a belief: it is wrong, or it holds for one topic only.

        Args:
            name: of the dimension, as ``preferences`` names it.
            pole: "high" or "low".
            only: the topic that it holds for, in the person's words; "" if it is wrong.

        Returns:
            The correction's id.

        Raises:
            InputError: the name or the pole is unknown, or the topic is too long.
            VaultError: the vault cannot be written.
        """
        return self._preferences.correct(name, pole, only)

    def corrections(self) -> list[Correction]:
        """Return what the person corrected, the oldest first.

        Raises:
            VaultError: the vault cannot be read.
        """
        return self._preferences.corrections()

    def uncorrect(self, correction_id: str) -> None:
        """Take a correction back.

        Raises:
            NotFoundError: no correction has this id.
        """
        take_back(self._store, correction_id)

    # ------------------------------------------------------------------------------ looking

    def embed(self, texts: Sequence[str]) -> Vector:
        """Unit vectors of texts by the embedder that recall uses, shape (texts, dimensions).

        Raises:
            ModelError: the embedder is missing or failed.
        """
        return self._components.embedder().embed(texts)

    def status(self) -> dict[str, Any]:
        """Where everything is, in the ``--json`` shape of ``pocketpref status``."""
        return profiling.status(
            self._store, self._components.recipe(), self._components.about()
        ) | {"egress": self._remote.describe()}

    def profile(self) -> Profile:
        """What was learned, strongest first, with the memories that speak for each part."""
        return profiling.profile(
            self._store,
            self._components.recipe(),
            self._components.method.name,
            self.policies,
            self._preferences.known(),
        )

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
        return profiling.score(
            self._components.bank, self._components.scoring, pair, attributes, wording
        )

    def evaluate(self, feedback: Iterable[Feedback] | None = None, **options: Any) -> Report:
        """Say whether it helps, and compare methods on choices that they did not learn from.

        Args:
            feedback: choices of one or many people; None for those remembered here.
            options: of ``evaluation.evaluate``.
        """
        return evaluate(
            self._components,
            feedback,
            preferences=self._preferences,
            conditions=self._conditions,
            **options,
        )

    # --------------------------------------------------------------------- summary and statements

    def summary(self) -> Summary | None:
        """The preference summary in force, or None."""
        return self._summaries.current()

    def summaries(self) -> list[Summary]:
        """Every summary that was in force, the oldest first."""
        return self._summaries.history()

    def summarize(
        self, *, budget: float | None = None, on_progress: ProgressCallback | None = None
    ) -> SummaryReport:
        """Look for the summary that best explains choices it was not written from.

        One comes into force only if it beats the present one and none by more than the noise.

        Args:
            budget: seconds after which to stop; the next call goes on from there.
            on_progress: told of every step; what it raises ends the search.

        Raises:
            ModelError: a model is missing or failed.
            VaultError: the vault cannot be read or written.
        """
        return self._summaries.search(budget, on_progress or (lambda _: None))

    def summary_due(self) -> str | None:
        """Why ``summarize`` is worth a call now, in words; None if it is not."""
        return self._summaries.due()

    def edit_summary(self, text: str) -> Summary:
        """Put the person's own text in force as their summary.

        Raises:
            InputError: the text is empty or too long.
            ModelError: a model is missing or failed.
        """
        return self._summaries.edit(text)

    def state(self, text: str, *, program: str = "") -> str:
        """Keep a preference in the person's own words; every later summary says it.

        Args:
            text: one line.
            program: the assistant that reports it, kept beside it; "" if the person states it. Such
                a statement comes after those of the person, and never replaces one of them.

        Returns:
            The statement's id.

        Raises:
            InputError: it is empty or too long.
        """
        return self._summaries.state(text, program)

    def statements(self) -> list[Statement]:
        """What the person stated, the oldest first; also what must not be said of them."""
        return self._summaries.statements()

    def unstate(self, statement_id: str) -> None:
        """Take a statement back; a summary that says it stands until it is made again.

        Raises:
            NotFoundError: there is none of this id.
        """
        self._summaries.unstate(statement_id)
        self._conditions.clear()

    def conversation(self) -> tuple[Exchange, ...]:
        """The chat that is kept, the oldest exchange first; () if none is."""
        return chat_history.kept(self._store)

    def keep_conversation(self, *, go_on: bool = False) -> ChatRecorder:
        """Keep a chat as it goes on, sealed, in place of the one before.

        Args:
            go_on: with the one that is kept.

        Raises:
            NotFoundError: there is none to go on with.
        """
        return ChatRecorder(self._store, go_on=go_on)

    def forget_conversation(self) -> bool:
        """Forget the chat that is kept. Returns whether there was one."""
        return chat_history.forget(self._store)

    def learned_from(self, memory_id: str) -> tuple[str, ...]:
        """Names of the attributes that one choice speaks for; () if it was not learned yet.

        Raises:
            ModelError: a model is missing: without it nobody knows what was learned with it.
        """
        lessons = self._store.lessons(self._components.recipe())
        return next((one.attributes for one in lessons if one.memory_id == memory_id), ())

    def verdict(self) -> HelpVerdict:
        """Return whether personalization helps this person, from their choices alone.

        Raises:
            VaultError: the vault cannot be read.
        """
        return helps(self._components, self._preferences)

    def switch(self, *, on: bool) -> None:
        """Switch personalization on or off for ``method="auto"``; nothing learned is lost."""
        decisions.switch(self._store, on=on)

    # ------------------------------------------------------------------------------ remote models

    @property
    def egress(self) -> EgressGate:
        """What may leave, and the log of what left."""
        return self._remote.gate()

    @property
    def api_keys(self) -> ApiKeys:
        """Keys of remote models, kept in the vault."""
        return self._remote.keys

    def offer(self) -> Offer:
        """What could go with a request, if it is allowed: summary and strongest attributes."""
        return self._remote.offer()

    def preview(
        self,
        prompt: str,
        *,
        to: str,
        system: str | None = None,
        history: Sequence[Message] = (),
        sampling: Sampling | None = None,
        level: Level = Level.SUMMARY,
    ) -> Preview:
        """Exactly what would leave with a prompt, and whether it may. Sends nothing.

        Args:
            prompt: what is asked.
            to: the destination, such as ``openai:MODEL``.
            system: a system prompt.
            history: earlier turns; they leave, too.
            sampling: how to draw; None leaves that to the destination.
            level: the most that is to go along.

        Raises:
            InputError: the prompt is empty, or the destination cannot be used.
        """
        return self._remote.preview(
            prompt, to=to, system=system, history=history, sampling=sampling, level=level
        )

    def clear(
        self,
        prompt: str,
        *,
        to: str,
        system: str | None = None,
        history: Sequence[Message] = (),
        sampling: Sampling | None = None,
        level: Level = Level.SUMMARY,
        ask: Ask | None = None,
    ) -> Disclosure:
        """Let a prompt leave through a client of your own: ``to_openai()``, ``to_anthropic()``.

        It is logged as leaving; send exactly what is in it, to its destination alone. The arguments
        are those of ``reply_remotely``.

        Raises:
            InputError: the prompt is empty, or the destination cannot be used.
            DeniedError: it does not leave; the log says so, too.
        """
        return self._remote.clear(
            prompt, to=to, ask=ask, system=system, history=history, sampling=sampling, level=level
        )

    @overload
    def reply_remotely(
        self,
        prompt: str,
        *,
        to: str,
        stream: Literal[True],
        system: str | None = ...,
        history: Sequence[Message] = ...,
        sampling: Sampling | None = ...,
        level: Level = ...,
        ask: Ask | None = ...,
    ) -> Iterator[str]: ...

    @overload
    def reply_remotely(
        self,
        prompt: str,
        *,
        to: str,
        stream: Literal[False] = ...,
        system: str | None = ...,
        history: Sequence[Message] = ...,
        sampling: Sampling | None = ...,
        level: Level = ...,
        ask: Ask | None = ...,
    ) -> str: ...

    def reply_remotely(
        self,
        prompt: str,
        *,
        to: str,
        stream: bool = False,
        system: str | None = None,
        history: Sequence[Message] = (),
        sampling: Sampling | None = None,
        level: Level = Level.SUMMARY,
        ask: Ask | None = None,
    ) -> str | Iterator[str]:
        """A remote model's answer, with as much about the person as is allowed to go there.

        Args:
            prompt: what is asked.
            to: the destination, such as ``openai:MODEL``.
            stream: return an iterator of pieces instead of the whole answer.
            system: a system prompt.
            history: earlier turns; they leave, too.
            sampling: how to draw; None leaves that to the destination.
            level: the most that is to go along.
            ask: shows the person what no grant allows and returns their answer; None denies it.

        Raises:
            InputError: the prompt is empty, or the destination cannot be used.
            DeniedError: it does not leave; the log says so, too.
            RemoteError: what left came to no good end on the other side.
        """
        pieces = self._remote.reply(
            prompt, to=to, ask=ask, system=system, history=history, sampling=sampling, level=level
        )
        return pieces if stream else "".join(pieces)

    def _profile_entries(self) -> Sequence[ProfileEntry]:
        lessons = self._store.lessons(self._components.recipe())
        if self._profiled is None or self._profiled[0] is not lessons:
            learned = self._store.learned(self._components.recipe())
            self._profiled = lessons, profiling.entries(learned)
        return self._profiled[1]


def _with_prompt(item: Feedback, bare: Callable[[str], str]) -> Feedback:
    prompt = bare(item.pair.prompt)
    if prompt == item.pair.prompt:
        return item
    return replace(item, pair=replace(item.pair, prompt=prompt))
