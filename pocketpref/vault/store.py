"""One user's part of a vault: the ``MemoryStore`` that a Pocket works on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlite_utils import Database

from pocketpref.errors import FileError, NotFoundError
from pocketpref.records import Counts, Feedback, Forgotten, Learned, Memory
from pocketpref.vault.database import VaultFile, next_number
from pocketpref.vault.ids import derived_id, is_id, new_id
from pocketpref.vault.recall import LearnedCache
from pocketpref.vault.sealing import Place
from pocketpref.vault.serial import dump_learned, dump_memory, load_memory
from pocketpref.vault.users import Directory, UserKey

MEMORY = "memory"
LEARNED = "learned"

_PAGE = 64
"""Memories read at a time, so that a long listing holds neither the lock nor much memory."""

_PAST_ALL = 2**63 - 1  # SQLite's greatest row number

# What is derived from a memory shares its id.
_WITH_DERIVED = """
    SELECT m.seq, m.id, m.sealed, d.seq, d.sealed FROM records m
    LEFT JOIN records d ON d.id = m.id AND d.kind = ? AND d.user = m.user
    WHERE m.user = ? AND m.kind = ?"""
_NEWEST_FIRST = _WITH_DERIVED + " AND m.seq < ? ORDER BY m.seq DESC LIMIT ?"
_OLDEST_FIRST = _WITH_DERIVED + " AND m.seq > ? ORDER BY m.seq LIMIT ?"


@dataclass(frozen=True, slots=True, repr=False)
class Entry:
    """A memory and what was learned from it, opened but not parsed: the unit of archives."""

    id: str
    memory: bytes
    learned: bytes | None


class UserStore:
    """Memories of one user, sealed under their own key. The user's row is made at the first write.

    Every method raises ``VaultError`` (busy, full, tampered ...) if the file does not allow it, and
    has then changed nothing.
    """

    def __init__(self, file: VaultFile, directory: Directory, user: str) -> None:
        self._file = file
        self._directory = directory
        self._user = user
        self._cache = LearnedCache()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._file.path})"

    @property
    def user(self) -> str:
        """The name it was opened under."""
        return self._user

    # ------------------------------------------------------------------------------ writing

    def add(self, feedback: Feedback) -> str:
        """Keep a pair; it is on the disk when this returns. Returns its id.

        Raises:
            InputError: its ``meta`` is too large or not JSON-able.
        """
        return self.add_many([feedback])[0]

    def add_many(self, feedback: Iterable[Feedback]) -> list[str]:
        """Keep many pairs in one transaction: all of them or none. Returns their ids in order.

        Raises:
            InputError: the ``meta`` of one is too large or not JSON-able.
        """
        now = datetime.now(UTC)
        payloads = [dump_memory(item, now) for item in feedback]
        if not payloads:
            return []
        with self._file.writing() as db:
            key = self._directory.find_or_create(db, self._user)
            return [self._insert_memory(db, key, _unused_id(db), payload) for payload in payloads]

    def _insert_memory(self, db: Database, key: UserKey, memory_id: str, payload: bytes) -> str:
        self._insert(db, key, MEMORY, memory_id, payload)
        return memory_id

    def _insert(self, db: Database, key: UserKey, kind: str, name: str, payload: bytes) -> None:
        seq = next_number(db, "records")
        sealed = key.sealer.seal(payload, self._place(key, kind, name, seq))
        db.execute(
            "INSERT INTO records (seq, user, kind, id, sealed) VALUES (?, ?, ?, ?, ?)",
            (seq, key.number, kind, name, sealed),
        )

    def put_learned(self, learned: Learned) -> bool:
        """Keep the indexed form of a memory, replacing an older one.

        Returns:
            False if the memory has been forgotten meanwhile; nothing is kept then.

        Raises:
            InputError: a number in it is not finite.
        """
        payload = dump_learned(learned)
        with self._file.writing() as db:
            key = self._directory.find(db, self._user)
            if key is None or _seq(db, key, MEMORY, learned.memory_id) is None:
                return False
            self._put(db, key, LEARNED, learned.memory_id, payload)
        return True

    def _put(self, db: Database, key: UserKey, kind: str, name: str, payload: bytes) -> None:
        seq = _seq(db, key, kind, name)
        if seq is None:
            self._insert(db, key, kind, name, payload)
            return
        sealed = key.sealer.seal(payload, self._place(key, kind, name, seq))
        db.execute("UPDATE records SET sealed = ? WHERE seq = ?", (sealed, seq))

    def restore(self, entries: Iterable[Entry]) -> tuple[int, int]:
        """Put back what ``entries`` gave, under its own ids, all of it or none.

        An id that belongs to another user here is replaced by one derived from it, so that
        restoring again finds it.

        Returns:
            How many memories were added, and how many were there already.

        Raises:
            FileError: another memory of this user has one of the ids.
        """
        added = known = 0
        with self._file.writing() as db:
            key = self._directory.find_or_create(db, self._user)
            for entry in entries:
                name = self._restored_id(db, key, entry.id)
                if self._has_same(db, key, name, entry.memory):
                    known += 1
                    continue
                self._insert(db, key, MEMORY, name, entry.memory)
                if entry.learned is not None:
                    self._insert(db, key, LEARNED, name, entry.learned)
                added += 1
        return added, known

    def _restored_id(self, db: Database, key: UserKey, name: str) -> str:
        row = db.execute(
            "SELECT user FROM records WHERE id = ? AND kind = ?", (name, MEMORY)
        ).fetchone()
        return name if row is None or row[0] == key.number else derived_id(key.id_key, name)

    def _has_same(self, db: Database, key: UserKey, name: str, payload: bytes) -> bool:
        kept = self._read_memory(db, key, name)
        if kept is not None and kept != load_memory(name, payload):
            raise FileError(
                f"the vault has another memory with the id {name}",
                hint=f"forget {name} first, or leave it out of the file; nothing was changed",
            )
        return kept is not None

    # ------------------------------------------------------------------------------ reading

    def get(self, memory_id: str) -> Memory:
        """One memory.

        Raises:
            NotFoundError: there is none of this id.
        """
        with self._file.reading() as db:
            key = self._directory.find(db, self._user)
            memory = self._read_memory(db, key, memory_id) if key else None
        if memory is None:
            raise _not_found(memory_id)
        return memory

    def _read_memory(self, db: Database, key: UserKey, memory_id: str) -> Memory | None:
        row = db.execute(
            "SELECT seq, sealed FROM records WHERE id = ? AND kind = ? AND user = ?",
            (memory_id, MEMORY, key.number),
        ).fetchone()
        if row is None:
            return None
        place = self._place(key, MEMORY, memory_id, row[0])
        return load_memory(memory_id, key.sealer.open(row[1], place))

    def memories(self) -> Iterator[Memory]:
        """All memories, the newest (last added) first."""
        for entry in self._entries(_NEWEST_FIRST, None, _PAST_ALL):
            yield load_memory(entry.id, entry.memory)

    def entries(self) -> Iterator[Entry]:
        """All memories with what was learned from them, the oldest first, for an archive."""
        return self._entries(_OLDEST_FIRST, LEARNED, 0)

    def _entries(self, query: str, derived: str | None, last: int) -> Iterator[Entry]:
        while True:
            with self._file.reading() as db:
                key = self._directory.find(db, self._user)
                if key is None:
                    return
                values = (derived, key.number, MEMORY, last, _PAGE)
                rows = db.execute(query, values).fetchall()
            for row in rows:
                yield self._open_entry(key, row)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def _open_entry(self, key: UserKey, row: tuple[int, str, bytes, int | None, bytes]) -> Entry:
        seq, name, sealed, learned_seq, sealed_learned = row
        learned = None
        if learned_seq is not None:
            place = self._place(key, LEARNED, name, learned_seq)
            learned = key.sealer.open(sealed_learned, place)
        memory = key.sealer.open(sealed, self._place(key, MEMORY, name, seq))
        return Entry(name, memory, learned)

    def pending(self, recipe: str) -> list[str]:
        """Ids of memories that have no ``Learned`` of this recipe, newest first."""
        with self._file.reading() as db:
            key = self._directory.find(db, self._user)
            if key is None:
                return []
            rows = db.execute(
                "SELECT id FROM records WHERE user = ? AND kind = ? ORDER BY seq DESC",
                (key.number, MEMORY),
            ).fetchall()
            done = {entry.memory_id for entry in self._learned(db, key, recipe)}
        return [name for (name,) in rows if name not in done]

    def learned(self, recipe: str) -> list[Learned]:
        """Everything indexed under this recipe, newest memory first."""
        with self._file.reading() as db:
            key = self._directory.find(db, self._user)
            return self._learned(db, key, recipe) if key else []

    def _learned(self, db: Database, key: UserKey, recipe: str) -> list[Learned]:
        def place(name: str, seq: int) -> Place:
            return self._place(key, LEARNED, name, seq)

        entries = self._cache.refresh(db, key, place)
        return [entry for entry in entries if entry.recipe == recipe]

    def counts(self) -> Counts:
        """How many memories there are, and how many of them are indexed (under any recipe)."""
        with self._file.reading() as db:
            key = self._directory.find(db, self._user)
            rows = (
                []
                if key is None
                else db.execute(
                    "SELECT kind, COUNT(*) FROM records WHERE user = ? GROUP BY kind", (key.number,)
                ).fetchall()
            )
        found = dict(rows)
        return Counts(found.get(MEMORY, 0), found.get(LEARNED, 0))

    def version(self) -> int:
        """A number that changes whenever any process changed the vault: caches compare it."""
        return self._file.version()

    # ------------------------------------------------------------------------------ forgetting

    def forget(self, ids: Sequence[str], *, dry_run: bool = False) -> Forgotten:
        """Remove memories and everything derived from them, from free pages and the log too.

        Raises:
            NotFoundError: one of the ids is unknown; nothing was removed.
            VaultBusyError: removed, but another process keeps the log from being cleared.
        """
        unique = tuple(dict.fromkeys(ids))
        if dry_run:
            with self._file.reading() as db:
                records = self._records_of(db, unique)
            return Forgotten(unique, len(records) - len(unique), dry_run=True)
        with self._file.writing() as db:
            records = self._records_of(db, unique)
            for seq in records:
                db.execute("DELETE FROM records WHERE seq = ?", (seq,))
        self._cache.clear()
        self._file.scrub()
        return Forgotten(unique, len(records) - len(unique))

    def _records_of(self, db: Database, ids: Sequence[str]) -> list[int]:
        """Where the memories of these ids lie, and everything derived from them."""
        key = self._directory.find(db, self._user)
        found: list[int] = []
        for name in ids:
            if key is None or _seq(db, key, MEMORY, name) is None:
                raise _not_found(name)
            rows = db.execute(
                "SELECT seq FROM records WHERE id = ? AND user = ?", (name, key.number)
            )
            found.extend(seq for (seq,) in rows.fetchall())
        return found

    def forget_everything(self) -> None:
        """Destroy this user's key, then their records.

        Once the key is gone nothing can be read, so an interruption after that is already final;
        what is left is removed when the vault is next opened.
        """
        with self._file.writing() as db:
            key = self._directory.find(db, self._user)
            if key is not None:
                self._directory.destroy_key(db, key.number)
        self._cache.clear()
        self._file.scrub()
        with self._file.writing() as db:
            self._directory.remove_wiped(db)
        self._file.scrub()

    def _place(self, key: UserKey, kind: str, name: str, seq: int) -> Place:
        return Place(self._directory.vault_id, key.number, kind, name, seq)


def _seq(db: Database, key: UserKey, kind: str, name: str) -> int | None:
    row = db.execute(
        "SELECT seq FROM records WHERE id = ? AND kind = ? AND user = ?", (name, kind, key.number)
    ).fetchone()
    return row[0] if row else None


def _unused_id(db: Database) -> str:
    while True:
        name = new_id()
        if db.execute("SELECT 1 FROM records WHERE id = ?", (name,)).fetchone() is None:
            return name


def _not_found(memory_id: str) -> NotFoundError:
    # What has not the form of an id may be anything the user typed, so it is not repeated.
    name = f"with the id {memory_id}" if is_id(memory_id) else "with such an id"
    return NotFoundError(f"there is no memory {name}", hint="list them: pocketpref memory ls")
