"""Send a disclosure's bytes to its destination, and stream the reply."""

from __future__ import annotations

import itertools
import random
import re
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, SupportsBytes
from urllib.parse import urlsplit

from pocketpref.backends.http import dialects
from pocketpref.backends.http.dialects import Refusal, events
from pocketpref.backends.http.limits import Timeouts, TransferWatch
from pocketpref.egress.destination import Destination
from pocketpref.egress.disclosure import Disclosure
from pocketpref.errors import InputError, RemoteGarbledError

if TYPE_CHECKING:
    from pocketpref.backends.http.transport import HttpAnswer

_KEY = re.compile(rb"[\x21-\x7e]{1,4096}")
_PROXY = re.compile(r"http://[^/?#@\s]+/?")


@dataclass(frozen=True, slots=True)
class Retries:
    """What happens when a server is overloaded (HTTP 429 and 5xx): the same bytes are sent again.

    Nothing is tried again once an answer has begun, nor where there was none.

    Attributes:
        tries: how many in all; 1 for no second one.
        first: seconds; the longest pause before the second try, doubled for each further one. The
            pause is drawn evenly between nothing and that ("full jitter": Brooker, Exponential
            Backoff and Jitter, 2015), so that those who were turned away do not return together.
        longest: seconds; no pause is longer, and a server that asks for a longer one
            (``Retry-After``) is not asked again.
    """

    tries: int = 3
    first: float = 1.0
    longest: float = 30.0

    def pause(self, tried: int, refusal: Refusal) -> float | None:
        """Seconds to wait after so many tries, or None to give up."""
        asked = refusal.asked or 0.0
        if not refusal.passes or tried >= self.tries or asked > self.longest:
            return None
        ceiling = min(self.longest, self.first * 2 ** (tried - 1))
        return asked + random.uniform(0, ceiling)  # noqa: S311 - no secret hangs on it


class HttpGenerator:
    """A ``RemoteGenerator`` over HTTP: OpenAI-compatible chat completions, Anthropic messages.

    It sends a disclosure's ``body`` as it is and a fixed set of headers to the disclosure's
    destination, and nothing else to anybody. Redirects are not followed, cookies not kept,
    connections not used twice, proxies and keys of the environment not looked at. Certificates are
    verified; plain http goes to addresses of this machine only.

    Not covered: how long the system takes to look a name up, and what the name server learns by it.
    """

    def __init__(
        self,
        api_key: Callable[[Destination], SupportsBytes | None] = lambda destination: None,
        *,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
        proxy: str | None = None,
        authorities: Path | None = None,
    ) -> None:
        """Build the generator; nothing is loaded and nothing sent.

        Args:
            api_key: the key for a destination, or None where none is wanted. It is asked when
                something is sent, and what it gives is not kept.
            timeouts: how long to wait.
            retries: whether to try again.
            proxy: ``http://HOST:PORT``, through which a tunnel leads to destinations on other
                machines.
            authorities: a PEM file of the certificate authorities (or the server's own
                certificate) that are trusted, in place of those that the system trusts.

        Raises:
            InputError: the proxy's address has another form.
        """
        if proxy is not None and not _PROXY.fullmatch(proxy):
            raise InputError(
                "the proxy's address is not http://HOST:PORT",
                hint="proxies that ask for a name, and SOCKS proxies, are not supported",
            )
        self._api_key = api_key
        self._timeouts = timeouts or Timeouts()
        self._retries = retries or Retries()
        self._proxy = proxy
        self._authorities = authorities

    def generate(self, disclosure: Disclosure) -> Generator[str, None, None]:
        """Send what was cleared, and stream the reply as pieces of text.

        The connection is closed when the reply ends, when the generator is closed, and when
        anything is raised in it, ``KeyboardInterrupt`` too.

        Args:
            disclosure: from ``egress``, which is the only one to make any.

        Raises:
            InputError: the key holds what no key does; nothing was sent.
            DeniedError: this disclosure was sent before.
            RemoteUnreachableError: not to be reached, too slow, or gone half-way.
            RemoteRefusedError: an error or another address came back.
            RemoteGarbledError: what came back cannot be understood, or is far too much.
        """
        destination = disclosure.destination
        watch = TransferWatch(urlsplit(destination.endpoint).netloc, self._timeouts)
        key = _sendable(self._api_key(destination), watch.where)
        body = disclosure.take()
        headers = dialects.headers(destination.dialect, watch.where.encode(), len(body), key)
        proxy = None if destination.on_this_machine else self._proxy
        # httpcore2 is loaded only when something is sent.
        from pocketpref.backends.http.transport import exchange

        for tried in itertools.count(1):
            with exchange(
                destination.endpoint,
                headers,
                body,
                watch,
                proxy=proxy,
                authorities=self._authorities,
            ) as answer:
                if answer.status == HTTPStatus.OK:
                    yield from _reply(destination, answer, watch)
                    return
                watch.allow(self._timeouts.connect)  # what follows only explains the status
                refusal = Refusal.of(answer.status, answer.headers, answer.body)
            pause = self._retries.pause(tried, refusal)
            if pause is None or not watch.permits(pause):
                raise refusal.error(watch.where)
            time.sleep(pause)


def _sendable(key: SupportsBytes | None, where: str) -> bytes | None:
    """The key, if it can stand in a header: a line feed in it would begin another one."""
    if key is None:
        return None
    if not _KEY.fullmatch(content := bytes(key)):
        raise InputError(
            f"what is kept as the key for {where} is none",
            hint="keep the key alone, in one line: pocketpref egress key",
        )
    return content


def _reply(
    destination: Destination, answer: HttpAnswer, watch: TransferWatch
) -> Generator[str, None, None]:
    """The pieces of a good answer.

    Raises:
        RemoteError: it is none, or its end is missing.
    """
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    packed = answer.headers.get("content-encoding", "identity").strip().lower()
    if kind != "text/event-stream" or packed != "identity":
        raise RemoteGarbledError(
            f"{watch.where} answers with something else than a stream of events",
            hint="check that the address is that of the API, such as http://127.0.0.1:8080/v1",
        )
    read = dialects.READERS[destination.dialect]
    finished = yield from read(events(answer.body), watch.where)
    if not finished:
        raise watch.gone()
