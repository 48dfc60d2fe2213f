"""Parse untrusted requests in OpenAI's form, and build answers in that form.

An unsupported option that changes the answer is refused by name, never ignored: a program that
relies on tools or a response format would misread an answer without them. No error quotes the
request.
"""

from __future__ import annotations

import json
import math
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any, Final, get_args

from pocketpref.egress.request_body import is_unicode
from pocketpref.errors import InputError
from pocketpref.personalization.conditions import METHODS, PersonalizeMethod
from pocketpref.records import Message, RedactedRepr, Role, Sampling

OWN: Final = "pocketpref"
PLAIN: Final = "pocketpref-plain"
LOCAL_MODELS: Final[Mapping[str, PersonalizeMethod]] = {
    OWN: "auto",
    PLAIN: "none",
    **{f"{OWN}-{method}": method for method in METHODS if method not in ("auto", "none")},
}
"""The model on this machine, by the name that picks a method: a client can send a name, but not
always a field of its own."""

# Options that are accepted with the values that are the only behaviour here.
_DEFAULTS: Final[Mapping[str, Sequence[Any]]] = {
    "n": (1, None),
    "frequency_penalty": (0, None),
    "presence_penalty": (0, None),
    "logprobs": (False, None),
    "top_logprobs": (None,),
    "logit_bias": ({}, None),
    "response_format": ({"type": "text"}, None),
    "tools": ([], None),
    "tool_choice": ("none", "auto", None),
    "parallel_tool_calls": (True, False, None),
    "modalities": (["text"], None),
    "stop": ([], None),
    "stream_options": ({"include_usage": False}, {}, None),
}
_ROLES: Final[Mapping[str, Role]] = {
    **{role: role for role in get_args(Role)},
    "developer": "system",
}
MOST_MESSAGES: Final = 10_000
MOST_TOKENS: Final = 1_000_000
MOST_TEXTS: Final = 256
MOST_MODEL_LETTERS: Final = 500


@dataclass(frozen=True, slots=True, repr=False)
class ChatRequest(RedactedRepr):
    """One request for an answer.

    Attributes:
        model: as the client names it.
        system: the system text before the first turn, or None.
        history: the turns before the last.
        prompt: the last turn, the user's.
        sampling: how to draw; None where nothing was said about it.
        stream: whether the answer is wanted piece by piece.
    """

    model: str
    system: str | None
    history: tuple[Message, ...]
    prompt: str
    sampling: Sampling | None = None
    stream: bool = False
    _open = ("model", "stream")


def _name() -> str:
    return f"chatcmpl-{secrets.token_hex(12)}"


@dataclass(frozen=True, slots=True)
class Chunks:
    """The pieces of one streamed answer, each a JSON object.

    Attributes:
        model: that answers.
        id: of the answer.
        created: Unix time, seconds.
    """

    model: str
    id: str = field(default_factory=_name)
    created: int = field(default_factory=lambda: int(time.time()))

    def piece(self, text: str) -> bytes:
        """A piece of the answer."""
        return self._event({"content": text}, None)

    def first(self) -> bytes:
        """The chunk before the first piece: the role."""
        return self._event({"role": "assistant", "content": ""}, None)

    def last(self) -> bytes:
        """The chunk after the last piece."""
        return self._event({}, "stop") + b"data: [DONE]\n\n"

    def _event(self, delta: dict[str, str], finish: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return event(
            {
                "id": self.id,
                "object": "chat.completion.chunk",
                "created": self.created,
                "model": self.model,
                "choices": [choice],
            }
        )


def event(content: Mapping[str, Any]) -> bytes:
    """A server-sent event."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    return b"data: " + text.encode("utf-8", "replace") + b"\n\n"


def completion(model: str, text: str) -> dict[str, Any]:
    """A whole answer."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
    }
    return {
        "id": _name(),
        "object": "chat.completion",
        "created": int(time.time()),
        "model": model,
        "choices": [choice],
    }


def failure(message: str, kind: str = "invalid_request_error") -> dict[str, Any]:
    """An error in OpenAI's form."""
    return {"error": {"message": message, "type": kind, "param": None, "code": None}}


def parse_object(body: bytes) -> dict[str, Any]:
    """A request's body.

    Raises:
        InputError: it is no JSON object in UTF-8.
    """
    with suppress(ValueError, RecursionError):
        content = json.loads(body.decode("utf-8"))
        if isinstance(content, dict):
            return content
    raise InputError("the body is no JSON object in UTF-8")


