"""Frames: the ways to put instruction lines before a language model.

The same words move one model at the end of the question and another in the system prompt, and the
same place works for an order ("Answer in one short sentence.") where a description ("The user
prefers answers that are very short.") does nothing. A frame is one place and one form. Every frame
is a pure function from messages to messages; an empty instruction leaves the messages as they are.

What a frame keeps of a generator's cache of earlier turns:

* ``"question"`` frames change the last user turn alone. In the next turn that text is gone again,
  so that the cache is valid up to the previous question, whatever the instruction becomes.
* ``"system"`` frames change the beginning. The whole cache stays valid while the instruction stays
  the same, and nothing of it is once the instruction changes.
* ``"both"`` has the cost of either.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from pocketpref.records import Discreet, Message

Place = Literal["question", "opening", "system", "both"]
Form = Literal["order", "preference", "attributes"]

DEFAULT_SYSTEM: Final = "You are a helpful assistant."
"""What precedes an instruction in a system prompt that the host left empty. Models that have a
default system prompt lose it as soon as another is given, and a bare order is no replacement."""


@dataclass(frozen=True, slots=True, repr=False)
class Instruction(Discreet):
    """What is said to a model about how this person likes to be answered.

    Attributes:
        orders: whole sentences in the imperative ("Answer as a bulleted list.").
        clauses: phrases that complete "answers that are" ("written as bulleted lists"); one
            for each order, or none at all, and then the orders are used in every frame.
        statements: sentences in the person's own words, which come first, verbatim.

    Raises:
        ValueError: there are clauses, but not one for each order.
    """

    orders: tuple[str, ...] = ()
    clauses: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.clauses and len(self.clauses) != len(self.orders):
            raise ValueError("one clause for each order, or none")

    def __bool__(self) -> bool:
        """Whether anything is said."""
        return any(text.strip() for text in (*self.statements, *self.orders))

    def text(self, form: Form) -> str:
        """The instruction as one line, "" for an empty one."""
        if not self:
            return ""
        statements = [_sentence(text) for text in self.statements if text.strip()]
        if form == "order" or not self.clauses:
            return " ".join([*statements, *(_sentence(t) for t in self.orders if t.strip())])
        liked = "; ".join(_line(text) for text in self.clauses)
        if form == "attributes":
            return " ".join([*statements, f"Attributes: <{liked}>"])
        return " ".join([*statements, f"The user prefers answers that are {liked}."])


@dataclass(frozen=True, slots=True)
class Frame:
    """One way to put an instruction before a model.

    Attributes:
        name: in results, caches and reports.
        place: at the end of the last question, before it (``"opening"``), in the system prompt, or
            in the system prompt and at the end of the question.
        form: which words are used.
        parentheses: whether the text after the question is put in parentheses, which sets it off
            from what is asked.
    """

    name: str
    place: Place
    form: Form
    parentheses: bool = False

    def apply(self, messages: Sequence[Message], instruction: Instruction) -> list[Message]:
        """Return the conversation with the instruction in its place.

        The messages passed in are not changed. With an empty instruction the result equals them.
        Without a user turn, frames that need one leave the conversation as it is.

        Args:
            messages: a conversation; a system prompt, if any, comes first.
            instruction: what to say.
        """
        framed = [message.copy() for message in messages]
        text = instruction.text(self.form)
        if not text:
            return framed
        if self.place in ("question", "opening", "both"):
            self._change_question(framed, text)
        if self.place in ("system", "both"):
            _extend_system(framed, text)
        return framed

    def _change_question(self, framed: list[Message], text: str) -> None:
        last = next((m for m in reversed(framed) if m["role"] == "user"), None)
        if last is None:
            return
        said = f"({text})" if self.parentheses else text
        question = last["content"]
        opening = self.place == "opening"
        last["content"] = f"{said}\n\n{question}" if opening else f"{question}\n\n{said}"


def _extend_system(framed: list[Message], text: str) -> None:
    """Append to the system prompt, or put one first.

    A model without a system role needs no case of its own: its chat template moves the system
    prompt to the beginning of the first user turn.
    """
    if framed and framed[0]["role"] == "system":
        given = framed[0]["content"].rstrip()
        framed[0]["content"] = f"{given}\n\n{text}" if given else f"{DEFAULT_SYSTEM} {text}"
    else:
        framed.insert(0, Message(role="system", content=f"{DEFAULT_SYSTEM} {text}"))


def _line(text: str) -> str:
    """The text on one line: a line break would end the instruction for some models."""
    return " ".join(text.split()).rstrip(" .;")


def _sentence(text: str) -> str:
    """The text on one line, with a full stop unless it ends with punctuation of any script."""
    line = " ".join(text.split())
    return line if unicodedata.category(line[-1]) == "Po" else f"{line}."


QUESTION_ORDER: Final = Frame("question-order", "question", "order")
"""The frame for a model that was never probed. It moves all three models measured as far as any
other or nearly so; the smallest leaves the subject under it (``frame_probe``)."""

FRAMES: Final[tuple[Frame, ...]] = (
    QUESTION_ORDER,
    Frame("question-preference", "question", "preference", parentheses=True),
    Frame("question-attributes", "question", "attributes"),
    Frame("opening-order", "opening", "order"),
    Frame("system-order", "system", "order"),
    Frame("system-preference", "system", "preference"),
    Frame("both-order", "both", "order"),
)


def frame_named(name: str) -> Frame:
    """Return the frame of this name.

    Raises:
        KeyError: there is no such frame.
    """
    return {frame.name: frame for frame in FRAMES}[name]
