"""Tables, migrations, and the checks before a file is trusted.

Without the key the file shows the number of users (not their names), the number of records of each
kind that each has, their order, and their padded sizes. Everything else is sealed.

    header    one row: the vault's id, the kind of key store, the master key wrapped by it, and the
              state of the vault (set_hash.py)
    users     a keyed hash of the name, the sealed name, the data key wrapped by the master key, the
              one that is to replace it, and what the user should have
    records   sealed; what is derived from a memory bears the memory's id and another kind

The format is the number of migrations applied, kept in SQLite's ``user_version``. A migration never
changes once released; a new fact is a new migration at the end.
"""

from __future__ import annotations

import os
import sqlite3
import struct
from collections.abc import Callable
from pathlib import Path

from sqlite_utils import Database

from pocketpref.errors import NewerFormatError, TamperedError
from pocketpref.vault.crypto.sealing import SALVAGE

APPLICATION_ID = 0x706B7066  # "pkpf" in SQLite's application_id marks the file as a vault


def m001_header(db: Database) -> None:
    """One row about the vault itself."""
    db.execute("""
        CREATE TABLE header (
            one INTEGER PRIMARY KEY CHECK (one = 1),
            vault BLOB NOT NULL,
            custody TEXT NOT NULL,
            master BLOB NOT NULL,
            state BLOB NOT NULL
        )""")


def m002_users(db: Database) -> None:
    """One row for each user; without a key it is the rest of an interrupted wipe."""
    db.execute("""
        CREATE TABLE users (
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            lookup BLOB UNIQUE,
            name BLOB,
            key BLOB,
            next BLOB,
            state BLOB
        )""")


def m003_records(db: Database) -> None:
    """The sealed records; AUTOINCREMENT never gives a number twice."""
    db.execute("""
        CREATE TABLE records (
            seq INTEGER PRIMARY KEY AUTOINCREMENT,
            user INTEGER NOT NULL,
            kind TEXT NOT NULL,
            id TEXT NOT NULL,
            sealed BLOB NOT NULL,
            UNIQUE (id, kind)
        )""")


def m004_records_by_user(db: Database) -> None:
    """Listing one user's records reads no one else's."""
    db.execute("CREATE INDEX records_by_user ON records (user, kind, seq)")


MIGRATIONS: tuple[Callable[[Database], None], ...] = (
    m001_header,
    m002_users,
    m003_records,
    m004_records_by_user,
)
FORMAT = len(MIGRATIONS)


def migrate(db: Database) -> None:
    """Bring a vault to this version's format; the caller holds the write transaction."""
    for number in range(pragma(db, "user_version"), FORMAT):
        MIGRATIONS[number](db)
        db.execute(f"PRAGMA user_version = {number + 1}")


def pragma(db: Database, name: str) -> int:
    """The value of one of SQLite's whole-number pragmas."""
    return int(db.execute(f"PRAGMA {name}").fetchone()[0])


def check_tables(db: Database, path: Path) -> None:
    """Refuse a file whose tables, indexes, triggers or views are not exactly those of its format.

    Raises:
        NewerFormatError: a later version wrote it.
        TamperedError: it is no vault, or something was added to it.
    """
    number = pragma(db, "user_version")
    _check_format(number, pragma(db, "application_id"), path)
    with_tables = Database(sqlite3.connect(":memory:"), execute_plugins=False)
    for migration in MIGRATIONS[:number]:
        migration(with_tables)
    expected = _objects(with_tables)
    with_tables.close()
    if _objects(db) != expected:
        raise TamperedError(
            f"the tables in {path} are not those of a vault",
            hint=SALVAGE,
        )


def _objects(db: Database) -> list[tuple[str, ...]]:
    return db.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
    ).fetchall()


def check_file(path: Path) -> None:
    """Look at the raw bytes before SQLite does, for opening a database may change it.

    Raises:
        NewerFormatError: a later version wrote it.
        TamperedError: it is no vault, or it was truncated.
        OSError: it cannot be read.
    """
    if _beside(path, "-journal"):
        # SQLite would take the pages in it for those to go back to, and write them into the vault.
        raise TamperedError(
            f"beside {path} lies a journal that is not the vault's",
            hint=f"move {path.name}-journal away; the vault was left as it is",
        )
    with path.open("rb") as file:
        head = file.read(100)
        size = os.fstat(file.fileno()).st_size
    if len(head) < 100 or not head.startswith(b"SQLite format 3\0"):
        raise _no_vault(path)
    # Offsets: https://www.sqlite.org/fileformat.html#the_database_header
    page, pages = struct.unpack_from(">H", head, 16)[0], struct.unpack_from(">I", head, 28)[0]
    number, application = (struct.unpack_from(">I", head, offset)[0] for offset in (60, 68))
    _check_format(number, application, path)
    page = 65536 if page == 1 else page
    # While a write-ahead log is there, the file may rightly be shorter than it says: a copying
    # back of the log that was cut off writes the first page first and is done again on opening.
    if (size % page or size < page * pages) and not has_log(path):
        raise TamperedError(
            f"{path} was truncated",
            hint=SALVAGE,
        )


def _check_format(number: int, application: int, path: Path) -> None:
    if application != APPLICATION_ID or number == 0:
        raise _no_vault(path)
    if number > FORMAT:
        raise NewerFormatError(
            f"{path} has format {number}; this version of pocketpref reads up to {FORMAT}",
            hint="install the newer version again: pip install --upgrade pocketpref",
        )


def _no_vault(path: Path) -> TamperedError:
    return TamperedError(
        f"{path} is no pocketpref vault", hint=f"choose another place; or if it was one: {SALVAGE}"
    )


def has_log(path: Path) -> bool:
    """Whether there is anything in the log beside a vault."""
    return _beside(path, "-wal")


def _beside(path: Path, ending: str) -> bool:
    other = path.with_name(path.name + ending)
    return other.exists() and other.stat().st_size > 0
