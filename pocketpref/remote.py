"""Remote models: what could go with a request, the preview, the release, the reply.

The one module that knows both the vault and the egress gate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pocketpref.attributes import AttributeBank
from pocketpref.egress import Ask, EgressGate, Known, Offer, Preview, Request
from pocketpref.egress.api_keys import ApiKeys
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Disclosure, Level, RemoteGenerator
from pocketpref.errors import InputError, RemoteError
from pocketpref.messages import checked, compose, with_system
from pocketpref.protocols import MemoryStore, MemoryVersion
from pocketpref.records import Message, Sampling
from pocketpref.results import ProfileEntry
from pocketpref.summary.records import Summary

_OFFERED = 3
"""Attributes of the profile that are offered: as many as a set of EXACT has."""


class RemoteModels:
    """Remote models as one person may use them. Nothing is loaded before it is used.

    Attributes:
        keys: API keys of destinations.
    """

    def __init__(
        self,
        store: MemoryStore,
        names: Callable[[], Sequence[str]],
        remote: Callable[[ApiKeys], RemoteGenerator] | None,
        profile: Callable[[], Sequence[ProfileEntry]],
        summary: Callable[[], Summary | None],
    ) -> None:
        """Build the service.

        Args:
            store: the person's part of the vault.
            names: gives the names of all people in the vault, which must not leave.
            remote: makes what sends; None where nothing does.
            profile: gives the attributes of the person's profile, strongest first.
            summary: gives the summary in force, or None.
        """
        self._store = store
        self._names = names
        self._remote = remote
        self._profile = profile
        self._summary = summary
        self._known: Known | None = None
        self.keys = ApiKeys(store)

    def gate(self, ask: Ask | None = None) -> EgressGate:
        """Return the egress gate, with somebody to ask or nobody."""

        def texts() -> Iterator[str]:
            # Not what the person stated: that is meant to be said, and a summary says it word for
            # word. All other checks look at it.
            for memory in self._store.memories():
                yield from (memory.pair.prompt, memory.pair.chosen, memory.pair.rejected)
                yield from _strings(memory.meta)

        if self._known is None:  # it remembers what it has read of the memory
            self._known = Known(
                texts=texts,
                names=tuple(self._names()),
                # Not the person's own attributes: their wordings are the person's own words, and a
                # sentence is built from a list that everybody has.
                attributes=tuple(AttributeBank.standard()),
                # Not the vault's own version: each release writes to that, and changes no text.
                version=MemoryVersion(self._store),
            )
        return EgressGate(self._store, self._known.attributes, self._known, ask)

    def describe(self) -> str:
        """In words, for ``status``: whether anything may leave."""
        open_to = len(self.gate().live())
        if not open_to:
            return "off"
        places = "1 destination" if open_to == 1 else f"{open_to:,} destinations"
        return f"{places} allowed, see: pocketpref egress status"

    def offer(self) -> Offer:
        """Return what could go along: the summary in force and the strongest attributes."""
        entries = [entry for entry in self._profile() if entry.weight > 0][:_OFFERED]
        summary = self._summary()
        pairs = [pair for entry in entries for pair in entry.pairs]
        sources = [*(summary.sources if summary else ()), *pairs]
        return Offer(
            summary.text if summary else "",
            tuple(entry.name for entry in entries),
            tuple(dict.fromkeys(sources)),
        )

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
        """Return what would leave with a prompt, and whether it may; see ``Pocket.preview``."""
        request = _request(prompt, system, history, sampling)
        return self.gate().preview(request, self.offer(), Destination.parse(to), level=level)

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
        """Release a prompt to a client of the caller's; see ``Pocket.clear``."""
        request = _request(prompt, system, history, sampling)
        return self.gate(ask).clear(request, self.offer(), Destination.parse(to), level=level)

    def reply(
        self,
        prompt: str,
        *,
        to: str,
        system: str | None = None,
        history: Sequence[Message] = (),
        sampling: Sampling | None = None,
        level: Level = Level.SUMMARY,
        ask: Ask | None = None,
    ) -> Iterator[str]:
        """Clear a prompt, send it, and stream the answer; see ``Pocket.reply_remotely``."""
        request, destination = _request(prompt, system, history, sampling), Destination.parse(to)
        if self._remote is None:
            raise InputError("this Pocket cannot send anything", hint="use pocketpref.open")
        if not destination.posted:
            raise InputError(
                f"{destination} asks by itself: nothing is posted there",
                hint="name a model: openai:MODEL or anthropic:MODEL",
            )
        remote, gate = self._remote(self.keys), self.gate(ask)
        return _stream(remote, gate, gate.clear(request, self.offer(), destination, level=level))

    def erase(self, ids: Sequence[str]) -> None:
        """Remove the texts of memories from the bytes that the log keeps of releases."""
        gate = self.gate()
        if gate.log():
            pairs = [self._store.get(memory_id).pair for memory_id in ids]
            gate.erase(*(text for p in pairs for text in (p.prompt, p.chosen, p.rejected)))


def _request(
    prompt: str, system: str | None, history: Sequence[Message], sampling: Sampling | None
) -> Request:
    return Request(with_system(system, compose(checked(prompt), "", history)), sampling)


def _stream(remote: RemoteGenerator, gate: EgressGate, disclosure: Disclosure) -> Iterator[str]:
    outcome = "interrupted"
    try:
        yield from remote.generate(disclosure)
        outcome = "complete"
    except RemoteError as error:
        outcome = type(error).__name__
        raise
    finally:
        gate.finished(disclosure, outcome)


def _strings(value: object) -> Iterator[str]:
    """All texts in what JSON can hold."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        yield from _strings([*value.keys(), *value.values()])
    elif isinstance(value, Iterable):
        items: Iterable[Any] = value
        for item in items:
            yield from _strings(item)
