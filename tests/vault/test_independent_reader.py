"""A reader made from docs/vault-format.md alone reads what the library wrote."""

from __future__ import annotations

import ast
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from pocketpref.errors import TamperedError
from pocketpref.vault import UserStore, Vault, archive
from pocketpref.vault.crypto.key_stores import KeyFile, Passphrase
from tests.vault import independent_reader as reader
from tests.vault.making import QUICK, feedback, learned, raw

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def filled(path: Path, key: KeyFile, tmp_path: Path) -> Path:
    """Two people; some learned, some forgotten, one person forgotten altogether."""
    with Vault.create(path, key, anchor=tmp_path / "state") as vault:
        ada, bob = vault.store("Ada Lovelace"), vault.store("bob")
        ids = ada.add_many(feedback(f"question {n}", meta={"n": [n, "ü"]}) for n in range(5))
        for memory_id in ids[:3]:
            ada.put_learned(learned(memory_id))
        ada.put_learned(learned(ids[0], names=("Formal", "Humble")))
        ada.forget(ids[1:2])
        bob.add(feedback("x" * 5000))
        vault.store("eve").add(feedback())
        vault.store("eve").forget_everything()
    return path


def assert_same(path: Path, key: KeyFile) -> reader.ReadVault:
    """Both readers find the same, in the same order."""
    with Vault.open(path, key) as vault:
        generation = vault.info().generation
        mine = {name: vault.store(name) for name in vault.users()}
        found = reader.read(path, reader.key_file_secret(key.path))
        assert found.generation == generation
        assert sorted(found.users) == sorted(mine)
        for name, store in mine.items():
            _assert_same_user(found.users[name], store)
    return found


def _assert_same_user(found: reader.ReadUser, store: UserStore) -> None:
    memories = list(store.memories())[::-1]
    assert list(found.memories) == [memory.id for memory in memories]
    for memory in memories:
        content = found.memories[memory.id]
        pair = (content["prompt"], content["chosen"], content["rejected"])
        assert pair == (memory.pair.prompt, memory.pair.chosen, memory.pair.rejected)
        assert content["created"] == memory.created.isoformat()
        assert (content["origin"], content["meta"]) == (memory.origin, memory.meta)
    entries = {entry.memory_id: entry for entry in store.learned("recipe-1")}
    assert found.learned.keys() == entries.keys()
    for name, (content, vector) in found.learned.items():
        assert np.array_equal(vector, entries[name].vector)
        assert bytes.fromhex(content["digest"]) == entries[name].prompt_digest
        assert tuple(content["attributes"]) == entries[name].selection.attributes
        assert tuple(content["gains"]) == entries[name].selection.gains
        assert content["singles"] == entries[name].selection.singles
        assert content["screened"] == entries[name].selection.screened
        assert content["evaluations"] == entries[name].selection.evaluations
        assert content["effort"] == entries[name].selection.effort
        assert content["recipe"] == "recipe-1"


def test_it_reads_a_vault(filled, key, tmp_path):
    found = assert_same(filled, key)
    assert sorted(found.users) == ["Ada Lovelace", "bob"]
    assert (found.custody, found.accepted) == ("key-file", [])
    assert reader.read_note(tmp_path / "state", found) == found.generation > 8


def test_it_reads_a_vault_in_use_with_its_log(filled, key):
    with Vault.open(filled, key) as vault:
        vault.store("bob").add(feedback("in the log"))
        assert filled.with_name(filled.name + "-wal").stat().st_size > 0
        assert_same(filled, key)


def test_it_reads_a_vault_of_a_passphrase(path):
    with Vault.create(path, Passphrase(lambda: "correct horse", QUICK)) as vault:
        vault.store("ada").add(feedback())
    found = reader.read(path, "correct horse")
    assert len(found.users["ada"].memories) == 1
    assert found.custody == "passphrase"


