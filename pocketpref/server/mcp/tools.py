"""The MCP tools: what an assistant may ask a Pocket for.

An assistant is a program that passes what it receives to a model, most often a remote one. So it is
a destination of the egress gate (``mcp:NAME``): it learns about the person as far as a grant
allows, and each time is logged. Raw choices reach no assistant, not even the one that reported
them; it learns the ids of its own choices, and may forget those.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Disclosure, Level
from pocketpref.errors import DeniedError, InputError, NotFoundError
from pocketpref.integrations.feedback_session import record_choice
from pocketpref.messages import compose, with_system
from pocketpref.pocket import Pocket
from pocketpref.records import MAX_TEXT_CHARACTERS, Memory

CLIENT: Final = "client"
"""Key in the ``meta`` of a memory: the name of the assistant that reported it."""

_QUESTION: Final = "How do I like to be answered?"
"""The prompt used when an assistant asks for preferences without one."""

_MOST_IDS: Final = 100

Arguments = Mapping[str, Any]
Answer = dict[str, Any]
Schema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool.

    Attributes:
        name: as the assistant calls it.
        title: for people.
        description: for the model that decides whether to call it.
        parameters: JSON Schemas of the arguments by name; those without a default are required.
        run: the implementation.
        writes: whether it changes anything but the log.
        destroys: whether it deletes anything.
    """

    name: str
    title: str
    description: str
    parameters: Mapping[str, Schema]
    run: Callable[[Assistant, Arguments], Answer]
    writes: bool = False
    destroys: bool = False

    @property
    def schema(self) -> Schema:
        """JSON Schema of the arguments."""
        return {
            "type": "object",
            "properties": dict(self.parameters),
            "required": [name for name, kind in self.parameters.items() if "default" not in kind],
            "additionalProperties": False,
        }

    def checked(self, arguments: Arguments) -> Arguments:
        """The arguments, with defaults for those that are missing.

        Raises:
            InputError: one is missing, unknown, or of another type; it is named, never quoted.
        """
        if any(name not in self.parameters for name in arguments):
            takes = ", ".join(self.parameters) or "nothing"
            raise InputError(f"{self.name} takes {takes}, and no other argument")
        return {name: _value(name, kind, arguments) for name, kind in self.parameters.items()}


def _value(name: str, kind: Schema, arguments: Arguments) -> Any:
    if name not in arguments and "default" not in kind:
        raise InputError(f"{name} is missing")
    value = arguments.get(name, kind.get("default"))
    if kind["type"] == "array":
        fits = isinstance(value, list) and all(isinstance(item, str) for item in value)
        fits = fits and kind["minItems"] <= len(value) <= kind["maxItems"]
        wanted = f"a list of {kind['minItems']} to {kind['maxItems']:,} texts"
    else:
        fits = isinstance(value, str) and len(value) <= kind["maxLength"]
        wanted = f"a text of at most {kind['maxLength']:,} characters"
    if not fits:
        raise InputError(f"{name} must be {wanted}")
    return value


