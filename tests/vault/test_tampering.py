"""Whoever can write the file, but has no key, can move nothing without being noticed."""

from __future__ import annotations

import pytest

from pocketpref.errors import TamperedError
from pocketpref.vault import UserStore, Vault
from tests.vault.making import feedback, learned, raw


@pytest.fixture
def ids(store: UserStore) -> list[str]:
    ids = store.add_many(feedback(f"question {n}") for n in range(3))
    for memory_id in ids:
        store.put_learned(learned(memory_id))
    return ids


def read_all(store: UserStore) -> None:
    list(store.memories())
    store.learned("recipe-1")


def test_untouched_records_are_read(store, ids):
    read_all(store)


def sealed(path, memory_id: str, kind: str = "memory") -> bytes:
    query = "SELECT sealed FROM records WHERE id = ? AND kind = ?"
    return raw(path, query, memory_id, kind)[0][0]


def put(path, memory_id: str, blob: object, kind: str = "memory") -> None:
    update = "UPDATE records SET sealed = ? WHERE id = ? AND kind = ?"
    raw(path, update, blob, memory_id, kind)


@pytest.mark.parametrize("kind", ["memory", "learned"])
def test_two_records_cannot_change_places(path, store, ids, kind):
    one, other = sealed(path, ids[0], kind), sealed(path, ids[1], kind)
    put(path, ids[0], other, kind)
    put(path, ids[1], one, kind)
    with pytest.raises(TamperedError):
        read_all(store)


def test_two_rows_cannot_change_ids(path, store, ids):
    raw(path, "UPDATE records SET id = 'x' WHERE id = ? AND kind = 'memory'", ids[0])
    raw(path, "UPDATE records SET id = ? WHERE id = ? AND kind = 'memory'", ids[0], ids[1])
    with pytest.raises(TamperedError):
        store.get(ids[0])


def test_records_cannot_be_put_in_another_order(path, store, ids):
    raw(path, "UPDATE records SET seq = seq + 100 WHERE id = ? AND kind = 'memory'", ids[0])
    with pytest.raises(TamperedError):
        read_all(store)


def test_a_record_cannot_become_another_kind(path, store, ids):
    put(path, ids[0], sealed(path, ids[0], "learned"))
    with pytest.raises(TamperedError):
        store.get(ids[0])
    put(path, ids[1], sealed(path, ids[1], "memory"), "learned")
    with pytest.raises(TamperedError):
        store.learned("recipe-1")


def test_another_users_record_cannot_be_pasted_in(path, vault, store, ids):
    theirs = vault.store("bob").add(feedback("theirs"))
    put(path, ids[0], sealed(path, theirs))
    with pytest.raises(TamperedError):
        store.get(ids[0])


def test_a_record_cannot_be_given_to_another_user(path, vault, store, ids):
    bob = vault.store("bob")
    bob.add(feedback("theirs"))
    raw(path, "UPDATE records SET user = 2 WHERE id = ?", ids[0])
    with pytest.raises(TamperedError):
        bob.get(ids[0])


def test_two_users_cannot_change_places(path, vault, store, ids):
    """Neither their keys nor their names."""
    bob = vault.store("bob")
    bob.add(feedback("theirs"))
    for column in ("key", "name"):
        (one,), (other,) = raw(path, f"SELECT {column} FROM users ORDER BY id")
        raw(path, f"UPDATE users SET {column} = ? WHERE id = 1", other)
        raw(path, f"UPDATE users SET {column} = ? WHERE id = 2", one)
        with pytest.raises(TamperedError):
            vault.users() if column == "name" else bob.counts()
        raw(path, f"UPDATE users SET {column} = ? WHERE id = 1", one)
        raw(path, f"UPDATE users SET {column} = ? WHERE id = 2", other)
    raw(path, "UPDATE users SET lookup = x'00' WHERE id = 1")
    with pytest.raises(TamperedError):
        vault.users()


def test_a_record_of_another_vault_cannot_be_pasted_in(path, key, store, ids, tmp_path):
    """Not even one with the same key file, user, id and row number."""
    with Vault.create(tmp_path / "other.db", key) as other:
        other.store("ada").add(feedback("elsewhere"))
        (foreign,) = raw(tmp_path / "other.db", "SELECT sealed FROM records")[0]
    put(path, ids[0], foreign)
    with pytest.raises(TamperedError):
        store.get(ids[0])


def test_a_foreign_row_for_a_user_who_is_not_there_is_refused(path, vault, store, ids):
    raw(path, "UPDATE records SET user = 0 WHERE id = ? AND kind = 'memory'", ids[0])
    with pytest.raises(TamperedError):
        list(vault.store("nobody").memories())


@pytest.mark.parametrize("blob", [b"", b"\x01", bytes(400), "text", 5, 1.5])
def test_what_is_no_sealed_record_is_refused(path, store, ids, blob):
    put(path, ids[0], blob)
    with pytest.raises(TamperedError):
        store.get(ids[0])


def test_one_flipped_bit_is_noticed(path, store, ids):
    blob = bytearray(sealed(path, ids[0]))
    blob[len(blob) // 2] ^= 1
    put(path, ids[0], bytes(blob))
    with pytest.raises(TamperedError, match=ids[0]):
        store.get(ids[0])
    assert store.get(ids[1]).id == ids[1]


@pytest.mark.parametrize("name", [b"\xff\xfe", "x" * 300, 7])
def test_an_id_that_is_none_is_refused(path, store, ids, name):
    raw(path, "UPDATE records SET id = ? WHERE id = ? AND kind = 'memory'", name, ids[0])
    with pytest.raises(TamperedError):
        read_all(store)


def test_an_id_that_is_no_text_is_refused(path, store, ids):
    raw(path, "UPDATE records SET id = CAST(x'ff41' AS TEXT) WHERE id = ?", ids[0])
    with pytest.raises(TamperedError):
        read_all(store)
    with pytest.raises(TamperedError):
        store.pending("recipe-1")


def test_a_changed_record_does_not_stop_forgetting(path, vault, store, ids):
    """What was forgotten is gone; that the vault was tampered with stays noticed."""
    put(path, ids[0], b"")
    store.forget(ids[:2])
    assert raw(path, "SELECT DISTINCT id FROM records") == [(ids[2],)]
    with pytest.raises(TamperedError):
        read_all(store)
    store.forget_everything()
    assert vault.users() == []
