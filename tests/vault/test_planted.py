"""What is planted beside a vault or in its indexes is refused, and changes nothing."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from pocketpref.errors import RolledBackError, TamperedError
from pocketpref.vault import Vault
from tests.vault.making import feedback, learned


def beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


@pytest.fixture
def closed(path, key) -> Path:
    """A vault of two people, in which everything is in the file itself."""
    with Vault.create(path, key) as vault:
        for user in ("ada", "bob"):
            store = vault.store(user)
            for memory_id in store.add_many(feedback(f"question {n}") for n in range(4)):
                store.put_learned(learned(memory_id))
    assert not beside(path, "-wal").exists()
    return path


def served(path: Path, key) -> list[tuple[str, list[str], list[bytes]]]:
    """All that a vault serves, asked for in every way."""
    with Vault.open(path, key) as vault:
        found = []
        for user in ("ada", "bob"):
            store = vault.store(user)
            memories = [memory.id for memory in store.memories()]
            assert [store.get(name).id for name in memories] == memories
            lessons = [lesson.vector.tobytes() for lesson in store.lessons("recipe-1")]
            found.append((user, memories, lessons))
        return found


def test_a_log_that_somebody_planted_is_not_copied_in(closed, key, tmp_path):
    other = tmp_path / "other" / "vault.db"
    other.parent.mkdir()
    shutil.copy(closed, other)
    with Vault.open(other, key) as vault:
        vault.store("ada").add(feedback("later"))
        log = beside(other, "-wal").read_bytes()
    with Vault.open(closed, key, anchor=tmp_path / "state") as vault:
        for _ in range(20):
            vault.store("bob").add(feedback("later still"))
    before = closed.read_bytes()
    beside(closed, "-wal").write_bytes(log)
    with pytest.raises((TamperedError, RolledBackError)):
        Vault.open(closed, key, anchor=tmp_path / "state")
    assert closed.read_bytes() == before
    beside(closed, "-wal").unlink()
    beside(closed, "-shm").unlink(missing_ok=True)
    assert len(served(closed, key)[1][1]) == 24


def test_a_journal_that_somebody_planted_is_not_played_back(closed, key, tmp_path):
    other = tmp_path / "journalled.db"
    shutil.copy(closed, other)
    with closing(sqlite3.connect(other, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("BEGIN IMMEDIATE")
        db.execute("PRAGMA cache_spill = 1")
        db.execute("UPDATE records SET id = id || 'x'")
        db.execute("PRAGMA cache_size = 1")
        journal = beside(other, "-journal").read_bytes()
        db.execute("ROLLBACK")
    assert journal
    before = closed.read_bytes()
    beside(closed, "-journal").write_bytes(journal)
    with pytest.raises(TamperedError, match="journal"):
        served(closed, key)
    assert closed.read_bytes() == before
    beside(closed, "-journal").unlink()
    served(closed, key)


@pytest.mark.parametrize("index", ["sqlite_autoindex_users_1", "records_by_user", "records_id"])
def test_a_flipped_byte_of_an_index_is_noticed_or_means_nothing(closed, key, index):
    index = {"records_id": "sqlite_autoindex_records_1"}.get(index, index)
    content, stored = closed.read_bytes(), served(closed, key)
    with closing(sqlite3.connect(closed)) as db:
        root = db.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (index,))
        start = (root.fetchone()[0] - 1) * 4096
    used = [at for at in range(start, start + 4096) if content[at]]
    for at in used[::3]:
        changed = bytearray(content)
        changed[at] ^= 0x41
        closed.write_bytes(changed)
        try:
            assert served(closed, key) == stored
        except TamperedError:
            assert closed.read_bytes() == changed


def test_a_schema_that_is_no_text_is_refused_by_name(closed, key):
    content, stored, causes = closed.read_bytes(), served(closed, key), []
    at = content.index(b"records_by_user")
    for place in range(at - 30, at + 30):
        closed.write_bytes(content[:place] + b"\xff" + content[place + 1 :])
        try:
            assert served(closed, key) == stored
        except TamperedError as error:
            causes.append(error.__cause__)
    # Python's error, where SQLite quoted the schema, would hold what stood in the file.
    assert None in causes
    assert not any(isinstance(cause, UnicodeDecodeError) for cause in causes)


def test_opening_beside_a_writer_is_no_roll_back(closed, key, tmp_path):
    notes, stop = tmp_path / "state", threading.Event()

    def write() -> None:
        with Vault.open(closed, key, anchor=notes) as vault:
            while not stop.is_set():
                vault.store("ada").add(feedback("more"))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(30):
            Vault.open(closed, key, anchor=notes).close()
    finally:
        stop.set()
        writer.join()
