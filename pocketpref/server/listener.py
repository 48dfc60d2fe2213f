"""A loopback listener that serves until the program is told to stop."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import uvicorn

from pocketpref.errors import StorageError

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