def chat_request(content: Mapping[str, Any]) -> ChatRequest:
    """Read a request for an answer. Fields of unknown names are ignored, as elsewhere.

    Raises:
        InputError: a part is missing, of another type, or asks for what is not done here.
    """
    for name, value in content.items():
        if name in _DEFAULTS and value not in _DEFAULTS[name]:
            raise InputError(f"{name} is not supported here")
    system, turns = conversation(content.get("messages"))
    model, options, stream = model_named(content), sampling(content), content.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InputError("stream must be true or false")
    return ChatRequest(
        model=model,
        system=system,
        history=tuple(turns[:-1]),
        prompt=turns[-1]["content"],
        sampling=options,
        stream=bool(stream),
    )


def conversation(messages: object) -> tuple[str | None, list[Message]]:
    """Read messages: the system texts before the first turn as one, and the turns.

    Raises:
        InputError: a message is malformed, or the last is not the user's.
    """
    if not isinstance(messages, list) or not 0 < len(messages) <= MOST_MESSAGES:
        raise InputError(f"messages must be a list of 1 to {MOST_MESSAGES:,}")
    turns: list[Message] = []
    for message in messages:
        if not isinstance(message, dict) or message.get("tool_calls"):
            raise InputError("a message must be an object with a role and a text")
        role = message.get("role")
        if not isinstance(role, str) or role not in _ROLES:
            raise InputError("a message's role must be system, developer, user or assistant")
        turns.append(Message(role=_ROLES[role], content=_content(message.get("content"))))
    if turns[-1]["role"] != "user":
        raise InputError("the last message must be the user's")
    first = next(place for place, turn in enumerate(turns) if turn["role"] != "system")
    texts = [turn["content"] for turn in turns[:first]]
    return "\n\n".join(texts) or None, turns[first:]


def _content(content: object) -> str:
    if isinstance(content, list):
        parts = [
            part.get("text") if isinstance(part, dict) and part.get("type") == "text" else None
            for part in content
        ]
        texts = [part for part in parts if isinstance(part, str)]
        if len(texts) == len(parts):
            return _sound("".join(texts))
    if isinstance(content, str):
        return _sound(content)
    raise InputError("a message's content must be text; pictures, sound and files are not read")


def _sound(text: str) -> str:
    if not is_unicode(text):
        raise InputError("a message is no valid Unicode text (lone surrogates)")
    return text


def sampling(content: Mapping[str, Any]) -> Sampling | None:
    """Read the sampling options of a request; None if it has none.

    Raises:
        InputError: one is of another type or out of range.
    """
    limit = content.get("max_completion_tokens")
    limit = content.get("max_tokens") if limit is None else limit
    said = {
        "temperature": _number(content, "temperature", 0.0, 2.0),
        "top_p": _number(content, "top_p", 0.0, 1.0),
        "max_tokens": _whole(limit, "max_tokens", 1, MOST_TOKENS),
        "seed": _whole(content.get("seed"), "seed", -(2**63), 2**63 - 1),
    }
    given: dict[str, Any] = {name: value for name, value in said.items() if value is not None}
    return Sampling(**given) if given else None


def _number(content: Mapping[str, Any], name: str, low: float, high: float) -> float | None:
    value = content.get(name)
    if value is None:
        return None
    fits = isinstance(value, int | float) and not isinstance(value, bool)
    if not fits or not math.isfinite(value) or not low <= value <= high:
        raise InputError(f"{name} must be a number from {low:g} to {high:g}")
    return float(value)


def _whole(value: object, name: str, low: int, high: int) -> int | None:
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"{name} must be a whole number from {low:,} to {high:,}")
    return value


def model_named(content: Mapping[str, Any]) -> str:
    """The model that a request asks for.

    Raises:
        InputError: it is missing, or of another type.
    """
    name = content.get("model")
    if not isinstance(name, str) or not 0 < len(name) <= MOST_MODEL_LETTERS:
        raise InputError(f"model must be a text of at most {MOST_MODEL_LETTERS} characters")
    return name


