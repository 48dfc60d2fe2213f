"""One user's part of a vault, as the ``MemoryStore`` of a Pocket."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from sqlite_utils import Database

from pocketpref.errors import FileError, NotFoundError
from pocketpref.protocols import Documents, Lesson
from pocketpref.records import Counts, Effort, Feedback, Forgotten, Learned, Memory
from pocketpref.vault.documents import Filed, UserDocuments, filed, made_of, put_back
from pocketpref.vault.integrity.erasure_check import Traces
from pocketpref.vault.integrity.set_hash import index_changed
from pocketpref.vault.integrity.transactions import Ledger
from pocketpref.vault.storage.rows import LEARNED, MEMORY, PAST_ALL, RowEntry, UserRows
from pocketpref.vault.storage.serialization import (
    dump_learned,
    dump_memory,
    is_id,
    load_learned,
    load_lesson,
    load_memory,
)
from pocketpref.vault.storage.users import NOBODY, Directory, UserKey

_PAGE = 64
"""Memories read at a time, so that a long listing holds neither the lock nor much memory."""


class UserStore:
    """Memories of one user, sealed under their own key. The user's row is made at the first write.

    Every method raises ``VaultError`` (busy, full, tampered ...) if the file does not allow it, and
    has then changed nothing.
    """

    def __init__(self, ledger: Ledger, directory: Directory, user: str) -> None:
        self._ledger = ledger
        self._directory = directory
        self._user = user
        self._cache = LessonCache()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._ledger.file.path})"

    @property
    def user(self) -> str:
        """The name it was opened under."""
        return self._user

    @contextlib.contextmanager
    def _reading(self, *, loading: bool = False) -> Iterator[UserRows]:
        """The user's rows, checked; ``loading`` if all lessons will be wanted."""
        with self._ledger.reading() as db:
            key = self._directory.find(db, self._user)
            rows = self._rows(db, key)
            # Then what the check reads fills the cache.
            marks = partial(self._cache.load, rows) if loading and self._cache.empty else None
            if key.number != NOBODY:
                with self._clearing():
                    self._ledger.check_records(
                        db, key.number, key.sealed_state, key.state.records, marks
                    )
            yield rows

    def _rows(self, db: Database, key: UserKey) -> UserRows:
        return UserRows(self._ledger, db, self._directory.vault_id, key)

    @contextlib.contextmanager
    def _clearing(self) -> Iterator[None]:
        """Nothing that was read in a check which failed is kept."""
        try:
            yield
        except BaseException:
            self._cache.clear()
            raise

    @contextlib.contextmanager
    def _writing(
        self, *, new_user: bool = False, learned: bool = True, checked: bool = False
    ) -> Iterator[UserRows]:
        """Rows to change; ``learned`` if what was learned may change, ``checked`` if they are read.

        That nothing is missing is not checked otherwise: a pair can be added and records forgotten
        in a vault that was tampered with, and what is missing stays noticed.
        """
        with self._ledger.writing() as db:
            find = self._directory.find_or_create if new_user else self._directory.find
            key = find(db, self._user)
            rows = self._rows(db, key)
            if checked and key.number != NOBODY:
                records = key.state.records
                self._ledger.check_records(db, key.number, key.sealed_state, records)
            yield rows
            if rows.records != key.state.records:
                state = replace(key.state, records=rows.records)
                sealed = self._directory.put_state(db, key, state)
                self._ledger.took(db, key.number, key.sealed_state, sealed)
                if not learned:
                    self._cache.took(key.sealed_state, sealed)

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
        ids: list[str] = []
        with self._writing(new_user=True, learned=False) as rows:
            for payload in payloads:
                ids.append(rows.unused_id())
                rows.insert(MEMORY, ids[-1], payload)
        return ids

    def put_learned(self, learned: Learned) -> bool:
        """Keep the indexed form of a memory, replacing an older one.

        Returns:
            False if the memory has been forgotten meanwhile; nothing is kept then.

        Raises:
            InputError: a number in it is not finite.
        """
        payload = dump_learned(learned)
        with self._writing() as rows:
            if rows.find(MEMORY, learned.memory_id) is None:
                return False
            rows.put(LEARNED, learned.memory_id, payload)
        return True

    def restore(
        self, entries: Iterable[RowEntry], documents: Iterable[Filed] = ()
    ) -> tuple[int, int]:
        """Put back what ``entries`` and ``filed`` gave, under its own ids, all of it or none.

        An id that belongs to another user here is replaced by one derived from it, so that
        restoring again finds it.

        Returns:
            How many memories were added, and how many were there already.

        Raises:
            FileError: another memory of this user has one of the ids.
        """
        added = known = 0
        with self._writing(new_user=True) as rows:
            for entry in entries:
                name = rows.own_id(entry.id)
                kept = rows.read(MEMORY, name)
                if kept is not None:
                    _check_same(name, kept, entry.memory)
                    known += 1
                    continue
                rows.insert(MEMORY, name, entry.memory)
                if entry.learned is not None:
                    rows.insert(LEARNED, name, entry.learned)
                added += 1
            put_back(rows, documents)
        return added, known

    # ------------------------------------------------------------------------------ reading

    def get(self, memory_id: str) -> Memory:
        """One memory.

        Raises:
            NotFoundError: the id is unknown.
        """
        with self._reading() as rows:
            payload = rows.read(MEMORY, memory_id)
        if payload is None:
            raise _not_found(memory_id)
        return load_memory(memory_id, payload)

    def memories(self) -> Iterator[Memory]:
        """All memories, the newest (last added) first."""
        for entry in self._pages(lambda rows, last: rows.newest(last, _PAGE), PAST_ALL):
            yield load_memory(entry.id, entry.memory)

    def entries(self) -> Iterator[RowEntry]:
        """All memories with what was learned from them, the oldest first, for an archive."""
        return self._pages(lambda rows, last: rows.oldest(last, _PAGE), 0)

    def filed(self) -> list[Filed]:
        """The documents that belong into an archive."""
        with self._reading() as rows:
            return list(filed(rows))

    def _pages(
        self, read: Callable[[UserRows, int], list[tuple[int, RowEntry]]], last: int
    ) -> Iterator[RowEntry]:
        seen, page = -1, [(last, RowEntry("", b""))]
        while page:
            with self._reading() as rows:
                following = read(rows, page[-1][0])
            # A damaged index may lead back, and would do so for ever.
            distance = abs(following[-1][0] - last) if following else seen + 1
            if distance <= seen:
                raise index_changed()
            seen, page = distance, following
            for _, entry in page:
                yield entry

    def pending(self, recipe: str, effort: Effort = Effort.DEFAULT) -> list[str]:
        """Ids of memories without a ``Learned`` of this recipe, then of those with a lesser one."""
        with self._reading(loading=True) as rows:
            known = self._cache.refresh(rows)
            done = {e.memory_id: e.effort for e in known if e.recipe == recipe}
            names = rows.ids(MEMORY)
        new = [name for name in names if name not in done]
        return new + [name for name in names if done.get(name, effort) < effort]

    def learned(self, recipe: str) -> list[Learned]:
        """Everything indexed under this recipe, newest memory first."""
        with self._reading() as rows:
            found = [load_learned(head[1], content) for head, content in rows.learned()]
        return [entry for entry in found if entry.recipe == recipe]

    def lessons(self, recipe: str) -> list[Lesson]:
        """The same, as far as recall needs it: much faster, and kept between calls."""
        with self._reading(loading=True) as rows:
            return self._cache.of(recipe, rows)

    def counts(self) -> Counts:
        """How many memories there are, and how many of them are indexed (under any recipe)."""
        with self._reading() as rows:
            found = rows.count()
        return Counts(found.get(MEMORY, 0), found.get(LEARNED, 0))

    def version(self) -> int:
        """A number that changes whenever any process changed the vault: caches compare it."""
        return self._ledger.file.version()

    # ------------------------------------------------------------------------------ documents

    @property
    def restored(self) -> int:
        """How many times an older copy of the vault was knowingly accepted for the present one."""
        with self._ledger.reading() as db:
            return len(self._ledger.state(db).accepted)

    @contextlib.contextmanager
    def documents(self) -> Iterator[Documents]:
        """One consistent view of what is kept beside the pairs."""
        with self._reading() as rows:
            yield UserDocuments(rows)

    @contextlib.contextmanager
    def changing(self) -> Iterator[Documents]:
        """Change what is kept beside the pairs: on the disk when the block ends, or undone."""
        with self._writing(new_user=True, learned=False, checked=True) as rows:
            yield UserDocuments(rows)

    # ------------------------------------------------------------------------------ forgetting

    def forget(self, ids: Sequence[str], *, dry_run: bool = False) -> Forgotten:
        """Remove memories and everything derived from them, from free pages and the log too.

        Raises:
            NotFoundError: one of the ids is unknown; nothing was removed.
            VaultBusyError: another process keeps the vault from being written (nothing was
                removed), or, as its message then says, the log from being cleared.
        """
        unique = tuple(dict.fromkeys(ids))
        if dry_run:
            with self._reading() as rows:
                numbers, documents = _rows_of(rows, unique)
        else:
            with self._writing() as rows:
                numbers, documents = _rows_of(rows, unique)
                rows.delete([*numbers, *documents])
            self._cache.clear()
            self._ledger.file.scrub()
        return Forgotten(unique, len(numbers) - len(unique), len(documents), dry_run=dry_run)

    def traces(self, ids: Sequence[str] | None = None) -> Traces:
        """Collect the bytes that would reveal memories if found after they are forgotten.

        Args:
            ids: which memories; None for all of them.

        Raises:
            NotFoundError: one of the ids is unknown.
        """
        traces = Traces()
        with self._reading() as rows:
            for name in rows.ids(MEMORY) if ids is None else dict.fromkeys(ids):
                _gather(rows, name, traces)
        return traces

    def forget_everything(self) -> None:
        """Destroy this user's key, then their records.

        Once the key is gone nothing can be read, so an interruption after that is already final;
        what is left is removed when the vault is next opened.
        """
        with self._ledger.writing() as db:
            self._directory.destroy_key(db, self._user)
        self._cache.clear()
        self._ledger.file.scrub()
        with self._ledger.writing() as db:
            self._directory.remove_wiped(db)
        self._ledger.file.scrub()


