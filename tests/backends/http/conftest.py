"""A real door in front of a real vault: what the tests send was cleared there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from pocketpref.attributes import AttributeBank
from pocketpref.egress import Destination, Disclosure, EgressGate, Known, Level, Offer, Request
from pocketpref.protocols import DocumentStore
from pocketpref.records import Message
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.backends.http.peer import Peer

QUESTION = "Why is the sky blue? Täglich frage ich das."


class Clear(Protocol):
    """Clears a question for an address."""

    def __call__(self, url: str, question: str = QUESTION, dialect: str = "openai") -> Disclosure:
        """What may be sent there."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DocumentStore]:
    with Vault.create(tmp_path / "vault.db", KeyFile.make(tmp_path / "key")) as vault:
        yield vault.store("ada")


def assert_only_approved(peer: Peer, disclosure: Disclosure) -> None:
    """Every connection carried the one request, or a beginning of it, and nothing after it."""
    for request in peer.requests():
        head, _, body = request.partition(b"\r\n\r\n")
        assert disclosure.body.startswith(body)
        assert head.split(b"\r\n")[0].startswith(b"POST /")
        assert len(head.split(b"\r\n")) == 8


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory, bank: AttributeBank) -> Iterator[EgressGate]:
    """One for all tests of a file. Nothing is remembered, so that its checks find nothing."""
    folder = tmp_path_factory.mktemp("door")
    with Vault.create(folder / "vault.db", KeyFile.make(folder / "key")) as vault:
        yield EgressGate(vault.store("ada"), tuple(bank), Known(lambda: (), (), tuple(bank)))


@pytest.fixture
def clear(door: EgressGate) -> Clear:
    def make(url: str, question: str = QUESTION, dialect: str = "openai") -> Disclosure:
        destination = Destination.parse(f"{dialect}:tiny@{url}")
        door.allow(destination, Level.NONE)
        request = Request((Message(role="user", content=question),))
        return door.clear(request, Offer(), destination)

    return make
