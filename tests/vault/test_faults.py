"""Full, read-only and failing disks: a named error, nothing changed, and work goes on after."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketpref.errors import StorageError, TamperedError, VaultBusyError
from pocketpref.files import storage_errors
from pocketpref.records import Feedback, Pair
from pocketpref.vault import Vault, archive
from pocketpref.vault.crypto.key_stores import KeyFile
from pocketpref.vault.storage.database import sqlite_errors
from tests.vault.making import feedback, learned, raw

linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux's mounts")

BIG = Feedback(Pair("p" * 200_000, "a" * 200_000, "b" * 200_000))


def state(store) -> tuple[list[str], int]:
    return [memory.id for memory in store.memories()], store.counts().learned


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 1 MiB, where this process may mount one."""
    folder = tmp_path / "small"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    target = os.fsencode(folder)
    if libc.mount(b"tmpfs", target, b"tmpfs", 0, b"size=1m") != 0:
        pytest.skip(f"may not mount: {os.strerror(ctypes.get_errno())}")
    try:
        yield folder
    finally:
        libc.umount2(target, 2)


def fill(folder: Path) -> Path:
    """Take all the room there is."""
    waste = folder / "waste"
    with waste.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert waste.stat().st_size > 100_000
    return waste


@linux
def test_a_full_disk_is_named_and_changes_nothing(small_disk, key):
    with Vault.create(small_disk / "vault.db", key) as vault:
        store = vault.store("ada")
        memory_id = store.add(feedback())
        store.put_learned(learned(memory_id))
        before = state(store)
        waste = fill(small_disk)
        for attempt in (
            lambda: store.add(BIG),
            lambda: store.add_many([feedback(), BIG]),
            lambda: archive.export_user(store, small_disk / "archive", key),
        ):
            with pytest.raises(StorageError, match="room") as caught:
                attempt()
            assert caught.value.hint
            assert state(store) == before
        waste.unlink()
        assert not (small_disk / "archive").exists()
        store.add(feedback("room again"))
    with Vault.open(small_disk / "vault.db", key) as again:
        assert len(state(again.store("ada"))[0]) == 2
    assert raw(small_disk / "vault.db", "PRAGMA integrity_check") == [("ok",)]


@linux
def test_no_half_vault_or_key_is_made_on_a_full_disk(small_disk, key):
    waste = fill(small_disk)
    with pytest.raises(StorageError):
        Vault.create(small_disk / "vault.db", key)
    with pytest.raises(StorageError):
        KeyFile.make(small_disk / "vault.key")
    assert list(small_disk.iterdir()) == [waste]


@linux
def test_a_read_only_disk_is_named_and_changes_nothing(small_disk, key):
    Vault.create(small_disk / "vault.db", key).close()
    before = (small_disk / "vault.db").read_bytes()
    libc = ctypes.CDLL(None, use_errno=True)
    read_only, remount = 1, 32
    assert libc.mount(b"", os.fsencode(small_disk), b"", read_only | remount, b"") == 0
    for attempt in (
        lambda: Vault.open(small_disk / "vault.db", key),
        lambda: Vault.create(small_disk / "other.db", key),
        lambda: KeyFile.make(small_disk / "vault.key"),
    ):
        with pytest.raises(StorageError) as caught:
            attempt()
        assert caught.value.hint
    assert (small_disk / "vault.db").read_bytes() == before


def test_a_file_that_may_not_grow_is_named_and_changes_nothing(path, vault, store):
    """SQLite's own limit, which needs no mount and so holds on every system."""
    store.add(feedback())
    before = state(store)
    with vault._file.reading() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
    vault._file._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StorageError, match="room"):
        store.add(BIG)
    assert state(store) == before
    vault._file._db.execute("PRAGMA max_page_count = 1000000")
    store.add(BIG)


LIMITED = """
import resource, sys
from pocketpref.errors import StorageError
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.vault.making import feedback
from tests.vault.test_faults import BIG
with Vault.open(sys.argv[1], KeyFile(sys.argv[2])) as vault:
    store = vault.store("ada")
    store.add(feedback())
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
    try:
        store.add(BIG)
    except StorageError:
        print(len(list(store.memories())))
"""


@pytest.mark.skipif(os.name == "nt", reason="no such limit on Windows")
def test_a_file_size_limit_of_the_system_is_named_and_changes_nothing(path, key, vault):
    vault.close()
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path), str(key.path)],
        cwd=Path(__file__).resolve().parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "1\n"
    with Vault.open(path, key) as again:
        assert len(list(again.store("ada").memories())) == 1


def test_a_vault_whose_folder_cannot_be_made_is_a_storage_error(tmp_path, key):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        Vault.create(tmp_path / "file" / "vault.db", key)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_BUSY, VaultBusyError),
        (sqlite3.SQLITE_LOCKED, VaultBusyError),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, VaultBusyError),
        (sqlite3.SQLITE_CORRUPT, TamperedError),
        (sqlite3.SQLITE_NOTADB, TamperedError),
        (sqlite3.SQLITE_FULL, StorageError),
        (sqlite3.SQLITE_READONLY, StorageError),
        (sqlite3.SQLITE_IOERR_WRITE, StorageError),
        (sqlite3.SQLITE_IOERR_FSYNC, StorageError),
        (sqlite3.SQLITE_CANTOPEN, StorageError),
        (sqlite3.SQLITE_NOMEM, StorageError),
    ],
)
def test_every_error_of_sqlite_has_a_name(code, expected):
    error = sqlite3.OperationalError("planted")
    error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_X"
    with pytest.raises(expected) as caught, sqlite_errors(Path("vault.db")):
        raise error
    assert "vault.db" in caught.value.message
    assert caught.value.hint
    assert "planted" not in caught.value.message


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "room"),
        (errno.EROFS, "may not"),
        (errno.EACCES, "may not"),
        (errno.EIO, "cannot be used"),
    ],
)
def test_every_error_of_the_file_system_has_a_name(number, words):
    with pytest.raises(StorageError, match=words), storage_errors(Path("vault.db")):
        raise OSError(number, os.strerror(number), "vault.db")
