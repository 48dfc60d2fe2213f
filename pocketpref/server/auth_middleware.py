"""What stands before every request to the local server: who asks, from where, and how much.

Any page that a browser shows can send requests to this machine. So a request must name this
machine as its host (no name that somebody else's DNS points here), must not come from a page of
another origin, and must show the token.
"""

from __future__ import annotations

import hmac
import json
import sys
from collections.abc import Iterable, Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pocketpref.server.listener import HERE
from pocketpref.server.openai.schema import failure

Headers = Mapping[bytes, bytes]

MOST_BODY_BYTES = 8_000_000

# A cookie that stands twice is one that was not ours to read: browsers send one line of them.
_ONCE = (b"host", b"origin", b"authorization", b"sec-fetch-site", b"cookie")

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Guard:
    """An ASGI application before another one."""

    def __init__(self, inner: ASGIApp, port: int, token: str | None) -> None:
        """Stand before an application.

        Args:
            inner: what answers the requests that pass.
            port: that is listened on.
            token: that clients show; None if they need none.
        """
        self._inner = inner
        self._hosts = own_hosts(port)
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return
        refused = self._refusal(scope["headers"])
        if refused is not None:
            await _refuse(send, *refused)
            return
        await self._inner(scope, receive, with_headers(send, _HEADERS))

    def _refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        found = read_headers(headers)
        if found is None:
            return 400, "a header stands twice"
        if found.get(b"host", b"").lower() not in self._hosts:
            return 403, "this server answers under 127.0.0.1 and localhost only"
        if not self._same_origin(found):
            return 403, "pages of other origins are not answered"
        if not self._knows(found.get(b"authorization", b"")):
            return 401, "the token is missing or wrong: send it as the API key"
        if body_length(found) > MOST_BODY_BYTES:
            return 413, f"a request has at most {MOST_BODY_BYTES:,} bytes"
        return None

    def _same_origin(self, headers: Headers) -> bool:
        origin = headers.get(b"origin")
        if headers.get(b"sec-fetch-site", b"none") not in (b"none", b"same-origin"):
            return False
        return origin is None or origin.lower() in {b"http://" + host for host in self._hosts}

    def _knows(self, authorization: bytes) -> bool:
        if self._token is None:
            return True
        scheme, _, shown = authorization.partition(b" ")
        # Compared in constant time: how far a guess is right must not show.
        return scheme.lower() == b"bearer" and hmac.compare_digest(shown.strip(), self._token)


def own_hosts(port: int) -> frozenset[bytes]:
    """The names under which this machine is asked at a port, as ``Host`` says them."""
    return frozenset(f"{host}:{port}".encode() for host in (HERE, "localhost"))


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers | None:
    """Headers by their names; None if one that decides who asks stands twice."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in found and name in _ONCE:
            return None
        found[name] = value
    return found


def body_length(headers: Headers) -> int:
    """The size that a request claims, in bytes; more than any limit if it claims nonsense."""
    try:
        return int(headers.get(b"content-length", b"0"))
    except ValueError:
        return sys.maxsize


async def _refuse(send: Send, status: int, words: str) -> None:
    body = json.dumps(failure(words, "permission_error")).encode()
    start: Message = {
        "type": "http.response.start",
        "status": status,
        "headers": [
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
            # What was not read of the request must not be taken for the next one.
            (b"connection", b"close"),
            *([(b"www-authenticate", b"Bearer")] if status == 401 else []),
        ],
    }
    await with_headers(send, _HEADERS)(start)
    await send({"type": "http.response.body", "body": body})


def with_headers(send: Send, more: Iterable[tuple[bytes, bytes]]) -> Send:
    """Sends answers with these headers, too."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *more]
        await send(message)

    return sent
