"""The disclosure levels, and ``Disclosure``, the only input of a remote back end.

A `Disclosure` is made by ``EgressGate.clear`` and by nothing else. The type checker refuses any
other call of its constructor, and at run time it raises. That guards against mistakes: against code
that passes a prompt, a profile or a draft to where it would be sent. It does not guard against
hostile code in the same process, which can read the memory itself and open a socket of its own.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final, Never, Protocol, final, runtime_checkable

from pocketpref.egress.destination import Destination
from pocketpref.errors import DeniedError
from pocketpref.records import Message


class Level(IntEnum):
    """How much about the person goes with a request; each level includes those before it."""

    NONE = 0
    """The plain request."""
    ATTRIBUTES = 1
    """A sentence from a fixed template over closed lists."""
    SUMMARY = 2
    """The natural-language summary, if the checks find nothing in it."""

    @property
    def words(self) -> str:
        """What goes to a destination of this level, as people are told it."""
        return _WORDS[self]


_WORDS: Final = {
    Level.NONE: "nothing but the request",
    Level.ATTRIBUTES: "a sentence about how you like to be answered",
    Level.SUMMARY: "your preference summary",
}


@final
@dataclass(frozen=True, slots=True, repr=False, init=False, eq=False)
class Disclosure:
    """A request that was cleared to leave, with what goes with it, for one destination.

    Only ``EgressGate.clear`` makes one (see the module's docstring for what that guards against).

    Attributes:
        destination: where it may be sent, and nowhere else.
        level: how much about the person goes with it: what is in ``text``, not what was allowed.
        text: what was added to the request: the sentence or the summary; "" for nothing.
        body: exactly the bytes of the request's body.
        release: id of its entry in the log.
    """

    destination: Destination
    level: Level
    text: str
    body: bytes
    release: str
    _unsent: threading.Lock

    def __init__(self, only_the_egress_gate_makes_one: Never) -> None:
        raise TypeError("a Disclosure is made by EgressGate.clear and nothing else")

    def __repr__(self) -> str:
        return (
            f"Disclosure({str(self.destination)!r}, {self.level.name}, "
            f"text=<{len(self.text)} characters>, body=<{len(self.body)} bytes>)"
        )

    def __reduce__(self) -> Never:
        # Copies could be sent twice, and pickles would put text where nobody looks after it.
        raise TypeError("a Disclosure cannot be copied or pickled")

    def take(self) -> bytes:
        """The body, for sending it once: what was cleared and logged once leaves once.

        Trying again after an error of the other side is the same sending.

        Raises:
            DeniedError: it was taken before.
        """
        if not self._unsent.acquire(blocking=False):
            raise DeniedError(
                "this request was sent before", hint="clear it again: each sending is logged"
            )
        return self.body

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation as it stands in the body, the system's text first."""
        content = json.loads(self.body)
        turns = [Message(role=m["role"], content=m["content"]) for m in content["messages"]]
        if "system" in content:
            turns.insert(0, Message(role="system", content=content["system"]))
        return tuple(turns)

    def to_openai(self) -> list[Message]:
        """Message list for a host's own OpenAI-compatible client, to this destination alone."""
        return list(self.messages)

    def to_anthropic(self) -> dict[str, Any]:
        """Keyword arguments for Anthropic's ``messages.create``: ``system`` stands apart there."""
        system = "\n\n".join(m["content"] for m in self.messages if m["role"] == "system")
        turns = [m for m in self.messages if m["role"] != "system"]
        return {"system": system, "messages": turns} if system else {"messages": turns}


def _cleared(
    destination: Destination, level: Level, text: str, body: bytes, release: str
) -> Disclosure:
    """Make a Disclosure. For ``egress.gate``, after it has written the log (held by a test)."""
    made = object.__new__(Disclosure)
    values = (destination, level, text, body, release, threading.Lock())
    for name, value in zip(Disclosure.__dataclass_fields__, values, strict=True):
        object.__setattr__(made, name, value)
    return made


@runtime_checkable
class RemoteGenerator(Protocol):
    """A language model on the other side of a network. It sees what was cleared, and no more."""

    def generate(self, disclosure: Disclosure) -> Iterator[str]:
        """Send a request that was cleared, to its destination, and stream the reply.

        Raises:
            RemoteError: it came to no good end; the text that came before it was given.
            DeniedError: this disclosure was sent before.
        """
