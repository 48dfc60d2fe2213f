"""ChatGPT's data export: ``conversations.json``, alone or in the zip file it comes in.

The file is a list of conversations. A conversation's ``mapping`` holds its messages by id, each
with its ``parent``; ``current_node`` is the message shown last. The format is not documented by
its maker; what is relied on here is what published parsers agree on: ``message.author.role``,
``message.content`` with ``content_type`` and ``parts``, ``message.recipient``, ``message.status``,
``message.metadata.is_visually_hidden_from_conversation``, and times in seconds since 1970.
Recent large exports come in parts named ``conversations-000.json``; each is read by itself.

What becomes a pair: where a person had an answer generated again, the answer on the branch kept
(the path to ``current_node``) over each finished answer on a branch left. The prompt is the
person's message alone, without the turns before it. Not pairs are: an edited prompt and its
original (they are different questions), answers that were interrupted, prompts with images, files
or speech, and branches left as a whole. Tool calls, hidden messages and reasoning are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, Literal

from pocketpref.errors import FileError, PairError
from pocketpref.importers.base import BadEntry, Entry, feedback_from, moment_from_epoch, named
from pocketpref.importers.message_tree import AnswerNode, MessageTree, TreeError, Turn

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
        if is_conversation(element):
            known += 1
            yield from _read_conversation(number, element)
        else:
            yield BadEntry(None, f'conversation {number}: no object with a "mapping"')
    if number and not known:
        raise FileError(
            "the file holds no ChatGPT conversation",
            hint="give conversations.json from ChatGPT's data export, or the zip file it came in",
        )


def is_conversation(value: object) -> bool:
    """Whether a JSON value looks like one of ChatGPT's conversations."""
    return isinstance(value, dict) and isinstance(value.get("mapping"), dict)


def _read_conversation(number: int, element: dict[str, Any]) -> Iterator[Entry]:
    conversation = _conversation(element)
    try:
        kept_answers = list(conversation.kept_answers())
    except TreeError as error:
        yield BadEntry(None, f"conversation {number}: {error}")
        return
    source = element.get("conversation_id") or element.get("id")
    for prompt, kept in kept_answers:
        if not (prompt.text.strip() and kept.usable):
            continue
        for left in conversation.left_answers(prompt, kept):
            if left.usable and left.text != kept.text:
                yield _entry(number, source, prompt, kept, left)


def _entry(number: int, source: object, prompt: Turn, kept: AnswerNode, left: AnswerNode) -> Entry:
    times = [t for t in (kept.created, left.created, prompt.created) if t is not None]
    found = feedback_from(
        prompt.text,
        kept.text,
        left.text,
        created=max(times, default=None),  # a choice cannot be older than what was chosen from
        meta={
            "source": "chatgpt",
            "choice": "kept",
            **named(
                conversation=source,
                chosen=kept.id,
                rejected=left.id,
                chosen_model=kept.turns[-1].model,
                rejected_model=left.turns[-1].model,
            ),
        },
    )
    if isinstance(found, PairError):
        return BadEntry(None, f"conversation {number}: {found.message}")
    return found


def _conversation(element: dict[str, Any]) -> MessageTree:
    nodes = element["mapping"]
    current = element.get("current_node")
    return MessageTree(
        turns={key: _turn(key, node) for key, node in nodes.items() if isinstance(node, dict)},
        current=current if isinstance(current, str) else None,
    )


def _turn(key: str, node: dict[str, Any]) -> Turn:
    parent = node.get("parent")
    parent = parent if isinstance(parent, str) else None
    message = node.get("message")
    if not isinstance(message, dict):
        return Turn(id=key, parent=parent, role="other")
    metadata = _object(message.get("metadata"))
    model = metadata.get("model_slug")
    return Turn(
        id=key,
        parent=parent,
        role=_role(message, metadata),
        text=_text(message),
        created=moment_from_epoch(message.get("create_time")),
        complete=_complete(message, metadata),
        model=model if isinstance(model, str) else None,
    )


def _role(
    message: dict[str, Any], metadata: dict[str, Any]
) -> Literal["user", "assistant", "other"]:
    """Who is seen to speak: a message that is not shown counts as nobody's."""
    kind = _object(message.get("content")).get("content_type")
    hidden = metadata.get("is_visually_hidden_from_conversation") is True
    if hidden or kind in ("user_editable_context", "thoughts", "reasoning_recap"):
        return "other"
    role = _object(message.get("author")).get("role")
    if role == "user":
        return "user"
    # An assistant's message to anyone but "all" is a call of a tool.
    shown = role == "assistant" and message.get("recipient", "all") in ("all", None)
    return "assistant" if shown else "other"


def _text(message: dict[str, Any]) -> str:
    content = _object(message.get("content"))
    parts = content.get("parts")
    if content.get("content_type") != "text" or not isinstance(parts, list):
        return ""
    if not all(isinstance(part, str) for part in parts):
        return ""
    if _object(message.get("metadata")).get("attachments"):
        return ""
    return _CITATION.sub("", "\n".join(parts))


def _complete(message: dict[str, Any], metadata: dict[str, Any]) -> bool:
    reason = _object(metadata.get("finish_details")).get("type")
    return message.get("status") != "in_progress" and reason != "interrupted"


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
