"""Seal and open one user's rows inside a transaction."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

from sqlite_utils import Database

from pocketpref.errors import TamperedError
from pocketpref.vault.crypto.sealing import Place, Sealer
from pocketpref.vault.integrity.set_hash import HEAD_BYTES, Multiset, index_changed, record_mark
from pocketpref.vault.integrity.transactions import Ledger
from pocketpref.vault.storage.database import next_number
from pocketpref.vault.storage.serialization import derived_id, new_id
from pocketpref.vault.storage.users import UserKey

MEMORY = "memory"
LEARNED = "learned"

PAST_ALL = 2**63 - 1
"""Greater than or equal to every row number SQLite has."""

# What is derived from a memory shares its id.
_LEARNED = """
    SELECT d.seq, d.id, d.sealed FROM records m
    JOIN records d ON d.id = m.id AND d.kind = :learned AND d.user = m.user
    WHERE m.user = :user AND m.kind = :memory ORDER BY m.seq DESC"""
_LEARNED_HEADS = _LEARNED.replace("d.sealed", "substr(d.sealed, 1, :head)")
# By the index through which they are listed: see set_hash.record_marks.
_EVERYTHING = """
    SELECT seq, kind, id, CASE kind WHEN :learned THEN sealed ELSE substr(sealed, 1, :head) END
    FROM records INDEXED BY records_by_user WHERE user = :user ORDER BY kind, seq"""
_WITH_DERIVED = """
    SELECT m.seq, m.id, m.sealed, d.seq, d.sealed FROM records m
    LEFT JOIN records d ON d.id = m.id AND d.kind = ? AND d.user = m.user
    WHERE m.user = ? AND m.kind = ?"""
_NEWEST_FIRST = _WITH_DERIVED + " AND m.seq < ? ORDER BY m.seq DESC LIMIT ?"
_OLDEST_FIRST = _WITH_DERIVED + " AND m.seq > ? ORDER BY m.seq LIMIT ?"


@dataclass(frozen=True, slots=True, repr=False)
class RowEntry:
    """A memory and what was learned from it, opened but not parsed: the unit of archives."""

    id: str
    memory: bytes
    learned: bytes | None = None


class UserRows:
    """The records of one user, for as long as the caller's transaction lasts.

    Whatever opens a record raises ``TamperedError`` if it was changed, moved or truncated.
    """

    def __init__(self, ledger: Ledger, db: Database, vault_id: bytes, key: UserKey) -> None:
        self._ledger = ledger
        self._db = db
        self._vault_id = vault_id
        self._key = key
        self._records = key.state.records

    @property
    def sealed_state(self) -> bytes:
        """The user's state as it stood in the file: another one after every change."""
        return self._key.sealed_state

    @property
    def records(self) -> Multiset:
        """The set of the user's records, with what was changed here."""
        return self._records

    # ------------------------------------------------------------------------------ one record

    def find(self, kind: str, name: str) -> int | None:
        """The row number of a record, or None.

        Raises:
            TamperedError: it may be there, but is not found: the index was changed.
        """
        row = self._db.execute(
            "SELECT seq FROM records WHERE id = ? AND kind = ? AND user = ?",
            (name, kind, self._key.number),
        ).fetchone()
        if row is None:
            self._check_ids()
        return row[0] if row else None

    def _check_ids(self) -> None:
        self._ledger.check_ids(self._db, self._key.number, self._key.sealed_state)

    def read(self, kind: str, name: str) -> bytes | None:
        """A record's content, or None."""
        seq = self.find(kind, name)
        return None if seq is None else self.read_row(kind, name, seq)

    def read_row(self, kind: str, name: str, seq: int) -> bytes:
        """The content of a record whose row number is known."""
        row = self._db.execute("SELECT sealed FROM records WHERE seq = ?", (seq,)).fetchone()
        return self._open(kind, name, seq, row[0])

    def insert(self, kind: str, name: str, payload: bytes) -> None:
        """Add a record; the caller has checked that the kind and id are unused."""
        seq = next_number(self._db, "records")
        sealed = self._seal(kind, name, seq, payload)
        self._db.execute(
            "INSERT INTO records (seq, user, kind, id, sealed) VALUES (?, ?, ?, ?, ?)",
            (seq, self._key.number, kind, name, sealed),
        )
        self._records = self._records.plus(self._mark(kind, name, seq, sealed))

    def put(self, kind: str, name: str, payload: bytes) -> None:
        """Add a record, or replace its content in place."""
        seq = self.find(kind, name)
        if seq is None:
            self.insert(kind, name, payload)
            return
        sealed = self._seal(kind, name, seq, payload)
        self._take_off(seq)
        self._db.execute("UPDATE records SET sealed = ? WHERE seq = ?", (sealed, seq))
        self._records = self._records.plus(self._mark(kind, name, seq, sealed))

    def _take_off(self, seq: int) -> None:
        """Take a row off the set; one that was tampered with was never in it and stays so."""
        row = self._db.execute(
            "SELECT kind, id, substr(sealed, 1, ?) FROM records WHERE seq = ?", (HEAD_BYTES, seq)
        ).fetchone()
        with suppress(TamperedError):
            self._records = self._records.minus(record_mark(seq, self._key.number, *row))

    def _mark(self, kind: str, name: str, seq: int, sealed: bytes) -> bytes:
        return record_mark(seq, self._key.number, kind, name, sealed[:HEAD_BYTES])

    def _seal(self, kind: str, name: str, seq: int, payload: bytes) -> bytes:
        return self._key.sealer(seq).seal(payload, self._place(kind, name, seq))

    def _open(self, kind: str, name: str, seq: int, sealed: object) -> bytes:
        return self._key.sealer(seq).open(sealed, self._place(kind, name, seq))

    def _place(self, kind: str, name: str, seq: int) -> Place:
        return Place(self._vault_id, self._key.number, kind, name, seq)

    # ------------------------------------------------------------------------------ many

    def ids(self, kind: str) -> list[str]:
        """Ids of all records of a kind, newest first."""
        rows = self._db.execute(
            "SELECT id FROM records WHERE user = ? AND kind = ? ORDER BY seq DESC",
            (self._key.number, kind),
        )
        return [name for (name,) in rows.fetchall()]

    def count(self) -> dict[str, int]:
        """How many records there are of each kind."""
        rows = self._db.execute(
            "SELECT kind, COUNT(*) FROM records WHERE user = ? GROUP BY kind", (self._key.number,)
        )
        return dict(rows.fetchall())

    def all(self, kind: str) -> Iterator[tuple[int, str, bytes]]:
        """Row number, id and content of all records of a kind, the oldest first."""
        rows = self._db.execute(
            "SELECT seq, id, sealed FROM records WHERE user = ? AND kind = ? ORDER BY seq",
            (self._key.number, kind),
        )
        for seq, name, sealed in rows.fetchall():
            yield seq, name, self._open(kind, name, seq, sealed)

    def learned_heads(self) -> list[tuple[int, str, bytes]]:
        """Row number, id and what changes with the content, of learned entries, newest first."""
        self._check_ids()
        return self._db.execute(_LEARNED_HEADS, self._of_learned()).fetchall()

    def learned(self) -> Iterator[tuple[tuple[int, str, bytes], bytes]]:
        """The same with the content of each, one at a time: sealed they are never all in memory."""
        self._check_ids()
        for seq, name, sealed in self._db.execute(_LEARNED, self._of_learned()):
            yield (seq, name, sealed[:HEAD_BYTES]), self._open(LEARNED, name, seq, sealed)

    def everything(self) -> Iterator[tuple[bytes, int, str, str, bytes, bytes | None]]:
        """Mark, row number, kind, id, head and, if it was learned, content of all records.

        Those of one kind come together, the oldest first.

        Raises:
            TamperedError: one was changed, or their index is out of order.
        """
        user, last = self._key.number, ("", 0)
        for seq, kind, name, sealed in self._db.execute(_EVERYTHING, self._of_learned()):
            if last >= (kind, seq):
                raise index_changed()
            last = kind, seq
            content = self._open(kind, name, seq, sealed) if kind == LEARNED else None
            # What is no blob, or an empty one (of which SQLite makes NULL), is no mark either.
            head = sealed[:HEAD_BYTES] if isinstance(sealed, bytes) else b""
            yield record_mark(seq, user, kind, name, head), seq, kind, name, head, content

    def _of_learned(self) -> dict[str, object]:
        return {
            "learned": LEARNED,
            "memory": MEMORY,
            "user": self._key.number,
            "head": HEAD_BYTES,
        }

    def newest(self, before: int, limit: int) -> list[tuple[int, RowEntry]]:
        """Memories before a row number, the newest first, each with its own row number."""
        return self._page(_NEWEST_FIRST, None, before, limit)

    def oldest(self, after: int, limit: int) -> list[tuple[int, RowEntry]]:
        """Memories after a row number with what was learned from them, the oldest first."""
        self._check_ids()
        return self._page(_OLDEST_FIRST, LEARNED, after, limit)

    def _page(
        self, query: str, derived: str | None, last: int, limit: int
    ) -> list[tuple[int, RowEntry]]:
        values = (derived, self._key.number, MEMORY, last, limit)
        page = []
        for seq, name, sealed, learned_seq, learned in self._db.execute(query, values).fetchall():
            memory = self._open(MEMORY, name, seq, sealed)
            content = None
            if learned_seq is not None:
                content = self._open(LEARNED, name, learned_seq, learned)
            page.append((seq, RowEntry(name, memory, content)))
        return page

    def with_derived(self, name: str) -> list[int]:
        """Row numbers of a memory and of everything derived from it."""
        self._check_ids()
        # +user: without the sign SQLite goes through all of the user's rows by their index, where
        # the id (or below, the row number) leads straight to those that are wanted.
        rows = self._db.execute(
            "SELECT seq FROM records WHERE id = ? AND +user = ?", (name, self._key.number)
        )
        return [seq for (seq,) in rows.fetchall()]

    def blobs(self, name: str) -> list[bytes]:
        """The sealed forms of a memory and of everything derived from it."""
        self._check_ids()
        rows = self._db.execute(
            "SELECT sealed FROM records WHERE id = ? AND +user = ?", (name, self._key.number)
        )
        return [sealed for (sealed,) in rows.fetchall()]

    def delete(self, numbers: Iterable[int]) -> None:
        """Remove rows; SQLite overwrites them with zeros."""
        for seq in numbers:
            self._take_off(seq)
            self._db.execute("DELETE FROM records WHERE seq = ?", (seq,))

    def reseal(self, after: int, limit: int, sealer: Sealer) -> tuple[int, int]:
        """Seal the first records after a row under another key; the last row, and how many."""
        rows = self._db.execute(
            "SELECT seq, kind, id, sealed FROM records WHERE +user = ? AND seq > ? "
            "ORDER BY seq LIMIT ?",
            (self._key.number, after, limit),
        ).fetchall()
        for seq, kind, name, sealed in rows:
            place = self._place(kind, name, seq)
            fresh = sealer.seal(self._key.data.records.open(sealed, place), place)
            self._db.execute("UPDATE records SET sealed = ? WHERE seq = ?", (fresh, seq))
            self._records = self._records.minus(self._mark(kind, name, seq, sealed))
            self._records = self._records.plus(self._mark(kind, name, seq, fresh))
        return (rows[-1][0] if rows else after), len(rows)

    # ------------------------------------------------------------------------------ ids

    def unused_id(self) -> str:
        """A fresh id that no user of this vault has."""
        while True:
            name = new_id()
            if self._owner(name) is None:
                return name

    def own_id(self, name: str) -> str:
        """The id itself or, if it belongs to another user here, the id derived from it."""
        if self._owner(name) in (None, self._key.number):
            return name
        return derived_id(self._key.id_key, name)

    def _owner(self, name: str) -> int | None:
        row = self._db.execute("SELECT user FROM records WHERE id = ?", (name,)).fetchone()
        return row[0] if row else None
