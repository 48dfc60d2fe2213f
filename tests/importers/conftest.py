"""Small exports in exactly the published shapes, made anew for each test."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from pocketpref.importers import BadEntry, Format, read
from pocketpref.records import Feedback


class Reading:
    """Everything one reading yielded, sorted."""

    def __init__(self, content: Any, name: Format | None = None) -> None:
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        entries = list(read(io.BytesIO(raw), name))
        assert all(isinstance(entry, (Feedback, BadEntry)) for entry in entries)
        self.found = [entry for entry in entries if isinstance(entry, Feedback)]
        self.bad = [entry for entry in entries if isinstance(entry, BadEntry)]

    @property
    def texts(self) -> list[tuple[str, str, str]]:
        return [(f.pair.prompt, f.pair.chosen, f.pair.rejected) for f in self.found]


@pytest.fixture
def reading() -> type[Reading]:
    return Reading


def chatgpt_node(
    key: str, parent: str | None, role: str, text: str | None, time: float = 1.7e9, **message: Any
) -> dict[str, Any]:
    content = {"content_type": "text", "parts": [text]}
    whole = {
        "id": key,
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": time,
        "update_time": None,
        "content": content,
        "status": "finished_successfully",
        "end_turn": True,
        "weight": 1.0,
        "metadata": {"model_slug": "gpt-4o"} if role == "assistant" else {},
        "recipient": "all",
        "channel": None,
    }
    return {
        "id": key,
        "message": None if text is None else {**whole, **message},
        "parent": parent,
        "children": [],
    }


def chatgpt_conversation(*nodes: dict[str, Any], current: str) -> dict[str, Any]:
    mapping = {node["id"]: node for node in nodes}
    for node in nodes:
        if node["parent"] in mapping:
            mapping[node["parent"]]["children"].append(node["id"])
    return {
        "title": "A title",
        "create_time": 1.7e9,
        "update_time": 1.7e9,
        "mapping": mapping,
        "moderation_results": [],
        "current_node": current,
        "conversation_id": "c-1",
        "default_model_slug": "gpt-4o",
        "id": "c-1",
    }


@pytest.fixture
def regenerated() -> dict[str, Any]:
    """A question, an answer, that answer generated again and kept, and a further turn."""
    hidden = {"metadata": {"is_visually_hidden_from_conversation": True}}
    return chatgpt_conversation(
        chatgpt_node("root", None, "system", None),
        chatgpt_node("sys", "root", "system", "", **hidden),
        chatgpt_node("q1", "sys", "user", "What is DNS?", 1_700_000_000.5),
        chatgpt_node("a1", "q1", "assistant", "A long lecture.", 1_700_000_010.0),
        chatgpt_node("a2", "q1", "assistant", "The phone book of the net.", 1_700_000_020.0),
        chatgpt_node("q2", "a2", "user", "Thanks!"),
        chatgpt_node("a3", "q2", "assistant", "Welcome."),
        current="a3",
    )


def openwebui_message(
    key: str, parent: str | None, role: str, content: str, **more: Any
) -> dict[str, Any]:
    base = {
        "id": key,
        "parentId": parent,
        "childrenIds": [],
        "role": role,
        "content": content,
        "timestamp": 1_700_000_000,
    }
    answer = {"model": "llama3:8b", "modelName": "Llama 3", "modelIdx": 0, "done": True}
    return base | (answer if role == "assistant" else {"models": ["llama3:8b"]}) | more


def openwebui_chat(
    *messages: dict[str, Any], current: str | None, user: str = "u-1", key: str = "chat-1"
) -> dict[str, Any]:
    by_id = {message["id"]: message for message in messages}
    for message in messages:
        if message["parentId"] in by_id:
            by_id[message["parentId"]]["childrenIds"].append(message["id"])
    return {
        "id": key,
        "user_id": user,
        "title": "A title",
        "chat": {
            "id": "",
            "title": "A title",
            "models": ["llama3:8b"],
            "params": {},
            "history": {"messages": by_id, "currentId": current},
            "messages": [],
            "tags": [],
            "timestamp": 1_700_000_000_000,
        },
        "updated_at": 1_700_000_100,
        "created_at": 1_700_000_000,
        "share_id": None,
        "archived": False,
    }


def openwebui_rating(
    chat: dict[str, Any], message: str, rating: int, siblings: list[str] | None, **more: Any
) -> dict[str, Any]:
    data: dict[str, Any] = {"rating": rating, "model_id": "llama3:8b", "reason": "", "comment": ""}
    if siblings is not None:
        data["sibling_model_ids"] = siblings
    return {
        "id": "f-1",
        "user_id": chat["user_id"],
        "version": 0,
        "type": "rating",
        "data": data,
        "meta": {"arena": False, "message_id": message, "message_index": 2, "chat_id": chat["id"]},
        "snapshot": {"chat": chat},
        "created_at": 1_700_000_000,
        "updated_at": 1_700_000_000,
    } | more
