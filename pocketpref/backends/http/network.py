"""Sockets, for the HTTP library to speak over: each wait bounded, each address looked at first."""

from __future__ import annotations

import ipaddress
import socket
import ssl
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from typing import Any

import httpcore2

from pocketpref.backends.http.watch import Watch
from pocketpref.errors import RemoteUnreachableError

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

    def __init__(self, watch: Watch, *, loopback_only: bool) -> None:
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
                return _Stream(_connected(family, address, share), self._watch)
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
            return [(family, address) for family, address in found if _is_loopback(address[0])]
        return found


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _connected(family: int, address: tuple[Any, ...], seconds: float) -> socket.socket:
    with ExitStack() as undo:
        connection = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        connection.settimeout(seconds)
        connection.connect(address)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        undo.pop_all()
        return connection


class _Stream(httpcore2.NetworkStream):
    """A connection on which no wait is longer than the watch allows."""

    def __init__(self, connection: socket.socket, watch: Watch) -> None:
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
        while view:
            self._watch.allow(self._watch.timeouts.between_bytes)
            view = view[self._send(view) :]
        self._watch.allow(self._watch.timeouts.first_byte)

    def _send(self, view: memoryview) -> int:
        problem: Exception
        try:
            self._socket.settimeout(self._watch.left())
            return self._socket.send(view)
        except TimeoutError:
            problem = self._watch.late()
        except OSError:
            problem = httpcore2.WriteError()
        raise problem

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
            problem = self._untrusted(error.verify_code)
        except OSError:
            problem = RemoteUnreachableError(
                f"{self._watch.where} speaks no TLS that is understood here",
                hint="check the port; plain http is for servers on this machine only",
            )
        self.close()
        raise problem

    def _untrusted(self, code: int) -> RemoteUnreachableError:
        return RemoteUnreachableError(
            f"{self._watch.where} does not prove who it is: its certificate "
            f"{_UNTRUSTED.get(code, 'is not valid')}",
            hint="nothing was sent; the network may be at fault, or somebody in it",
        )

    def close(self) -> None:
        """Close the connection at once."""
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """What httpcore2 asks for: nothing but whether TLS is spoken, and whether bytes wait."""
        if info == "ssl_object" and isinstance(self._socket, ssl.SSLSocket):
            return self._socket
        return None
