"""Transactions on a vault: verified at the beginning, recorded in the set hash at the end.

A writing transaction ends with a new vault state of the next generation, in the same commit as the
change itself. So there is no moment at which a crash leaves one without the other.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from sqlite_utils import Database

from pocketpref.errors import KeyChangedError, RolledBackError, TamperedError
from pocketpref.vault.crypto.sealing import SALVAGE, Place, Sealer, derive_key
from pocketpref.vault.integrity.rollback import ACCEPT, Anchor
from pocketpref.vault.integrity.set_hash import (
    Multiset,
    VaultState,
    check_ids,
    record_marks,
    user_marks,
)
from pocketpref.vault.storage.database import VaultFile
from pocketpref.vault.storage.schema import pragma


@dataclass(frozen=True, slots=True)
class Seal:
    """Seals a vault's state under one master key.

    Attributes:
        vault_id: the vault's id.
        wrapped: the wrapped master key as in the header; it changes when the key is exchanged.
    """

    vault_id: bytes
    wrapped: bytes
    _sealer: Sealer = field(repr=False)

    @classmethod
    def of(cls, vault_id: bytes, wrapped: bytes, master: bytes | memoryview) -> Seal:
        """The seal of a master key."""
        return cls(vault_id, wrapped, Sealer(derive_key(master, "vault state", vault_id)))

    def close(self, state: VaultState) -> bytes:
        """Seal a state."""
        return self._sealer.seal(state.dump(), self._place())

    def open(self, sealed: object) -> VaultState:
        """Open a state.

        Raises:
            TamperedError: it is not one of this vault under this key.
        """
        return VaultState.load(self._sealer.open(sealed, self._place()))

    def _place(self) -> Place:
        return Place(self.vault_id, 0, "vault-state", "", 1)


Marks = Callable[[], Iterable[bytes]]


class Ledger:
    """The transactions of one open vault. Not to be shared over a fork, like its file.

    Attributes:
        file: the file itself.
        seal: what its states are sealed with.
        generation: the highest generation seen.
    """

    def __init__(self, file: VaultFile, seal: Seal) -> None:
        self.file = file
        self.seal = seal
        self.generation = 0
        self._anchor: Anchor | None = None
        self._checked: dict[int, tuple[bytes, int]] = {}
        self._found: dict[int, tuple[bytes, int]] = {}

    @contextlib.contextmanager
    def reading(self) -> Iterator[Database]:
        """One consistent view of a vault that is as it should be.

        Raises:
            TamperedError: a user's row is missing, was added or put back.
            KeyChangedError: another program exchanged the key.
        """
        with self.file.reading() as db:
            self._check(db)
            yield db

    @contextlib.contextmanager
    def writing(self, seal: Seal | None = None) -> Iterator[Database]:
        """One change: whole and accounted for on the disk when the block ends, or undone.

        Args:
            seal: what the vault is sealed with from now on, if its master key changes.

        Raises:
            TamperedError: a user's row is missing, was added or put back; nothing was changed.
            KeyChangedError: another program exchanged the key; nothing was changed.
        """
        with self.file.writing() as db:
            state = self._check(db)
            yield db
            state = self._renew(db, state, seal or self.seal)
        self.seal = seal or self.seal
        self._note(state.generation)

    def anchor(self, anchor: Anchor, *, accept_older: bool) -> None:
        """Compare the vault with what is noted outside of it, and note it from now on.

        Raises:
            RolledBackError: the vault is older than the note, or the note was changed, and that is
                not to be accepted.
        """
        try:
            # In this order: others may be writing, and the note never leads.
            expected = anchor.highest()
            with self.reading():
                if self.generation < expected:
                    raise RolledBackError(
                        f"{self.file.path} is an older copy: it has seen {self.generation:,} "
                        f"changes, and {expected:,} had been made",
                        hint=ACCEPT,
                    )
        except RolledBackError:
            if not accept_older:
                raise
            self._accept(anchor)
        self._anchor = anchor
        self._note(self.generation)

    def _accept(self, anchor: Anchor) -> None:
        expected = self.generation
        with contextlib.suppress(RolledBackError):  # a note that was changed says nothing
            expected = max(expected, anchor.highest())
        with self.file.writing() as db:
            state = self._renew(db, self._check(db).accepting(expected), self.seal)
        self.generation = state.generation
        anchor.replace(state.generation)

    @property
    def anchored(self) -> bool | None:
        """Whether the generation is noted outside of the vault; None if it is not to be."""
        return None if self._anchor is None else self._anchor.kept

    def state(self, db: Database) -> VaultState:
        """Read the vault's state; inside a transaction."""
        return self._read(db)

    # ---------------------------------------------------------------------------- records

    def check_records(
        self, db: Database, user: int, state: bytes, records: Multiset, marks: Marks | None = None
    ) -> None:
        """Check that a user has all of their records, and no others.

        Args:
            db: inside a transaction.
            user: the number of the user's row.
            state: the sealed state of the user; changes whenever a record does.
            records: what it says.
            marks: gives the marks of the records, if there is a reason to read them otherwise; not
                called where they were checked before.

        Raises:
            TamperedError: records are missing, were added or put back.
        """
        # Others' changes raise SQLite's data version; what it does not show is found when the
        # vault is next opened.
        view = (state, pragma(db, "data_version"))
        if self._checked.get(user) == view:
            return
        found = records.of(marks() if marks else record_marks(db, user))
        if found != records:
            raise TamperedError(
                f"records are missing from the vault, or were added or put back: {found.count:,} "
                f"are there, {records.count:,} belong there",
                hint=SALVAGE,
            )
        self._checked[user] = view

    def check_ids(self, db: Database, user: int, state: bytes) -> None:
        """Check that each of a user's records is found by its id, unless that is known already.

        Not part of ``check_records``: only a lookup by id can be misled.

        Args:
            db: inside a transaction.
            user: the number of the user's row.
            state: the sealed state of the user.

        Raises:
            TamperedError: an index was changed.
        """
        view = (state, pragma(db, "data_version"))
        if self._found.get(user) != view:
            check_ids(db, user)
            self._found[user] = view

    def took(self, db: Database, user: int, before: bytes, after: bytes) -> None:
        """Go on from a user's state that was checked to the one that a change of ours made."""
        version = pragma(db, "data_version")
        for known in (self._checked, self._found):
            if known.get(user) == (before, version):
                known[user] = (after, version)

    # ------------------------------------------------------------------------------ state

    def _check(self, db: Database) -> VaultState:
        state = self._read(db)
        found = state.users.of(user_marks(db))
        if found != state.users:
            raise TamperedError(
                f"users are missing from the vault, or were added or put back: {found.count:,} "
                f"are there, {state.users.count:,} belong there",
                hint=SALVAGE,
            )
        if state.generation < self.generation:
            raise RolledBackError(
                f"{self.file.path} was replaced by an older copy while it was open", hint=ACCEPT
            )
        self.generation = state.generation
        return state

    def _read(self, db: Database) -> VaultState:
        row = db.execute("SELECT master, state FROM header").fetchone()
        if row is not None and row[0] != self.seal.wrapped:
            with contextlib.suppress(TamperedError):
                return self.seal.open(row[1])  # another keeper, but the same key
            raise KeyChangedError(
                "another program exchanged the vault's key", hint="open the vault again"
            )
        return self.seal.open(row[1] if row is not None else None)

    def _renew(self, db: Database, state: VaultState, seal: Seal) -> VaultState:
        users = state.users.of(user_marks(db))
        state = replace(state, users=users, generation=state.generation + 1)
        db.execute("UPDATE header SET state = ?", (seal.close(state),))
        return state

    def _note(self, generation: int) -> None:
        self.generation = max(self.generation, generation)
        if self._anchor is not None:
            self._anchor.advance(generation)
