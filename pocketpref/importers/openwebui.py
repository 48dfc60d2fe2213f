"""Open WebUI's exports: chats ("Export chats") and ratings ("Evaluations", feedback export).

A chat export is a list of ``{"id", "user_id", "chat": {"history": {"messages", "currentId"}}}``;
messages lie by id with ``parentId``, ``role``, ``content``, ``model``, ``modelIdx`` (its column
where several models were asked at once), ``annotation.rating`` (1 or -1) and ``timestamp``. A
feedback export is a list of ``{"type": "rating", "data": {"rating", "sibling_model_ids"}, "meta":
{"message_id"}, "snapshot": {"chat": ...}}``, where the snapshot is a chat as above.

What becomes a pair, among the finished answers to one prompt:

1. An answer rated 1 over each answer that is not rated 1.
2. If none is rated 1, the answer on the branch kept (the path to ``currentId``) over each other
   one, unless the kept one is rated -1. Answers of models asked side by side count as left only
   if the conversation went on from the kept one: the program itself shows one of them last.

A rating record adds its rating to its snapshot, and gives only pairs of rule 1 that its answer is
part of; where it lists ``sibling_model_ids``, only with answers of these models. A thumb down
alone says nothing about the others, and gives no pair. One pair is taken from a file once, however
many records speak of it.

``originalContent`` is not read: filters of the program set it as well as people who edit. Hidden
reasoning and tool calls that stand in an answer as ``<details>`` blocks are cut out. A file with
several people's entries (an administrator's export) names the user of each; a file with one
person's names none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final, Literal, NamedTuple

from pocketpref.errors import FileError, PairError
from pocketpref.importers.base import (
    BadEntry,
    Entry,
    feedback_from,
    is_user,
    moment_from_epoch,
    named,
)
from pocketpref.importers.message_tree import MAX_ALTERNATIVES, MessageTree, TreeError, Turn
from pocketpref.records import Feedback

_HIDDEN_BLOCK: Final = re.compile(r'<details type="(?:reasoning|tool_calls|code_interpreter)"')
_BLOCK_END: Final = "</details>"


class _Preference(NamedTuple):
    prompt: Turn
    chosen: Turn
    rejected: Turn
    choice: Literal["rated", "kept"]


class _BadElementError(Exception):
    """Why an element cannot be read; carries no text of it."""


def read_exports(elements: Iterator[Any]) -> Iterator[Entry]:
    """Read the chats or ratings of one document; yields after all of it has been seen.

    Args:
        elements: its parsed elements.

    Raises:
        FileError: none of them is a chat or a rating.
    """
    found: list[tuple[object, Entry]] = []
    seen: set[tuple[str, str, str]] = set()
    owners: set[str] = set()
    known = number = 0
    for number, element in enumerate(elements, start=1):
        known += is_export(element)
        owner = element.get("user_id") if isinstance(element, dict) else None
        if isinstance(owner, str) and is_user(owner):
            owners.add(owner)
        found.extend((owner, entry) for entry in _read_element(number, element, seen))
    if number and not known:
        raise FileError(
            "the file holds no Open WebUI chat or rating",
            hint="export it in Open WebUI under Settings, or Admin Panel, Evaluations",
        )
    for owner, entry in found:
        yield _filed(entry, owner) if len(owners) > 1 else entry


def is_export(value: object) -> bool:
    """Whether a JSON value looks like one of Open WebUI's chats or ratings."""
    return isinstance(value, dict) and (_is_rating(value) or _history(value) is not None)


def _is_rating(element: dict[str, Any]) -> bool:
    return "snapshot" in element and isinstance(element.get("data"), dict)


def _filed(entry: Entry, owner: object) -> Entry:
    if not isinstance(entry, Feedback) or not isinstance(owner, str) or not is_user(owner):
        return entry
    return replace(entry, user=owner)


