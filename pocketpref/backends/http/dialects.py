"""The two APIs that are spoken: their headers, and what their events say.

OpenAI's chat completions (also OpenRouter, vLLM, Ollama, llama.cpp, LM Studio) and Anthropic's
messages, both streamed. What a request says is none of this module's business: its body is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress
from typing import Any

from pocketpref.backends.http.errors import broken_off
from pocketpref.backends.http.sse import Event
from pocketpref.egress.destination import Dialect
from pocketpref.errors import RemoteGarbledError

Pieces = Generator[str, None, bool]
Reader = Callable[[Iterable[Event], str], Pieces]

USER_AGENT = b"pocketpref"
"""The same for everybody: no version, no system. Some servers turn requests without one away."""

ANTHROPIC_VERSION = b"2023-06-01"

_HALF = re.compile("[\ud800-\udfff]")


def headers(
    dialect: Dialect, host: bytes, length: int, key: bytes | None
) -> list[tuple[bytes, bytes]]:
    """All headers of a request, in the order in which they are sent.

    Nothing in them depends on this machine or on the person, but for the key.

    Args:
        dialect: decides about the key's header.
        host: the other side as an address has it, without the usual port.
        length: of the body, in bytes.
        key: what it is opened with, or None for servers that ask for none.
    """
    chosen = [
        (b"Host", host),
        (b"User-Agent", USER_AGENT),
        (b"Accept", b"text/event-stream"),
        (b"Accept-Encoding", b"identity"),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % length),
        (b"Connection", b"close"),
    ]
    if dialect == "anthropic":
        chosen.append((b"anthropic-version", ANTHROPIC_VERSION))
    if key is not None:
        bearer = (b"Authorization", b"Bearer " + key)
        chosen.append((b"x-api-key", key) if dialect == "anthropic" else bearer)
    return chosen


def openai_pieces(events: Iterable[Event], where: str) -> Pieces:
    """The pieces of text, and whether the answer has come to its end.

    Raises:
        RemoteGarbledError: an event is none of a chat completion.
        RemoteRefusedError: an error came in place of the rest.
    """
    finished = False
    for event in events:
        if event.data == "[DONE]":
            return True
        content = _object(event.data)
        if event.name == "error" or content.get("error") is not None:
            raise broken_off(where, content)
        for choice in _list(content, "choices"):
            # Some servers hang up after the reason, without the last word.
            finished = finished or choice.get("finish_reason") is not None
            delta = _mapping(choice, "delta")
            # A model that declines says so in a field of its own.
            yield from (text for key in ("content", "refusal") if (text := _text(delta, key)))
    return finished


def anthropic_pieces(events: Iterable[Event], where: str) -> Pieces:
    """As ``openai_pieces``, for Anthropic's events."""
    for event in events:
        content = _object(event.data)
        match content.get("type"):
            case "message_stop":
                return True
            case "error":
                raise broken_off(where, content)
            case "content_block_start":
                text = _text(_mapping(content, "content_block"), "text")
            case "content_block_delta":
                text = _text(_mapping(content, "delta"), "text")
            case _:
                text = ""
        if text:
            yield text
    return False


READERS: dict[Dialect, Reader] = {"openai": openai_pieces, "anthropic": anthropic_pieces}


def _object(data: str) -> dict[str, Any]:
    content: object = None
    with suppress(ValueError, RecursionError):  # no JSON, a number of too many digits; too deep
        content = json.loads(data)
    return _mapped(content)


def _mapping(content: dict[str, Any], key: str) -> dict[str, Any]:
    return _mapped(content.get(key) or {})


def _mapped(content: object) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise _garbled()
    return content


def _list(content: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = content.get(key) or []
    if not isinstance(items, list):
        raise _garbled()
    return [_mapped(item) for item in items]


def _text(content: dict[str, Any], key: str) -> str:
    text = content.get(key) or ""
    # JSON can spell half a character, which no file and no terminal takes.
    if not isinstance(text, str) or _HALF.search(text):
        raise _garbled()
    return text


def _garbled() -> RemoteGarbledError:
    return RemoteGarbledError(
        "the answer cannot be understood: its events are not those of this API",
        hint="openai:MODEL is for chat completions, anthropic:MODEL for Anthropic's messages",
    )
