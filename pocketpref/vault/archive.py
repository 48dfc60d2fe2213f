"""Export one user's memories to a file, and restore them.

An archive is encrypted unless plain text is asked for by name. The sealed stream holds frames of 1
byte kind, 4 bytes length (little-endian) and content: the user's name; then for every memory, the
oldest first, its id and content, followed by what was learned from it; then summaries and stated
preferences. Plain text is a pair file (JSONL) with the ids and times added, and without what was
learned or summarized.
"""

from __future__ import annotations

import contextlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import BinaryIO, Protocol, get_args

from pocketpref.errors import FileError, InputError, KeyMissingError, TamperedError
from pocketpref.files import building, storage_errors
from pocketpref.protocols import KeyStore
from pocketpref.records import Feedback, Memory, Origin, Pair
from pocketpref.vault.crypto import sealed_stream
from pocketpref.vault.documents import IN_ARCHIVES, Filed, dump_document, load_document
from pocketpref.vault.storage.rows import RowEntry
from pocketpref.vault.storage.serialization import (
    LENGTH,
    MAX_PAYLOAD_BYTES,
    dump_learned,
    dump_memory,
    is_id,
    load_learned,
    load_memory,
)
from pocketpref.vault.storage.users import MAX_NAME_CHARACTERS, checked_name
from pocketpref.vault.store import UserStore
from pocketpref.vault.vault import Vault

PLAINTEXT = "plaintext"

_END, _USER, _MEMORY, _LEARNED, _DOCUMENT = range(5)
_FRAME = struct.Struct("<BI")

# Checked before a name is brought into its normal form, which may take the square of its length.
_MOST_NAME_BYTES = 4 * MAX_NAME_CHARACTERS


@dataclass(frozen=True, slots=True)
class Restored:
    """The result of `restore`.

    Attributes:
        added: memories put back.
        known: memories that were there already.
    """

    added: int
    known: int


# ---------------------------------------------------------------------------------- writing


def export_user(
    store: UserStore, target: Path | str, key: KeyStore | None = None, *, plaintext: bool = False
) -> int:
    """Write one user's memories to a file, mode 0600; it appears whole or not at all.

    A file of that name is replaced.

    Args:
        store: whose memories.
        target: the file to write.
        key: the key store that opens the archive, such as ``Passphrase``; required unless
            ``plaintext``.
        plaintext: write readable text instead, which anyone who gets the file can read.

    Returns:
        How many memories were written.

    Raises:
        KeyMissingError: no key, and plain text was not asked for.
        StorageError: it cannot be written.
        VaultError: the vault cannot be read.
    """
    target = Path(target)
    if plaintext and key is not None:
        raise InputError("a plain-text export takes no key", hint="leave out one of the two")
    if not plaintext and key is None:
        raise KeyMissingError(
            "an archive needs a key", hint="give a passphrase, or ask for plain text by name"
        )
    with storage_errors(target), building(target, replace=True) as file:
        if key is not None:
            return _write_sealed(sealed_stream.SealedWriter(file, key), store)
        count = 0
        for entry in store.entries():
            file.write(dump_line(load_memory(entry.id, entry.memory), store.user))
            count += 1
        return count


def _write_sealed(writer: sealed_stream.SealedWriter, store: UserStore) -> int:
    count = 0
    writer.write(_frame(_USER, store.user.encode()))
    for entry in store.entries():
        writer.write(_frame(_MEMORY, entry.id.encode() + entry.memory))
        if entry.learned is not None:
            writer.write(_frame(_LEARNED, entry.learned))
        count += 1
    for item in store.filed():
        writer.write(_frame(_DOCUMENT, dump_filed(item)))
    writer.write(_frame(_END, b""))
    writer.finish()
    return count


def dump_filed(item: Filed) -> bytes:
    """The content of a document's frame."""
    kind, document = item.kind.encode(), item.document
    payload = dump_document(document.content, document.sources)
    return bytes([len(kind)]) + kind + document.id.encode() + payload


