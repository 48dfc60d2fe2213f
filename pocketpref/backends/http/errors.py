"""What another status than 200 means, in our words.

A server's own words are never repeated: they may quote the request. Of its codes those are
understood that stand here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Self

from pocketpref.errors import RemoteError, RemoteRefusedError

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
    """An answer that is none.

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
        """Read it as far as that is worth it."""
        code = None
        with suppress(RemoteError):  # it is refused, whatever becomes of the explanation
            code = None if _is_redirect(status) else _code(body)
        return cls(status, code, _retry_after(headers.get("retry-after", "").strip()))

    @property
    def passes(self) -> bool:
        """Whether it may be another way in a moment."""
        return (
            self.status == HTTPStatus.TOO_MANY_REQUESTS
            or self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ) and self.code != "insufficient_quota"

    def error(self, where: str) -> RemoteRefusedError:
        """What to raise."""
        if _is_redirect(self.status):
            return RemoteRefusedError(
                f"{where} sends us to another address (HTTP {self.status}), where nothing was sent",
                status=self.status,
                hint="a redirect is never followed: if you trust the new address, allow that one",
            )
        hint = _HINTS.get(self.status, "try again later, or ask another one")
        if self.asked:
            hint = f"it asks you to wait for {math.ceil(self.asked):,} seconds"
        return RemoteRefusedError(
            f"{where} refuses (HTTP {self.status}): {self._reason()}",
            status=self.status,
            hint=hint,
        )

    def _reason(self) -> str:
        if self.code:
            return _REASONS[self.code]
        failed = self.status >= HTTPStatus.INTERNAL_SERVER_ERROR
        otherwise = "it has failed" if failed else "it answers with something unexpected"
        return _STATUSES.get(self.status, otherwise)


def _is_redirect(status: int) -> bool:
    return HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST


def _code(body: Iterable[bytes]) -> str | None:
    read = bytearray()
    for piece in body:
        read += piece
        if len(read) > _LONGEST_BODY:
            return None
    with suppress(ValueError, RecursionError):  # no JSON, or too deep
        return _known(json.loads(bytes(read)))
    return None


def _known(content: object) -> str | None:
    error = content.get("error") if isinstance(content, dict) else None
    if not isinstance(error, dict):
        return None
    # A code is more precise than a type, but may be a number.
    codes = (error.get("code"), error.get("type"))
    return next((code for code in codes if isinstance(code, str) and code in _REASONS), None)


def _retry_after(text: str) -> float | None:
    """Seconds, from a number or a date (RFC 9110, section 10.2.3)."""
    if text.isascii() and text.isdigit():
        return float(text[:12])
    with suppress(ValueError):
        when = parsedate_to_datetime(text)
        # "-0000" is in no zone in particular.
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return max(0.0, (when - datetime.now(UTC)).total_seconds())
    return None


def broken_off(where: str, content: Mapping[str, Any]) -> RemoteRefusedError:
    """The error for an event that is one."""
    code = _known(content)
    reason = _REASONS[code] if code else "it has failed"
    return RemoteRefusedError(
        f"{where} broke its answer off: {reason}", hint="try again later, or ask another one"
    )
