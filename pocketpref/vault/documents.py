"""Documents: summaries, stated preferences, a chat, grants, the egress log.

A document is a record like any other, sealed and part of the user's set. It names the memories that
it was made from, and is deleted with the first of them that is forgotten:

    length of the sources u32 | JSON list of memory ids | content

(little-endian).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from pocketpref.errors import InputError, NotFoundError, TamperedError
from pocketpref.records import Document
from pocketpref.vault.crypto.sealing import SALVAGE
from pocketpref.vault.storage.rows import MEMORY, UserRows
from pocketpref.vault.storage.serialization import MAX_PAYLOAD_BYTES

KINDS = (
    *("summary", "statement", "correction", "verdict", "policy", "adapter", "conversation"),
    *("grant", "release", "released", "api-key"),
)
"""The kinds of documents. How many there are of each can be seen without the key."""

IN_ARCHIVES = ("summary", "statement", "correction")
"""What an archive carries. Not what may leave, nor keys, nor this machine's log and last chat."""

NOT_SAVED = ("grant",)
"""The kinds not restored from a damaged vault: they may have been revoked since."""

_LENGTH = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Filed:
    """A document and its kind: what archives carry."""

    kind: str
    document: Document


class UserDocuments:
    """One user's documents, for as long as the caller's transaction lasts."""

    def __init__(self, rows: UserRows) -> None:
        self._rows = rows

    def all(self, kind: str) -> list[Document]:
        """Every document of a kind, the oldest first."""
        return [load_document(name, content) for _, name, content in self._rows.all(_checked(kind))]

    def get(self, kind: str, name: str) -> Document | None:
        """One document, or None."""
        content = self._rows.read(_checked(kind), name)
        return None if content is None else load_document(name, content)

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
                "a memory was forgotten while something was made of it", hint="make it again"
            )
        self._rows.put(_checked(kind), name, dump_document(content, sources))

    def delete(self, kind: str, name: str) -> None:
        """Remove a document; one that is not there stays away."""
        seq = self._rows.find(_checked(kind), name)
        if seq is not None:
            self._rows.delete([seq])


def filed(rows: UserRows) -> Iterator[Filed]:
    """The user's documents that belong in an archive, the oldest of each kind first."""
    for kind in IN_ARCHIVES:
        for _, name, content in rows.all(kind):
            yield Filed(kind, load_document(name, content))


def put_back(rows: UserRows, filed: Iterable[Filed]) -> None:
    """Keep documents again, beside the memories that they were made of.

    One that is there already is left as it is; one whose memories are not all there is left out.
    """
    documents = UserDocuments(rows)
    for item in filed:
        name = rows.own_id(item.document.id)
        sources = [rows.own_id(source) for source in item.document.sources]
        if rows.find(item.kind, name) is None:
            with suppress(NotFoundError):
                documents.put(item.kind, name, item.document.content, sources)


def made_of(rows: UserRows, ids: Collection[str]) -> Iterator[tuple[int, Document]]:
    """Row number and content of the documents that were made of any of these memories."""
    wanted = set(ids)
    for kind in KINDS:
        for seq, name, content in rows.all(kind):
            document = load_document(name, content)
            if not wanted.isdisjoint(document.sources):
                yield seq, document


def _checked(kind: str) -> str:
    if kind not in KINDS:
        raise ValueError(f"no kind of document: {kind}")
    return kind


def dump_document(content: bytes, sources: Sequence[str]) -> bytes:
    """Sources and content as the content of a record.

    Raises:
        InputError: it is too large.
    """
    head = json.dumps(list(sources)).encode()
    payload = _LENGTH.pack(len(head)) + head + content
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InputError(f"over {MAX_PAYLOAD_BYTES:,} bytes cannot be kept in one piece")
    return payload


def load_document(name: str, payload: bytes) -> Document:
    """Parse the output of ``dump_document``.

    Raises:
        TamperedError: it is not in that form.
    """
    with suppress(ValueError, struct.error, RecursionError):
        start = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
        sources = json.loads(payload[_LENGTH.size : start])
        if isinstance(sources, list) and all(isinstance(source, str) for source in sources):
            return Document(name, payload[start:], tuple(sources))
    raise TamperedError("a document in the vault is malformed", hint=SALVAGE)
