"""Making, opening and refusing vault files."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from pathlib import Path

import pytest

from pocketpref.errors import (
    InputError,
    KeyMissingError,
    NewerFormatError,
    NotFoundError,
    StorageError,
    TamperedError,
    VaultError,
    WrongKeyError,
)
from pocketpref.records import Counts
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import Argon2Cost, EphemeralKey, KeyFile, Passphrase
from pocketpref.vault.storage import schema
from tests.vault.making import QUICK, feedback, raw

posix = pytest.mark.skipif(os.name == "nt", reason="modes mean nothing on Windows")


def fingerprint(path: Path) -> tuple[str, int]:
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size


@posix
def test_a_vault_is_readable_for_its_owner_alone(path, store):
    before = os.umask(0)
    try:
        store.add(feedback())
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    files = list(path.parent.iterdir())
    assert {file.name for file in files} == {"vault.db", "vault.db-wal", "vault.db-shm"}
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in files)


def test_a_closed_vault_is_one_file(path, vault, store):
    store.add(feedback())
    vault.close()
    assert [file.name for file in path.parent.iterdir()] == ["vault.db"]


def test_creating_never_replaces_a_file(path, key, vault):
    vault.close()
    before = fingerprint(path)
    with pytest.raises(InputError):
        Vault.create(path, key)
    assert fingerprint(path) == before


def test_a_vault_appears_whole_or_not_at_all(path, key, monkeypatch):
    def fail(*_):
        raise sqlite3.OperationalError

    monkeypatch.setattr("pocketpref.vault.storage.database.migrate", fail)
    with pytest.raises(VaultError):
        Vault.create(path, key)
    assert list(path.parent.iterdir()) == []


def test_of_two_creators_one_wins_and_the_other_is_told(path, key, monkeypatch):
    """The second appears between the first one's look and its renaming."""
    real_publish = schema.migrate

    def race(db):
        monkeypatch.undo()
        Vault.create(path, EphemeralKey()).close()
        real_publish(db)

    monkeypatch.setattr("pocketpref.vault.storage.database.migrate", race)
    with pytest.raises(InputError, match="already"):
        Vault.create(path, key)
    assert Vault.custody(path) == "ephemeral"
    assert [file.name for file in path.parent.iterdir()] == ["vault.db"]


def test_no_key_no_vault(path, tmp_path):
    with pytest.raises(KeyMissingError):
        Vault.create(path, KeyFile(tmp_path / "nowhere"))
    assert not Vault.exists(path)


def test_what_is_not_there_is_not_found(path, key):
    assert Vault.exists(path) is False
    for attempt in (lambda: Vault.open(path, key), lambda: Vault.custody(path)):
        with pytest.raises(NotFoundError):
            attempt()
    assert not path.parent.exists()


def test_what_may_be_known_without_the_key(path, vault):
    assert Vault.exists(path)
    assert Vault.custody(path) == "key-file"
    info = vault.info()
    assert (info.path, info.key_custody, info.format) == (path, "key-file", schema.FORMAT)
    assert info.encryption == "AES-256-GCM"


def test_another_key_does_not_open_it_and_changes_nothing(path, vault, store, tmp_path):
    store.add(feedback())
    vault.close()
    before = fingerprint(path)
    with pytest.raises(WrongKeyError):
        Vault.open(path, KeyFile.make(tmp_path / "another.key"))
    with pytest.raises(WrongKeyError, match="key-file"):
        Vault.open(path, Passphrase(lambda: "x", QUICK))
    assert fingerprint(path) == before


def test_custody_changes_hands(path, key, vault, store):
    memory_id = store.add(feedback())
    words = Passphrase(lambda: "correct horse", QUICK)
    vault.change_custody(words)
    assert vault.info().key_custody == Vault.custody(path) == "passphrase"
    assert store.get(memory_id).id == memory_id
    vault.close()
    with pytest.raises(WrongKeyError):
        Vault.open(path, key)
    with pytest.raises(WrongKeyError):
        Vault.open(path, Passphrase(lambda: "wrong horse", QUICK))
    with Vault.open(path, words) as again:
        assert again.store("ada").get(memory_id).id == memory_id


