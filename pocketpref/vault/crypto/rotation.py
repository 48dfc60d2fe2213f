"""Exchanging keys without ever being without one.

The master key is exchanged in one change, for it seals only a name and a key for each user. A data
key seals every record of its user; so the new key is first written down beside the old one, then
records are sealed anew in batches, in the order of their rows. How far that went stands in the
user's state: up to that row a record is under the new key, after it under the old one. In the
commit that finds no more records the new key takes the place of the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from sqlite_utils import Database

from pocketpref.vault.crypto.sealing import new_key
from pocketpref.vault.integrity.set_hash import UserState
from pocketpref.vault.integrity.transactions import Ledger
from pocketpref.vault.storage.rows import UserRows
from pocketpref.vault.storage.users import (
    KEY,
    NEXT,
    NOBODY,
    STATE,
    DataKey,
    Directory,
    MasterKey,
    UserKey,
)

RotationCallback = Callable[[int, int], None]
"""Told how many records are done, and how many there are."""

_BATCH = 256
"""Records that are sealed anew in one change: some tens of milliseconds."""


def rewrap(db: Database, old: MasterKey, new: MasterKey) -> None:
    """Seal every user's name and keys under another master key; inside a writing transaction.

    Raises:
        TamperedError: a row was changed or moved.
    """
    rows = db.execute(
        "SELECT id, lookup, name, key, next, state FROM users WHERE key IS NOT NULL"
    ).fetchall()
    for row in rows:
        _rewrap_user(db, old, new, _Row(*row))


class _Row(NamedTuple):
    """A user's row as it stands in the table."""

    number: int
    lookup: bytes
    name: object
    key: object
    next: object
    state: object


def _rewrap_user(db: Database, old: MasterKey, new: MasterKey, row: _Row) -> None:
    name = old.open_name(row.number, row.lookup, row.name)
    lookup = new.lookup(name)
    raw = old.unwrap(row.key, KEY, row.number, row.lookup)
    coming = None
    if row.next is not None:
        coming = old.unwrap(row.next, NEXT, row.number, row.lookup)
    states = DataKey.of(raw).states
    state = states.open(row.state, old.place(STATE, row.number, row.lookup))
    db.execute(
        "UPDATE users SET lookup = ?, name = ?, key = ?, next = ?, state = ? WHERE id = ?",
        (
            lookup,
            new.seal_name(name, row.number),
            new.wrap(raw, KEY, row.number, lookup),
            None if coming is None else new.wrap(coming, NEXT, row.number, lookup),
            states.seal(state, new.place(STATE, row.number, lookup)),
            row.number,
        ),
    )


class Rotation:
    """The exchange of one user's data key."""

    def __init__(self, ledger: Ledger, directory: Directory, user: str) -> None:
        self._ledger = ledger
        self._directory = directory
        self._user = user

    def run(self, on_progress: RotationCallback) -> int:
        """Go on until the new key is the only one; how many records this call sealed anew.

        Raises:
            TamperedError: a record does not open; what was done so far stays done.
        """
        done = 0
        if not self._begin():
            return done
        while batch := self._step():
            done += batch
            on_progress(done, max(done, self._count()))
        return done

    def _begin(self) -> bool:
        """Write the new key down, unless that was done before; False if there is no such user."""
        with self._ledger.writing() as db:
            key = self._directory.find(db, self._user)
            if key.number == NOBODY:
                return False
            if key.next is None:
                master = self._directory.master
                lookup = master.lookup(self._user)
                wrapped = master.wrap(new_key(), NEXT, key.number, lookup)
                db.execute("UPDATE users SET next = ? WHERE id = ?", (wrapped, key.number))
                self._directory.put_state(db, key, replace(key.state, rotated_to=0))
        return True

    def _step(self) -> int:
        """One batch; 0 when there was none left and the keys have been exchanged."""
        with self._ledger.writing() as db:
            key = self._directory.find(db, self._user)
            if key.next is None:  # another program was faster
                return 0
            rows = UserRows(self._ledger, db, self._directory.vault_id, key)
            last, count = rows.reseal(key.state.rotated_to, _BATCH, key.next.records)
            if count:
                state = UserState(rows.records, last)
                sealed = self._directory.put_state(db, key, state)
                self._ledger.took(db, key.number, key.sealed_state, sealed)
            else:
                self._finish(db, key, key.next)
        return count

    def _finish(self, db: Database, key: UserKey, following: DataKey) -> None:
        master = self._directory.master
        wrapped = master.wrap(following.raw, KEY, key.number, master.lookup(self._user))
        db.execute("UPDATE users SET key = ?, next = NULL WHERE id = ?", (wrapped, key.number))
        state = replace(key.state, rotated_to=0)
        self._directory.put_state(db, replace(key, data=following), state)

    def _count(self) -> int:
        with self._ledger.reading() as db:
            return self._directory.find(db, self._user).state.records.count
