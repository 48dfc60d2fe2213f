"""Sign in with a one-time code, exchanged for a cookie.

The code never appears in an address or in the list of processes. The browser is sent to a file that
only its owner can read; its form posts the code. Where a browser cannot read that file, the person
types the code, which the terminal shows.

Browsers send a cookie to every port of a host. Ours is bound to a path with a random part, so other
programs on this machine cannot make the browser send it to them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Final

from pocketpref.files import new_private_file, private_folder, storage_errors
from pocketpref.server.loopback import HERE

COOKIE: Final = "pocketpref"
GOOD_FOR: Final = 600.0
"""Seconds for which the code can be used."""

_LETTERS: Final = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's: none looks like another
_READ_AS: Final = str.maketrans("oil", "011")
_CODE_LETTERS: Final = 12  # 60 bits: not to be guessed in the minutes that it is good for
_FILES: Final = "open-*.html"


class Session:
    """One person's visit: before it the code, then the cookie.

    Attributes:
        home: the path prefix of the pages; random for each visit.
        token: part of every form, so that no other page can send one.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.home = f"/{secrets.token_urlsafe(9)}"
        self.token = secrets.token_urlsafe(32)
        self._code = "".join(secrets.choice(_LETTERS) for _ in range(_CODE_LETTERS))
        self._cookie = secrets.token_urlsafe(32)
        self._clock = clock
        self._until = clock() + GOOD_FOR
        self._lock = threading.Lock()
        self._told = ""
        self._left = False

    def __repr__(self) -> str:
        return f"Session({'open' if self._code else 'entered'})"

    @property
    def code(self) -> str:
        """In groups, as a person types it; "" once it was used."""
        return "-".join(self._code[place : place + 4] for place in range(0, len(self._code), 4))

    def enter(self, shown: str) -> bool:
        """Use the code. It works once, and only until its time is over."""
        letters = "".join(c for c in shown[:100].lower() if c.isalnum()).translate(_READ_AS)
        with self._lock:
            right = bool(self._code) and hmac.compare_digest(letters.encode(), self._code.encode())
            if not right or self._clock() > self._until:
                return False
            self._code = ""
            return True

    @property
    def set_cookie(self) -> str:
        """The header that gives the browser its cookie.

        Not ``Secure``: not every browser takes such a one from this machine without TLS.
        """
        return f"{COOKIE}={self._cookie}; Path={self.home}/; HttpOnly; SameSite=Strict"

    def knows(self, header: bytes) -> bool:
        """Whether a ``Cookie`` header shows that the code was used in this browser."""
        if self._code or self._left:
            return False
        try:
            found = SimpleCookie(header.decode("ascii", "replace")).get(COOKIE)
        except CookieError:
            return False
        return found is not None and self._equal(found.value, self._cookie)

    def leave(self) -> None:
        """End the visit: the cookie opens nothing any more."""
        self._left = True

    def wrote(self, token: str) -> bool:
        """Whether a form is one of ours."""
        return self._equal(token, self.token)

    @staticmethod
    def _equal(shown: str, wanted: str) -> bool:
        # Compared in constant time: how far a guess is right must not show.
        return hmac.compare_digest(shown.encode("utf-8", "replace"), wanted.encode())

    def tell(self, words: str) -> None:
        """Set the message for the next page; it must not quote the person."""
        self._told = words

    def told(self) -> str:
        """Return the message for this page, once."""
        words, self._told = self._told, ""
        return words


@contextmanager
def opening_file(folder: Path, port: int, code: str) -> Iterator[Path]:
    """A file that posts the code, readable for its owner alone; gone when the block ends.

    Args:
        folder: where it is made; files that a crash left behind there are removed.
        port: of the page.
        code: what is posted.

    Raises:
        StorageError: it cannot be written.
    """
    with storage_errors(folder):
        private_folder(folder)
        for left in folder.glob(_FILES):  # by a crash; not what another program has just made
            with suppress(OSError):
                if time.time() - left.stat().st_mtime > GOOD_FOR:
                    left.unlink()
        path = folder / f"open-{secrets.token_hex(8)}.html"
        with new_private_file(path) as file:
            file.write(posting_page(port, code))
    try:
        yield path
    finally:
        with suppress(OSError):  # Windows keeps what a browser still reads; it is removed next time
            path.unlink(missing_ok=True)


_SCRIPT: Final = "document.forms[0].submit()"


def posting_page(port: int, code: str) -> bytes:
    """An HTML page whose form posts the code."""
    # The script only spares a key press: without scripts there is the button.
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    page = f"http://{HERE}:{port}"
    policy = f"default-src 'none'; script-src 'sha256-{digest}'; form-action {page}"
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>pocketpref</title>
<form method="post" action="{page}/enter">
<input type="hidden" name="code" value="{code}">
<button autofocus>Open pocketpref</button>
</form>
<script>{_SCRIPT}</script>
</html>
""".encode()