def test_after_a_change_the_old_wrapped_key_is_gone_from_the_file(path, vault):
    (old,) = raw(path, "SELECT master FROM header")[0]
    vault.change_custody(EphemeralKey())
    content = path.read_bytes() + Path(f"{path}-wal").read_bytes()
    assert old[1:13] not in content


def test_a_failed_change_of_custody_changes_nothing(path, key, vault, tmp_path):
    with pytest.raises(KeyMissingError):
        vault.change_custody(KeyFile(tmp_path / "nowhere"))
    vault.close()
    Vault.open(path, key).close()


def test_a_closed_vault_says_so(vault, store):
    vault.close()
    vault.close()
    for attempt in (lambda: store.add(feedback()), vault.users, store.version, vault.info):
        with pytest.raises(VaultError, match="closed"):
            attempt()


def test_no_repr_shows_a_name_or_a_key(vault):
    store = vault.store("planted-name")
    store.add(feedback())
    shown = repr(vault) + repr(store) + repr(vault.info())
    assert "planted" not in shown


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_vault_does_not_cross_a_fork(store):
    """SQLite forbids it; a silent use could destroy the file."""
    child = os.fork()
    if child == 0:
        try:
            store.counts()
        except VaultError:
            os._exit(7)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# -------------------------------------------------------------------------------- other files


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"S",
        b"a text file\n" * 100,
        b"SQLite format 3\0" + bytes(84),
        bytes(5000),
    ],
    ids=["empty", "one letter", "text", "an empty SQLite header", "zeros"],
)
def test_a_file_that_is_no_vault_is_refused_and_unchanged(tmp_path, key, content):
    file = tmp_path / "file"
    file.write_bytes(content)
    for attempt in (lambda: Vault.open(file, key), lambda: Vault.custody(file)):
        with pytest.raises(TamperedError, match="no pocketpref vault"):
            attempt()
    assert file.read_bytes() == content
    assert {entry.name for entry in tmp_path.iterdir()} == {"file", "keys"}


def test_another_programs_database_is_refused_and_unchanged(tmp_path, key):
    file = tmp_path / "other.db"
    raw(file, "CREATE TABLE records (id)")
    before = fingerprint(file)
    with pytest.raises(TamperedError, match="no pocketpref vault"):
        Vault.open(file, key)
    assert fingerprint(file) == before


def test_a_vault_of_a_later_version_is_refused_and_unchanged(path, key, vault):
    vault.close()
    raw(path, f"PRAGMA user_version = {schema.FORMAT + 1}")
    before = fingerprint(path)
    for attempt in (lambda: Vault.open(path, key), lambda: Vault.custody(path)):
        with pytest.raises(NewerFormatError) as caught:
            attempt()
        assert caught.value.hint
    assert fingerprint(path) == before


def test_a_later_version_still_in_the_log_is_refused(path, key, vault):
    """The file's own first page is then old."""
    raw(path, f"PRAGMA user_version = {schema.FORMAT + 1}")
    with pytest.raises(NewerFormatError):
        Vault.open(path, key)


@pytest.mark.parametrize("kept", [0.999, 0.9, 0.5, 0.1])
def test_a_truncated_vault_is_refused_and_unchanged(path, key, vault, store, kept):
    store.add_many(feedback(f"question {n}") for n in range(200))
    vault.close()
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    before = fingerprint(path)
    for attempt in (lambda: Vault.open(path, key), lambda: Vault.custody(path)):
        with pytest.raises(TamperedError):
            attempt()
    assert fingerprint(path) == before


def test_a_vault_whose_inside_was_overwritten_is_refused_by_name(path, key, vault, store):
    store.add_many(feedback(f"question {n}") for n in range(200))
    vault.close()
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(TamperedError), Vault.open(path, key) as again:
        list(again.store("ada").memories())