def _read_element(number: int, element: Any, seen: set[tuple[str, str, str]]) -> Iterator[Entry]:
    rating = isinstance(element, dict) and _is_rating(element)
    place = f"{'rating' if rating else 'chat'} {number}"
    try:
        if not isinstance(element, dict):
            raise _BadElementError("no object")
        chat, preferences = _rated(element) if rating else _chosen(element)
    except (_BadElementError, TreeError) as error:
        yield BadEntry(None, f"{place}: {error}")
        return
    for preference in preferences:
        key = (chat or place, preference.chosen.id, preference.rejected.id)
        if key not in seen:
            seen.add(key)
            yield _entry(place, chat, preference)


def _entry(place: str, chat: str, preference: _Preference) -> Entry:
    prompt, chosen, rejected, choice = preference
    times = [t.created for t in (prompt, chosen, rejected) if t.created is not None]
    found = feedback_from(
        prompt.text,
        chosen.text,
        rejected.text,
        created=max(times, default=None),  # a choice cannot be older than what was chosen from
        meta={
            "source": "openwebui",
            "choice": choice,
            **named(
                conversation=chat,
                chosen=chosen.id,
                rejected=rejected.id,
                chosen_model=chosen.model,
                rejected_model=rejected.model,
            ),
        },
    )
    return BadEntry(None, f"{place}: {found.message}") if isinstance(found, PairError) else found


def _chosen(element: dict[str, Any]) -> tuple[str, list[_Preference]]:
    history = _history(element)
    if history is None:
        raise _BadElementError('no "history" with "messages"')
    conversation = _conversation(history)
    kept = {turn.id for turn in conversation.path}
    return _id(element), [
        preference
        for prompt in conversation.turns.values()
        if prompt.role == "user" and prompt.text.strip()
        for preference in _among(conversation, prompt, kept)
    ]


def _among(conversation: MessageTree, prompt: Turn, kept: set[str]) -> list[_Preference]:
    answers = _answers(conversation, prompt)
    if any(answer.rating == 1 for answer in answers):
        return _by_rating(prompt, answers)
    chosen = next((a for a in answers if a.id in kept and a.rating == 0), None)
    if chosen is None:
        return []
    went_on = bool(conversation.children.get(chosen.id))
    return [
        _Preference(prompt, chosen, left, "kept")
        for left in answers
        if left.text != chosen.text and (went_on or left.column == chosen.column)
    ]


def _by_rating(prompt: Turn, answers: list[Turn]) -> list[_Preference]:
    return [
        _Preference(prompt, good, other, "rated")
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


def _rated(element: dict[str, Any]) -> tuple[str, list[_Preference]]:
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
    answers = [rated, *_compared(siblings, data.get("sibling_model_ids"))]
    about_it = [p for p in _by_rating(prompt, answers) if rated.id in (p.chosen.id, p.rejected.id)]
    return _text_or_empty(meta.get("chat_id")) or _id(chat), about_it


def _compared(siblings: list[Turn], models: object) -> list[Turn]:
    if not isinstance(models, list):
        return siblings
    return [sibling for sibling in siblings if sibling.model in models]


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
            key: _turn(key, message)
            for key, message in history["messages"].items()
            if isinstance(message, dict)
        },
        current=current if isinstance(current, str) else None,
    )


def _turn(key: str, message: dict[str, Any]) -> Turn:
    role = message.get("role")
    parent, column = message.get("parentId"), message.get("modelIdx")
    model = message.get("selectedModelId") or message.get("model")  # the first in arena mode
    return Turn(
        id=key,
        parent=parent if isinstance(parent, str) else None,
        role=role if role in ("user", "assistant") else "other",
        text=_text(message),
        created=moment_from_epoch(message.get("timestamp")),
        complete=message.get("done") is not False and not message.get("error"),
        model=model if isinstance(model, str) else None,
        rating=_rating(_object(message.get("annotation"))),
        column=column if isinstance(column, int) else None,
    )


def _text(message: dict[str, Any]) -> str:
    files = message.get("files")
    if isinstance(files, list) and any(_object(file).get("type") == "image" for file in files):
        return ""  # the words alone are not what was asked or answered
    content = _text_or_empty(message.get("content"))
    return _without_hidden(content) if message.get("role") == "assistant" else content


def _without_hidden(text: str) -> str:
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
