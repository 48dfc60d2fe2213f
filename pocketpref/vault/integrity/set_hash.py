"""Sealed set hashes of a vault, which detect missing, added and replayed records.

Sealing binds every record to its place, but not to its time: a record that was deleted behind our
back leaves nothing to fail, and an older sealing of the same record still opens. So each user has a
sealed state with a hash over the set of all their records, and the vault has one over all users:

    user state     set_key 32 | sum 32 | count u64 | rotated_to u64
    vault state    set_key 32 | sum 32 | count u64 | generation u64 | JSON {"accepted": [...]}

(little-endian). A member of a set is a *mark*: the place of a record, and its version byte and
nonce, which are new at every sealing; a blob that is changed elsewhere does not open.

``sum`` is MSet-Add-Hash (Clarke et al., ASIACRYPT 2003): the sum of keyed hashes of the marks,
modulo 2**256. It is brought up to date by one addition or subtraction, whatever the size of the
set. Key and sum are sealed, so that nobody without the vault's key can look for collisions.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Self

import numpy as np
from sqlite_utils import Database

from pocketpref.errors import TamperedError
from pocketpref.vault.crypto.sealing import KEY_BYTES, NONCE_BYTES, SALVAGE

HEAD_BYTES = 1 + NONCE_BYTES
"""A blob's version and nonce: enough to tell whether it was sealed again."""

_MODULUS = 1 << 256
_RECORD = struct.Struct("<QQBB")
_USER = struct.Struct("<QBBBBB")
_STATE = struct.Struct("<32s32sQQ")

# By the index through which they are listed: what it does not lead to is missing from every list.
_RECORDS = """
    SELECT seq, user, kind, id, substr(sealed, 1, ?) FROM records INDEXED BY records_by_user
    WHERE user = ? ORDER BY kind, seq"""
_LOST_BY_ID = """
    SELECT COUNT(*) FROM records one INDEXED BY records_by_user
    LEFT JOIN records other ON other.id = one.id AND other.kind = one.kind
    WHERE one.user = ? AND other.seq IS NOT one.seq"""
_USERS = """
    SELECT id, lookup, substr(name, 1, :n), substr(key, 1, :n), substr(next, 1, :n),
    substr(state, 1, :n) FROM users"""


@dataclass(frozen=True, slots=True)
class Multiset:
    """MSet-Add-Hash of a set of marks.

    Attributes:
        key: of the hash, 32 bytes.
        total: the sum, in [0, 2**256).
        count: how many members there are.
    """

    key: bytes = field(repr=False)
    total: int = field(default=0, repr=False)
    count: int = 0

    @classmethod
    def empty(cls) -> Self:
        """The empty set, under a fresh key."""
        return cls(os.urandom(KEY_BYTES))

    def of(self, marks: Iterable[bytes]) -> Multiset:
        """The set of these marks, under the same key."""
        # Setting up the key costs half of each hash, so a state that has it is copied.
        keyed = hashlib.blake2b(key=self.key, digest_size=32)

        def digest(mark: bytes) -> bytes:
            state = keyed.copy()
            state.update(mark)
            return state.digest()

        hashes = list(map(digest, marks))
        # Column by column: 32 bits of up to 2**32 members do not overflow 64.
        columns = np.frombuffer(b"".join(hashes), dtype="<u4").reshape(-1, 8)
        parts = columns.sum(axis=0, dtype=np.uint64).tolist()
        total = sum(part << (32 * place) for place, part in enumerate(parts))
        return Multiset(self.key, total % _MODULUS, len(hashes))

    def plus(self, mark: bytes) -> Multiset:
        """This set with one more member."""
        return Multiset(self.key, (self.total + self._hash(mark)) % _MODULUS, self.count + 1)

    def minus(self, mark: bytes) -> Multiset:
        """This set without one member; meaningless if it is no member."""
        return Multiset(self.key, (self.total - self._hash(mark)) % _MODULUS, self.count - 1)

    def _hash(self, mark: bytes) -> int:
        digest = hashlib.blake2b(mark, key=self.key, digest_size=32).digest()
        return int.from_bytes(digest, "little")

    def pack(self, number: int) -> bytes:
        """As bytes, with a number behind it."""
        # A count below zero can come of a set that was tampered with; it must stay writable.
        total, count = self.total.to_bytes(32, "little"), self.count % 2**64
        return _STATE.pack(self.key, total, count, number)