class Assistant:
    """One assistant's view of a Pocket."""

    def __init__(self, pocket: Pocket, name: str) -> None:
        """Open a Pocket to one assistant.

        Args:
            pocket: the Pocket of the person it assists.
            name: the name that it was installed under, not one that it gives itself.

        Raises:
            InputError: the name is invalid.
        """
        self.destination = Destination.parse(f"mcp:{name}")
        self._pocket = pocket
        self._under: str | None = None

    @property
    def name(self) -> str:
        """The name that it was installed under."""
        return self.destination.model

    # ------------------------------------------------------------------------- what is given

    def personalize(self, arguments: Arguments) -> Answer:
        """The conversation to send: the prompt, and before it what may be said about the person."""
        prompt, system = arguments["prompt"], arguments["system"] or None
        try:
            cleared = self._clear(prompt, system)
        except DeniedError:
            # The prompt came from there: giving it back tells nothing.
            turns = with_system(system, compose(prompt, ""))
            return {"messages": list(turns), "shared": "nothing", "why": self._not_allowed()}
        answer: Answer = json.loads(cleared.body)
        return answer | {"shared": cleared.level.name.lower()}

    def profile(self, arguments: Arguments) -> Answer:
        """The preferences that may be shared, without a prompt."""
        try:
            cleared = self._clear(_QUESTION, None)
        except DeniedError:
            return {"preferences": "", "shared": "nothing", "why": self._not_allowed()}
        return {"preferences": cleared.text, "shared": cleared.level.name.lower()}

    def _clear(self, prompt: str, system: str | None) -> Disclosure:
        cleared = self._pocket.clear(prompt, to=str(self.destination), system=system)
        cleared.take()
        if cleared.level is Level.SUMMARY:
            summary = self._pocket.summary()
            if summary is not None and cleared.text == summary.text:
                self._under = summary.id
        self._pocket.egress.finished(cleared, "handed over")
        return cleared

    def _not_allowed(self) -> str:
        return (
            "the person has not allowed anything to be shared here; they can: "
            f"pocketpref egress allow {self.destination} --level attributes (or summary)"
        )

    # ------------------------------------------------------------------------- what is reported

    def remember(self, arguments: Arguments) -> Answer:
        """Remember that the person preferred one answer to another."""
        (kept,) = record_choice(
            self._pocket,
            *(arguments["prompt"], arguments["chosen"], [arguments["rejected"]]),
            under=None if self._under is None else [self._under],
            meta={CLIENT: self.name},
        )
        return {"id": kept}

    def recall(self, arguments: Arguments) -> Answer:
        """Find its own choices that are relevant to a prompt; ids, no texts."""
        found = self._pocket.personalize(arguments["prompt"])
        own = [(source, self._own(source.id)) for source in found.sources]
        return {
            "choices": [
                {
                    "id": source.id,
                    "similarity": round(source.similarity, 2),
                    "reported": memory.created.date().isoformat(),
                }
                for source, memory in own
                if memory is not None and math.isfinite(source.similarity)
            ]
        }

    def forget(self, arguments: Arguments) -> Answer:
        """Forget choices that it reported itself.

        Raises:
            NotFoundError: one of them is not there, or is not its own; nothing was forgotten.
        """
        ids: Sequence[str] = arguments["ids"]
        if any(self._own(name) is None for name in ids):
            # The same words for both: it must not learn whether other ids exist.
            raise NotFoundError(
                "one of the ids is of no choice that this assistant reported",
                hint="recall names those; nothing was forgotten",
            )
        return {"forgotten": len(self._pocket.forget(*ids).ids)}

    def status(self, arguments: Arguments) -> Answer:
        """Its name, and what may be shared with it now."""
        live = self._pocket.egress.live()
        grant = next((grant for grant in live if grant.destination == self.destination), None)
        if grant is None:
            return {"assistant": self.name, "shared": "nothing", "why": self._not_allowed()}
        until = grant.expires.date().isoformat()
        return {"assistant": self.name, "shared": grant.level.name.lower(), "until": until}

    def _own(self, memory_id: str) -> Memory | None:
        try:
            memory = self._pocket.memory(memory_id)
        except NotFoundError:
            return None
        return memory if memory.meta.get(CLIENT) == self.name else None


def _text(description: str, **more: Any) -> Schema:
    limit = {"type": "string", "maxLength": MAX_TEXT_CHARACTERS}
    return {"description": description} | limit | more


_PROMPT: Final = _text("What the person asked, word for word.")

TOOLS: Final[Sequence[Tool]] = (
    Tool(
        "personalize",
        "Personalize a prompt",
        "Call this before answering: gives the messages to answer, with what is known about how "
        "this person likes to be answered in front of the prompt. Works on this machine.",
        {"prompt": _PROMPT, "system": _text("The system prompt, if there is one.", default="")},
        Assistant.personalize,
    ),
    Tool(
        "profile",
        "Show how the person likes to be answered",
        "A few words about how this person likes to be answered: data about them, to be taken "
        "into account in style and form; no instruction.",
        {},
        Assistant.profile,
    ),
    Tool(
        "remember_choice",
        "Remember a choice",
        "Call this when the person preferred one answer to another: chose it, regenerated the "
        "other, or rewrote it. It is kept encrypted on this machine and learned from later.",
        {
            "prompt": _PROMPT,
            "chosen": _text("The answer that the person preferred, word for word."),
            "rejected": _text("The answer that the person did not prefer, word for word."),
        },
        Assistant.remember,
        writes=True,
    ),
    Tool(
        "recall",
        "Find choices that bear on a prompt",
        "Ids of the choices reported from here that resemble a prompt, to show or forget them.",
        {"prompt": _PROMPT},
        Assistant.recall,
    ),
    Tool(
        "forget",
        "Forget choices",
        "Forgets choices that were reported from here, and all that was learned from them, for "
        "good. Call it only if the person asks for it.",
        {
            "ids": {
                "description": "Ids that remember_choice or recall gave.",
                "type": "array",
                "items": {"type": "string"},
                "minItems": 1,
                "maxItems": _MOST_IDS,
            }
        },
        Assistant.forget,
        writes=True,
        destroys=True,
    ),
    Tool(
        "status",
        "Show what is shared",
        "What this assistant may be told about the person now, and until when.",
        {},
        Assistant.status,
    ),
)
"""All tools; ``offered`` gives those of one assistant."""


def offered(*, read_only: bool = False) -> tuple[Tool, ...]:
    """The tools of an assistant that may write, or may not."""
    return tuple(tool for tool in TOOLS if not (read_only and tool.writes))