def _gather(rows: UserRows, name: str, traces: Traces) -> None:
    memory, learned = rows.read(MEMORY, name), rows.read(LEARNED, name)
    if memory is None:
        raise _not_found(name)
    traces.of_memory(load_memory(name, memory))
    if learned is not None:
        traces.of_learned(load_learned(name, learned))
    for blob in rows.blobs(name):
        traces.of_blob(blob)
    for _, document in made_of(rows, [name]):
        traces.of_blob(document.content)


def _check_same(name: str, kept: bytes, restored: bytes) -> None:
    if load_memory(name, kept) != load_memory(name, restored):
        raise FileError(
            f"the vault has another memory with the id {name}",
            hint=f"forget {name} first, or leave it out of the file; nothing was changed",
        )


def _rows_of(rows: UserRows, ids: Sequence[str]) -> tuple[list[int], list[int]]:
    """Row numbers of memories with what was learned from them; and of documents made from them."""
    found: list[int] = []
    for name in ids:
        if rows.find(MEMORY, name) is None:
            raise _not_found(name)
        found.extend(rows.with_derived(name))
    return found, [seq for seq, _ in made_of(rows, ids)]


def _not_found(memory_id: str) -> NotFoundError:
    # What has not the form of an id may be anything the user typed, so it is not repeated.
    name = f"with the id {memory_id}" if is_id(memory_id) else "with such an id"
    return NotFoundError(f"there is no memory {name}", hint="list them: pocketpref memory ls")


