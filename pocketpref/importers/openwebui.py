"""Read Open WebUI exports: chats ("Export chats") and ratings ("Evaluations", feedback export).

A chat export is a list of ``{"id", "user_id", "chat": {"history": {"messages", "currentId"}}}``;
messages lie by id with ``parentId``, ``role``, ``content``, ``model``, ``modelIdx`` (its column
where several models were asked at once), ``annotation.rating`` (1 or -1) and ``timestamp``. A
feedback export is a list of ``{"type": "rating", "data": {"rating", "sibling_model_ids"}, "meta":
{"message_id"}, "snapshot": {"chat": ...}}``, where the snapshot is a chat as above.

Pairs come from the finished answers to one prompt:

1. An answer rated 1 over each answer that is not rated 1.
2. If none is rated 1, the answer on the branch kept (the path to ``currentId``) over each other
   one, unless the kept one is rated -1. Answers of models asked side by side count as left only
   if the conversation went on from the kept one: the program itself shows one of them last.

A rating record adds its rating to its snapshot, and gives only pairs of rule 1 that its answer is
part of; where it lists ``sibling_model_ids``, only with answers of these models. A thumb down
alone says nothing about the others, and gives no pair. A pair that several records contain is taken
from a file once.

``originalContent`` is not read: filters of the program set it as well as people who edit. Hidden
reasoning and tool calls in an answer (``<details>`` blocks) are cut out. A file with
several people's entries (an administrator's export) names the user of each; a file with one
person's names none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

from pocketpref.errors import FileError, PairError
from pocketpref.importers.base import BadEntry, Entry, is_user, moment_from_epoch
from pocketpref.importers.message_tree import (
    MAX_ALTERNATIVES,
    MessageTree,
    TreeError,
    Turn,
    preference,
)
from pocketpref.records import Feedback

_HIDDEN_BLOCK: Final = re.compile(r'<details type="(?:reasoning|tool_calls|code_interpreter)"')
_BLOCK_END: Final = "</details>"


class Rating(NamedTuple):
    """An answer in a chat that was preferred to another one, and how."""

    prompt: Turn
    chosen: Turn
    rejected: Turn
    choice: Literal["rated", "kept"]


class _BadElementError(Exception):
    """An element cannot be read; carries no text of it."""


def read_exports(elements: Iterator[Any]) -> Iterator[Entry]:
    """Read the chats or ratings of one document; yields after all of it has been seen.

    Args:
        elements: its parsed elements.

    Raises:
        FileError: none of them is a chat or a rating.
    """
    found: list[tuple[str | None, Entry]] = []
    seen: set[tuple[str, str, str]] = set()
    owners: set[str] = set()
    known = number = 0
    for number, element in enumerate(elements, start=1):
        known += is_export(element)
        stated = element.get("user_id") if isinstance(element, dict) else None
        owner = stated if isinstance(stated, str) and is_user(stated) else None
        if owner is not None:
            owners.add(owner)
        found.extend((owner, entry) for entry in _read_element(number, element, seen))
    if number and not known:
        raise FileError(
            "the file holds no Open WebUI chat or rating",
            hint="export it in Open WebUI under Settings, or Admin Panel, Evaluations",
        )
    for owner, entry in found:
        if isinstance(entry, Feedback) and owner is not None and len(owners) > 1:
            yield replace(entry, user=owner)
        else:
            yield entry


def is_export(value: object) -> bool:
    """Whether a JSON value looks like one of Open WebUI's chats or ratings."""
    return isinstance(value, dict) and (_is_rating(value) or _history(value) is not None)


def _is_rating(element: dict[str, Any]) -> bool:
    return "snapshot" in element and isinstance(element.get("data"), dict)


def _read_element(number: int, element: Any, seen: set[tuple[str, str, str]]) -> Iterator[Entry]:
    rating = isinstance(element, dict) and _is_rating(element)
    place = f"{'rating' if rating else 'chat'} {number}"
    try:
        if not isinstance(element, dict):
            raise _BadElementError("no object")
        chat, preferences = from_rating(element) if rating else from_chat(element)
    except (_BadElementError, TreeError) as error:
        yield BadEntry(None, f"{place}: {error}")
        return
    for prompt, chosen, rejected, choice in preferences:
        key = (chat or place, chosen.id, rejected.id)
        if key in seen:
            continue
        seen.add(key)
        made = preference(
            *(prompt, chosen, rejected), source="openwebui", choice=choice, conversation=chat
        )
        yield BadEntry(None, f"{place}: {made.message}") if isinstance(made, PairError) else made


