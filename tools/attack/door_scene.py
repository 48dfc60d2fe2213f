"""What every sequence of `door.py` shares: planted secrets, a filled vault, two servers."""

from __future__ import annotations

import contextlib
import random
import socket
import threading
from collections import Counter
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from pocketpref.attributes import AttributeBank
from pocketpref.backends.http import HttpGenerator
from pocketpref.egress import Finding, Known
from pocketpref.egress.destination import Destination
from pocketpref.egress.dlp import findings
from pocketpref.records import Feedback, Pair
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from tools.attack.door_oracle import disguises
from tools.attack.memory import Secret, plant

SECRETS = 500
CLEAN = (
    "Prefers short, direct answers.",
    "Likes step by step explanations with examples. Does not like jokes.",
    "Prefers formal language and clear structure.",
    "Prefers short, direct answers with examples.",
)
_REPLY = {
    "chat/completions": b'data: {"choices":[{"delta":{"content":"Yes."}}]}\n\ndata: [DONE]\n\n',
    "messages": b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"Yes."}}\n\nevent: message_stop\n'
    b'data: {"type":"message_stop"}\n\n',
}


class Recorder:
    """A server on loopback that notes every byte of every connection."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self.came: list[bytes] = []
        self.over = threading.Semaphore(0)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                self.came.append(self._talk(connection))
            self.over.release()

    def _talk(self, connection: socket.socket) -> bytes:
        came = b""
        with contextlib.suppress(OSError):
            while not _whole(came):
                more = connection.recv(65536)
                if not more:
                    return came
                came += more
            kind = "messages" if b"/messages " in came[:40] else "chat/completions"
            head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            connection.sendall(head + _REPLY[kind])
            connection.shutdown(socket.SHUT_WR)
            while more := connection.recv(65536):  # whatever comes after the request
                came += more
        return came


def _whole(came: bytes) -> bool:
    head, found, body = came.partition(b"\r\n\r\n")
    lengths = [line[16:] for line in head.split(b"\r\n") if line.startswith(b"Content-Length: ")]
    return bool(found) and len(body) >= int(lengths[0])


@dataclass
class Tally:
    """What was done and what came of it."""

    sequences: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    denied: Counter[str] = field(default_factory=Counter)
    sent: Counter[str] = field(default_factory=Counter)
    bytes: int = 0
    searched: int = 0
    offered: int = 0

    def add(self, other: Tally) -> None:
        """Count what another worker did."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))


class Scene:
    """What all sequences of a worker share: a filled vault to copy, the servers, the secrets."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.tally = Tally()
        rng = random.Random(number)  # noqa: S311  # no key hangs on it
        self.secrets: list[Secret] = []
        while len(self.secrets) < SECRETS:
            known = {secret.value for secret in self.secrets}
            (one, *_) = (s for s in plant(rng, 10 + len(known) % 7) if s.value not in known)
            self.secrets.append(one)
        self.wanted = [form for s in self.secrets for form in disguises(s.value)]
        self.key = KeyFile.make(folder / "key")
        self.servers = (Recorder(), Recorder())
        self.remote = HttpGenerator()
        self.bank = tuple(AttributeBank.standard())
        self.texts = [secret.stored for secret in self.secrets]
        self.known = Known(lambda: self.texts, ("ada lindqvist",), self.bank)
        self._known = {self.known.values: self.known}
        self._found: dict[tuple[str, frozenset[str]], tuple[Finding, ...]] = {}
        with Vault.create(folder / "filled.db", self.key) as vault:
            pairs = (Pair(stored, f"Yes: {stored}", "No.") for stored in self.texts)
            self.ids = vault.store("ada").add_many(Feedback(pair) for pair in pairs)
        assert all(not findings(text, self.known) for text in CLEAN), "what is clean must pass"

    def destination(self, choice: int) -> Destination:
        """One of six: two servers, two models, two dialects."""
        port = self.servers[choice % 2].port
        dialect, model = (("openai", "tiny"), ("openai", "tiny:2"), ("anthropic", "c"))[choice // 2]
        return Destination.parse(f"{dialect}:{model}@http://127.0.0.1:{port}")

    def look(self, text: str, known: Known) -> tuple[Finding, ...]:
        """What the checks find; asked once for each text, for the memory's texts stay the same."""
        found = self._found.get((text, known.values))
        if found is None:
            found = self._found[text, known.values] = findings(text, known)
        return found

    def passes(self, summary: str, values: frozenset[str]) -> bool:
        """Whether the checks find nothing in a summary."""
        known = self._known.setdefault(values, replace(self.known, values=values))
        return not self.look(summary, known)

    def leaks(self, came: bytes) -> list[str]:
        """Kinds of the secrets that stand in what came."""
        self.tally.searched += 1
        said = came.decode().lower()
        places = [n for n, form in enumerate(self.wanted) if form in said]
        return [self.secrets[place // len(disguises(""))].kind for place in places]
