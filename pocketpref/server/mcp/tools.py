"""The MCP tools that an assistant may call.

An assistant is a program that passes what it receives to a model, most often a remote one. So it is
a destination of the egress gate (``mcp:NAME``): it learns about the person as far as a grant
allows, and each time is logged. Raw choices reach no assistant, not even the one that reported
them; it learns the ids of its own choices, and may forget those.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

from pocketpref.egress import Request
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Disclosure, Level
from pocketpref.egress.request_body import is_unicode
from pocketpref.errors import DeniedError, InputError, NotFoundError
from pocketpref.integrations.feedback_session import record_choice
from pocketpref.messages import compose, with_system
from pocketpref.personalization.preferences import INFERRED_FROM
from pocketpref.pocket import Pocket
from pocketpref.records import MAX_TEXT_CHARACTERS, Memory, Message
from pocketpref.summary.store import MOST_CHARACTERS

CLIENT: Final = "client"
"""Key in the ``meta`` of a memory: the name of the assistant that reported it."""

_QUESTION: Final = "How do I like to be answered?"
"""The prompt used when an assistant asks for preferences without one."""

INFERRED: Final = "preferences"
"""What answers were given under, where no summary was searched for or edited: such a summary has no
id."""

MOST_STATEMENTS: Final = 20
"""Statements of one assistant: one that goes wrong must not bury the person's own."""

_MOST_IDS: Final = 100
_MOST_ANSWERS: Final = 16

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
        longest = kind["items"].get("maxLength", MAX_TEXT_CHARACTERS)
        fits = fits and all(len(item) <= longest for item in value)
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

    def rank(self, arguments: Arguments) -> Answer:
        """The probability of each answer to be the preferred one.

        It tells about the person, so it leaves beside the summary and under the same grant, or not
        at all; the log keeps the numbers.

        Raises:
            InputError: the prompt or an answer is empty or no valid Unicode.
        """
        prompt, answers = arguments["prompt"], arguments["answers"]
        if not all(answer.strip() and is_unicode(answer) for answer in answers):
            raise InputError("an answer is empty or no valid Unicode", hint="leave it out")
        probabilities = [round(found, 2) for found in self._pocket.rank(prompt, answers)]
        # What leaves is the prompt, which came from there, and the numbers; not the answers again.
        turns = (
            Message(role="user", content=prompt),
            Message(role="assistant", content=json.dumps({"probabilities": probabilities})),
        )
        # Every choice has a part in the numbers, so forgetting one takes them off the log.
        sources = [memory.id for memory in islice(self._pocket.memories(), INFERRED_FROM)]
        offer = replace(self._pocket.offer(), sources=tuple(sources))
        try:
            cleared = self._pocket.egress.clear(
                Request(turns), offer, self.destination, least=Level.SUMMARY
            )
        except DeniedError:
            return {"probabilities": [], "shared": "nothing", "why": self._not_ranked()}
        self._hand_over(cleared)
        return {
            "probabilities": probabilities,
            "preferences": cleared.text,
            "shared": cleared.level.name.lower(),
        }

    def _clear(self, prompt: str, system: str | None) -> Disclosure:
        return self._hand_over(self._pocket.clear(prompt, to=str(self.destination), system=system))

    def _hand_over(self, cleared: Disclosure) -> Disclosure:
        cleared.take()
        if cleared.level is Level.SUMMARY:
            summary = self._pocket.summary()
            if summary is not None and cleared.text == summary.text:
                self._under = summary.id or INFERRED
        self._pocket.egress.finished(cleared, "handed over")
        return cleared

    def _not_allowed(self) -> str:
        return (
            "the person has not allowed anything to be shared here; they can: "
            f"pocketpref egress allow {self.destination} --level attributes (or summary)"
        )

    def _not_ranked(self) -> str:
        # The same words without a grant, below its level and where nothing is sure: which of these
        # it is would tell something.
        return (
            "the person has not allowed this here, or nothing is sure of them yet; they can: "
            f"pocketpref egress allow {self.destination} --level summary --any-summary"
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

    def state(self, arguments: Arguments) -> Answer:
        """Keep a preference that the person stated, with the name of the assistant.

        Raises:
            InputError: the text is empty or too long, or the assistant stated too many.
        """
        reported = [s for s in self._pocket.statements() if s.program == self.name]
        if len(reported) >= MOST_STATEMENTS:
            raise InputError(
                f"{MOST_STATEMENTS} statements are kept from this assistant already",
                hint="the person can take some back: pocketpref open",
            )
        self._pocket.state(arguments["text"], program=self.name)
        # No id: whether the person had said the same before is not told.
        return {"kept": True}

    def recall(self, arguments: Arguments) -> Answer:
        """Find its own choices that are relevant to a prompt; ids, no texts."""
        # Of all methods only this one names the past prompts that it goes by.
        found = self._pocket.personalize(arguments["prompt"], method="exact")
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
        "rank_answers",
        "Rank answers",
        "The probability of each of several answers to be the one that this person prefers. Give "
        "them the likeliest. Works on this machine.",
        {
            "prompt": _PROMPT,
            "answers": {
                "description": "The answers, in any order.",
                "type": "array",
                "items": {"type": "string", "maxLength": MAX_TEXT_CHARACTERS},
                "minItems": 2,
                "maxItems": _MOST_ANSWERS,
            },
        },
        Assistant.rank,
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
        "state_preference",
        "Keep a stated preference",
        "Call this when the person says how they like to be answered from now on, and agrees that "
        "it is remembered. It is kept encrypted on this machine and counts for every program.",
        {
            "text": {
                "description": "What the person said, in their own words, in one line.",
                "type": "string",
                "maxLength": MOST_CHARACTERS,
            }
        },
        Assistant.state,
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
