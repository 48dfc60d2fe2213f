"""Run the preferences page, and stop it when it is idle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pocketpref.server.loopback import HERE, Listener, Stop
from pocketpref.server.web.app import WebApp
from pocketpref.server.web.middleware import WebMiddleware
from pocketpref.server.web.session import Session
from pocketpref.server.web.views import WebContext

_LAST_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Opening:
    """A page that waits for sign-in.

    Attributes:
        port: on 127.0.0.1.
        code: good once and for minutes.
        stop: ends it.
    """

    port: int
    code: str
    stop: Stop

    @property
    def address(self) -> str:
        """The address at which the code can be typed; it holds no secret."""
        return f"http://{HERE}:{self.port}/"


def serve(
    context: WebContext,
    port: int,
    *,
    idle: float,
    ready: Callable[[Opening], None],
    entered: Callable[[], None] = lambda: None,
) -> bool:
    """Serve the page until it is closed, nobody uses it any more, or Ctrl-C.

    Args:
        context: the Pocket and the machine that it shows and changes.
        port: on 127.0.0.1; 0 for a free one.
        idle: seconds without a request by the person after which it ends.
        ready: called when it accepts requests.
        entered: called when the code was used.

    Returns:
        Whether it ended because nobody used it.

    Raises:
        StorageError: the port is not available.
    """
    session, life = Session(), _Life(idle)
    site = WebApp(context, session, entered, life.end)
    with Listener(port) as listener:

        def begin(stop: Stop) -> None:
            life.begin(stop)
            ready(Opening(listener.port, session.code, stop))

        try:
            listener.run(
                WebMiddleware(site.application(), listener.port, session, life.used), begin, most=64
            )
        finally:
            life.over()
    return life.was_idle


class _Life:
    """Ends the server when it was idle for long enough."""

    def __init__(self, idle: float) -> None:
        self._idle = idle
        self._last = time.monotonic()
        self._over = threading.Event()
        self._stop: Stop = lambda: None
        self.was_idle = False

    def begin(self, stop: Stop) -> None:
        self._stop = stop
        threading.Thread(target=self._watch, daemon=True, name="idle").start()

    def used(self) -> None:
        self._last = time.monotonic()

    def end(self) -> None:
        # Not at once: the browser still requests the style of the last answer.
        later = threading.Timer(_LAST_SECONDS, self._stop)
        later.daemon = True
        later.start()

    def over(self) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(max(self._left(), 0.01)):
            if self._left() <= 0:
                self.was_idle = True
                self._stop()
                return

    def _left(self) -> float:
        return self._last + self._idle - time.monotonic()
