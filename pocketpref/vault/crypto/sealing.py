"""Seal bytes into a blob that opens only with the key and in its own place.

A sealed blob is

    1 byte    1: AES-256-GCM, random nonce, padding as below; any other value is refused
    12 bytes  nonce, random. One key seals far fewer than 2**32 blobs, NIST's limit for that.
    n bytes   ciphertext of: 4 bytes length (little-endian), the content, zeros up to n
    16 bytes  tag

The tag covers the blob's `Place` too (vault, user, kind, id, position), so that a blob moved to
another row, user, kind or vault no longer opens. The place carries this sealing's version rather
than the file's format, so that a new format need not seal old records again.

**Padding.** n is rounded up by Padmé (Nikitin et al., PETS 2019, arXiv 1806.03160) from at least
256 bytes: of the true length L only O(log log L) bits show. It costs at most 12 %, about 3 % on
a pair of answers of a few thousand characters.
"""

from __future__ import annotations

import os
import struct
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from pocketpref.errors import TamperedError
from pocketpref.vault.storage.serialization import is_id

ENCRYPTION = "AES-256-GCM"
KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
SEALING_VERSION = 1
LEAST_PADDED = 256

SALVAGE = "restore it from a backup, or save what is intact: pocketpref doctor --repair"
"""The hint for a damaged vault; the file itself is never changed."""

_LENGTH = struct.Struct("<I")
_PLACE = struct.Struct(">10sB16sQQB")
_BYTE = struct.Struct("B")
_PREFIX = bytes([SEALING_VERSION])
_OVERHEAD = len(_PREFIX) + NONCE_BYTES + TAG_BYTES


class Place(NamedTuple):
    """The place of a blob; it opens nowhere else.

    Attributes:
        vault: the vault's id, 16 bytes.
        user: the number of the user's row.
        kind: what the blob is, such as ``"memory"``.
        id: the record's id.
        seq: the record's position in its table.
    """

    vault: bytes
    user: int
    kind: str
    id: str
    seq: int

    def to_bytes(self) -> bytes:
        """The associated data: every part at a fixed width or behind its length."""
        kind, name = self.kind.encode(), self.id.encode()
        fixed = (b"pocketpref", SEALING_VERSION, self.vault, self.user, self.seq)
        return b"".join((_PLACE.pack(*fixed, len(kind)), kind, _BYTE.pack(len(name)), name))


def new_key() -> bytes:
    """A fresh random key, 32 bytes."""
    return os.urandom(KEY_BYTES)


def derive_key(key: bytes | memoryview, purpose: str, context: bytes = b"") -> bytes:
    """A key for one purpose out of a uniformly random one (HKDF-Expand with SHA-256)."""
    info = b"pocketpref/1 " + purpose.encode() + b"\0" + context
    return HKDFExpand(hashes.SHA256(), KEY_BYTES, info).derive(key)


def padded_size(size: int) -> int:
    """Padmé: round a size up so that few different sizes remain, for at most 12 % more bytes."""
    size = max(size, LEAST_PADDED)
    exponent = size.bit_length() - 1
    step = 1 << (exponent - exponent.bit_length())
    return -(-size // step) * step


class Sealer:
    """Seals and opens blobs under one key."""

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(key)

    def seal(self, content: bytes, place: Place) -> bytes:
        """Seal content for one place."""
        padded = bytearray(padded_size(_LENGTH.size + len(content)))
        _LENGTH.pack_into(padded, 0, len(content))
        padded[_LENGTH.size : _LENGTH.size + len(content)] = content
        nonce = os.urandom(NONCE_BYTES)
        return _PREFIX + nonce + self._cipher.encrypt(nonce, bytes(padded), place.to_bytes())

    def open(self, sealed: object, place: Place) -> bytes:
        """Open what ``seal`` made for this place.

        Raises:
            TamperedError: it was changed, moved or truncated.
        """
        if not isinstance(sealed, bytes) or len(sealed) < _OVERHEAD + LEAST_PADDED:
            raise _tampered(place)
        if not sealed.startswith(_PREFIX):
            raise _tampered(place)
        nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        # Plain try here and in set_hash.record_mark: they run tens of thousands of times when a
        # vault is opened, and suppress() costs as much as the rest of the line.
        try:
            padded = self._cipher.decrypt(nonce, body, place.to_bytes())
            (size,) = _LENGTH.unpack_from(padded)
            return padded[_LENGTH.size : _LENGTH.size + size]
        except (InvalidTag, AttributeError, ValueError, struct.error):
            # All but the first: an id or number in the row that we would never have written.
            # Raised outside of the handler: the encoder's error holds such an id.
            pass
        raise _tampered(place)


def _tampered(place: Place) -> TamperedError:
    # Ids are random and kinds are ours, so naming them tells nothing about the person. A row whose
    # id was overwritten could carry anything, so only what has the form of an id is shown.
    name = f" {place.id}" if isinstance(place.id, str) and is_id(place.id) else ""
    return TamperedError(
        f"the vault's {place.kind}{name} was changed, moved or truncated",
        hint=SALVAGE,
    )
