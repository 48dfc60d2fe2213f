"""Check every request to the preferences page: host, cookie, origin and size.

Without the cookie every address gives the same answer, whether it exists or not. A form is accepted
only if the browser says that one of our pages sent it; its token is checked where the form is read.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pocketpref.server.loopback import Headers, body_length, own_hosts, read_headers, with_headers
from pocketpref.server.web.session import Session
from pocketpref.server.web.views import render

MOST_FORM_BYTES: Final = 256_000
"""The largest form that is read."""

OPEN_TO_ALL: Final = frozenset(("/", "/enter", "/style.css", "/icon.svg"))
"""Addresses that are answered without the cookie; they hold nothing about the person."""

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


class WebMiddleware:
    """ASGI middleware that refuses requests from anywhere but the person's browser."""

    def __init__(
        self, inner: ASGIApp, port: int, session: Session, used: Callable[[], None]
    ) -> None:
        """Wrap an application.

        Args:
            inner: answers the requests that pass.
            port: the port that is listened on.
            session: the visit that is served.
            used: called at every request of the person.
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
            (400, "A header is repeated.")
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
        site = headers.get(b"sec-fetch-site", b"none")
        if site not in (b"none", b"same-origin"):
            return 403, "Pages of other origins are not answered."
        origins = {b"http://" + host for host in self._hosts}
        if site == b"same-origin":
            origins.add(b"null")  # what browsers that send no referrer call the origin of a form
        if method not in ("GET", "HEAD") and headers.get(b"origin", b"null").lower() not in origins:
            return 403, "This form was not sent from a page of ours."
        self._used()
        return None
