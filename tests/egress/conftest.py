"""A real door in front of a real vault, with a clock that the tests set."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.egress import Ask, EgressGate, Finding, Known, Offer, Request
from pocketpref.egress.destination import Destination
from pocketpref.records import Feedback, Message, Pair
from pocketpref.vault import UserStore, Vault
from pocketpref.vault.crypto.key_stores import KeyFile

SECRET = "Zebrowski"  # what the checks of these tests find
GPT = Destination.parse("openai:gpt-x")
LOCAL = Destination.parse("openai:tiny@http://127.0.0.1:8080/v1")
CLAUDE = Destination.parse("anthropic:claude-x")
ASKED = Request((Message(role="user", content="Why is the sky blue?"),))


class Clock:
    """A clock that somebody can set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 9, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def tick(self, **time: float) -> None:
        self.now += timedelta(**time)


def finds_secret(text: str, known: Known) -> Sequence[Finding]:
    """Stands in for the checks, which have tests of their own."""
    start = text.find(SECRET)
    return [] if start < 0 else [Finding(start, start + len(SECRET), "planted", "planted")]


def nothing_known() -> Known:
    return Known(texts=list, names=(), attributes=tuple(AttributeBank.standard()))


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    return KeyFile.make(tmp_path / "key")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "vault.db"


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "notes"


@pytest.fixture
def vault(path: Path, key: KeyFile, notes: Path) -> Iterator[Vault]:
    with Vault.create(path, key, anchor=notes) as vault:
        yield vault


@pytest.fixture
def store(vault: Vault) -> UserStore:
    return vault.store("ada")


@pytest.fixture
def ids(store: UserStore) -> list[str]:
    """Of three memories."""
    return store.add_many(Feedback(Pair(f"question {n}", "yes", "no")) for n in range(3))


@pytest.fixture
def offer(ids: list[str]) -> Offer:
    return Offer(
        "Likes short answers. Likes examples.",
        ("Concise", "Western", "not Formal", "Code"),
        tuple(ids[:2]),
    )


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., EgressGate]


@pytest.fixture
def make(store: UserStore, clock: Clock) -> Make:
    def make(ask: Ask | None = None, store: UserStore = store) -> EgressGate:
        bank = tuple(AttributeBank.standard())
        return EgressGate(store, bank, nothing_known(), ask, clock=clock, check=finds_secret)

    return make


@pytest.fixture
def door(make: Make) -> EgressGate:
    return make()
