"""Create, check and open the SQLite file of a vault.

Safe from threads and beside other processes.

SQLite's errors become named ones here and nowhere else.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from sqlite_utils import Database

from pocketpref.errors import (
    InputError,
    NotFoundError,
    PocketprefError,
    StorageError,
    TamperedError,
    VaultBusyError,
    VaultError,
)
from pocketpref.files import new_private_file, part_path, private_folder, publish, storage_errors
from pocketpref.vault.crypto.sealing import SALVAGE
from pocketpref.vault.storage.schema import (
    APPLICATION_ID,
    check_file,
    check_tables,
    has_log,
    migrate,
    pragma,
)

BUSY_SECONDS = 10.0
"""How long to wait for another process that is writing."""

_SHARED_MEMORY_BYTES = 32 * 1024
"""Space that SQLite needs beside a vault even to read it (https://www.sqlite.org/walformat.html)."""

_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}

# synchronous: a commit is on the disk when it returns, in WAL mode too. fullfsync: on macOS an
# ordinary fsync stops at the disk's cache. secure_delete: what is deleted is overwritten with
# zeros. temp_store: nothing is ever written to a temporary file. trusted_schema, cell_size_check:
# a file from elsewhere may not run functions through its schema, and broken pages are noticed.
_PRAGMAS = (
    "synchronous = FULL",
    "fullfsync = ON",
    "secure_delete = ON",
    "temp_store = MEMORY",
    "trusted_schema = OFF",
    "cell_size_check = ON",
)


class VaultFile:
    """One open vault file."""

    def __init__(self, path: Path, busy_seconds: float = BUSY_SECONDS) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._commits = 0
        self._closed = False
        self._suspect = False
        with sqlite_errors(path):
            self._db = _connect(path, busy_seconds)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Database]:
        """One consistent view of the file for as long as the block lasts."""
        with self._transaction("BEGIN") as db:
            yield db

    @contextlib.contextmanager
    def writing(self) -> Iterator[Database]:
        """One change: on the disk when the block ends, undone if it raises.

        Raises:
            VaultBusyError: another process kept writing for too long.
            StorageError: the disk is full, read-only or failing.
        """
        with self._transaction("BEGIN IMMEDIATE") as db:
            yield db
            self._commits += 1

    @contextlib.contextmanager
    def _transaction(self, begin: str) -> Iterator[Database]:
        try:
            with self._lock, sqlite_errors(self.path):
                self._check_usable()
                try:
                    self._db.execute(begin)
                    yield self._db
                    self._db.execute("COMMIT")
                finally:
                    # After an error, of the commit too; nothing is open after success.
                    self._db.rollback()
        except TamperedError:
            self._suspect = True
            raise

    def use_log(self) -> None:
        """Switch to write-ahead logging; a file that does so already is left as it is."""
        with self._lock, sqlite_errors(self.path):
            self._db.enable_wal()

    def scrub(self) -> None:
        """Copy the log into the file and cut it to nothing, so that deleted bytes are in neither.

        Raises:
            VaultBusyError: another process kept reading for too long.
        """
        with self._lock, sqlite_errors(self.path):
            busy = self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        if busy:
            raise VaultBusyError(
                f"what was removed is still in the log of {self.path}: another process holds it",
                hint="close the other program; the last one to close clears the log",
            )

    def version(self) -> int:
        """A number that changes with every commit of this or any other process."""
        with self._lock, sqlite_errors(self.path):
            self._check_usable()
            # SQLite counts only the commits of others.
            return (pragma(self._db, "data_version") << 32) + self._commits

    def close(self, *, untouched: bool = False) -> None:
        """Close the file; the last to close it also clears the log. May be called again.

        Args:
            untouched: leave the file and its log as they are, as is always done with a file in
                which something was wrong: a log that somebody put there must not be copied in.
        """
        with self._lock, sqlite_errors(self.path):
            untouched = (untouched or self._suspect) and not self._closed
            self._closed = True
            _close(self._db.conn, self.path, untouched=untouched)

    def _check_usable(self) -> None:
        if self._closed:
            raise VaultError("the vault is closed", hint="open it again")
        if os.getpid() != self._process:
            # SQLite connections must not be carried over a fork; using one can destroy the file.
            raise VaultError(
                "the vault was opened by another process", hint="open it after forking"
            )


def _connect(path: Path, busy_seconds: float) -> Database:
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",  # never makes a file
        uri=True,
        timeout=busy_seconds,
        isolation_level=None,  # transactions begin where we say so
        check_same_thread=False,  # the lock sees to it
    )
    try:
        # Plug-ins of sqlite-utils would otherwise be handed the connection.
        db = Database(connection, execute_plugins=False)
        for setting in _PRAGMAS:
            db.execute(f"PRAGMA {setting}")
    except BaseException:
        _close(connection, path, untouched=True)
        raise
    return db


