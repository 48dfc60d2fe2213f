"""Cache of a user's opened lessons between calls."""

from __future__ import annotations

from collections.abc import Iterator

from pocketpref.protocols import Lesson
from pocketpref.vault.storage.rows import LEARNED, MEMORY, UserRows
from pocketpref.vault.storage.serialization import load_lesson

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
