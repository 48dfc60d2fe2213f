"""What was learned, kept opened in memory between calls."""

from __future__ import annotations

from pocketpref.records import Learned
from pocketpref.vault.rows import LEARNED, UserRows
from pocketpref.vault.serial import load_learned


class LearnedCache:
    """One user's learned entries. Only what changed since the last call is opened again.

    Not safe from threads by itself: it is used inside the vault's transactions, one at a time.
    """

    def __init__(self) -> None:
        self._entries: dict[tuple[int, str, bytes], Learned] = {}

    def refresh(self, rows: UserRows) -> list[Learned]:
        """All entries as they now are in the file, newest memory first.

        Raises:
            TamperedError: an entry was changed, moved or truncated.
        """
        entries: dict[tuple[int, str, bytes], Learned] = {}
        for head in rows.learned_heads():
            entries[head] = self._entries.get(head) or _read(rows, head[1], head[0])
        self._entries = entries
        return list(entries.values())

    def clear(self) -> None:
        """Keep nothing."""
        self._entries = {}


def _read(rows: UserRows, name: str, seq: int) -> Learned:
    return load_learned(name, rows.read_row(LEARNED, name, seq))
