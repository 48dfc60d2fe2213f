"""What stands before every request to the page: who asks, from where, and how much.

Without the cookie every address answers the same way, whether there is something or not. A form
counts only if the browser says that it was sent from a page of ours; the token in it is looked at
where the form is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pocketpref.server.auth_middleware import (
    Headers,
    body_length,
    own_hosts,
    read_headers,
    with_headers,
)
from pocketpref.server.web.rendering import render
from pocketpref.server.web.session import Session

MOST_FORM_BYTES: Final = 256_000
"""The largest form that is read."""

OPEN_TO_ALL: Final = frozenset(("/", "/enter", "/style.css", "/icon.svg"))
"""What is answered without the cookie: nothing of it is about anybody."""

_HEADERS: Final = (
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
        b"frame-ancestors 'none'; base-uri 'none'",
    ),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
)

_OURS: Final = (b"none", b"same-origin")


class WebMiddleware:
    """An ASGI application before another one."""

    def __init__(
        self, inner: ASGIApp, port: int, session: Session, used: Callable[[], None]
    ) -> None:
        """Stand before an application.

        Args:
            inner: what answers the requests that pass.
            port: that is listened on.
            session: knows who came in.
            used: told of every request of theirs.
        """
        self._inner = inner
        self._hosts = own_hosts(port)
        self._session = session
        self._used = used

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            return
        answering = with_headers(send, _HEADERS)
        found = read_headers(scope["headers"])
        refused = (
            (400, "A header stands twice.")
            if found is None
            else self._refusal(scope["method"], scope["path"], found)
        )
        if refused is None:
            await self._inner(scope, receive, answering)
            return
        status, words = refused
        body = render("refused.html", title="Not here", words=words)
        # What was not read of the request must not be taken for the next one.
        response = Response(body, status, {"connection": "close"}, "text/html")
        await response(scope, receive, answering)

    def _refusal(self, method: str, path: str, headers: Headers) -> tuple[int, str] | None:
        if headers.get(b"host", b"").lower() not in self._hosts:
            return 403, "This page answers under 127.0.0.1 and localhost only."
        if body_length(headers) > MOST_FORM_BYTES:
            return 413, f"A form has at most {MOST_FORM_BYTES:,} bytes."
        return None if path in OPEN_TO_ALL else self._unknown(method, headers)

    def _unknown(self, method: str, headers: Headers) -> tuple[int, str] | None:
        if not self._session.knows(headers.get(b"cookie", b"")):
            return 403, "You are not signed in here."
        if headers.get(b"sec-fetch-site", b"none") not in _OURS:
            return 403, "Pages of other origins are not answered."
        if method not in ("GET", "HEAD") and not self._sent_from_here(headers):
            return 403, "This form was not sent from a page of ours."
        self._used()
        return None

    def _sent_from_here(self, headers: Headers) -> bool:
        # Browsers that are told to name no referrer call the origin of a form "null".
        if headers.get(b"sec-fetch-site") == b"same-origin":
            return headers.get(b"origin", b"null").lower() in {b"null", *self._origins()}
        return headers.get(b"origin", b"").lower() in self._origins()

    def _origins(self) -> set[bytes]:
        return {b"http://" + host for host in self._hosts}