@dataclass(frozen=True, slots=True)
class UserState:
    """The expected records of one user.

    Attributes:
        records: the set of their records.
        rotated_to: up to this row, records are already under the data key that is to come.
    """

    records: Multiset
    rotated_to: int = 0

    def dump(self) -> bytes:
        """As bytes."""
        return self.records.pack(self.rotated_to)

    @classmethod
    def load(cls, content: bytes) -> Self:
        """Parse the output of ``dump``; the seal vouches for its form."""
        records, rotated_to = _unpack(content)
        return cls(records, rotated_to)


@dataclass(frozen=True, slots=True)
class Accepted:
    """One occasion on which the person accepted an older copy of the vault.

    Attributes:
        when: time of the acceptance, UTC.
        found: generation of the copy.
        expected: highest generation that had been seen.
    """

    when: datetime
    found: int
    expected: int


@dataclass(frozen=True, slots=True)
class VaultState:
    """The expected users of a vault, and its generation.

    Attributes:
        users: the set of the users' rows.
        generation: how many changes were made to the vault.
        accepted: every time that an older copy was accepted.
    """

    users: Multiset
    generation: int = 0
    accepted: tuple[Accepted, ...] = ()

    def dump(self) -> bytes:
        """As bytes."""
        accepted = [
            {"when": act.when.isoformat(), "from": act.expected, "to": act.found}
            for act in self.accepted
        ]
        return self.users.pack(self.generation) + json.dumps({"accepted": accepted}).encode()

    @classmethod
    def load(cls, content: bytes) -> Self:
        """Parse the output of ``dump``; the seal vouches for its form."""
        users, generation = _unpack(content)
        accepted = tuple(
            Accepted(datetime.fromisoformat(act["when"]), act["to"], act["from"])
            for act in json.loads(content[_STATE.size :])["accepted"]
        )
        return cls(users, generation, accepted)

    def accepting(self, expected: int) -> VaultState:
        """The state after this copy, though older than the one expected, was accepted."""
        act = Accepted(datetime.now(UTC), self.generation, expected)
        return replace(self, generation=expected, accepted=(*self.accepted, act))


def _unpack(content: bytes) -> tuple[Multiset, int]:
    key, total, count, number = _STATE.unpack_from(content)
    return Multiset(key, int.from_bytes(total, "little"), count), number


# ------------------------------------------------------------------------------------- marks


def record_mark(seq: int, user: int, kind: str, name: str, head: bytes) -> bytes:
    """A record's mark.

    Raises:
        TamperedError: the row is not of a form that we write.
    """
    # Raised outside of the handler: the decoder's error could hold what stood in the row.
    try:
        if len(head) == HEAD_BYTES:
            kind_bytes, name_bytes = kind.encode(), name.encode()
            fixed = _RECORD.pack(seq, user, len(kind_bytes), len(name_bytes))
            return b"".join((fixed, kind_bytes, name_bytes, head))
    except (AttributeError, TypeError, ValueError, struct.error):
        pass
    raise TamperedError("a record in the vault is malformed", hint=SALVAGE)


def record_marks(db: Database, user: int) -> Iterator[bytes]:
    """Marks of all records of one user.

    Raises:
        TamperedError: a row is not of a form that we write, or their index is out of order.
    """
    last = ("", 0)
    for seq, number, kind, name, head in db.execute(_RECORDS, (HEAD_BYTES, user)).fetchall():
        mark = record_mark(seq, number, kind, name, head)
        if last >= (kind, seq):
            raise index_changed()
        last = kind, seq
        yield mark


def check_ids(db: Database, user: int) -> None:
    """Check that a lookup by id finds each of a user's records in its place.

    Raises:
        TamperedError: one is not.
    """
    if db.execute(_LOST_BY_ID, (user,)).fetchone()[0]:
        raise index_changed()


def index_changed() -> TamperedError:
    """The error for an index that hides records or leads astray."""
    return TamperedError("an index of the vault was changed", hint=SALVAGE)


def user_marks(db: Database) -> Iterable[bytes]:
    """Marks of all users' rows.

    Raises:
        TamperedError: a row is not of a form that we write.
    """
    return [user_mark(*row) for row in db.execute(_USERS, {"n": HEAD_BYTES}).fetchall()]


def user_mark(number: int, *parts: bytes | None) -> bytes:
    """The mark of a user's row.

    Raises:
        TamperedError: the row is not of a form that we write.
    """
    # None: the key was destroyed, or no other key is to come.
    present = [b"" if part is None else part for part in parts]
    with suppress(TypeError, struct.error):
        return _USER.pack(number, *map(len, present)) + b"".join(present)
    raise TamperedError("a user's row in the vault is malformed", hint=SALVAGE)
