"""Who is remembered: one data key per user, and no name in the clear."""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from dataclasses import dataclass, field

from sqlite_utils import Database

from pocketpref.errors import InputError
from pocketpref.vault.database import next_number
from pocketpref.vault.sealing import Place, Sealer, derive_key, new_key

MAX_NAME_CHARACTERS = 200

NOBODY = 0
"""The number that no user has: AUTOINCREMENT begins at 1."""


@dataclass(frozen=True, slots=True)
class UserKey:
    """One user's row and what opens their records.

    Attributes:
        number: the row's number, never given twice.
        sealer: seals their records.
        id_key: derives ids for what is restored from elsewhere.
    """

    number: int
    sealer: Sealer = field(repr=False)
    id_key: bytes = field(repr=False)


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
    if not _is_unicode(name):
        raise InputError("a user's name must be valid Unicode", hint="choose another name")
    return name


def _is_unicode(text: str) -> bool:
    # The caller raises, so that the error has no context: UnicodeEncodeError holds the text.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class Directory:
    """The users of one vault. Its methods run inside the caller's transaction."""

    def __init__(self, vault_id: bytes, master: bytes) -> None:
        self.vault_id = vault_id
        self._lookup_key = derive_key(master, "user look-up", vault_id)
        self._names = Sealer(derive_key(master, "user names", vault_id))
        self._keys = Sealer(derive_key(master, "user keys", vault_id))

    def find(self, db: Database, name: str) -> UserKey:
        """One user's key; if nothing is kept for them, a fresh one that fits no row.

        Raises:
            TamperedError: the row was changed or moved.
        """
        lookup = self._lookup(name)
        row = db.execute("SELECT id, key FROM users WHERE lookup = ?", (lookup,)).fetchone()
        if row is None:
            return _user_key(NOBODY, new_key())
        data_key = self._keys.open(row[1], self._place("user-key", row[0], lookup))
        return _user_key(row[0], data_key)

    def find_or_create(self, db: Database, name: str) -> UserKey:
        """One user's key, made now if need be.

        Raises:
            TamperedError: the row was changed or moved.
        """
        key = self.find(db, name)
        return self._create(db, name) if key.number == NOBODY else key

    def _create(self, db: Database, name: str) -> UserKey:
        number, lookup, data_key = next_number(db, "users"), self._lookup(name), new_key()
        sealed_name = self._names.seal(name.encode(), self._place("user-name", number, lookup))
        wrapped = self._keys.seal(data_key, self._place("user-key", number, lookup))
        db.execute(
            "INSERT INTO users (id, lookup, name, key) VALUES (?, ?, ?, ?)",
            (number, lookup, sealed_name, wrapped),
        )
        return _user_key(number, data_key)

    def names(self, db: Database) -> list[str]:
        """Everyone remembered, sorted.

        Raises:
            TamperedError: a row was changed or moved.
        """
        rows = db.execute(
            "SELECT id, hex(lookup), name FROM users WHERE key IS NOT NULL"
        ).fetchall()
        return sorted(self._open_name(number, lookup, name) for number, lookup, name in rows)

    def _open_name(self, number: int, lookup: str, sealed: bytes) -> str:
        place = self._place("user-name", number, bytes.fromhex(lookup))
        return self._names.open(sealed, place).decode()

    def destroy_key(self, db: Database, name: str) -> None:
        """Make one user's records unreadable for ever; the row stays to mark them for removal."""
        db.execute(
            "UPDATE users SET lookup = NULL, name = NULL, key = NULL WHERE lookup = ?",
            (self._lookup(name),),
        )

    def remove_wiped(self, db: Database) -> bool:
        """Remove what is left of users whose key was destroyed; whether there was any."""
        rows = db.execute("SELECT id FROM users WHERE key IS NULL").fetchall()
        for row in rows:
            db.execute("DELETE FROM records WHERE user = ?", row)
            db.execute("DELETE FROM users WHERE id = ?", row)
        return bool(rows)

    def _lookup(self, name: str) -> bytes:
        return hmac.digest(self._lookup_key, name.encode(), hashlib.sha256)

    def _place(self, kind: str, number: int, lookup: bytes) -> Place:
        return Place(self.vault_id, number, kind, lookup.hex(), number)


def _user_key(number: int, data_key: bytes) -> UserKey:
    sealer = Sealer(derive_key(data_key, "records"))
    return UserKey(number, sealer, derive_key(data_key, "restored ids"))
