"""Read ChatGPT's data export: ``conversations.json``, alone or in its zip file.

The file is a list of conversations. A conversation's ``mapping`` holds its messages by id, each
with its ``parent``; ``current_node`` is the message shown last. The format is not documented by
its maker; what is relied on here is what published parsers agree on: ``message.author.role``,
``message.content`` with ``content_type`` and ``parts``, ``message.recipient``, ``message.status``,
``message.metadata.is_visually_hidden_from_conversation``, and times in seconds since 1970.
Recent large exports come in parts named ``conversations-000.json``; each is read by itself.

A pair comes from an answer that was generated again: the answer on the branch kept (the path to
``current_node``) is preferred to each finished answer on a branch left. The prompt is the
person's message alone, without the turns before it. Not pairs are: an edited prompt and its
original (they are different questions), answers that were interrupted, prompts with images, files
or speech, and branches left as a whole. Tool calls, hidden messages and reasoning are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from pocketpref.errors import FileError, PairError
from pocketpref.importers.base import BadEntry, Entry, moment_from_epoch
from pocketpref.importers.message_tree import MessageTree, TreeError, Turn, preference
from pocketpref.records import Feedback

# Places of search results in a text, which ChatGPT draws as links: private-use characters.
_CITATION: Final = re.compile("\ue200[^\ue200\ue201]*\ue201")


def read_conversations(elements: Iterator[Any]) -> Iterator[Entry]:
    """Read the conversations of one document.

    Args:
        elements: its parsed elements.

    Raises:
        FileError: none of them is a ChatGPT conversation.
    """
    known = number = 0
    for number, element in enumerate(elements, start=1):
        place = f"conversation {number}"
        if not is_conversation(element):
            yield BadEntry(None, f'{place}: no object with a "mapping"')
            continue
        known += 1
        try:
            for found in choices(element):
                if isinstance(found, PairError):
                    yield BadEntry(None, f"{place}: {found.message}")
                else:
                    yield found
        except TreeError as error:
            yield BadEntry(None, f"{place}: {error}")
    if number and not known:
        raise FileError(
            "the file holds no ChatGPT conversation",
            hint="give conversations.json from ChatGPT's data export, or the zip file it came in",
        )


def is_conversation(value: object) -> bool:
    """Whether a JSON value looks like one of ChatGPT's conversations."""
    return isinstance(value, dict) and isinstance(value.get("mapping"), dict)


def choices(conversation: dict[str, Any]) -> Iterator[Feedback | PairError]:
    """Read the choices of one conversation; one that cannot be kept comes back as its error.

    Raises:
        TreeError: its messages form a loop.
    """
    nodes, current = conversation["mapping"], conversation.get("current_node")
    tree = MessageTree(
        turns={key: parse_turn(key, node) for key, node in nodes.items() if isinstance(node, dict)},
        current=current if isinstance(current, str) else None,
    )
    name = conversation.get("conversation_id") or conversation.get("id")
    for prompt, kept in tree.kept_answers():
        if not (prompt.text.strip() and kept.usable):
            continue
        for left in tree.left_answers(prompt, kept):
            if left.usable and left.text != kept.text:
                yield preference(
                    *(prompt, kept, left), source="chatgpt", choice="kept", conversation=name
                )


def parse_turn(key: str, node: dict[str, Any]) -> Turn:
    """Read one node of a conversation's ``mapping``."""
    parent = node.get("parent")
    parent = parent if isinstance(parent, str) else None
    if not isinstance(node.get("message"), dict):
        return Turn(id=key, parent=parent, role="other")
    message = _Message(node["message"])
    return Turn(
        id=key,
        parent=parent,
        role=message.role,
        text=message.text,
        created=moment_from_epoch(message.fields.get("create_time")),
        complete=message.complete,
        model=message.model,
    )


class _Message:
    """A message as exported; a part that has another type than it should counts as missing."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields
        self._content = _object(fields.get("content"))
        self._metadata = _object(fields.get("metadata"))

    @property
    def role(self) -> Literal["user", "assistant", "other"]:
        """The visible speaker: a message that is not shown counts as "other"."""
        kind = self._content.get("content_type")
        hidden = self._metadata.get("is_visually_hidden_from_conversation") is True
        if hidden or kind in ("user_editable_context", "thoughts", "reasoning_recap"):
            return "other"
        role = _object(self.fields.get("author")).get("role")
        if role == "user":
            return "user"
        # An assistant's message to anyone but "all" is a call to a tool.
        shown = role == "assistant" and self.fields.get("recipient", "all") in ("all", None)
        return "assistant" if shown else "other"

    @property
    def text(self) -> str:
        """The text, if it is all there is: "" for one with files, images or speech."""
        parts = self._content.get("parts")
        if self._content.get("content_type") != "text" or not isinstance(parts, list):
            return ""
        if not all(isinstance(part, str) for part in parts):
            return ""
        if self._metadata.get("attachments"):
            return ""
        return _CITATION.sub("", "\n".join(parts))

    @property
    def complete(self) -> bool:
        """Whether it was finished."""
        reason = _object(self._metadata.get("finish_details")).get("type")
        return self.fields.get("status") != "in_progress" and reason != "interrupted"

    @property
    def model(self) -> str | None:
        """The model that wrote it."""
        model = self._metadata.get("model_slug")
        return model if isinstance(model, str) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
