"""A listener on the loopback address, and the middleware that checks every request to it."""

from __future__ import annotations

import hmac
import json
import logging
import socket
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pocketpref.errors import StorageError
from pocketpref.server.openai.schema import failure

HERE: Final = "127.0.0.1"
"""The only address that is listened on."""

Stop = Callable[[], None]


class Listener:
    """A port on 127.0.0.1, bound from construction on. Use it in a ``with`` statement.

    Attributes:
        port: that is listened on.
    """

    def __init__(self, port: int) -> None:
        """Take the port.

        Args:
            port: 0 for a free one.

        Raises:
            StorageError: the port is not available.
        """
        self._socket = bound_socket(port)
        self.port = int(self._socket.getsockname()[1])

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def run(self, application: Any, ready: Callable[[Stop], None], *, most: int = 256) -> None:
        """Answer requests until the program is told to stop (Ctrl-C), or ``ready``'s stop is.

        Args:
            application: an ASGI application. Nothing of a request is written to a log.
            ready: called when requests are taken, with what stops the server.
            most: connections at once.
        """
        server = uvicorn.Server(
            uvicorn.Config(
                application,
                log_config=None,
                access_log=False,
                server_header=False,
                lifespan="off",
                ws="none",
                http="h11",
                loop="asyncio",
                limit_concurrency=most,
                timeout_keep_alive=5,
                timeout_graceful_shutdown=5,
            )
        )
        # Its messages about a failed request may quote the request.
        logging.getLogger("uvicorn").addHandler(logging.NullHandler())
        logging.getLogger("uvicorn").propagate = False
        self._socket.listen(128)
        ready(lambda: setattr(server, "should_exit", True))
        server.run(sockets=[self._socket])


def bound_socket(port: int) -> socket.socket:
    """Bind a port on 127.0.0.1.

    Raises:
        StorageError: the port is not available.
    """
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    problem = ""
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows, where REUSEADDR shares the port
            made.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((HERE, port))
    except OSError as error:
        problem = error.strerror or "it failed"
    if problem:
        with suppress(OSError):
            made.close()
        raise StorageError(
            f"port {port} cannot be listened on: {problem}", hint="choose another: --port"
        )
    return made


# Check every request to the local server: host, origin, token and size.
#
# Any page that a browser shows can send requests to this machine. So a request must name this
# machine as its host (not a name that somebody else's DNS points here), must not come from a page
# of another origin, and must carry the token.

Headers = Mapping[bytes, bytes]

MOST_BODY_BYTES = 8_000_000

# Headers that decide access must not be repeated. Browsers send one line of cookies: with two, one
# is not the browser's.
_ONCE = (b"host", b"origin", b"authorization", b"sec-fetch-site", b"cookie")

_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)


class Guard:
    """ASGI middleware that refuses requests from anywhere but this machine's programs."""

    def __init__(self, inner: ASGIApp, port: int, token: str | None) -> None:
        """Wrap an application.

        Args:
            inner: answers the requests that pass.
            port: the port that is listened on.
            token: the token that clients send; None if they need none.
        """
        self._inner = inner
        self._hosts = own_hosts(port)
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return
        refused = self.refusal(scope["headers"])
        if refused is not None:
            await _refuse(send, *refused)
            return
        await self._inner(scope, receive, with_headers(send, _HEADERS))

    def refusal(self, headers: Iterable[tuple[bytes, bytes]]) -> tuple[int, str] | None:
        """Return status and reason if a request with these headers is refused, else None."""
        found = read_headers(headers)
        if found is None:
            return 400, "a header is repeated"
        if found.get(b"host", b"").lower() not in self._hosts:
            return 403, "this server answers under 127.0.0.1 and localhost only"
        site, origin = found.get(b"sec-fetch-site", b"none"), found.get(b"origin")
        own = origin is None or origin.lower() in {b"http://" + host for host in self._hosts}
        if site not in (b"none", b"same-origin") or not own:
            return 403, "pages of other origins are not answered"
        scheme, _, shown = found.get(b"authorization", b"").partition(b" ")
        # Compared in constant time: how far a guess is right must not show.
        if self._token is not None and not (
            scheme.lower() == b"bearer" and hmac.compare_digest(shown.strip(), self._token)
        ):
            return 401, "the token is missing or wrong: send it as the API key"
        if body_length(found) > MOST_BODY_BYTES:
            return 413, f"a request has at most {MOST_BODY_BYTES:,} bytes"
        return None


def own_hosts(port: int) -> frozenset[bytes]:
    """The ``Host`` headers that name this machine at a port."""
    return frozenset(f"{host}:{port}".encode() for host in (HERE, "localhost"))


def read_headers(headers: Iterable[tuple[bytes, bytes]]) -> Headers | None:
    """Return headers by name, or None if one that decides access is repeated."""
    found: dict[bytes, bytes] = {}
    for name, value in headers:
        if name in found and name in _ONCE:
            return None
        found[name] = value
    return found


def body_length(headers: Headers) -> int:
    """The stated size of a request, bytes; more than any limit if it is no number."""
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
    """Wrap a send function so that responses carry more headers."""

    async def sent(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", []), *more]
        await send(message)

    return sent