def from_chat(element: dict[str, Any]) -> tuple[str, list[Rating]]:
    """Id and preferences of a chat, by the ratings and the branches in it."""
    history = _history(element)
    if history is None:
        raise _BadElementError('no "history" with "messages"')
    conversation = _conversation(history)
    on_path = {turn.id for turn in conversation.path}
    found: list[Rating] = []
    for prompt in conversation.turns.values():
        if prompt.role != "user" or not prompt.text.strip():
            continue
        answers = _answers(conversation, prompt)
        kept = next((a for a in answers if a.id in on_path and a.rating == 0), None)
        if any(answer.rating == 1 for answer in answers):
            found += _by_rating(prompt, answers)
        elif kept is not None:
            went_on = bool(conversation.children.get(kept.id))
            found += [
                Rating(prompt, kept, left, "kept")
                for left in answers
                if left.text != kept.text and (went_on or left.column == kept.column)
            ]
    return _id(element), found


def _by_rating(prompt: Turn, answers: list[Turn]) -> list[Rating]:
    return [
        Rating(prompt, good, other, "rated")
        for good in answers
        if good.rating == 1
        for other in answers
        if other.rating != 1 and other.text != good.text
    ]


def _answers(conversation: MessageTree, prompt: Turn) -> list[Turn]:
    finished = [turn for turn in conversation.children.get(prompt.id, ()) if _usable(turn)]
    return finished[: MAX_ALTERNATIVES + 1]


def _usable(turn: Turn) -> bool:
    return turn.role == "assistant" and turn.complete and bool(turn.text.strip())


def from_rating(element: dict[str, Any]) -> tuple[str, list[Rating]]:
    """Id of the chat and preferences of one rating record."""
    chat = _object(_object(element.get("snapshot")).get("chat"))
    history = _history(chat)
    if history is None:
        raise _BadElementError("its snapshot holds no chat")
    conversation = _conversation(history)
    meta, data = _object(element.get("meta")), _object(element["data"])
    rated = conversation.turns.get(_text_or_empty(meta.get("message_id")))
    if rated is None:
        raise _BadElementError("the answer it rates is not in its snapshot")
    prompt = conversation.turns.get(rated.parent or "")
    if prompt is None or prompt.role != "user" or not prompt.text.strip() or not _usable(rated):
        return "", []
    rated = replace(rated, rating=_rating(data))
    siblings = [a for a in _answers(conversation, prompt) if a.id != rated.id]
    models = data.get("sibling_model_ids")
    if isinstance(models, list):
        siblings = [sibling for sibling in siblings if sibling.model in models]
    preferences = _by_rating(prompt, [rated, *siblings])
    about_it = [p for p in preferences if rated.id in (p.chosen.id, p.rejected.id)]
    return _text_or_empty(meta.get("chat_id")) or _id(chat), about_it


def _id(element: dict[str, Any]) -> str:
    own = _text_or_empty(element.get("id"))
    return own or _text_or_empty(_object(element.get("chat")).get("id"))


def _history(element: dict[str, Any]) -> dict[str, Any] | None:
    """The ``history`` of a chat: inside its ``chat``, or in old exports beside its ``id``."""
    for holder in (_object(element.get("chat")), element):
        history = holder.get("history")
        if isinstance(history, dict) and isinstance(history.get("messages"), dict):
            return history
    return None


def _conversation(history: dict[str, Any]) -> MessageTree:
    current = history.get("currentId")
    return MessageTree(
        turns={
            key: parse_turn(key, message)
            for key, message in history["messages"].items()
            if isinstance(message, dict)
        },
        current=current if isinstance(current, str) else None,
    )


def parse_turn(key: str, message: dict[str, Any]) -> Turn:
    """Read one message of a history."""
    role = message.get("role")
    text, files = _text_or_empty(message.get("content")), message.get("files")
    if isinstance(files, list) and any(_object(file).get("type") == "image" for file in files):
        text = ""  # the words alone are not what was asked or answered
    parent, column = message.get("parentId"), message.get("modelIdx")
    model = message.get("selectedModelId") or message.get("model")  # the first in arena mode
    return Turn(
        id=key,
        parent=parent if isinstance(parent, str) else None,
        role=role if role in ("user", "assistant") else "other",
        text=without_hidden(text) if role == "assistant" else text,
        created=moment_from_epoch(message.get("timestamp")),
        complete=message.get("done") is not False and not message.get("error"),
        model=model if isinstance(model, str) else None,
        rating=_rating(_object(message.get("annotation"))),
        column=column if isinstance(column, int) else None,
    )


def without_hidden(text: str) -> str:
    """Cut out ``<details>`` blocks of reasoning and tools; in one pass, whatever the text."""
    pieces: list[str] = []
    position = 0
    while opening := _HIDDEN_BLOCK.search(text, position):
        end = text.find(_BLOCK_END, opening.end())
        if end < 0:
            break
        pieces.append(text[position : opening.start()])
        position = end + len(_BLOCK_END)
    pieces.append(text[position:])
    return "".join(pieces).strip() if len(pieces) > 1 else text


def _rating(holder: dict[str, Any]) -> int:
    rating = holder.get("rating")  # an int, or in some versions its text
    return {"1": 1, "-1": -1}.get(str(rating), 0) if isinstance(rating, (int, str)) else 0


def _text_or_empty(value: object) -> str:
    return value if isinstance(value, str) else ""


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
