"""Saving what is intact in a damaged vault into a new one.

SQLite refuses a file whose structure is broken, and a vault refuses one in which anything is
missing. Here the pages are read one by one (`pages`), whatever looks like a row of ours is taken
out of them (`carving`), and its seal decides whether it is what we wrote, in the place where we
wrote it (`remains`). So nothing comes back that was not there: a forged row is only one more that
does not open.

What cannot be saved: everything, if the header's row is damaged, which holds the wrapped master
key; all of a user's records, if their row is, which holds their data key.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Container, Iterator
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
    """What was saved of one user.

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
    """What one call of `salvage` did.

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
        key: who keeps the damaged vault's key.
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
        users = _write(remains, built, key)
        try:
            publish(built, target, replace=False)
        except FileExistsError:
            raise _exists(target) from None
    return Salvaged(target, users, remains.ownerless)


def custody(source: Path | str) -> str:
    """Who keeps a damaged vault's key, as its header says.

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


def _write(remains: Remains, path: Path, key: KeyStore) -> tuple[SavedUser, ...]:
    saved: dict[str, SavedUser] = {}
    with Vault.create(path, key) as vault:
        for owner in remains.owners:
            name = _free_name(owner, saved)
            saved[name] = _write_user(vault, name, owner, remains)
    return tuple(saved.values())


def _free_name(owner: Owner, taken: Container[str]) -> str:
    """The user's own name, or one that stands for it."""
    if owner.name is not None and owner.name not in taken:
        return owner.name
    name = f"recovered-{owner.number}"
    while name in taken:
        name += "-again"
    return name


def _write_user(vault: Vault, name: str, owner: Owner, remains: Remains) -> SavedUser:
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
