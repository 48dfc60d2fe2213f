"""The local server in OpenAPI's words: what it takes and what it answers, for tools that ask."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from pocketpref.hosts.requests import MOST_MESSAGES, MOST_MODEL_LETTERS, MOST_TEXTS, MOST_TOKENS

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_MODEL: Final[Schema] = {
    "anyOf": [
        {"enum": ["pocketpref", "pocketpref-plain"]},
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
