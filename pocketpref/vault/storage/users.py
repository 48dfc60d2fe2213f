"""Users of a vault: one data key each, and names only encrypted."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Self

from sqlite_utils import Database

from pocketpref.errors import InputError
from pocketpref.vault.crypto.sealing import Place, Sealer, derive_key, new_key
from pocketpref.vault.integrity.set_hash import Multiset, UserState
from pocketpref.vault.storage.database import next_number

MAX_NAME_CHARACTERS = 200

NOBODY = 0
"""The number that no user has: AUTOINCREMENT begins at 1."""


@dataclass(frozen=True, slots=True)
class UserKey:
    """One user's row and what opens their records.

    Attributes:
        number: the row's number, never given twice.
        state: what the user should have.
        sealed_state: the same, sealed, as in the row; empty for nobody.
        place: of the sealed state.
        data: what seals under their data key.
        next: what seals under the key that is replacing it; None unless a rotation is under way.
    """

    number: int
    state: UserState
    sealed_state: bytes = field(repr=False)
    place: Place = field(repr=False)
    data: DataKey = field(repr=False)
    next: DataKey | None = field(default=None, repr=False)

    @property
    def id_key(self) -> bytes:
        """Derives ids for what is restored from elsewhere; outlives the data key."""
        return derive_key(self.state.records.key, "restored ids")

    def sealer(self, seq: int) -> Sealer:
        """Return the sealer of the record in a row."""
        rotated = self.next is not None and seq <= self.state.rotated_to
        return self.next.records if rotated and self.next is not None else self.data.records


@dataclass(frozen=True, slots=True)
class DataKey:
    """A user's data key, and the sealers derived from it.

    Attributes:
        raw: the key itself.
        records: seals records.
        states: seals the user's state.
    """

    raw: bytes = field(repr=False)
    records: Sealer = field(repr=False)
    states: Sealer = field(repr=False)

    @classmethod
    def of(cls, raw: bytes) -> Self:
        """Everything that is derived from a key."""
        records, states = derive_key(raw, "records"), derive_key(raw, "record set")
        return cls(raw, Sealer(records), Sealer(states))


def checked_name(name: str) -> str:
    """A user's name in the one form under which it is kept (NFC, without outer spaces).

    Raises:
        InputError: it is empty, over-long or no valid Unicode.
    """
    name = unicodedata.normalize("NFC", name.strip())
    if not name or len(name) > MAX_NAME_CHARACTERS:
        raise InputError(
            f"a user's name has 1 to {MAX_NAME_CHARACTERS} characters", hint="choose another name"
        )
    # Raised outside of the handler: UnicodeEncodeError holds the text.
    with suppress(UnicodeEncodeError):
        name.encode()
        return name
    raise InputError("a user's name must be valid Unicode", hint="choose another name")


@dataclass(frozen=True, slots=True)
class MasterKey:
    """The keys derived from a master key: they find users, and open their names and keys."""

    vault_id: bytes
    _lookup: bytes = field(repr=False)
    _names: Sealer = field(repr=False)
    _keys: Sealer = field(repr=False)

    @classmethod
    def of(cls, vault_id: bytes, raw: bytes | memoryview) -> Self:
        """Everything that is derived from a key."""
        names, keys = (derive_key(raw, f"user {use}", vault_id) for use in ("names", "keys"))
        look_up = derive_key(raw, "user look-up", vault_id)
        return cls(vault_id, look_up, Sealer(names), Sealer(keys))

    def lookup(self, name: str) -> bytes:
        """The keyed hash under which a user is found."""
        return hmac.digest(self._lookup, name.encode(), hashlib.sha256)

    def place(self, kind: str, number: int, lookup: bytes) -> Place:
        """The place of a part of a user's row."""
        return Place(self.vault_id, number, kind, lookup.hex(), number)

    def seal_name(self, name: str, number: int) -> bytes:
        """A user's name, for their row."""
        place = self.place("user-name", number, self.lookup(name))
        return self._names.seal(name.encode(), place)

    def open_name(self, number: int, lookup: bytes, sealed: object) -> str:
        """Open the output of ``seal_name``."""
        return self._names.open(sealed, self.place("user-name", number, lookup)).decode()

    def wrap(self, key: bytes, kind: str, number: int, lookup: bytes) -> bytes:
        """A data key, for a user's row."""
        return self._keys.seal(key, self.place(kind, number, lookup))

    def unwrap(self, sealed: object, kind: str, number: int, lookup: bytes) -> bytes:
        """Open the output of ``wrap``."""
        return self._keys.open(sealed, self.place(kind, number, lookup))


