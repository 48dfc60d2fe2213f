"""A Pocket's way to models elsewhere: what could go along, and the reply to what may leave."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from pocketpref.attributes import AttributeBank
from pocketpref.egress import Ask, EgressGate, Known, Offer, Request
from pocketpref.egress.api_keys import ApiKeys
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Disclosure, Level, RemoteGenerator
from pocketpref.errors import InputError, RemoteError
from pocketpref.protocols import MemoryStore
from pocketpref.results import ProfileEntry
from pocketpref.summary import store as summary_store

_OFFERED = 3
"""Attributes of the profile that are offered: as many as a set of EXACT has."""


class RemoteModels:
    """One person's exit. Nothing about it is loaded before it is used.

    Attributes:
        keys: API keys of destinations.
    """

    def __init__(
        self,
        store: MemoryStore,
        names: Callable[[], Sequence[str]],
        remote: Callable[[ApiKeys], RemoteGenerator] | None,
    ) -> None:
        """Build the exit.

        Args:
            store: the person's part of the vault.
            names: gives the names of all people in the vault, which must not leave.
            remote: makes what sends; None where there is none.
        """
        self._store = store
        self._names = names
        self._remote = remote
        self._known: Known | None = None
        self._seen: tuple[int, Hashable] | None = None
        self.keys = ApiKeys(store)

    def door(self, ask: Ask | None = None) -> EgressGate:
        """The door, with somebody to ask or nobody."""
        if self._known is None:  # it remembers what it has read of the memory
            self._known = Known(
                texts=self._texts,
                names=tuple(self._names()),
                # Not the person's own attributes: their wordings are the person's own words, and a
                # sentence is built from a list that everybody has.
                attributes=tuple(AttributeBank.standard()),
                version=self._version,
            )
        return EgressGate(self._store, self._known.attributes, self._known, ask)

    def describe(self) -> str:
        """In words, for ``status``: whether anything may leave."""
        open_to = len(self.door().live())
        if not open_to:
            return "off"
        places = "1 destination" if open_to == 1 else f"{open_to:,} destinations"
        return f"{places} allowed, see: pocketpref egress status"

    def _version(self) -> Hashable:
        # Not the vault's own: each release writes to that, and changes no text to be checked for.
        # But while that stands still, so does all else; every check asks for this.
        version = self._store.version()
        if self._seen is None or self._seen[0] != version:
            newest = next(self._store.memories(), None)
            self._seen = version, (self._store.counts().memories, newest and newest.id)
        return self._seen[1]

    def _texts(self) -> Iterator[str]:
        for memory in self._store.memories():
            yield from (memory.pair.prompt, memory.pair.chosen, memory.pair.rejected)
            yield from _strings(memory.meta)
        # Not what the person stated: that is meant to be said, and a summary says it word for word.
        # All other checks look at it.

    def offer(self, learned: Sequence[ProfileEntry]) -> Offer:
        """What could go along: the summary in force, and the attributes that weigh most.

        Args:
            learned: the attributes of the person's profile, strongest first.
        """
        entries = [entry for entry in learned if entry.weight > 0][:_OFFERED]
        summary = summary_store.current(self._store)
        pairs = [pair for entry in entries for pair in entry.pairs]
        sources = [*(summary.sources if summary else ()), *pairs]
        return Offer(
            summary.text if summary else "",
            tuple(entry.name for entry in entries),
            tuple(dict.fromkeys(sources)),
        )

    def reply(
        self,
        request: Request,
        offer: Offer,
        destination: Destination,
        *,
        level: Level = Level.SUMMARY,
        ask: Ask | None = None,
    ) -> Iterator[str]:
        """Clear a request, send it, and stream the answer as pieces of text.

        Raises:
            InputError: there is nothing that sends, or nothing is posted there.
            DeniedError: it does not leave.
            RemoteError: while the answer is read: it came to no good end.
        """
        if self._remote is None:
            raise InputError("this Pocket has nothing that sends", hint="use pocketpref.open")
        if not destination.posted:
            raise InputError(
                f"{destination} asks by itself: nothing is posted there",
                hint="name a model: openai:MODEL or anthropic:MODEL",
            )
        remote = self._remote(self.keys)
        door = self.door(ask)
        return _stream(remote, door, door.clear(request, offer, destination, level=level))


def _stream(remote: RemoteGenerator, door: EgressGate, disclosure: Disclosure) -> Iterator[str]:
    outcome = "interrupted"
    try:
        yield from remote.generate(disclosure)
        outcome = "complete"
    except RemoteError as error:
        outcome = type(error).__name__
        raise
    finally:
        door.finished(disclosure, outcome)


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