def _close(connection: sqlite3.Connection, path: Path, *, untouched: bool) -> None:
    if not (untouched and has_log(path)):
        connection.close()
        return
    # The last connection to close copies the log into the file if it may write. So one that only
    # reads is closed after it: that one copies no log, nor does any that closes before it.
    reader = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)
    with contextlib.suppress(sqlite3.Error, UnicodeDecodeError):
        reader.execute("SELECT 1 FROM sqlite_master").fetchone()
    connection.close()
    reader.close()


@contextlib.contextmanager
def sqlite_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's errors inside the block into named ones.

    Raises:
        VaultBusyError, TamperedError, StorageError: whichever it was.
    """
    garbled = False
    try:
        yield
    except sqlite3.Error as error:
        raise named_error(error, path) from error
    except UnicodeDecodeError as error:
        # SQLite's own message quotes a damaged schema, and Python cannot read that. Raised outside
        # of the handler: the error holds what stood in the file.
        garbled = error.encoding == "utf-8"
        if not garbled:
            raise
    if garbled:
        raise _damaged(path)


def named_error(error: sqlite3.Error, path: Path) -> PocketprefError:
    """Map an error of SQLite to one of ours."""
    # Without a code it is Python's own: a text in the file that is no UTF-8.
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code in _BUSY:
        return VaultBusyError(
            f"another process is using {path}", hint="try again when it has finished"
        )
    if code in _DAMAGED:
        return _damaged(path)
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _is_full(path)):
        return StorageError(
            f"no room left on the disk for {path}", hint="free some space; nothing was changed"
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StorageError(
            f"{path} cannot be opened for writing",
            hint="check the permissions of it and its folder",
        )
    reason = getattr(error, "sqlite_errorname", type(error).__name__)
    return StorageError(f"{path} cannot be read or written ({reason})", hint="check the disk")


def _damaged(path: Path) -> TamperedError:
    return TamperedError(f"{path} is damaged or no vault", hint=SALVAGE)


def _is_full(path: Path) -> bool:
    # A full disk may first show as a failure to make SQLite's shared-memory file.
    try:
        return shutil.disk_usage(path.parent).free < _SHARED_MEMORY_BYTES
    except OSError:
        return False


def next_number(db: Database, table: str) -> int:
    """The number AUTOINCREMENT will give next; the caller holds the write transaction.

    Needed before the row is written, for the row is sealed together with it.
    """
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (table,)).fetchone()
    return row[0] + 1 if row else 1


# The file of a vault: created atomically, and checked before it is trusted.

VAULT_ID_BYTES = 16


class VaultHeader(NamedTuple):
    """The part of a vault that can be read without its key.

    Attributes:
        vault_id: random, 16 bytes.
        custody: the kind of key store that keeps the master key.
        wrapped: the master key, wrapped by it.
    """

    vault_id: bytes
    custody: str
    wrapped: bytes


def build(path: Path, header: VaultHeader, state: bytes) -> None:
    """Make a vault's file under another name, so that it appears whole or not at all.

    Args:
        path: where.
        header: what it says.
        state: the sealed state of an empty vault.

    Raises:
        InputError: there is a file already.
        StorageError: it cannot be written.
    """
    try:
        with storage_errors(path), contextlib.ExitStack() as cleanup:
            private_folder(path.parent)
            part = part_path(path)
            cleanup.callback(remove_with_log, part)
            new_private_file(part).close()
            with contextlib.closing(VaultFile(part)) as file:
                file.use_log()
                with file.writing() as db:
                    db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
                    migrate(db)
                    db.execute("INSERT INTO header VALUES (1, ?, ?, ?, ?)", (*header, state))
                file.scrub()
            publish(part, path, replace=False)
    except FileExistsError:
        raise already_there(path) from None


def remove_with_log(path: Path) -> None:
    """Remove an SQLite file, if it is there, and what SQLite keeps beside it."""
    for left in (path, *path.parent.glob(path.name + "-*")):
        left.unlink(missing_ok=True)


def checked_file(path: Path, busy_seconds: float) -> VaultFile:
    """Open a vault's file, if it looks like one.

    Raises:
        NotFoundError: there is no file.
        NewerFormatError: a later version wrote it; it is left as it is.
        TamperedError: it is no vault, or it was damaged; it is left as it is.
        StorageError: it cannot be read.
    """
    if not path.is_file():
        raise NotFoundError(f"there is no vault at {path}", hint="check the path")
    with storage_errors(path):
        check_file(path)
    file = VaultFile(path, busy_seconds)
    try:
        with file.reading() as db:
            check_tables(db, path)
    except BaseException:
        file.close(untouched=True)
        raise
    return file


def read_header(file: VaultFile) -> VaultHeader:
    """Read a vault's header.

    Raises:
        TamperedError: it is not of a form that we write.
    """
    with file.reading() as db:
        row = db.execute("SELECT vault, custody, master FROM header").fetchone()
    sound = row is not None and [type(part) for part in row] == [bytes, str, bytes]
    if not sound or len(row[0]) != VAULT_ID_BYTES:
        raise TamperedError(f"the header of {file.path} was changed", hint=SALVAGE)
    return VaultHeader(*row)


def already_there(path: Path) -> InputError:
    """The error for a path that is taken."""
    return InputError(f"there is a file already at {path}", hint="open it, or choose another path")
