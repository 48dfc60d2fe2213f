"""The OpenAI and Anthropic wire formats: request headers, server-sent events, errors.

OpenAI's chat completions (also OpenRouter, vLLM, Ollama, llama.cpp, LM Studio) and Anthropic's
messages, both streamed. The body of a request is written elsewhere (``egress/request_body.py``).
A server's own words are never repeated: they may quote the request. Only the error codes listed
here are understood.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, NamedTuple, Self

from pocketpref.egress.destination import Dialect
from pocketpref.errors import RemoteError, RemoteGarbledError, RemoteRefusedError

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


# Server-sent events (WHATWG HTML, section 9.2), read strictly and within limits.

LONGEST = 1 << 20
"""Bytes of one line, and of one event. The events of language models have a few hundred."""

_END_OF_LINE = re.compile(rb"\r\n|\n|\r")
_FIELDS = ("data", "event", "id", "retry")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event.

    Attributes:
        name: what it calls itself; "message" if it does not.
        data: its lines of data, joined by line feeds.
    """

    name: str
    data: str


def events(chunks: Iterable[bytes]) -> Iterator[Event]:
    """The complete events of a stream; one that the stream's end cuts off is none.

    Stricter than browsers, which pass over whatever they do not know: a field of another name, or
    bytes that are no UTF-8, end the reading.

    Args:
        chunks: the stream, cut anywhere.

    Raises:
        RemoteGarbledError: this is no such stream, or a line or an event is over-long.
    """
    name, data, size = "", list[str](), 0
    for line in lines(chunks):
        if not line:
            if data:
                yield Event(name or "message", "\n".join(data))
            name, data, size = "", [], 0
            continue
        size += len(line)
        if size > LONGEST:
            raise _no_events("an event of it is over-long")
        field, value = _field(line)
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value


def lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The complete lines of a stream, without their ends and the byte order mark.

    Raises:
        RemoteGarbledError: a line is over-long.
    """
    pending = bytearray()
    first, after_return = True, False
    for chunk in chunks:
        # A line may end in two bytes, with the cut between them.
        fresh = chunk[1:] if after_return and chunk.startswith(b"\n") else chunk
        after_return = chunk.endswith(b"\r") or (after_return and not chunk)
        head, *others = _END_OF_LINE.split(fresh)
        pending += head
        for other in others:
            line = bytes(pending)
            yield line.removeprefix(_BYTE_ORDER_MARK) if first else line
            first, pending = False, bytearray(other)
        if len(pending) > LONGEST:
            raise _no_events("a line of it is over-long")


def _field(line: bytes) -> tuple[str, str]:
    """Name and value; the name of a comment is empty."""
    text = None
    # Raised outside of the handler: UnicodeDecodeError holds the bytes.
    with suppress(UnicodeDecodeError):
        text = line.decode("utf-8")
    if text is None:
        raise _no_events("it is no UTF-8")
    name, _, value = text.partition(":")
    if name and name not in _FIELDS:
        raise _no_events("a line of it is none of an event stream")
    return name, value.removeprefix(" ")


def _no_events(what: str) -> RemoteGarbledError:
    return RemoteGarbledError(
        f"the answer cannot be understood: {what}",
        hint="check that the address is that of the API, and that it fits the kind of destination",
    )


# Errors: what a status other than 200 means, and an error in the middle of a stream.

_LONGEST_BODY = 64 << 10  # bytes of an error that are looked at

_REASONS = {
    "authentication_error": "it does not accept the key",
    "billing_error": "the account behind the key has no credit",
    "context_length_exceeded": "the conversation is too long for its model",
    "exceed_context_size_error": "the conversation is too long for its model",
    "insufficient_quota": "the account behind the key has no credit",
    "invalid_api_key": "it does not accept the key",
    "model_not_found": "it has no such model",
    "not_found_error": "it has no such model",
    "overloaded_error": "it is overloaded",
    "permission_error": "the key does not permit it",
    "rate_limit_error": "too many requests for now",
    "rate_limit_exceeded": "too many requests for now",
    "request_too_large": "the request is too large",
    "unsupported_parameter": "its model does not take one of the settings",
    "unsupported_value": "its model does not take the value of one of the settings",
}
"""Codes of errors of OpenAI, Anthropic and llama.cpp."""

_STATUSES = {
    400: "it does not accept the request",
    401: "it does not accept the key, or wants one",
    402: "the account behind the key has no credit",
    403: "the key does not permit it",
    404: "it has no such model, or its API has another path",
    408: "it did not get the request in time",
    413: "the request is too large",
    422: "it does not accept the request",
    429: "too many requests for now",
    529: "it is overloaded",
}

_HINTS = {
    401: "keep the right key for this address: pocketpref egress key",
    403: "give it a key that permits this model",
    404: "check the model's name and the address",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An error response.

    Attributes:
        status: the HTTP status.
        code: the error's code, if it is one of those that are understood.
        asked: seconds that the other side asks us to wait, or None.
    """

    status: int
    code: str | None = None
    asked: float | None = None

    @classmethod
    def of(cls, status: int, headers: Mapping[str, str], body: Iterable[bytes]) -> Self:
        """Read an error response; of its body at most 64 KiB, and nothing of a redirect's."""
        code, read = None, bytearray()
        # It is refused, whatever becomes of the explanation: cut off, no JSON, or too deep.
        with suppress(RemoteError, ValueError, RecursionError):
            if not _is_redirect(status):
                for piece in body:
                    read += piece
                    if len(read) > _LONGEST_BODY:
                        break
                else:
                    code = _known(json.loads(bytes(read)))
        return cls(status, code, retry_after(headers.get("retry-after", "").strip()))

    @property
    def passes(self) -> bool:
        """Whether the same request may succeed in a moment."""
        return (
            self.status == HTTPStatus.TOO_MANY_REQUESTS
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ) and self.code != "insufficient_quota"

    def error(self, where: str) -> RemoteRefusedError:
        """The error to raise."""
        if _is_redirect(self.status):
            return RemoteRefusedError(
                f"{where} sends us to another address (HTTP {self.status}), where nothing was sent",
                status=self.status,
                hint="a redirect is never followed: if you trust the new address, allow that one",
            )
        failed = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        otherwise = "it has failed" if failed else "it answers with something unexpected"
        reason = _REASONS[self.code] if self.code else _STATUSES.get(self.status, otherwise)
        hint = _HINTS.get(self.status, "try again later, or ask another one")
        if self.asked:
            hint = f"it asks you to wait for {math.ceil(self.asked):,} seconds"
        return RemoteRefusedError(
            f"{where} refuses (HTTP {self.status}): {reason}", status=self.status, hint=hint
        )


def _is_redirect(status: int) -> bool:
    return HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST


def _known(content: object) -> str | None:
    error = content.get("error") if isinstance(content, dict) else None
    if not isinstance(error, dict):
        return None
    # A code is more precise than a type, but may be a number.
    codes = (error.get("code"), error.get("type"))
    return next((code for code in codes if isinstance(code, str) and code in _REASONS), None)


def retry_after(text: str) -> float | None:
    """Seconds of a ``Retry-After`` header, a number or a date (RFC 9110, section 10.2.3).

    None if it is neither.
    """
    if text.isascii() and text.isdigit():
        return float(text[:12])
    with suppress(ValueError):
        when = parsedate_to_datetime(text)
        # "-0000" is in no zone in particular.
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    return None


def broken_off(where: str, content: Mapping[str, Any]) -> RemoteRefusedError:
    """The error for an error event in the middle of a stream."""
    code = _known(content)
    reason = _REASONS[code] if code else "it has failed"
    return RemoteRefusedError(
        f"{where} broke its answer off: {reason}", hint="try again later, or ask another one"
    )


# The text of an answer.

Pieces = Generator[str, None, bool]
Reader = Callable[[Iterable[Event], str], Pieces]


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
        choices = content.get("choices") or []
        if not isinstance(choices, list):
            raise _garbled()
        for choice in [_mapped(item) for item in choices]:
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