KEY, NEXT, STATE = "user-key", "user-next", "user-state"


class Directory:
    """The users of one vault. Its methods run inside the caller's transaction.

    Attributes:
        master: what it opens rows with; exchanged when the master key is.
    """

    def __init__(self, master: MasterKey) -> None:
        self.master = master

    @property
    def vault_id(self) -> bytes:
        """The vault's id."""
        return self.master.vault_id

    def find(self, db: Database, name: str) -> UserKey:
        """One user's key; if nothing is kept for them, a fresh one that fits no row.

        Raises:
            TamperedError: the row was changed or moved.
        """
        lookup = self.master.lookup(name)
        row = db.execute(
            "SELECT id, key, next, state FROM users NOT INDEXED WHERE lookup = ?", (lookup,)
        ).fetchone()
        if row is None:
            nobody = self.master.place(STATE, NOBODY, lookup)
            state = UserState(Multiset.empty())
            return UserKey(NOBODY, state, b"", nobody, DataKey.of(new_key()))
        number, key, following, sealed = row
        data = DataKey.of(self.master.unwrap(key, KEY, number, lookup))
        place = self.master.place(STATE, number, lookup)
        state = UserState.load(data.states.open(sealed, place))
        coming = None
        if following is not None:
            coming = DataKey.of(self.master.unwrap(following, NEXT, number, lookup))
        return UserKey(number, state, sealed, place, data, coming)

    def find_or_create(self, db: Database, name: str) -> UserKey:
        """One user's key, made now if need be.

        Raises:
            TamperedError: the row was changed or moved.
        """
        key = self.find(db, name)
        if key.number != NOBODY:
            return key
        number, lookup = next_number(db, "users"), self.master.lookup(name)
        place = self.master.place(STATE, number, lookup)
        sealed_name = self.master.seal_name(name, number)
        wrapped = self.master.wrap(key.data.raw, KEY, number, lookup)
        sealed = key.data.states.seal(key.state.dump(), place)
        db.execute(
            "INSERT INTO users (id, lookup, name, key, state) VALUES (?, ?, ?, ?, ?)",
            (number, lookup, sealed_name, wrapped, sealed),
        )
        return replace(key, number=number, place=place, sealed_state=sealed)

    def put_state(self, db: Database, key: UserKey, state: UserState) -> bytes:
        """Save a user's state. Return it sealed, as in the row."""
        sealed = key.data.states.seal(state.dump(), key.place)
        db.execute("UPDATE users SET state = ? WHERE id = ?", (sealed, key.number))
        return sealed

    def names(self, db: Database) -> list[str]:
        """Everyone remembered, sorted.

        Raises:
            TamperedError: a row was changed or moved.
        """
        rows = db.execute(
            "SELECT id, hex(lookup), name FROM users WHERE key IS NOT NULL"
        ).fetchall()
        return sorted(
            self.master.open_name(number, bytes.fromhex(lookup), name)
            for number, lookup, name in rows
        )

    def destroy_key(self, db: Database, name: str) -> None:
        """Make one user's records unreadable for ever; the row stays to mark them for removal."""
        db.execute(
            "UPDATE users SET lookup = NULL, name = NULL, key = NULL, next = NULL, state = NULL "
            "WHERE id = (SELECT id FROM users NOT INDEXED WHERE lookup = ?)",
            (self.master.lookup(name),),
        )

    def remove_wiped(self, db: Database) -> bool:
        """Remove what is left of users whose key was destroyed; whether there was any."""
        rows = db.execute("SELECT id FROM users WHERE key IS NULL").fetchall()
        for row in rows:
            db.execute("DELETE FROM records WHERE user = ?", row)
            db.execute("DELETE FROM users WHERE id = ?", row)
        return bool(rows)
