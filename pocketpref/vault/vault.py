"""The vault: one encrypted file for everyone on this machine who is remembered."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from pocketpref.errors import InputError, NotFoundError, TamperedError, WrongKeyError
from pocketpref.protocols import KeyStore
from pocketpref.vault.database import BUSY_SECONDS, VaultFile
from pocketpref.vault.files import (
    new_private_file,
    part_path,
    private_folder,
    publish,
    storage_errors,
)
from pocketpref.vault.schema import (
    APPLICATION_ID,
    FORMAT,
    check_file,
    check_tables,
    migrate,
    pragma,
)
from pocketpref.vault.sealing import ENCRYPTION, KEY_BYTES, new_key
from pocketpref.vault.store import UserStore
from pocketpref.vault.users import Directory, checked_name

_VAULT_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class VaultInfo:
    """What may be known about a vault.

    Attributes:
        encryption: the algorithm, for people.
        key_custody: the kind of key store that holds the master key.
        format: the format's number.
    """

    path: Path
    encryption: str
    key_custody: str
    format: int


class Vault:
    """An open vault. Safe to use from several threads, and beside other processes.

    Make one with `Vault.create` or `Vault.open`; it is a context manager.
    """

    def __init__(self, file: VaultFile, vault_id: bytes, master: bytes) -> None:
        self._file = file
        self._vault_id = vault_id
        self._master = master
        self._directory = Directory(vault_id, master)

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
    def create(cls, path: Path | str, key: KeyStore, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Make a new vault, mode 0600 in a folder of mode 0700, and open it.

        Args:
            path: where; there must be no file yet.
            key: who keeps the master key.
            busy_seconds: how long to wait for other processes.

        Raises:
            InputError: there is a file already.
            KeyMissingError, KeyringError: there is no key to wrap the master key with.
            StorageError: it cannot be written.
        """
        path = Path(path)
        if path.exists():
            raise _exists(path)
        vault_id, master = os.urandom(_VAULT_ID_BYTES), new_key()
        wrapped = key.wrap(master, vault_id)
        try:
            with storage_errors(path):
                _build(path, (1, vault_id, key.kind, wrapped))
        except FileExistsError:
            raise _exists(path) from None
        return cls(VaultFile(path, busy_seconds), vault_id, master)

    @classmethod
    def open(cls, path: Path | str, key: KeyStore, *, busy_seconds: float = BUSY_SECONDS) -> Self:
        """Open a vault and bring it to this version's format.

        Raises:
            NotFoundError: there is no file.
            KeyMissingError, KeyringError: the key store has no key.
            WrongKeyError: the key does not open it.
            NewerFormatError: a later version wrote it; it is left as it is.
            TamperedError: it is no vault, or it was damaged; it is left as it is.
            VaultBusyError: another process held it for too long.
            StorageError: it cannot be read or written.
        """
        file = _checked_file(Path(path), busy_seconds)
        try:
            vault_id, custody, wrapped = _header(file)
            if custody != key.kind:
                raise WrongKeyError(
                    f"this vault is opened by a {custody}, not by a {key.kind}",
                    hint="see: pocketpref keys status",
                )
            vault = cls(file, vault_id, _master(key, wrapped, vault_id))
            vault._prepare()
        except BaseException:
            file.close()
            raise
        return vault

    def _prepare(self) -> None:
        """Bring the format up to date and end what an interruption left half done."""
        self._file.use_log()
        with self._file.reading() as db:
            old = pragma(db, "user_version") < FORMAT
            wiped = db.execute("SELECT 1 FROM users WHERE key IS NULL").fetchone()
        if old:
            with self._file.writing() as db:
                migrate(db)
            self._file.scrub()
        if wiped:
            with self._file.writing() as db:
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
        file = _checked_file(Path(path), BUSY_SECONDS)
        try:
            return _header(file)[1]
        finally:
            file.close()

    def close(self) -> None:
        """Close the file. May be called again; anything else then raises ``VaultError``."""
        self._file.close()

    # ------------------------------------------------------------------------------ using

    def store(self, user: str) -> UserStore:
        """One user's memories; nothing is written before the first of them.

        Raises:
            InputError: the name is empty, over-long or no valid Unicode.
        """
        return UserStore(self._file, self._directory, checked_name(user))

    def users(self) -> list[str]:
        """Everyone something is kept for, sorted."""
        with self._file.reading() as db:
            return self._directory.names(db)

    def info(self) -> VaultInfo:
        """What ``pocketpref status`` shows."""
        with self._file.reading() as db:
            number = pragma(db, "user_version")
        return VaultInfo(self._file.path, ENCRYPTION, _header(self._file)[1], number)

    def change_custody(self, new_key: KeyStore) -> None:
        """Give the master key into other hands; no record is sealed again.

        Copies of the file made before are still opened by the old key.

        Raises:
            KeyMissingError, KeyringError: the new store has no key; nothing was changed.
        """
        wrapped = new_key.wrap(self._master, self._vault_id)
        with self._file.writing() as db:
            db.execute("UPDATE header SET custody = ?, master = ?", (new_key.kind, wrapped))
        self._file.scrub()


def _build(path: Path, header: tuple[int, bytes, str, bytes]) -> None:
    """Make the file under another name, so that it appears whole or not at all."""
    private_folder(path.parent)
    part = part_path(path)
    try:
        new_private_file(part).close()
        file = VaultFile(part)
        try:
            file.use_log()
            with file.writing() as db:
                db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                migrate(db)
                db.execute("INSERT INTO header VALUES (?, ?, ?, ?)", header)
            file.scrub()
        finally:
            file.close()
        publish(part, path, replace=False)
    finally:
        for left in (part, *part.parent.glob(part.name + "-*")):
            left.unlink(missing_ok=True)


def _checked_file(path: Path, busy_seconds: float) -> VaultFile:
    if not path.is_file():
        raise NotFoundError(f"there is no vault at {path}", hint="check the path")
    with storage_errors(path):
        check_file(path)
    file = VaultFile(path, busy_seconds)
    try:
        with file.reading() as db:
            check_tables(db, path)
    except BaseException:
        file.close()
        raise
    return file


def _header(file: VaultFile) -> tuple[bytes, str, bytes]:
    with file.reading() as db:
        row = db.execute("SELECT vault, custody, master FROM header").fetchone()
    sound = row is not None and [type(part) for part in row] == [bytes, str, bytes]
    if not sound or len(row[0]) != _VAULT_ID_BYTES:
        raise TamperedError(
            f"the header of {file.path} was changed",
            hint="restore it from a backup; it was left as it is",
        )
    return row[0], row[1], row[2]


def _master(key: KeyStore, wrapped: bytes, vault_id: bytes) -> bytes:
    master = key.unwrap(wrapped, vault_id)
    if len(master) != KEY_BYTES:
        raise TamperedError("the wrapped master key is damaged", hint="restore it from a backup")
    return master


def _exists(path: Path) -> InputError:
    return InputError(f"there is a file already at {path}", hint="open it, or choose another path")
