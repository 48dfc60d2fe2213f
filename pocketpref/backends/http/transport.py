"""Send one HTTP request and read its response, on a new connection.

httpcore2 is the transport beneath httpx2, by which httpx is continued. A client above it would add
headers that describe it, follow the environment, keep cookies and unpack bodies; the transport
sends the bytes that it is handed, and `network` opens its connections.
"""

from __future__ import annotations

import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpcore2
import truststore

from pocketpref.backends.http.limits import TransferWatch
from pocketpref.errors import (
    InputError,
    RemoteError,
    RemoteGarbledError,
    RemoteRefusedError,
    RemoteUnreachableError,
)

# Sockets, for the HTTP library to speak over: each wait bounded, each address looked at first.

_UNTRUSTED = {
    10: "has expired",
    18: "is vouched for by nobody but itself",
    19: "comes from an authority that is not trusted here",
    20: "comes from an authority that is not trusted here",
    21: "comes from an authority that is not trusted here",
    62: "is for another name",
    64: "is for another address",
}
"""OpenSSL's X509_V_ERR_* in words; its own would do, but they quote names from certificates."""


class Network(httpcore2.NetworkBackend):
    """Opens connections.

    Args:
        watch: bounds every wait.
        loopback_only: connect to addresses of this machine and to no other, whatever the name
            resolves to. What is sent in the clear must not leave because a name server says so.
    """

    def __init__(self, watch: TransferWatch, *, loopback_only: bool) -> None:
        self._watch = watch
        self._loopback_only = loopback_only

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """A connection to the first of the host's addresses that takes one.

        The watch's limits count, not ``timeout``; the last two are never given.

        Raises:
            RemoteUnreachableError: none does in time, or none is permitted.
        """
        self._watch.allow(self._watch.timeouts.connect)
        addresses = self._addresses(host, port)
        for tried, (family, address) in enumerate(addresses):
            # Each gets its share of the time: an address that swallows packets is not the only one.
            share = self._watch.left() / (len(addresses) - tried)
            with suppress(OSError):
                return _Stream(connected(family, address, share), self._watch)
        raise RemoteUnreachableError(
            f"{self._watch.where} cannot be reached",
            hint="check the address, the connection, and whether a server runs there",
        )

    def _addresses(self, host: str, port: int) -> list[tuple[int, tuple[Any, ...]]]:
        found: list[tuple[int, tuple[Any, ...]]] = []
        with suppress(OSError, UnicodeError):  # UnicodeError: no name that could be asked for
            answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = [(family, address) for family, _, _, _, address in answers]
        if self._loopback_only:
            return [
                (family, address)
                for family, address in found
                if ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
            ]
        return found


def connected(family: int, address: tuple[Any, ...], seconds: float) -> socket.socket:
    """A socket connected to one address, which must answer within so many seconds.

    Raises:
        OSError: it does not.
    """
    with ExitStack() as undo:
        connection = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        connection.settimeout(seconds)
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        undo.pop_all()
        return connection


class _Stream(httpcore2.NetworkStream):
    """A connection on which no wait is longer than the watch allows."""

    def __init__(self, connection: socket.socket, watch: TransferWatch) -> None:
        self._socket = connection
        self._watch = watch

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """What has arrived; nothing at the end.

        Raises:
            RemoteUnreachableError: nothing arrives in time, or never will.
            RemoteGarbledError: far too much has arrived.
        """
        try:
            self._socket.settimeout(self._watch.left())
            return self._watch.count(self._socket.recv(max_bytes))
        except TimeoutError:
            problem = self._watch.late()
        except OSError:
            problem = self._watch.gone()
        raise problem

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send bytes, all of them.

        Raises:
            RemoteUnreachableError: the other side does not take them in time.
            WriteError: it hung up. httpcore2 then reads what it may have answered before.
        """
        view = memoryview(buffer)
        problem: Exception | None = None
        while view and problem is None:
            self._watch.allow(self._watch.timeouts.between_bytes)
            try:
                self._socket.settimeout(self._watch.left())
                view = view[self._socket.send(view) :]
            except TimeoutError:
                problem = self._watch.late()
            except OSError:
                problem = httpcore2.WriteError()
        if problem is not None:
            raise problem
        self._watch.allow(self._watch.timeouts.first_byte)

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore2.NetworkStream:
        """The same connection under TLS, once it is proven who is there.

        Raises:
            RemoteUnreachableError: it is not proven, or not in time.
        """
        self._watch.allow(self._watch.timeouts.connect)
        try:
            self._socket.settimeout(self._watch.left())
            # The handshake belongs to the call: what truststore does on macOS and Windows checks
            # certificates around it.
            secured = ssl_context.wrap_socket(self._socket, server_hostname=server_hostname)
            return _Stream(secured, self._watch)
        except TimeoutError:
            problem = self._watch.late()
        except ssl.SSLCertVerificationError as error:
            problem = RemoteUnreachableError(
                f"{self._watch.where} does not prove who it is: its certificate "
                f"{_UNTRUSTED.get(error.verify_code, 'is not valid')}",
                hint="nothing was sent; the network may be at fault, or somebody in it",
            )
        except OSError:
            problem = RemoteUnreachableError(
                f"{self._watch.where} speaks no TLS that is understood here",
                hint="check the port; plain http is for servers on this machine only",
            )
        self.close()
        raise problem

    def close(self) -> None:
        """Close the connection at once."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks for: nothing but whether TLS is spoken, and whether bytes wait."""
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        return None


T = TypeVar("T")
Headers = list[tuple[bytes, bytes]]

# Its debug messages show the headers of answers, into which a server can write what it was sent.
logging.getLogger("httpcore2").setLevel(logging.INFO)


@dataclass(frozen=True, slots=True)
class HttpAnswer:
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
    watch: TransferWatch,
    *,
    proxy: str | None = None,
    authorities: Path | None = None,
) -> Iterator[HttpAnswer]:
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
        ssl_context=tls_context(authorities),
        proxy=httpcore2.Proxy(proxy) if proxy else None,
        max_connections=1,
        max_keepalive_connections=0,
        network_backend=Network(watch, loopback_only=parts.scheme == "http"),
    )
    with pool, closing(_understood(watch, lambda: pool.handle_request(message))) as response:
        fields = {k.decode("latin-1").lower(): v.decode("latin-1") for k, v in response.headers}
        yield HttpAnswer(response.status, fields, _body(response, watch))


def tls_context(authorities: Path | None) -> ssl.SSLContext:
    """A fresh context that verifies names and certificates, and resumes no earlier session.

    Raises:
        InputError: the file of authorities cannot be read.
    """
    context: ssl.SSLContext
    problem = ""
    if authorities is None:
        context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    else:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(authorities)
        except OSError as error:
            none = isinstance(error, ssl.SSLError)
            problem = "holds no certificate" if none else "cannot be read"
    if authorities is not None and problem:  # outside of the handler: the error holds the path
        raise InputError(
            f"the file of certificate authorities {authorities.name} {problem}",
            hint="it holds one certificate or more in PEM form",
        )
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _body(response: httpcore2.Response, watch: TransferWatch) -> Iterator[bytes]:
    source = response.iter_stream()
    while (piece := _understood(watch, lambda: next(source, None))) is not None:
        yield piece
        watch.allow(watch.timeouts.between_bytes)


def _understood(watch: TransferWatch, call: Callable[[], T]) -> T:
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
        problem = watch.gone()
        if not watch.hung_up:
            problem = RemoteGarbledError(
                f"{watch.where} does not answer in HTTP/1.1", hint="check the address and the port"
            )
    raise problem
