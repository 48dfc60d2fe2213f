"""The file of a vault: created atomically, and checked before it is trusted."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from pocketpref.errors import InputError, NotFoundError, TamperedError
from pocketpref.files import new_private_file, part_path, private_folder, publish, storage_errors
from pocketpref.vault.crypto.sealing import SALVAGE
from pocketpref.vault.storage.database import VaultFile
from pocketpref.vault.storage.schema import APPLICATION_ID, check_file, check_tables, migrate

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
        with storage_errors(path):
            _build(path, header, state)
    except FileExistsError:
        raise already_there(path) from None


def _build(path: Path, header: VaultHeader, state: bytes) -> None:
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
                db.execute("INSERT INTO header VALUES (1, ?, ?, ?, ?)", (*header, state))
            file.scrub()
        finally:
            file.close()
        publish(part, path, replace=False)
    finally:
        for left in (part, *part.parent.glob(part.name + "-*")):
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
