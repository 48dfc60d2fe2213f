"""Conversation trees: every message names its parent; one leaf ends the branch shown last.

Chat programs keep an answer that was generated again beside the first one, as another child of the
same prompt. The path from the leaf shown last up to the root is what the person kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Final, Literal

from pocketpref.errors import PairError
from pocketpref.importers.base import feedback_from, named
from pocketpref.records import Feedback, RedactedRepr

MAX_ALTERNATIVES: Final = 32
"""Most answers to one prompt that are compared with the kept one; further ones are not read."""


class TreeError(Exception):
    """A conversation's structure makes no sense; the message carries no text of it."""


@dataclass(frozen=True, slots=True, repr=False)
class Turn(RedactedRepr):
    """One message of a conversation.

    Attributes:
        id: the source's name for it.
        parent: id of the message it answers or follows, or None.
        role: "other" is everything that people do not see: system, tools, hidden reasoning.
        text: what is seen of it, "" if that is no plain text.
        created: when it was written, or None.
        complete: False for an answer that was interrupted or failed.
        model: the model that wrote it, or None.
        rating: 1 or -1 if the person rated it, else 0.
        column: which of several models asked side by side, or None.
    """

    id: str
    parent: str | None
    role: Literal["user", "assistant", "other"]
    text: str = ""
    created: datetime | None = None
    complete: bool = True
    model: str | None = None
    rating: int = 0
    column: int | None = None
    _open = ("role", "rating")


@dataclass(frozen=True, slots=True, repr=False)
class AnswerNode(RedactedRepr):
    """Everything the person saw between one prompt and their next.

    Attributes:
        turns: the messages it is made of, from the prompt downwards.
        text: the visible text, joined.
    """

    turns: tuple[Turn, ...]
    text: str

    @property
    def id(self) -> str:
        """Id of its last message."""
        return self.turns[-1].id

    @property
    def created(self) -> datetime | None:
        """When its last dated message was written."""
        return max((t.created for t in self.turns if t.created), default=None)

    @property
    def model(self) -> str | None:
        """The model that wrote its last message, or None."""
        return self.turns[-1].model

    @property
    def usable(self) -> bool:
        """Whether it was finished and holds text."""
        return bool(self.text.strip()) and all(turn.complete for turn in self.turns)


@dataclass(frozen=True)
class MessageTree:
    """A tree of turns.

    Attributes:
        turns: all messages by id.
        current: id of the leaf shown last, or None if the source does not say.
    """

    turns: Mapping[str, Turn] = field(repr=False)
    current: str | None = field(repr=False)

    @cached_property
    def children(self) -> Mapping[str, list[Turn]]:
        """The messages that follow each message, in the source's order."""
        found: dict[str, list[Turn]] = {}
        for turn in self.turns.values():
            if turn.parent is not None:
                found.setdefault(turn.parent, []).append(turn)
        return found

    @cached_property
    def path(self) -> tuple[Turn, ...]:
        """The branch that was kept, from the root to the leaf shown last; empty if unknown.

        Raises:
            TreeError: the messages form a loop.
        """
        found: list[Turn] = []
        seen: set[str] = set()
        turn = self.turns.get(self.current) if self.current is not None else None
        while turn is not None:
            if turn.id in seen:
                raise TreeError("its messages form a loop")
            seen.add(turn.id)
            found.append(turn)
            turn = self.turns.get(turn.parent) if turn.parent is not None else None
        return tuple(reversed(found))

    def kept_answers(self) -> Iterator[tuple[Turn, AnswerNode]]:
        """Each prompt on the kept branch with its answer there."""
        prompt: Turn | None = None
        turns: list[Turn] = []
        for turn in self.path:
            if turn.role != "user":
                turns.append(turn)
                continue
            if prompt is not None and turns:
                yield prompt, _answer(turns)
            prompt, turns = turn, []
        if prompt is not None and turns:
            yield prompt, _answer(turns)

    def left_answers(self, prompt: Turn, kept: AnswerNode) -> list[AnswerNode]:
        """Answers to a prompt on other branches than the kept one, at most ``MAX_ALTERNATIVES``.

        There is one for each way down from the prompt to a leaf or to the next prompt. What
        continues the kept answer is no other answer.
        """
        found: list[AnswerNode] = []
        above: dict[str, Turn] = {}
        waiting = [prompt]
        while waiting and len(found) < MAX_ALTERNATIVES:
            turn = waiting.pop()
            replies = [t for t in self.children.get(turn.id, ()) if t.role != "user"]
            if not replies and turn is not prompt:
                branch = [turn]
                while branch[-1].id in above:
                    branch.append(above[branch[-1].id])
                found.append(_answer(branch[::-1]))
            others = [reply for reply in reversed(replies) if reply.id != kept.id]
            above.update((reply.id, turn) for reply in others if turn is not prompt)
            waiting.extend(others)
        return found


def preference(
    prompt: Turn,
    chosen: Turn | AnswerNode,
    rejected: Turn | AnswerNode,
    *,
    source: str,
    choice: str,
    conversation: object,
) -> Feedback | PairError:
    """Build imported feedback from a prompt and two of its answers.

    Args:
        prompt: the person's message.
        chosen: the answer they preferred.
        rejected: the other one.
        source: the format of the export.
        choice: how the person chose, such as "kept".
        conversation: the source's id of the conversation; left out if it is no name.
    """
    times = [t for t in (prompt.created, chosen.created, rejected.created) if t is not None]
    return feedback_from(
        prompt.text,
        chosen.text,
        rejected.text,
        created=max(times, default=None),  # a choice cannot be older than what was chosen from
        meta={
            "source": source,
            "choice": choice,
            **named(
                conversation=conversation,
                chosen=chosen.id,
                rejected=rejected.id,
                chosen_model=chosen.model,
                rejected_model=rejected.model,
            ),
        },
    )


def _answer(turns: list[Turn]) -> AnswerNode:
    visible = (t.text.strip() for t in turns if t.role == "assistant")
    return AnswerNode(turns=tuple(turns), text="\n\n".join(text for text in visible if text))
