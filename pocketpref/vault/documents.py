"""What is kept beside pairs: summaries, stated preferences, grants, the log of what left.

A document is a record like any other, sealed and part of the user's set. It names the memories that
it was made of, and goes with the first of them that is forgotten:

    length of the sources u32 | JSON list of memory ids | content

(little-endian).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress

from pocketpref.errors import InputError, NotFoundError, TamperedError
from pocketpref.records import Document
from pocketpref.vault.rows import MEMORY, UserRows
from pocketpref.vault.sealing import SALVAGE
from pocketpref.vault.serial import MAX_PAYLOAD_BYTES

KINDS = ("summary", "statement", "grant", "release", "released", "api-key")
"""The kinds of documents. How many there are of each can be seen without the key."""

_LENGTH = struct.Struct("<I")


class UserDocuments:
    """One user's documents, for as long as the caller's transaction lasts."""

    def __init__(self, rows: UserRows) -> None:
        self._rows = rows

    def all(self, kind: str) -> list[Document]:
        """Every document of a kind, the oldest first."""
        return [_load(name, content) for _, name, content in self._rows.all(_checked(kind))]

    def get(self, kind: str, name: str) -> Document | None:
        """One document, or None."""
        content = self._rows.read(_checked(kind), name)
        return None if content is None else _load(name, content)

    def insert(self, kind: str, content: bytes, sources: Sequence[str] = ()) -> str:
        """Keep a new document. Returns its id.

        Args:
            kind: one of ``KINDS``.
            content: what it says.
            sources: ids of the memories that it was made of.

        Raises:
            NotFoundError: one of the sources has been forgotten meanwhile.
            InputError: it is too large.
        """
        name = self._rows.unused_id()
        self.put(kind, name, content, sources)
        return name

    def put(self, kind: str, name: str, content: bytes, sources: Sequence[str] = ()) -> None:
        """Keep a document under an id, in place of an older one; raises what ``insert`` does."""
        if any(self._rows.find(MEMORY, source) is None for source in sources):
            raise NotFoundError(
                "a memory was forgotten while something was made of it", hint="make it anew"
            )
        self._rows.put(_checked(kind), name, _dump(content, sources))

    def delete(self, kind: str, name: str) -> None:
        """Remove a document; one that is not there stays away."""
        seq = self._rows.find(_checked(kind), name)
        if seq is not None:
            self._rows.delete([seq])


def made_of(rows: UserRows, ids: Collection[str]) -> Iterator[tuple[int, Document]]:
    """Row number and content of the documents that were made of any of these memories."""
    wanted = set(ids)
    for kind in KINDS:
        for seq, name, content in rows.all(kind):
            document = _load(name, content)
            if not wanted.isdisjoint(document.sources):
                yield seq, document


def _checked(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"no kind of document: {kind}")
    return kind


def _dump(content: bytes, sources: Sequence[str]) -> bytes:
    head = json.dumps(list(sources)).encode()
    payload = _LENGTH.pack(len(head)) + head + content
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InputError(f"over {MAX_PAYLOAD_BYTES:,} bytes cannot be kept in one piece")
    return payload


def _load(name: str, payload: bytes) -> Document:
    with suppress(ValueError, struct.error, RecursionError):
        start = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
        sources = json.loads(payload[_LENGTH.size : start])
        if isinstance(sources, list) and all(isinstance(source, str) for source in sources):
            return Document(name, payload[start:], tuple(sources))
    raise TamperedError("a document in the vault is none", hint=SALVAGE)
