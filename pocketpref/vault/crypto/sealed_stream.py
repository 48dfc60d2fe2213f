"""Encrypted files of any length, written and read in chunks.

    header   "pocketpref archive 1", newline; 1 byte length and the kind of custody; 16 bytes id;
             2 bytes length (little-endian) and the file key, wrapped by that key store
    chunks   each 64 KiB of content and a 16-byte tag, AES-256-GCM

The chunks' key is derived from the file key and the SHA-256 of the header, so that no part of the
header can be exchanged. A chunk's nonce is its number and a mark on the last one (the STREAM
construction, as in age): chunks that were left out, added, moved or cut off do not open. The key
is used for this one file, so no nonce comes twice.

The last chunk is filled up with zeros: of the content's size only the number of chunks shows, for
at most 64 KiB more.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from pocketpref.errors import FileError, KeyMissingError, TamperedError, WrongKeyError
from pocketpref.protocols import KeyStore
from pocketpref.vault.crypto.sealing import KEY_BYTES, TAG_BYTES, derive_key, new_key

MAGIC = b"pocketpref archive 1\n"
CHUNK_BYTES = 64 * 1024

# Kinds of custody that errors may name: another one in a header could be any text.
_KEEPERS = ("passphrase", "key-file", "keyring", "ephemeral")
_ID_BYTES = 16
_WRAPPED = struct.Struct("<H")
_NONCE = struct.Struct(">3xQB")  # the chunk's number, 1 on the last chunk


class SealedWriter:
    """Writes a sealed file. Call `finish` at the end, or the file will not open."""

    def __init__(self, file: BinaryIO, key: KeyStore) -> None:
        file_key, name, kind = new_key(), os.urandom(_ID_BYTES), key.kind.encode()
        wrapped = key.wrap(file_key, name)
        header = MAGIC + bytes([len(kind)]) + kind + name + _WRAPPED.pack(len(wrapped)) + wrapped
        file.write(header)
        self._file = file
        self._cipher = _cipher(file_key, header)
        self._buffer = bytearray()
        self._number = 0

    def write(self, content: bytes) -> None:
        """Add content."""
        self._buffer += content
        # A full buffer waits, for it may turn out to be the last chunk.
        while len(self._buffer) > CHUNK_BYTES:
            self._emit(last=False)

    def finish(self) -> None:
        """Fill up and seal the last chunk."""
        self._buffer += bytes(CHUNK_BYTES - len(self._buffer))
        self._emit(last=True)

    def _emit(self, *, last: bool) -> None:
        chunk = bytes(self._buffer[:CHUNK_BYTES])
        del self._buffer[:CHUNK_BYTES]
        self._file.write(self._cipher.encrypt(_NONCE.pack(self._number, last), chunk, None))
        self._number += 1


class SealedReader:
    """Opens a sealed file, checking every chunk before it hands it out."""

    def __init__(self, file: BinaryIO, key: KeyStore | None) -> None:
        """Read the header and unwrap the file key.

        Raises:
            KeyMissingError: no key store was given, or it has no key.
            WrongKeyError: it does not open the file.
            FileError: the header is damaged.
        """
        kind, name, wrapped, header = _read_header(file)
        self.start = len(header)
        keeper = kind if kind in _KEEPERS else "key of another kind"
        if key is None:
            raise KeyMissingError(f"the archive is sealed by a {keeper}", hint=f"give its {keeper}")
        if key.kind != kind:
            raise WrongKeyError(
                f"the archive is opened by a {keeper}, not by a {key.kind}",
                hint=f"use the {keeper} it was made with",
            )
        try:
            file_key = key.unwrap(wrapped, name)
        except TamperedError:
            raise _damaged("its header was changed") from None
        if len(file_key) != KEY_BYTES:
            raise _damaged("its header was changed")
        self._cipher = _cipher(file_key, header)

    def chunks(self, file: BinaryIO) -> Iterator[bytes]:
        """The content, from the first chunk to the last; may be called again.

        Raises:
            FileError: a chunk was changed, moved, added or is missing.
        """
        file.seek(self.start)
        number, current = 0, file.read(CHUNK_BYTES + TAG_BYTES)
        while True:
            following = file.read(CHUNK_BYTES + TAG_BYTES)
            if len(current) != CHUNK_BYTES + TAG_BYTES:
                raise _damaged("it was cut off")
            try:
                content = self._cipher.decrypt(_NONCE.pack(number, not following), current, None)
            except InvalidTag:
                raise _damaged("a part of it was changed, moved or is missing") from None
            yield content
            if not following:
                return
            number, current = number + 1, following


def is_sealed(file: BinaryIO) -> bool:
    """Whether a file begins like a sealed one; leaves the position at the beginning."""
    file.seek(0)
    begins = file.read(len(MAGIC)) == MAGIC
    file.seek(0)
    return begins


def custody(file: BinaryIO) -> str:
    """The kind of key store that opens a sealed file; needs no key.

    Raises:
        FileError: the header is damaged.
    """
    return _read_header(file)[0]


def _read_header(file: BinaryIO) -> tuple[str, bytes, bytes, bytes]:
    file.seek(len(MAGIC))
    kind = _exactly(file, _exactly(file, 1)[0])
    name, length = _exactly(file, _ID_BYTES), _exactly(file, _WRAPPED.size)
    wrapped = _exactly(file, _WRAPPED.unpack(length)[0])
    if not (kind.isascii() and kind.replace(b"-", b"").isalpha()):
        raise _damaged("its header was changed")
    header = MAGIC + bytes([len(kind)]) + kind + name + length + wrapped
    return kind.decode(), name, wrapped, header


def _exactly(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) != size:
        raise _damaged("it was cut off")
    return content


def _cipher(file_key: bytes, header: bytes) -> AESGCM:
    return AESGCM(derive_key(file_key, "archive", hashlib.sha256(header).digest()))


def _damaged(reason: str) -> FileError:
    return FileError(f"the archive is damaged: {reason}", hint="use another copy of it")
