"""The other side: a server on loopback that does what it is told, well or badly, and notes it all.

Written on bare sockets, so that it can break every rule, and so that what it notes is what came.
"""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


class Line:
    """One connection, as a script sees it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.received = bytearray()
        self.closed = threading.Event()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def drip(self, data: bytes, pause: float) -> None:
        """One byte at a time."""
        for place in range(len(data)):
            self.send(data[place : place + 1])
            time.sleep(pause)

    def wait(self) -> None:
        """Until the other side hangs up; what it still sends is noted."""
        with suppress(OSError):
            while data := self.socket.recv(65536):
                self.received += data
        self.closed.set()

    def reset(self) -> None:
        """Hang up the rude way."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def read_request(self) -> None:
        """Head and body, as its length says."""
        while b"\r\n\r\n" not in self.received:
            self._more()
        head, _, body = bytes(self.received).partition(b"\r\n\r\n")
        lines = head.decode("latin-1").lower().split("\r\n")
        (length,) = (int(line[15:]) for line in lines if line.startswith("content-length:"))
        while len(body) < length:
            body += self._more()

    def _more(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError
        self.received += data
        return data


Script = Callable[[Line], None]
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"


def chunk(content: str) -> bytes:
    """An event of a chat completion, as OpenAI and llama.cpp send them."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    shape = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "choices": [choice]}
    return b"data: " + json.dumps(shape).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"
HELLO = chunk("Hello") + chunk(", you.") + DONE


def answer(content: bytes, head: bytes = OK) -> Script:
    """Send this and hang up."""
    return lambda line: line.send(head + content)


def status(code: int, *fields: str, body: bytes = b"") -> Script:
    """An answer of this status."""
    lines = [f"HTTP/1.1 {code} Whatever", f"Content-Length: {len(body)}", *fields, "", ""]
    return answer(body, "\r\n".join(lines).encode())


@dataclass
class Peer:
    """What is served and what came.

    Attributes:
        scripts: what to do on each connection, once its request is read; the last goes on.
        lines: one for each connection.
    """

    scripts: Sequence[Script]
    tls: ssl.SSLContext | None = None
    host: str = "127.0.0.1"
    port: int = 0
    eager: bool = False
    lines: list[Line] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def requests(self) -> list[bytes]:
        """Every byte that came, by connection, once all of them have ended."""
        for line in self.lines:
            assert line.closed.wait(10), "a connection is still open"
        return [bytes(line.received) for line in self.lines]

    def bodies(self) -> list[bytes]:
        return [request.partition(b"\r\n\r\n")[2] for request in self.requests()]

    def url(self, path: str = "/v1") -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}{path}"

    def _serve(self, listener: socket.socket) -> None:
        while not self.over.is_set():
            try:
                connection, _ = listener.accept()
            except TimeoutError:
                continue
            script = self.scripts[min(len(self.lines), len(self.scripts) - 1)]
            line = Line(connection)
            self.lines.append(line)
            threading.Thread(target=self._talk, args=(line, script), daemon=True).start()

    def _talk(self, line: Line, script: Script) -> None:
        # A client that hangs up, or that refuses our certificate, is what is tested.
        with suppress(OSError):
            if self.tls:
                line.socket = self.tls.wrap_socket(line.socket, server_side=True)
            if not self.eager:
                line.read_request()
            script(line)
        with suppress(OSError):
            if not self.tls:  # there is no half-closed TLS
                line.socket.shutdown(socket.SHUT_WR)
                line.wait()
        line.socket.close()
        line.closed.set()


@contextmanager
def serve(
    *scripts: Script, tls: ssl.SSLContext | None = None, eager: bool = False
) -> Iterator[Peer]:
    """Run a server on a free port.

    Args:
        scripts: for the first connection, the second, ...; the last one for all further ones.
        tls: speak TLS with this.
        eager: let the scripts read requests themselves.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.01)  # closing alone wakes up no thread that accepts
        peer = Peer(scripts, tls, port=listener.getsockname()[1], eager=eager)
        thread = threading.Thread(target=peer._serve, args=(listener,), daemon=True)
        thread.start()
        try:
            yield peer
        finally:
            peer.over.set()
            thread.join()