def test_it_reads_what_is_left_when_forgetting_was_interrupted(filled, key, monkeypatch):
    """Where the key is gone, the row remains and is a member of the set."""

    def interrupted(*_):
        raise KeyboardInterrupt

    with Vault.open(filled, key) as vault:
        monkeypatch.setattr("pocketpref.vault.storage.database.VaultFile.scrub", interrupted)
        with pytest.raises(KeyboardInterrupt):
            vault.store("bob").forget_everything()
        assert list(reader.read(filled, reader.key_file_secret(key.path)).users) == ["Ada Lovelace"]


def test_it_reads_after_keys_were_exchanged(filled, key):
    before = assert_same(filled, key)
    with Vault.open(filled, key) as vault:
        vault.rotate_master(key)
        vault.rotate_data_key("Ada Lovelace")
    after = assert_same(filled, key)
    assert after.generation > before.generation
    assert after.set_key == before.set_key


def test_it_reads_in_the_middle_of_a_rotation(path, key):
    """Where the first records are under the new key and the others under the old one."""

    def stop(done: int, of: int) -> None:
        raise KeyboardInterrupt

    with Vault.create(path, key) as vault:
        store = vault.store("ada")
        store.add_many(feedback(f"question {n}") for n in range(300))
        with pytest.raises(KeyboardInterrupt):
            vault.rotate_data_key("ada", stop)
        store.add(feedback("written meanwhile"))
    found = assert_same(path, key)
    assert 0 < found.users["ada"].rotated_to < 300
    assert raw(path, "SELECT next IS NULL FROM users") == [(0,)]


def test_it_reads_a_log_of_accepting_an_older_copy(filled, key, tmp_path):
    older = filled.read_bytes()
    with Vault.open(filled, key, anchor=tmp_path / "state") as vault:
        vault.store("bob").add(feedback())
        expected = vault.info().generation
    filled.write_bytes(older)
    Vault.open(filled, key, anchor=tmp_path / "state", accept_older=True).close()
    found = assert_same(filled, key)
    (act,) = found.accepted
    assert (act["from"], act["to"]) == (expected, expected - 1)
    assert reader.read_note(tmp_path / "state", found) == found.generation > expected


def test_it_notices_what_the_library_notices(filled, key):
    """So the set hash of the page is the one that is used."""
    (newest,) = raw(filled, "SELECT MAX(seq) FROM records WHERE user = 1")[0]
    raw(filled, "DELETE FROM records WHERE seq = ?", newest)
    with pytest.raises(reader.Refused):
        reader.read(filled, reader.key_file_secret(key.path))
    with Vault.open(filled, key) as vault, pytest.raises(TamperedError):
        list(vault.store("Ada Lovelace").memories())


def test_it_reads_an_archive(filled, key, tmp_path):
    target = tmp_path / "archive"
    with Vault.open(filled, key) as vault:
        store = vault.store("Ada Lovelace")
        archive.export_user(store, target, Passphrase(lambda: "correct horse", QUICK))
        wanted = [(entry.id, entry.learned is not None) for entry in store.entries()]
        texts = {memory.id: memory.pair.chosen for memory in store.memories()}
    user, found = reader.read_archive(target, "correct horse")
    assert user == "Ada Lovelace"
    assert [(name, known) for name, _, known in found] == wanted
    assert all(content["chosen"] == texts[name] for name, content, _ in found)


def test_the_tables_of_the_page_are_those_of_a_vault(filled):
    page = (ROOT / "docs" / "vault-format.md").read_text("utf-8")
    statements = page.split("```sql\n")[1].split("```")[0]
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(statements)
        query = "SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY type, name"
        described = [(*row[:3], " ".join((row[3] or "").split())) for row in db.execute(query)]
    there = [(*row[:3], " ".join((row[3] or "").split())) for row in raw(filled, query)]
    assert described == there


def test_it_imports_nothing_of_the_library():
    tree = ast.parse(Path(reader.__file__).read_text("utf-8"))
    names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    names |= {a.name for node in ast.walk(tree) if isinstance(node, ast.Import) for a in node.names}
    others = {name.split(".")[0] for name in names} - set(sys.stdlib_module_names)
    assert others == {"numpy", "cryptography"}