def texts_to_embed(content: Mapping[str, Any]) -> list[str]:
    """Read a request for embeddings.

    Raises:
        InputError: a part is missing or of another type.
    """
    if content.get("encoding_format", "float") not in ("float", "base64"):
        raise InputError("encoding_format must be float or base64")
    if content.get("dimensions") is not None:
        raise InputError("dimensions is not supported here")
    given = content.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not 0 < len(texts) <= MOST_TEXTS:
        raise InputError(f"input must be a text, or a list of 1 to {MOST_TEXTS} texts")
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise InputError("input must be texts that are not empty")
    return [_sound(text) for text in texts]


# The local server in OpenAPI's words: what it takes and what it answers, for tools that ask.

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_MODEL: Final[Schema] = {
    "anyOf": [
        {"enum": list(LOCAL_MODELS)},
        {
            "type": "string",
            "pattern": r"^(openai|anthropic):[A-Za-z0-9/_][A-Za-z0-9._:/@+-]*$",
            "maxLength": MOST_MODEL_LETTERS,
            "description": "a destination; refused (403) until the person has allowed it",
        },
    ]
}


def _object(required: list[str], properties: Schema, **more: Any) -> Schema:
    return {"type": "object", "required": required, "properties": properties, **more}


def _optional(kind: str, **more: Any) -> Schema:
    """Null is the same as nothing."""
    return {"type": [kind, "null"], **more}


_PART: Final = _object(["type", "text"], {"type": {"const": "text"}, "text": _TEXT})
_MESSAGE: Final = _object(
    ["role", "content"],
    {
        "role": {"enum": ["system", "developer", "user", "assistant"]},
        "content": {"anyOf": [_TEXT, {"type": "array", "items": _PART}]},
    },
)
_TOKENS: Final = _optional("integer", minimum=1, maximum=MOST_TOKENS)
_CHAT: Final = _object(
    ["model", "messages"],
    {
        "model": _MODEL,
        "messages": {
            "description": "the last is the user's, and not empty",
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_MESSAGES,
            "items": _MESSAGE,
        },
        "stream": _optional("boolean"),
        "temperature": _optional("number", minimum=0, maximum=2),
        "top_p": _optional("number", minimum=0, maximum=1),
        "seed": _optional("integer", minimum=-(2**63), maximum=2**63 - 1),
        "max_tokens": _TOKENS,
        "max_completion_tokens": _TOKENS,
    },
    examples=[{"model": "pocketpref", "messages": [{"role": "user", "content": "Explain DNS"}]}],
)
_EMBED: Final = _object(
    ["model", "input"],
    {
        "model": {"const": "pocketpref"},
        "input": {
            "anyOf": [
                {"type": "string", "minLength": 1},
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MOST_TEXTS,
                    "items": {"type": "string", "minLength": 1},
                },
            ]
        },
        "encoding_format": {"enum": ["float", "base64"]},
    },
    examples=[{"model": "pocketpref", "input": ["Explain DNS"]}],
)
_COMPLETION: Final = _object(
    ["id", "object", "created", "model", "choices"],
    {
        "id": _TEXT,
        "object": {"const": "chat.completion"},
        "created": {"type": "integer"},
        "model": _TEXT,
        "choices": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": _object(
                ["index", "message", "finish_reason"],
                {
                    "index": {"const": 0},
                    "message": _object(["role", "content"], {"role": _TEXT, "content": _TEXT}),
                    "finish_reason": {"const": "stop"},
                },
            ),
        },
    },
)
_LIST: Final = _object(["object", "data"], {"object": {"const": "list"}, "data": {"type": "array"}})
_FAILURE: Final = _object(
    ["error"], {"error": _object(["message", "type"], {"message": _TEXT, "type": _TEXT})}
)


def description() -> Schema:
    """The OpenAPI description (3.1) of the server's routes."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "pocketpref", "version": version("pocketpref")},
        "security": [{"token": []}],
        "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/v1/models": {"get": _operation("models", None, _LIST)},
            "/v1/embeddings": {"post": _operation("embeddings", _EMBED, _LIST)},
            "/v1/chat/completions": {
                "post": _operation("chat", _CHAT, _COMPLETION, streamed=True),
            },
        },
    }


def _operation(name: str, body: Schema | None, answer: Schema, *, streamed: bool = False) -> Schema:
    content: Schema = {"application/json": {"schema": answer}}
    if streamed:
        content["text/event-stream"] = {}
    found: Schema = {
        "operationId": name,
        "responses": {
            "200": {"description": "done", "content": content},
            "default": {
                "description": "refused or failed",
                "content": {"application/json": {"schema": _FAILURE}},
            },
        },
    }
    if body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return found
