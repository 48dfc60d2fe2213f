"""The nouns of a chat: what it shows, how it is held, and its turns.

They hold a person's texts, so none of them has a ``repr`` that would show any.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pocketpref.egress import Ask, Preview
    from pocketpref.personalization.conditions import PersonalizeMethod
    from pocketpref.records import Sampling
    from pocketpref.results import Personalized

HELP = """\
Type a prompt and press Enter. Besides that:
  !multi ... !end   a prompt of several lines
  !edit             write the prompt in your editor
  /retry            another answer to the last prompt
  /prefer N         answer N is the better one: remember that
  /edit             improve the last answer in your editor: remember that
  /why              which attributes were used, and the past prompt they came from
  /plain [PROMPT]   answer one prompt (this one or the next) without personalization
  /summary          how you like to be answered, in the words that may be sent along
  /remote [DEST]    have a remote model answer from now on: openai:MODEL or anthropic:MODEL
  /preview [PROMPT] exactly what would leave for a prompt, or what left with the last one
  /local            have the model on this machine answer again
  /forget [ID]      forget what this chat last remembered, or the choice with this id
  exit, quit, /bye  end the chat (Ctrl-D too; Ctrl-C stops an answer)
The editor works on a file in memory where the system has such a folder; it is deleted at once."""


ANSWERS_TO_OFFER = {
    **dict.fromkeys(("y", "yes", "j", "ja", "s", "si", "sí", "o", "oui", "是"), True),
    **dict.fromkeys(("n", "no", "nein", "non", "否"), False),
}
"""Lines that answer an offer to remember; anything else is a prompt, and the offer lapses."""

ENDS = ("exit", "quit", "/exit", "/quit", "/bye")
"""Lines that end a chat: our words, and those that other programs have taught people."""


class View(Protocol):
    """Where a conversation is seen and heard."""

    def piece(self, text: str) -> None:
        """Part of an answer."""

    def end_answer(self) -> None:
        """The answer is complete."""

    def note(self, text: str) -> None:
        """Words of the program itself."""

    def edit(self, text: str) -> str | None:
        """Let the person edit a text; None if they gave up."""


@dataclass(frozen=True, repr=False)
class ChatOptions:
    """How a chat is held.

    Attributes:
        system: a system prompt.
        sampling: how answers are drawn; None for the defaults.
        stream: show answers piece by piece.
        record: remember what is preferred.
        to: the destination that answers; None for the model on this machine.
        ask: asks the person about what may leave; None refuses what is not allowed.
        offline: never leave this machine.
        method: how local answers are personalized.
        best_of: draw so many local answers for each one shown.
    """

    system: str | None = None
    sampling: Sampling | None = None
    stream: bool = True
    record: bool = True
    to: str | None = None
    ask: Ask | None = None
    offline: bool = False
    method: PersonalizeMethod = "auto"
    best_of: int = 1


@dataclass(repr=False)
class ChatTurn:
    """A prompt and the answers to it, of which one stands in the conversation.

    Attributes:
        plain: without personalization.
        used: what the last local answer was personalized with.
        left: what left for the last answer, if it is a remote one.
        under: everything that any of the answers was written under.
    """

    prompt: str
    plain: bool = False
    used: Personalized | None = None
    left: Preview | None = None
    under: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    standing: int = 0
    recorded: list[str] = field(default_factory=list)


@dataclass(frozen=True, repr=False)
class MemoryOffer:
    """What a chat offers to remember after a message about how it answered.

    Attributes:
        statement: the preference to keep; "" where the message was about one answer alone.
        earlier: the turn whose answer the message was about.
        later: the turn of the message itself, whose answer is the reworked one.
        reworked: whether its answer is the earlier one, made again.
    """

    statement: str
    earlier: ChatTurn
    later: ChatTurn
    reworked: bool