@pytest.mark.parametrize(
    "planted",
    [
        "CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END",
        "CREATE VIEW extra AS SELECT * FROM records",
        "CREATE TABLE extra (a)",
        "DROP INDEX records_by_user",
        "ALTER TABLE users ADD COLUMN extra",
    ],
)
def test_tables_that_are_not_ours_are_refused(path, key, vault, planted):
    vault.close()
    raw(path, planted)
    with pytest.raises(TamperedError, match="tables"):
        Vault.open(path, key)


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM header",
        "UPDATE header SET vault = x'00'",
        "UPDATE header SET vault = 'text'",
        "UPDATE header SET master = 5",
        "UPDATE header SET master = x''",
        "UPDATE header SET custody = x'ff'",
    ],
)
def test_a_header_that_was_changed_is_refused(path, key, vault, change):
    vault.close()
    raw(path, change)
    with pytest.raises((TamperedError, WrongKeyError)):
        Vault.open(path, key)


def test_a_wrapped_key_of_another_vault_does_not_open_this_one(path, key, vault, tmp_path):
    """Not even under the same key file."""
    vault.close()
    Vault.create(tmp_path / "other.db", key).close()
    (other,) = raw(tmp_path / "other.db", "SELECT master FROM header")[0]
    raw(path, "UPDATE header SET master = ?", other)
    with pytest.raises(WrongKeyError):
        Vault.open(path, key)


# -------------------------------------------------------------------------------- migrations


def test_every_migration_has_its_number_and_one_fact():
    for number, migration in enumerate(schema.MIGRATIONS, start=1):
        assert migration.__name__.startswith(f"m{number:03}_")
        assert migration.__doc__


def test_a_vault_of_an_older_format_is_brought_up_to_date(path, key, vault, store, monkeypatch):
    store.add(feedback())
    vault.close()

    def m005_notes(db):
        """A fact of some later version."""
        db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, m005_notes))
    for module in ("storage.schema", "vault"):
        monkeypatch.setattr(f"pocketpref.vault.{module}.FORMAT", 5)
    with Vault.open(path, key) as newer:
        assert newer.info().format == 5
        assert newer.store("ada").counts() == Counts(1, 0)
    monkeypatch.undo()
    with pytest.raises(NewerFormatError):
        Vault.open(path, key)


def test_a_migration_that_fails_leaves_the_old_format(path, key, vault, monkeypatch):
    vault.close()

    def m005_broken(db):
        """A fact that does not come to be."""
        db.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY)")
        db.execute("no SQL at all")

    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, m005_broken))
    for module in ("storage.schema", "vault"):
        monkeypatch.setattr(f"pocketpref.vault.{module}.FORMAT", 5)
    with pytest.raises(StorageError):
        Vault.open(path, key)
    monkeypatch.undo()
    with Vault.open(path, key) as same:
        assert same.info().format == 4


def test_plug_ins_of_sqlite_utils_never_see_the_connection(path, key):
    from sqlite_utils import hookimpl
    from sqlite_utils.plugins import pm

    class Spy:
        seen = 0

        @hookimpl
        def prepare_connection(self, conn):
            Spy.seen += 1

    pm.register(Spy(), name="spy")
    try:
        with Vault.create(path, key) as vault:
            vault.store("ada").add(feedback())
        Vault.open(path, key).close()
    finally:
        pm.unregister(name="spy")
    assert Spy.seen == 0


def test_a_passphrase_of_an_older_cost_is_wrapped_anew_when_the_vault_is_opened(tmp_path):
    path, asked = tmp_path / "vault.db", []

    def words() -> str:
        asked.append(1)
        return "correct horse"

    Vault.create(path, Passphrase(words, Argon2Cost(memory_kib=64, passes=1, lanes=1))).close()
    (before,) = raw(path, "SELECT master FROM header")[0]
    better = Passphrase(words, Argon2Cost(memory_kib=128, passes=1, lanes=1))
    with Vault.open(path, better) as vault:
        vault.store("ada").add(feedback())
    assert len(asked) == 2, "asked once for each opening"
    (after,) = raw(path, "SELECT master FROM header")[0]
    assert before != after
    with Vault.open(path, better) as vault:
        assert vault.users() == ["ada"]
    assert raw(path, "SELECT master FROM header") == [(after,)]


def test_a_closed_vault_has_no_key_in_memory(path, key):
    vault = Vault.create(path, key)
    master = vault._master
    vault.close()
    with pytest.raises(VaultError, match="wiped"):
        master.view()
    vault.close()