def _frame(kind: int, content: bytes) -> bytes:
    return _FRAME.pack(kind, len(content)) + content


def dump_line(memory: Memory, user: str) -> bytes:
    """A memory as a line of a plain-text export."""
    row = {
        "user": user,
        "prompt": memory.pair.prompt,
        "chosen": memory.pair.chosen,
        "rejected": memory.pair.rejected,
        "meta": memory.meta,
        "id": memory.id,
        "created": memory.created.isoformat(),
        "origin": memory.origin,
    }
    return json.dumps(row, ensure_ascii=False).encode() + b"\n"


# ---------------------------------------------------------------------------------- reading


def custody(source: Path | str) -> str:
    """Return the kind of key store that opens an archive, or ``"plaintext"``.

    Raises:
        FileError: there is no such file, or its header is damaged.
    """
    with _opened(Path(source)) as file:
        return sealed_stream.custody(file) if sealed_stream.is_sealed(file) else PLAINTEXT


def restore(
    vault: Vault, source: Path | str, key: KeyStore | None = None, *, user: str | None = None
) -> Restored:
    """Put back what `export_user` wrote: all of it, or nothing if any of it is not sound.

    Ids and times stay as they were, so that restoring again adds nothing.

    Args:
        vault: the vault to restore into.
        source: the archive, encrypted or plain.
        key: the key store that opens it; not needed for plain text.
        user: the user who receives the memories; None for the one named in the archive.

    Raises:
        FileError: it is no archive, it is damaged, or an id in it belongs to another memory.
        KeyMissingError, WrongKeyError: it needs another key.
        VaultError: the vault cannot be written.
    """
    with _opened(Path(source)) as file:
        sealed = sealed_stream.is_sealed(file)
        archive = _SealedArchive(file, key) if sealed else _PlainArchive(file)
        # Read once to the end before anything is written, and again while writing, so that an
        # archive of any size takes little memory.
        for _ in chain(archive.entries(), archive.documents()):
            pass
        if user is None and archive.user is None:
            raise FileError("the file holds no memories", hint="give a file that was exported")
        store = vault.store(user or archive.user or "")
        added, known = store.restore(archive.entries(), archive.documents())
    return Restored(added, known)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if not path.is_file():
        raise FileError(f"there is no file at {path}", hint="check the path")
    with storage_errors(path), path.open("rb") as file:
        yield file


class _Archive(Protocol):
    user: str | None

    def entries(self) -> Iterator[RowEntry]: ...

    def documents(self) -> Iterator[Filed]: ...


class _SealedArchive:
    """The frames of a sealed stream."""

    def __init__(self, file: BinaryIO, key: KeyStore | None) -> None:
        self._file = file
        self._reader = sealed_stream.SealedReader(file, key)
        self.user: str | None = None

    def entries(self) -> Iterator[RowEntry]:
        frames = _frames(self._reader.chunks(self._file))
        memory: tuple[str, bytes] | None = None
        for kind, content in frames:
            if kind == _LEARNED and memory is not None:
                yield _checked(RowEntry(*memory, content))
                memory = None
                continue
            if memory is not None:
                yield _checked(RowEntry(*memory))
                memory = None
            if kind == _MEMORY:
                memory = content[:LENGTH].decode("ascii", "replace"), content[LENGTH:]
            elif kind == _USER:
                if len(content) > _MOST_NAME_BYTES:
                    raise _unsound("a part of it claims an absurd size")
                self.user = content.decode("utf-8", "replace")
            elif kind != _DOCUMENT:
                raise _unsound("it holds something out of place")
        if memory is not None:
            yield _checked(RowEntry(*memory))

    def documents(self) -> Iterator[Filed]:
        for kind, content in _frames(self._reader.chunks(self._file)):
            if kind == _DOCUMENT:
                yield load_filed(content)


