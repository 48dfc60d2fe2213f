"""Key rotation; at every moment one key opens each record.

The master key is exchanged in one change, for it seals only a name and a key for each user. A data
key seals every record of its user; so the new key is first written down beside the old one, then
records are sealed again in batches, in the order of their rows. The user's state holds the
progress: up to that row a record is under the new key, after it under the old one. In the
commit that finds no more records the new key takes the place of the old one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlite_utils import Database

from pocketpref.vault.crypto.sealing import new_key
from pocketpref.vault.integrity.set_hash import UserState
from pocketpref.vault.integrity.transactions import Ledger
from pocketpref.vault.storage.rows import UserRows
from pocketpref.vault.storage.users import KEY, NEXT, NOBODY, STATE, DataKey, Directory, MasterKey

RotationCallback = Callable[[int, int], None]
"""Called with the number of records done and the number of all records."""

_BATCH = 256
"""Records that are sealed again in one change: some tens of milliseconds."""


def rewrap(db: Database, old: MasterKey, new: MasterKey) -> None:
    """Seal every user's name and keys under another master key; inside a writing transaction.

    Raises:
        TamperedError: a row was changed or moved.
    """
    rows = db.execute(
        "SELECT id, lookup, name, key, next, state FROM users WHERE key IS NOT NULL"
    ).fetchall()
    for number, old_lookup, sealed_name, wrapped, wrapped_next, sealed_state in rows:
        name = old.open_name(number, old_lookup, sealed_name)
        lookup = new.lookup(name)
        raw = old.unwrap(wrapped, KEY, number, old_lookup)
        following = None
        if wrapped_next is not None:
            raw_next = old.unwrap(wrapped_next, NEXT, number, old_lookup)
            following = new.wrap(raw_next, NEXT, number, lookup)
        states = DataKey.of(raw).states
        state = states.open(sealed_state, old.place(STATE, number, old_lookup))
        db.execute(
            "UPDATE users SET lookup = ?, name = ?, key = ?, next = ?, state = ? WHERE id = ?",
            (
                lookup,
                new.seal_name(name, number),
                new.wrap(raw, KEY, number, lookup),
                following,
                states.seal(state, new.place(STATE, number, lookup)),
                number,
            ),
        )


class Rotation:
    """The exchange of one user's data key."""

    def __init__(self, ledger: Ledger, directory: Directory, user: str) -> None:
        self._ledger = ledger
        self._directory = directory
        self._user = user

    def run(self, on_progress: RotationCallback) -> int:
        """Continue until only the new key is left. Return how many records this call sealed again.

        Raises:
            TamperedError: a record does not open; what was done so far stays done.
        """
        done = 0
        if not self._begin():
            return done
        while batch := self._step():
            done += batch
            with self._ledger.reading() as db:
                count = self._directory.find(db, self._user).state.records.count
            on_progress(done, max(done, count))
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
                return count
            master = self._directory.master
            wrapped = master.wrap(key.next.raw, KEY, key.number, master.lookup(self._user))
            db.execute("UPDATE users SET key = ?, next = NULL WHERE id = ?", (wrapped, key.number))
            state = replace(key.state, rotated_to=0)
            self._directory.put_state(db, replace(key, data=key.next), state)
        return 0
