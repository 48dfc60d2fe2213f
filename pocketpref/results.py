"""What calls give back: frozen results, each with its ``--json`` shape where it has one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pocketpref.records import Message, RedactedRepr, Source


@dataclass(frozen=True, slots=True, repr=False)
class Personalized(RedactedRepr):
    """A prompt with what was learned added to it, ready for any model on this machine.

    Attributes:
        prompt: the prompt with the injected block.
        messages: the same as chat messages.
        attributes: names of the injected attributes; empty if nothing relevant was learned.
        sources: the past prompts they came from.
        method: the method that chose them, "none" if nothing was injected.
        instruction: what the model is told, "" for nothing.
    """

    prompt: str
    messages: tuple[Message, ...]
    attributes: tuple[str, ...]
    sources: tuple[Source, ...]
    method: str
    instruction: str = ""
    _open = ("sources", "method")

    def __str__(self) -> str:
        return self.prompt

    def to_openai(self) -> list[Message]:
        """Message list for an OpenAI-compatible ``chat.completions.create(messages=...)``."""
        return [Message(role=m["role"], content=m["content"]) for m in self.messages]

    def to_anthropic(self) -> dict[str, Any]:
        """Keyword arguments for Anthropic's ``messages.create``: ``system`` stands apart there."""
        system = "\n\n".join(m["content"] for m in self.messages if m["role"] == "system")
        turns = [dict(m) for m in self.messages if m["role"] != "system"]
        return {"system": system, "messages": turns} if system else {"messages": turns}

    def to_dict(self) -> dict[str, Any]:
        """The ``--json`` shape of ``pocketpref personalize``."""
        return {
            "prompt": self.prompt,
            "messages": self.to_openai(),
            "attributes": list(self.attributes),
            "method": self.method,
            "instruction": self.instruction,
            "sources": [{"id": s.id, "similarity": s.similarity} for s in self.sources],
        }


@dataclass(frozen=True, slots=True)
class ProfileEntry:
    """One attribute of a profile.

    Attributes:
        weight: the mean anchored margin it adds where it was selected, times how often it was,
            per learned pair (nats a pair); the bars of ``pocketpref profile``.
        pairs: ids of the memories that speak for it, strongest first.
    """

    name: str
    weight: float
    pairs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preference:
    """One thing that a person is believed to like.

    Attributes:
        name: of the dimension.
        pole: which end of it, "high" or "low".
        likes: in words ("short answers").
        probability: that it is a reason of their choices, in [0, 1].
        supporting: number of choices that clearly point to it.
        contrary: number of choices that clearly point away.
        choices: ids of the supporting memories.
        applied: whether it is said to a model.
        correction: what the person said of it, in words; "" for nothing.
    """

    name: str
    pole: str
    likes: str
    probability: float
    supporting: float
    contrary: float
    choices: tuple[str, ...]
    applied: bool
    correction: str = ""

    def to_dict(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "name": self.name,
            "pole": self.pole,
            "likes": self.likes,
            "probability": round(self.probability, 4),
            "supporting": self.supporting,
            "contrary": self.contrary,
            "choices": list(self.choices),
            "applied": self.applied,
            "correction": self.correction,
        }


@dataclass(frozen=True, slots=True)
class Profile:
    """What was learned about a person, strongest first, with the evidence for each part.

    Attributes:
        entries: one for each attribute.
        pairs: choices remembered.
        indexed: how many of them are learned.
        method: that explained them.
        auto: whether what is known goes into replies: "on", or "off" where the person said so.
        policy: which policy suits the person, and their weights of traits, in words; () if there
            is no portfolio for the model.
        preferences: what is believed from the text of the choices alone, sure ones first.
    """

    entries: tuple[ProfileEntry, ...]
    pairs: int
    indexed: int
    method: str
    auto: str = "on"
    policy: tuple[str, ...] = ()
    preferences: tuple[Preference, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The ``--json`` shape of ``pocketpref profile``."""
        return {
            "attributes": [
                {"name": e.name, "weight": e.weight, "pairs": list(e.pairs)} for e in self.entries
            ],
            "method": self.method,
            "pairs": self.pairs,
            "indexed": self.indexed,
            "auto": self.auto,
            "policy": list(self.policy),
            "preferences": [each.to_dict() for each in self.preferences],
        }


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long task is.

    Attributes:
        done: pairs finished in this run.
        total: pairs this run set out to do.
        part: how much of the pair at work is done, in [0, 1].
        elapsed: seconds since the run began.
        found: attribute names selected for the pair just finished (empty while one is at work).
        note: what is being done, for people; never text of the user.
    """

    done: int
    total: int
    part: float
    elapsed: float
    found: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class LearnReport:
    """What one call of ``learn`` did.

    Attributes:
        indexed: pairs indexed by this call.
        remaining: pairs still to be indexed or refined (the budget ended, or it was interrupted).
        seconds: wall-clock time.
        interrupted: whether it was asked to stop before the end.
    """

    indexed: int
    remaining: int
    seconds: float
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class Scores:
    """Anchored margins of single attributes on one pair.

    Attributes:
        model: the model that scored.
        noise: its noise floor: margins closer than this are not told apart, nats.
        chosen: log p(chosen | prompt), nats.
        rejected: log p(rejected | prompt), nats.
        margins: anchored margin of each attribute, nats.
    """

    model: str
    noise: float
    chosen: float
    rejected: float
    margins: Mapping[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The ``--json`` shape of ``pocketpref score``."""
        return {
            "model": self.model,
            "noise": self.noise,
            "base": {"chosen": self.chosen, "rejected": self.rejected},
            "margins": dict(self.margins),
        }
