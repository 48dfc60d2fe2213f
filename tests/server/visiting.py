"""The page, really served, and visitors who ask it over sockets."""

from __future__ import annotations

import http.client
import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from pocketpref.config import Config, Places
from pocketpref.pocket import Pocket
from pocketpref.server.web.run import Opening, serve
from pocketpref.server.web.views import Machine, WebContext


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: list[tuple[str, str]]
    body: str

    def header(self, name: str) -> str:
        return next((value for found, value in self.headers if found.lower() == name), "")

    @property
    def everything(self) -> str:
        return "\n".join([*(f"{name}: {value}" for name, value in self.headers), self.body])

    @property
    def text(self) -> str:
        """What is read, without the marks."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.body)).split())


@dataclass
class Served:
    """A page in a thread of this process."""

    pocket: Pocket
    home_folder: Path
    idle: float = 600.0
    environ: dict[str, str] = field(default_factory=dict)
    was_idle: bool | None = None
    entered: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Served:
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._up.wait(20)
        return self

    def _run(self) -> None:
        places = Places.find({"POCKETPREF_HOME": str(self.home_folder)})
        desk = WebContext(self.pocket, Machine(places, Config(), self.environ))
        self.was_idle = serve(desk, 0, idle=self.idle, ready=self._ready, entered=self.entered.set)

    def _ready(self, opening: Opening) -> None:
        self.opening = opening
        self.port, self.code = opening.port, opening.code
        self._up.set()

    def ended(self, wait: float = 20) -> bool:
        self._thread.join(wait)
        return not self._thread.is_alive()

    def close(self) -> None:
        self.opening.stop()
        assert self.ended()

    def ask(self, method: str, path: str, body: str | bytes | None = None, **more: str) -> Answer:
        """One request; ``sec_fetch_site="none"`` is a header."""
        headers = {name.replace("_", "-"): value for name, value in more.items()}
        if body is not None and "content-type" not in headers:
            headers["content-type"] = "application/x-www-form-urlencoded"
        line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with closing(line):
            line.request(method, path, body, headers)
            reply = line.getresponse()
            return Answer(reply.status, reply.getheaders(), reply.read().decode())

    def visitor(self) -> Visitor:
        """Somebody who typed the code."""
        page = self.ask("POST", "/enter", urlencode({"code": self.code}))
        assert page.status == 200, page.text
        found = re.search(r'url=(/[^"]+)/"', page.body)
        assert found
        return Visitor(self, found[1], page.header("set-cookie").partition(";")[0])


@dataclass
class Visitor:
    """A browser without a window: it has the cookie, and sends what browsers send."""

    served: Served
    home: str
    cookie: str

    def get(self, path: str = "", **more: str) -> Answer:
        headers = {"cookie": self.cookie, "sec_fetch_site": "same-origin"} | more
        return self.served.ask("GET", f"{self.home}/{path}", **headers)

    @property
    def token(self) -> str:
        found = re.search(r'name="token" value="([^"]+)"', self.get("machine").body)
        assert found
        return found[1]

    def send(self, path: str, fields: dict[str, str] | None = None, **more: str) -> Answer:
        """Post a form as Chromium does under ``no-referrer``."""
        headers = {"cookie": self.cookie, "origin": "null", "sec_fetch_site": "same-origin"}
        body = urlencode({"token": self.token, **(fields or {})})
        return self.served.ask("POST", f"{self.home}/{path}", body, **(headers | more))

    def follow(self, path: str, fields: dict[str, str] | None = None) -> Answer:
        """Post a form, and go where it leads."""
        done = self.send(path, fields)
        assert done.status == 303, done.text
        where = done.header("location")
        assert where.startswith(f"{self.home}/")
        return self.get(where.removeprefix(f"{self.home}/"))


@contextmanager
def serving(pocket: Pocket, folder: Path, **options: Any) -> Iterator[Served]:
    """The page, until the block ends."""
    served = Served(pocket, folder, **options).start()
    try:
        yield served
    finally:
        if not served.ended(0):
            served.close()
