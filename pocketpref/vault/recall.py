"""What was learned, kept opened in memory between calls."""

from __future__ import annotations

from collections.abc import Callable

from sqlite_utils import Database

from pocketpref.records import Learned
from pocketpref.vault.sealing import NONCE_BYTES, Place
from pocketpref.vault.serial import load_learned
from pocketpref.vault.users import UserKey

_Key = tuple[int, int, bytes]

# A blob's version and nonce are new whenever it is sealed anew, so they tell whether it changed
# without reading it all.
_HEAD = 1 + NONCE_BYTES

_LIST = f"""
    SELECT l.seq, l.id, substr(l.sealed, 1, {_HEAD}) FROM records l
    JOIN records m ON m.id = l.id AND m.kind = 'memory' AND m.user = l.user
    WHERE l.user = ? AND l.kind = 'learned' ORDER BY m.seq DESC"""  # noqa: S608  # a fixed number


class LearnedCache:
    """One user's learned entries. Only what changed since the last call is opened again.

    Not safe from threads by itself: it is used inside the vault's transactions, one at a time.
    """

    def __init__(self) -> None:
        self._entries: dict[_Key, Learned] = {}

    def refresh(
        self, db: Database, key: UserKey, place: Callable[[str, int], Place]
    ) -> list[Learned]:
        """All entries as they now are in the file, newest memory first.

        Raises:
            TamperedError: an entry was changed, moved or truncated.
        """
        entries: dict[_Key, Learned] = {}
        for seq, name, head in db.execute(_LIST, (key.number,)).fetchall():
            cache_key = (key.number, seq, head)
            known = self._entries.get(cache_key)
            entries[cache_key] = known or _read(db, key, place(name, seq))
        self._entries = entries
        return list(entries.values())

    def clear(self) -> None:
        """Keep nothing."""
        self._entries = {}


def _read(db: Database, key: UserKey, place: Place) -> Learned:
    (sealed,) = db.execute("SELECT sealed FROM records WHERE seq = ?", (place.seq,)).fetchone()
    return load_learned(place.id, key.sealer.open(sealed, place))