def _frames(chunks: Iterator[bytes]) -> Iterator[tuple[int, bytes]]:
    source = _Bytes(chunks)
    while True:
        kind, size = _FRAME.unpack(source.take(_FRAME.size))
        if kind == _END:
            if size or any(map(any, source.rest())):
                raise _unsound("it goes on after its end")
            return
        if size > MAX_PAYLOAD_BYTES:
            raise _unsound("a part of it claims an absurd size")
        yield kind, source.take(size)


class _Bytes:
    """Chunks as one run of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = bytearray()

    def take(self, size: int) -> bytes:
        while len(self._buffer) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                raise _unsound("it ends too early")
            self._buffer += chunk
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def rest(self) -> Iterator[bytes]:
        yield bytes(self._buffer)
        yield from self._chunks


class _PlainArchive:
    """The lines of a plain-text export."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.user: str | None = None

    def entries(self) -> Iterator[RowEntry]:
        self._file.seek(0)
        number = 0
        while line := self._file.readline(MAX_PAYLOAD_BYTES):
            number += 1
            if len(line) == MAX_PAYLOAD_BYTES:
                raise _unsound("a line of it is absurdly long")
            if line.strip():
                yield self._entry(line, number)

    def documents(self) -> Iterator[Filed]:
        return iter(())

    def _entry(self, line: bytes, number: int) -> RowEntry:
        found = load_line(line)
        if found is None:
            raise FileError(
                f"line {number} is no exported memory",
                line=number,
                hint="for pairs from elsewhere: pocketpref import FILE",
            )
        name, user, payload = found
        if self.user not in (None, user):
            raise FileError(
                f"line {number} is another user's",
                line=number,
                hint="a file holds one user's memories: split it",
            )
        self.user = user
        return _checked(RowEntry(name, payload))


def load_line(line: bytes) -> tuple[str, str, bytes] | None:
    """Return id, user and memory of a plain-text line, or None if it holds no exported memory."""
    # The caller raises, so that the error has no context: the decoder's error holds the text.
    with contextlib.suppress(
        *(InputError, AttributeError, KeyError, TypeError, ValueError),
        *(OverflowError, RecursionError),
    ):
        row = json.loads(line)
        if len(row["user"]) <= _MOST_NAME_BYTES and row["origin"] in get_args(Origin):
            user, created = checked_name(row["user"]), datetime.fromisoformat(row["created"])
            pair = Pair(row["prompt"], row["chosen"], row["rejected"])
            feedback = Feedback(pair, created=created, origin=row["origin"], meta=row["meta"])
            return row["id"], user, dump_memory(feedback, created)
    return None


def _checked(entry: RowEntry) -> RowEntry:
    """An entry whose parts can all be read."""
    if not isinstance(entry.id, str) or not is_id(entry.id):
        raise _unsound("an id in it is invalid")
    try:
        load_memory(entry.id, entry.memory)
        if entry.learned is not None:
            # What could not be written again: vectors with infinities, names with lone surrogates.
            # Not looked for when a vault is opened, where the seal vouches for what is there.
            dump_learned(load_learned(entry.id, entry.learned))
    except (TamperedError, InputError):
        raise _unsound("a memory in it cannot be read") from None
    return entry


def load_filed(content: bytes) -> Filed:
    """Parse the output of ``dump_filed``.

    Raises:
        FileError: it cannot be read.
    """
    start = 1 + (content[0] if content else 0)
    kind, name = content[1:start].decode("ascii", "replace"), content[start : start + LENGTH]
    if kind not in IN_ARCHIVES or not is_id(name.decode("ascii", "replace")):
        raise _unsound("a document in it is malformed")
    try:
        document = load_document(name.decode("ascii"), content[start + LENGTH :])
    except TamperedError:
        raise _unsound("a document in it cannot be read") from None
    if not all(map(is_id, document.sources)):
        raise _unsound("an id in it is invalid")
    return Filed(kind, document)


def _unsound(reason: str) -> FileError:
    return FileError(f"the archive is not sound: {reason}", hint="nothing was changed")
