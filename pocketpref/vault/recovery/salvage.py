"""Save the intact part of a damaged vault into a new one.

SQLite refuses a file whose structure is broken, and a vault refuses one in which anything is
missing. Here the pages are read one by one and searched for whatever looks like a row
(`sqlite_pages`), and its seal decides whether the vault wrote it in that place (`recoverable`). So
nothing is restored that was not there: a forged row does not open.

What cannot be saved: everything, if the header's row is damaged, which holds the wrapped master
key; all of a user's records, if their row is, which holds their data key.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

from pocketpref.errors import InputError, NotFoundError, TamperedError, VaultBusyError
from pocketpref.files import new_private_file, private_folder, publish, storage_errors
from pocketpref.protocols import KeyStore
from pocketpref.vault.recovery.recoverable import Owner, ProgressCallback, Remains, stated_custody
from pocketpref.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class SavedUser:
    """The saved records of one user.

    Attributes:
        user: the name it was saved under; ``recovered-NUMBER`` where theirs is damaged.
        memories: how many were saved.
        learned: of how many of them what was learned was saved too.
        missing: how many records (memories, what was learned, summaries and the like) were lost;
            None if the note of how many there should be is damaged.
        damaged: ids of those of which something is left that does not open.
    """

    user: str = field(repr=False)
    memories: int
    learned: int
    missing: int | None
    damaged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Salvaged:
    """The result of `salvage`.

    Attributes:
        target: the new vault.
        users: everyone whose key is intact.
        ownerless: records of users whose key is damaged or was destroyed.
    """

    target: Path
    users: tuple[SavedUser, ...]
    ownerless: int


def salvage(
    source: Path | str,
    target: Path | str,
    key: KeyStore,
    on_progress: ProgressCallback | None = None,
) -> Salvaged:
    """Write everything in a damaged vault that is intact into a new vault.

    The damaged file and its log are copied and only read; of the log counts what was committed.
    The new vault is under the same key store, and appears when it is complete.

    Args:
        source: the damaged vault.
        target: where the new one is to be; there must be no file yet.
        key: the damaged vault's key store.
        on_progress: told how many pages were searched, and how many there are.

    Raises:
        NotFoundError: there is no file to be saved.
        InputError: there is a file already where the new one is to be.
        KeyMissingError, KeyringError: the key store has no key.
        WrongKeyError: the key does not open it, or the header's row is damaged.
        TamperedError: nothing could be saved.
        VaultBusyError: another program changed it meanwhile.
        StorageError: it cannot be read, or the new one cannot be written.
    """
    source, target = _existing(source), Path(target).absolute()
    if any(path.exists() for path in (target, _log(target))):
        raise _exists(target)
    with _private_copy(source, target) as (folder, database, log):
        remains = Remains(database, log, key, on_progress or (lambda done, of: None))
        if not any(owner.has_records for owner in remains.owners):
            raise TamperedError(
                f"nothing in {source} could be saved",
                hint="restore it from a backup or an archive; it was left as it is",
            )
        built = folder / "vault.db"
        users: list[SavedUser] = []
        with Vault.create(built, key) as vault:
            for owner in remains.owners:
                users.append(_save_user(vault, owner, remains, {saved.user for saved in users}))
        try:
            publish(built, target, replace=False)
        except FileExistsError:
            raise _exists(target) from None
    return Salvaged(target, tuple(users), remains.ownerless)


def custody(source: Path | str) -> str:
    """Return the kind of key store named in a damaged vault's header.

    Raises:
        NotFoundError: there is no file.
        TamperedError: no header is left.
        StorageError: it cannot be read.
    """
    source = _existing(source)
    with storage_errors(source), _opened(source) as database, _opened(_log(source)) as log:
        return stated_custody(database, log)


def _existing(source: Path | str) -> Path:
    if not Path(source).is_file():
        raise NotFoundError(f"there is no vault at {source}", hint="check the path")
    return Path(source).resolve()  # where a link leads, for there the log is


@contextmanager
def _private_copy(source: Path, target: Path) -> Iterator[tuple[Path, BinaryIO, BinaryIO]]:
    """A folder beside the target for as long as the block lasts, with copies of file and log."""
    with storage_errors(target), ExitStack() as stack:
        private_folder(target.parent)
        folder = Path(
            stack.enter_context(
                tempfile.TemporaryDirectory(
                    prefix=f".{target.name}.", suffix=".part", dir=target.parent
                )
            )
        )
        copies = _copy(source, folder)
        database, log = (stack.enter_context(copy.open("rb")) for copy in copies)
        yield folder, database, log


def _copy(source: Path, folder: Path) -> list[Path]:
    before = _stamps(source)
    copies: list[Path] = []
    for path in (source, _log(source)):
        copies.append(folder / f"damaged-{len(copies)}")
        with new_private_file(copies[-1]) as copy, _opened(path) as file:
            shutil.copyfileobj(file, copy)
    if _stamps(source) != before:
        raise VaultBusyError(
            f"another program has changed {source}", hint="close it, then try again"
        )
    return copies


def _stamps(source: Path) -> list[tuple[int, int]]:
    there = [path.stat() for path in (source, _log(source)) if path.exists()]
    return [(found.st_size, found.st_mtime_ns) for found in there]


def _opened(path: Path) -> BinaryIO:
    return path.open("rb") if path.exists() else BytesIO()


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


# ------------------------------------------------------------------------------- the new vault


def _save_user(vault: Vault, owner: Owner, remains: Remains, taken: set[str]) -> SavedUser:
    """Write a user's records under their own name or, if it is damaged or taken, another one."""
    name = owner.name
    if name is None or name in taken:
        name = f"recovered-{owner.number}"
    while name in taken:
        name += "-again"
    store = vault.store(name)
    if owner.has_records:
        store.restore(remains.entries(owner), remains.documents(owner))
    counts = store.counts()
    missing = None
    if owner.expected is not None:
        saved = counts.memories + counts.learned + owner.documents
        missing = max(owner.expected - saved, 0)
    return SavedUser(name, counts.memories, counts.learned, missing, owner.lost_ids())


def _exists(target: Path) -> InputError:
    return InputError(f"there is a file already at {target}", hint="choose another place")
