"""A small Hugging Face hub on loopback: the list of a repository's files, and the files."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REPO = "acme/tiny-GGUF"
REVISION = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """What the server serves, how it misbehaves, and what it was asked.

    Attributes:
        files: content by path in the repository.
        announced: sha256 by path, where it is not that of the content.
        cut_after: bytes after which the next answers with a file break off, one entry each.
        stall_after: bytes after which a file's answer stops without ending.
        status: HTTP status of every answer, with the hub's own error code.
        requests: (method, path, headers in lower case) of all requests.
    """

    files: dict[str, bytes]
    announced: dict[str, str] = field(default_factory=dict)
    cut_after: list[int] = field(default_factory=list)
    stall_after: int | None = None
    stalled: threading.Event = field(default_factory=threading.Event)
    status: tuple[int, str] | None = None
    ranges: bool = True
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    url: str = ""

    def description(self) -> bytes:
        siblings = [
            {
                "rfilename": name,
                "size": len(data),
                "lfs": {
                    "sha256": self.announced.get(name, hashlib.sha256(data).hexdigest()),
                    "size": len(data),
                    "pointerSize": 135,
                },
            }
            for name, data in self.files.items()
        ]
        facts = {"_id": "1", "id": REPO, "sha": REVISION, "private": False, "siblings": siblings}
        return json.dumps(facts).encode()

    def downloads(self) -> list[dict[str, str]]:
        """The headers of the requests for files."""
        return [headers for _, path, headers in self.requests if "/resolve/" in path]


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """Run a hub on a free port of the loopback interface."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            hub.requests.append((self.command, self.path, headers))
            path = self.path.partition("?")[0]
            prefix = f"/{REPO}/resolve/{REVISION}/"
            if hub.status:
                self._answer(hub.status[0], b"{}", {"X-Error-Code": hub.status[1]})
            elif path == f"/api/models/{REPO}":
                self._answer(200, hub.description(), {"Content-Type": "application/json"})
            elif path.startswith(prefix) and path.removeprefix(prefix) in hub.files:
                self._file(hub.files[path.removeprefix(prefix)], headers.get("range"))
            else:
                self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def _file(self, data: bytes, wanted: str | None) -> None:
            start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted and hub.ranges else 0
            headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
            self._head(206 if start else 200, len(data) - start, headers if start else {})
            if hub.stall_after is not None:
                self.wfile.write(data[start : start + hub.stall_after])
                self.wfile.flush()
                hub.stalled.set()
                self.rfile.read()  # until the other side is gone
            elif hub.cut_after:
                self.wfile.write(data[start : start + hub.cut_after.pop(0)])
                self.close_connection = True
            else:
                with suppress(ConnectionError):  # the other side may stop whenever it likes
                    self.wfile.write(data[start:])

        def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
            self._head(status, len(body), headers)
            self.wfile.write(body)

        def _head(self, status: int, length: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(length))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