_Head = tuple[int, str, bytes]


class LessonCache:
    """One user's lessons. Only what changed since the last call is opened again.

    Not safe from threads by itself: it is used inside the vault's transactions, one at a time.
    """

    def __init__(self) -> None:
        self._state: bytes | None = None
        self._entries: dict[_Head, Lesson] = {}
        self._lists: dict[str, list[Lesson]] = {}

    def load(self, rows: UserRows) -> Iterator[bytes]:
        """Open all entries, and yield the marks of all the user's records, read in the same pass.

        Raises:
            TamperedError: an entry was changed, moved or truncated.
        """
        opened: dict[str, tuple[_Head, Lesson]] = {}
        memories: list[str] = []
        for mark, seq, kind, name, head, content in rows.everything():
            yield mark
            if kind == MEMORY:
                memories.append(name)
            elif content is not None:
                opened[name] = (seq, name, head), load_lesson(name, content)
        entries = dict(opened[name] for name in reversed(memories) if name in opened)
        self._keep(entries, rows.sealed_state)

    def refresh(self, rows: UserRows) -> list[Lesson]:
        """All entries as they now are in the file, newest memory first.

        Raises:
            TamperedError: an entry was changed, moved or truncated.
        """
        if self._state != rows.sealed_state:
            known = self._entries
            if known:
                entries = {
                    head: known.get(head)
                    or load_lesson(head[1], rows.read_row(LEARNED, head[1], head[0]))
                    for head in rows.learned_heads()
                }
            else:
                entries = {head: load_lesson(head[1], content) for head, content in rows.learned()}
            self._keep(entries, rows.sealed_state)
        return list(self._entries.values())

    def of(self, recipe: str, rows: UserRows) -> list[Lesson]:
        """The lessons of one recipe; the same list as before if nothing in it changed."""
        entries = self.refresh(rows)
        if recipe not in self._lists:
            self._lists[recipe] = [entry for entry in entries if entry.recipe == recipe]
        return self._lists[recipe]

    def took(self, before: bytes, after: bytes) -> None:
        """Go on from one state of the user to another in which nothing learned is different."""
        if self._state == before:
            self._state = after

    @property
    def empty(self) -> bool:
        """Whether nothing is kept."""
        return self._state is None

    def clear(self) -> None:
        """Keep nothing."""
        self._state, self._entries, self._lists = None, {}, {}

    def _keep(self, entries: dict[_Head, Lesson], state: bytes) -> None:
        self._state, self._entries, self._lists = state, entries, {}
