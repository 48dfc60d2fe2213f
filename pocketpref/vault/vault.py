"""The vault: one encrypted file for all users of this machine."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pocketpref.errors import KeyChangedError, StorageError, VaultBusyError, WrongKeyError
from pocketpref.protocols import KeyStore
from pocketpref.vault.crypto.key_stores import unlock
from pocketpref.vault.crypto.rotation import Rotation, RotationCallback, rewrap
from pocketpref.vault.crypto.sealing import ENCRYPTION
from pocketpref.vault.crypto.secure_memory import Secret
from pocketpref.vault.integrity.rollback import Anchor
from pocketpref.vault.integrity.set_hash import Accepted, Multiset, VaultState
from pocketpref.vault.integrity.transactions import Ledger, Seal
from pocketpref.vault.storage.database import (
    BUSY_SECONDS,
    VAULT_ID_BYTES,
    VaultFile,
    VaultHeader,
    already_there,
    build,
    checked_file,
    read_header,
)
from pocketpref.vault.storage.schema import FORMAT, migrate, pragma
from pocketpref.vault.storage.users import Directory, MasterKey, checked_name
from pocketpref.vault.store import UserStore


@dataclass(frozen=True, slots=True)
class VaultInfo:
    """Status of a vault.

    Attributes:
        encryption: the algorithm, for people.
        key_custody: the kind of key store that holds the master key.
        format: the format's number.
        generation: how many changes were made to it.
        anchored: whether the generation is noted outside of it too, so that an older copy is
            noticed; None if nobody asked for that.
        accepted: every time that an older copy was accepted.
    """

    path: Path
    encryption: str
    key_custody: str
    format: int
    generation: int
    anchored: bool | None
    accepted: tuple[Accepted, ...]


class Vault:
    """An open vault. Safe to use from several threads, and beside other processes.

    Make one with `Vault.create` or `Vault.open`; it is a context manager.
    """

    def __init__(self, file: VaultFile, vault_id: bytes, wrapped: bytes, master: Secret) -> None:
        self._file = file
        self._vault_id = vault_id
        self._master = master
        self._ledger = Ledger(file, Seal.of(vault_id, wrapped, master.view()))
        self._directory = Directory(MasterKey.of(vault_id, master.view()))

    def __repr__(self) -> str:
        return f"Vault({self._file.path})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # ------------------------------------------------------------------------------ opening

    @classmethod
    def create(
        cls,
        path: Path | str,
        key: KeyStore,
        *,
        anchor: Path | None = None,
        busy_seconds: float = BUSY_SECONDS,
    ) -> Self:
        """Make a new vault, mode 0600 in a folder of mode 0700, and open it.

        Args:
            path: where; there must be no file yet.
            key: the key store of the master key.
            anchor: folder where the number of changes is noted, so that an older copy of the
                vault is noticed; None for no note.
            busy_seconds: how long to wait for other processes.

        Raises:
            InputError: there is a file already.
            KeyMissingError, KeyringError: there is no key to wrap the master key with.
            StorageError: it cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise already_there(path)
        vault_id, master = os.urandom(VAULT_ID_BYTES), Secret.random()
        wrapped = key.wrap(bytes(master), vault_id)
        state = Seal.of(vault_id, wrapped, master.view()).close(VaultState(Multiset.empty()))
        build(path, VaultHeader(vault_id, key.kind, wrapped), state)
        return cls._opened(VaultFile(path, busy_seconds), vault_id, wrapped, master, anchor=anchor)

    @classmethod
    def open(
        cls,
        path: Path | str,
        key: KeyStore,
        *,
        anchor: Path | None = None,
        accept_older: bool = False,
        busy_seconds: float = BUSY_SECONDS,
    ) -> Self:
        """Open a vault and bring it to this version's format.

        Args:
            path: where it is.
            key: the key store of the master key.
            anchor: folder where the number of changes is noted; None for no note.
            accept_older: take the file although it is older than what was noted; that is logged
                inside of it.
            busy_seconds: how long to wait for other processes.

        Raises:
            NotFoundError: there is no file.
            KeyMissingError, KeyringError: the key store has no key.
            WrongKeyError: the key does not open it.
            NewerFormatError: a later version wrote it; it is left as it is.
            TamperedError: it is no vault, or it was damaged; it is left as it is.
            RolledBackError: it is older than what was noted; it is left as it is.
            VaultBusyError: another process held it for too long.
            StorageError: it cannot be read or written.
        """
        file = checked_file(Path(path), busy_seconds)
        try:
            vault_id, custody, wrapped = read_header(file)
            if custody != key.kind:
                raise WrongKeyError(
                    f"this vault is opened by a {custody}, not by a {key.kind}",
                    hint="see: pocketpref keys status",
                )
            master, better = unlock(key, wrapped, vault_id)
        except BaseException:
            file.close(untouched=True)
            raise
        vault = cls._opened(
            file, vault_id, wrapped, master, anchor=anchor, accept_older=accept_older
        )
        if better is not None:
            # It can wait: a disk that cannot be written now may still be read.
            with suppress(StorageError, VaultBusyError, KeyChangedError):
                vault._put_wrapped(custody, better)
        return vault

    @classmethod
    def _opened(
        cls,
        file: VaultFile,
        vault_id: bytes,
        wrapped: bytes,
        master: Secret,
        *,
        anchor: Path | None,
        accept_older: bool = False,
    ) -> Self:
        vault = cls(file, vault_id, wrapped, master)
        try:
            # Before anything in the file is changed.
            with vault._ledger.reading() as db:
                set_key = vault._ledger.state(db).users.key
            if anchor is not None:
                note = Anchor(anchor, vault_id, set_key)
                vault._ledger.anchor(note, accept_older=accept_older)
            vault._prepare()
        except BaseException:
            file.close(untouched=True)
            raise
        return vault

    def _prepare(self) -> None:
        """Bring the format up to date and end what an interruption left half done."""
        self._file.use_log()
        with self._ledger.reading() as db:
            old = pragma(db, "user_version") < FORMAT
            wiped = db.execute("SELECT 1 FROM users WHERE key IS NULL").fetchone()
        if old:
            with self._ledger.writing() as db:
                migrate(db)
            self._file.scrub()
        if wiped:
            with self._ledger.writing() as db:
                self._directory.remove_wiped(db)
            self._file.scrub()

    @staticmethod
    def exists(path: Path | str) -> bool:
        """Whether there is a file at this path."""
        return Path(path).is_file()

    @staticmethod
    def custody(path: Path | str) -> str:
        """The kind of key store that opens the vault, as its header says; needs no key.

        Raises:
            NotFoundError: there is no file.
            NewerFormatError, TamperedError, StorageError: it cannot be read.
        """
        file = checked_file(Path(path), BUSY_SECONDS)
        try:
            return read_header(file).custody
        finally:
            file.close()

    def close(self) -> None:
        """Close the file and wipe the key. May be called again; all else then raises an error."""
        self._file.close()
        self._master.wipe()

    # ------------------------------------------------------------------------------ using

    def store(self, user: str) -> UserStore:
        """One user's memories; nothing is written before the first of them.

        Raises:
            InputError: the name is empty, over-long or no valid Unicode.
        """
        return UserStore(self._ledger, self._directory, checked_name(user))

    def users(self) -> list[str]:
        """Everyone something is kept for, sorted."""
        with self._ledger.reading() as db:
            return self._directory.names(db)

    def info(self) -> VaultInfo:
        """Return the status that ``pocketpref status`` shows."""
        with self._ledger.reading() as db:
            number, state = pragma(db, "user_version"), self._ledger.state(db)
        return VaultInfo(
            self._file.path,
            ENCRYPTION,
            read_header(self._file).custody,
            number,
            state.generation,
            self._ledger.anchored,
            state.accepted,
        )

    # --------------------------------------------------------------------------------- keys

    def change_custody(self, new_key: KeyStore) -> None:
        """Move the master key to another key store; no record is sealed again.

        Copies of the file made before are still opened by the old key.

        Raises:
            KeyMissingError, KeyringError: the new store has no key; nothing was changed.
        """
        self._put_wrapped(new_key.kind, new_key.wrap(bytes(self._master), self._vault_id))

    def _put_wrapped(self, custody: str, wrapped: bytes) -> None:
        """Replace the wrapped master key, unless another program did so meanwhile."""
        seal = Seal.of(self._vault_id, wrapped, self._master.view())
        known = self._ledger.seal.wrapped
        with self._ledger.writing(seal) as db:
            found = db.execute(
                "UPDATE header SET custody = ?, master = ? WHERE master = ?",
                (custody, wrapped, known),
            )
            if not found.rowcount:
                raise KeyChangedError(
                    "another program changed who keeps the vault's key", hint="open the vault again"
                )
        self._file.scrub()

    def rotate_master(self, key: KeyStore) -> None:
        """Exchange the master key: every name and data key is sealed again, in one change.

        Other programs that have the vault open must open it again (``KeyChangedError``).

        Args:
            key: the key store of the new master key.

        Raises:
            KeyMissingError, KeyringError: the store has no key; nothing was changed.
        """
        master = Secret.random()
        wrapped = key.wrap(bytes(master), self._vault_id)
        fresh = MasterKey.of(self._vault_id, master.view())
        with self._ledger.writing(Seal.of(self._vault_id, wrapped, master.view())) as db:
            rewrap(db, self._directory.master, fresh)
            db.execute("UPDATE header SET custody = ?, master = ?", (key.kind, wrapped))
        self._master.wipe()
        self._master, self._directory.master = master, fresh
        self._file.scrub()

    def rotate_data_key(self, user: str, on_progress: RotationCallback | None = None) -> int:
        """Exchange one user's data key: all of their records are sealed again, in batches.

        Other programs may continue to read and write. After an interruption at any point the next
        call continues; no record is ever without its key.

        Args:
            user: whose.
            on_progress: told how many records are done, and how many there are.

        Returns:
            How many records this call sealed again.

        Raises:
            InputError: the name is empty, over-long or no valid Unicode.
            TamperedError: a record does not open; the old key stays.
        """
        rotation = Rotation(self._ledger, self._directory, checked_name(user))
        done = rotation.run(on_progress or (lambda done, of: None))
        self._file.scrub()
        return done
