"""API keys, sealed in the vault, each sent to one address only.

A key belongs to scheme, host and port. A destination that differs in any of them gets none, so that
no mistyped or forged address is handed a key on the way. Keys come from a prompt, a file or a
descriptor; never from an option or a variable, whose values other programs can list.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import BinaryIO, NoReturn, final

from pocketpref.egress.destination import Destination
from pocketpref.errors import InputError, TamperedError
from pocketpref.protocols import Documents, DocumentStore
from pocketpref.records import Document

_KIND = "api-key"
_LONGEST = 4096  # bytes; those of today have about 200
_FORM = re.compile(rb"[\x21-\x7e]{1,4096}")


@final
class ApiKey:
    """A key; ``bytes(key)`` gives it away, and nothing else does.

    It is not wiped: the HTTP library makes copies that nobody can reach.

    Raises:
        InputError: it is empty, or holds what no key does: spaces, line ends, letters beyond ASCII.
    """

    __slots__ = ("_content",)

    def __init__(self, content: bytes) -> None:
        if not _FORM.fullmatch(content):
            raise InputError(
                "this is no API key: one word of at most 4,096 ASCII characters is",
                hint="put in the key alone, without `Bearer` and without quotes",
            )
        self._content = content

    @classmethod
    def read(cls, file: BinaryIO) -> ApiKey:
        """The key that is a file's or a descriptor's first line, white space around it aside.

        Raises:
            InputError: there is none.
        """
        return cls(file.readline(_LONGEST + 3).strip())

    @classmethod
    def typed(cls, text: str) -> ApiKey:
        """The key that a person typed at a prompt.

        Raises:
            InputError: it is none.
        """
        return cls(text.strip().encode("utf-8", "replace"))

    def __bytes__(self) -> bytes:
        return self._content

    def __repr__(self) -> str:
        return "ApiKey(...)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an ApiKey is never pickled")


class ApiKeys:
    """One person's keys, in their part of the vault. Calling it gives a destination's key."""

    def __init__(self, store: DocumentStore) -> None:
        self._store = store

    def __call__(self, destination: Destination) -> ApiKey | None:
        """The key for exactly this scheme, host and port, or None.

        Raises:
            VaultError: it cannot be read.
        """
        with self._store.documents() as documents:
            found = _find(documents, address(destination))
        return None if found is None else ApiKey(_address_and_key(found)[1])

    def put(self, destination: Destination, key: ApiKey) -> None:
        """Keep a key for a destination's address, in place of an earlier one.

        Raises:
            InputError: an MCP client needs none.
            VaultError: it cannot be kept.
        """
        if not destination.posted:
            raise InputError(f"{destination} takes no key", hint="a key is for what is posted to")
        wanted = address(destination)
        content = json.dumps({"address": wanted, "key": bytes(key).decode("ascii")}).encode()
        with self._store.changing() as documents:
            older = _find(documents, wanted)
            if older is None:
                documents.insert(_KIND, content)
            else:
                documents.put(_KIND, older.id, content)

    def remove(self, destination: Destination) -> bool:
        """Remove the key for a destination's address. Returns whether there was one.

        Raises:
            VaultError: the vault cannot be changed.
        """
        return self.remove_at(address(destination))

    def remove_at(self, wanted: str) -> bool:
        """Remove the key for an address, as ``addresses`` names it. Returns whether there was one.

        Raises:
            VaultError: the vault cannot be changed.
        """
        with self._store.changing() as documents:
            found = _find(documents, wanted)
            if found is not None:
                documents.delete(_KIND, found.id)
        return found is not None

    def addresses(self) -> list[str]:
        """The addresses that there are keys for, in the order in which they were first put in.

        Raises:
            VaultError: they cannot be read.
        """
        with self._store.documents() as documents:
            return [_address_and_key(document)[0] for document in documents.all(_KIND)]


def address(destination: Destination) -> str:
    """What a key belongs to: ``https://api.openai.com:443``."""
    return f"{destination.scheme}://{destination.host}:{destination.port}"


def _find(documents: Documents, wanted: str) -> Document | None:
    return next(
        (found for found in documents.all(_KIND) if _address_and_key(found)[0] == wanted), None
    )


def _address_and_key(document: Document) -> tuple[str, bytes]:
    with suppress(ValueError, RecursionError, KeyError, TypeError, AttributeError):
        content = json.loads(document.content)
        return content["address"], content["key"].encode("ascii")
    raise TamperedError("what is kept as an API key is none", hint="put the key in again")
