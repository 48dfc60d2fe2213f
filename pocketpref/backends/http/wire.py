"""One request and its answer, on a connection of its own.

httpcore2 is the transport beneath httpx2, by which httpx is continued. A client above it would add
headers that describe it, follow the environment, keep cookies and unpack bodies; the transport
sends the bytes that it is handed, and `network` opens its connections.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpcore2
import truststore

from pocketpref.backends.http.network import Network
from pocketpref.backends.http.watch import Watch
from pocketpref.errors import InputError, RemoteError, RemoteGarbledError, RemoteRefusedError

T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]

# Its debug messages show the headers of answers, into which a server can write what it was sent.
logging.getLogger("httpcore2").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back.

    Attributes:
        status: the HTTP status.
        headers: by lower-case name; the last of several of one name counts.
        body: its bytes, as they arrive.
    """

    status: int
    headers: dict[str, str]
    body: Iterator[bytes]


@contextmanager
def exchange(
    url: str,
    headers: Headers,
    body: bytes,
    watch: Watch,
    *,
    proxy: str | None = None,
    authorities: Path | None = None,
) -> Iterator[Answer]:
    """Send one request; the connection is closed when the block ends, however it does.

    What is sent is the line ``POST PATH HTTP/1.1``, the headers in the order and the spelling that
    they are given in, and the body.

    Args:
        url: where to.
        headers: the ``Host`` and the length among them.
        body: sent as it is.
        watch: bounds the time and the size of the answer.
        proxy: ``http://HOST:PORT``, which is asked for a tunnel to where TLS is spoken.
        authorities: a PEM file of the certificates that are trusted, and no others; None for those
            that the system trusts.

    Raises:
        InputError: the file of authorities cannot be read.
        RemoteError: there is no answer. Nothing was sent unless it was proven who is there.
    """
    parts = urlsplit(url)
    address = httpcore2.URL(
        scheme=parts.scheme, host=parts.hostname or "", port=parts.port, target=parts.path
    )
    message = httpcore2.Request("POST", address, headers=headers, content=body)
    pool = httpcore2.ConnectionPool(
        ssl_context=_tls(authorities),
        proxy=httpcore2.Proxy(proxy) if proxy else None,
        max_connections=1,
        max_keepalive_connections=0,
        network_backend=Network(watch, loopback_only=parts.scheme == "http"),
    )
    with pool, closing(_understood(watch, lambda: pool.handle_request(message))) as response:
        fields = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers}
        yield Answer(response.status, fields, _body(response, watch))


def _tls(authorities: Path | None) -> ssl.SSLContext:
    """A fresh context that verifies names and certificates, and resumes no earlier session."""
    if authorities is None:
        context: ssl.SSLContext = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        _load(context, authorities)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _load(context: ssl.SSLContext, authorities: Path) -> None:
    try:
        context.load_verify_locations(authorities)
    except OSError as error:
        reason = "holds no certificate" if isinstance(error, ssl.SSLError) else "cannot be read"
    else:
        return
    raise InputError(
        f"the file of certificate authorities {authorities.name} {reason}",
        hint="it holds one certificate or more in PEM form",
    )


def _body(response: httpcore2.Response, watch: Watch) -> Iterator[bytes]:
    source = response.iter_stream()
    while (piece := _understood(watch, lambda: next(source, None))) is not None:
        yield piece
        watch.allow(watch.timeouts.between_bytes)


def _understood(watch: Watch, call: Callable[[], T]) -> T:
    """Do what may meet with something that is no HTTP.

    Raised outside of the handlers: the library's errors quote what was received.

    Raises:
        RemoteError: it did, or the proxy refuses.
    """
    problem: RemoteError
    try:
        return call()
    except httpcore2.ProxyError:
        problem = RemoteRefusedError(
            "the proxy does not open a way through", hint="check its address and its rules"
        )
    except httpcore2.ProtocolError:
        problem = watch.gone() if watch.hung_up else _no_http(watch)
    raise problem


def _no_http(watch: Watch) -> RemoteGarbledError:
    return RemoteGarbledError(
        f"{watch.where} does not answer in HTTP/1.1", hint="check the address and the port"
    )
