"""The side of a Pocket that reaches models elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, overload

from pocketpref import profile
from pocketpref.components import Components
from pocketpref.egress import Ask, EgressGate, Offer, Preview, Request
from pocketpref.egress.api_keys import ApiKeys
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Disclosure, Level
from pocketpref.messages import checked, compose, with_system
from pocketpref.protocols import Lesson
from pocketpref.records import Message, Sampling
from pocketpref.remote import RemoteModels
from pocketpref.results import ProfileEntry


class Elsewhere:
    """What a Pocket can do with a remote model: preview, ask, allow, look at the log."""

    def __init__(self, parts: Components) -> None:
        self._parts = parts
        self._exit = RemoteModels(parts.store, parts.names, parts.remote)
        # Every turn asks for it, and only another lesson changes what is offered of it.
        self._profiled: tuple[Sequence[Lesson], Sequence[ProfileEntry]] | None = None

    @property
    def egress(self) -> EgressGate:
        """What may leave, and the log of what left."""
        return self._exit.door()

    @property
    def api_keys(self) -> ApiKeys:
        """Keys of remote models, kept in the vault."""
        return self._exit.keys

    def offer(self) -> Offer:
        """What could go with a request, if it is allowed: summary and strongest attributes."""
        store, recipe = self._parts.store, self._parts.recipe()
        lessons = store.lessons(recipe)
        if self._profiled is None or self._profiled[0] is not lessons:
            self._profiled = lessons, profile.entries(store.learned(recipe))
        return self._exit.offer(self._profiled[1])

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
        request = _request(prompt, system, history, sampling)
        return self.egress.preview(request, self.offer(), Destination.parse(to), level=level)

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
        request = _request(prompt, system, history, sampling)
        door = self._exit.door(ask)
        return door.clear(request, self.offer(), Destination.parse(to), level=level)

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
        request, destination = _request(prompt, system, history, sampling), Destination.parse(to)
        pieces = self._exit.reply(request, self.offer(), destination, level=level, ask=ask)
        return pieces if stream else "".join(pieces)

    def _erase(self, ids: Sequence[str]) -> None:
        """Take what is about to be forgotten out of the bytes kept of releases, too."""
        door = self.egress
        if door.log():
            pairs = [self._parts.store.get(memory_id).pair for memory_id in ids]
            door.erase(*(t for p in pairs for t in (p.prompt, p.chosen, p.rejected)))


def _request(
    prompt: str, system: str | None, history: Sequence[Message], sampling: Sampling | None
) -> Request:
    messages = with_system(system, compose(checked(prompt), "", history))
    return Request(messages, sampling)
