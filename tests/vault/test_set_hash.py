"""What is missing, added, replayed or put back is noticed, though every record in it is sound."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketpref.errors import KeyChangedError, RolledBackError, TamperedError
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from pocketpref.vault.integrity.set_hash import Multiset, UserState, VaultState
from tests.vault.making import feedback, learned, raw

MARKS = st.lists(st.binary(max_size=20), max_size=8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where generations are noted."""
    return tmp_path / "state"


@pytest.fixture
def ids(store) -> list[str]:
    ids = store.add_many(feedback(f"question {n}") for n in range(4))
    for memory_id in ids[:3]:
        store.put_learned(learned(memory_id))
    return ids


def refused(path: Path, key: KeyFile, user: str = "ada") -> bool:
    """Whether a vault opened anew refuses to show a user's records."""
    try:
        with Vault.open(path, key) as again:
            list(again.store(user).memories())
    except TamperedError:
        return True
    return False


# ----------------------------------------------------------------------------------- the hash


@given(MARKS, MARKS)
def test_a_set_brought_up_to_date_equals_one_made_anew(before, added):
    found = Multiset(b"k" * 32).of(before)
    for mark in added:
        found = found.plus(mark)
    assert found == found.of([*added, *before])
    for mark in reversed(before):
        found = found.minus(mark)
    assert found == found.of(added)


@given(MARKS, MARKS)
def test_different_sets_have_different_hashes(one, other):
    same = sorted(one) == sorted(other)
    assert (Multiset(b"k" * 32).of(one) == Multiset(b"k" * 32).of(other)) == same


def test_states_are_read_as_they_were_written():
    records = Multiset(os.urandom(32)).of([b"a", b"b"])
    assert UserState.load(UserState(records, 7).dump()) == UserState(records, 7)
    state = VaultState(records, 3).accepting(9)
    assert VaultState.load(state.dump()) == state
    assert (state.generation, state.accepted[0].found, state.accepted[0].expected) == (9, 3, 9)


# ------------------------------------------------------------------------------ inside the file


@pytest.mark.parametrize("kind", ["memory", "learned"])
def test_a_deleted_record_is_missed(path, vault, key, ids, kind):
    raw(path, "DELETE FROM records WHERE id = ? AND kind = ?", ids[1], kind)
    vault.close()
    assert refused(path, key)


def test_a_deleted_record_is_missed_by_whoever_has_it_open(path, store, ids):
    list(store.memories())
    raw(path, "DELETE FROM records WHERE id = ?", ids[1])
    with pytest.raises(TamperedError, match="missing"):
        store.get(ids[0])


def test_an_older_sealing_of_the_same_record_is_noticed(path, vault, key, store, ids):
    (old,) = raw(path, "SELECT sealed FROM records WHERE id = ? AND kind = 'learned'", ids[0])[0]
    store.put_learned(learned(ids[0], names=("Formal",)))
    raw(path, "UPDATE records SET sealed = ? WHERE id = ? AND kind = 'learned'", old, ids[0])
    vault.close()
    assert refused(path, key)


def test_a_forgotten_record_that_is_put_back_is_noticed(path, vault, key, store, ids):
    row = raw(path, "SELECT * FROM records WHERE id = ? AND kind = 'memory'", ids[3])[0]
    store.forget([ids[3]])
    raw(path, "INSERT INTO records VALUES (?, ?, ?, ?, ?)", *row)
    vault.close()
    assert refused(path, key)


def test_one_users_records_and_state_cannot_be_put_back(path, vault, key, store, ids):
    rows = raw(path, "SELECT * FROM records")
    (state,) = raw(path, "SELECT state FROM users")[0]
    store.forget(ids[2:])
    raw(path, "DELETE FROM records")
    for row in rows:
        raw(path, "INSERT INTO records VALUES (?, ?, ?, ?, ?)", *row)
    raw(path, "UPDATE users SET state = ?", state)
    vault.close()
    with pytest.raises(TamperedError, match="users are missing"):
        Vault.open(path, key)


def test_a_deleted_user_is_missed(path, vault, key, store, ids):
    vault.store("bob").add(feedback())
    raw(path, "DELETE FROM records WHERE user = 2")
    raw(path, "DELETE FROM users WHERE id = 2")
    vault.close()
    with pytest.raises(TamperedError, match="users are missing"):
        Vault.open(path, key)


def test_a_user_who_was_forgotten_cannot_be_put_back(path, vault, key, store, ids):
    users, records = raw(path, "SELECT * FROM users"), raw(path, "SELECT * FROM records")
    store.forget_everything()
    for row in users:
        raw(path, "INSERT INTO users VALUES (?, ?, ?, ?, ?, ?)", *row)
    for row in records:
        raw(path, "INSERT INTO records VALUES (?, ?, ?, ?, ?)", *row)
    vault.close()
    with pytest.raises(TamperedError):
        Vault.open(path, key)


def test_the_state_of_the_vault_cannot_be_put_back(path, vault, key, store, ids):
    (state,) = raw(path, "SELECT state FROM header")[0]
    store.add(feedback("one more"))
    raw(path, "UPDATE header SET state = ?", state)
    vault.close()
    with pytest.raises(TamperedError):
        Vault.open(path, key)


def test_what_is_missing_stays_missed_whatever_is_written_after(path, vault, key, store, ids):
    raw(path, "DELETE FROM records WHERE id = ?", ids[0])
    store.add(feedback("one more"))
    store.forget([ids[1]])
    vault.close()
    assert refused(path, key)


def test_writing_by_turns_is_no_tampering(path, vault, key, store, ids):
    with Vault.open(path, key) as other:
        for number in range(3):
            store.add(feedback(f"here {number}"))
            other.store("ada").add(feedback(f"there {number}"))
            other.store("bob").add(feedback(f"elsewhere {number}"))
            assert store.counts() == other.store("ada").counts()
        store.forget(ids[:1])
        assert len(list(other.store("ada").memories())) == 9
    assert vault.info().generation == other_generation(path, key)


def other_generation(path: Path, key: KeyFile) -> int:
    with Vault.open(path, key) as again:
        return again.info().generation


def test_every_change_raises_the_generation(vault, store):
    before = vault.info().generation
    store.add(feedback())
    assert vault.info().generation == before + 1
    list(store.memories())
    assert vault.info().generation == before + 1


# --------------------------------------------------------------------------- the file as a whole


@pytest.fixture
def noted(path, key, folder):
    """A vault that was changed after a copy of it was made; returns the copy."""
    with Vault.create(path, key, anchor=folder) as vault:
        vault.store("ada").add(feedback("first"))
    copy = path.with_name("copy")
    shutil.copy(path, copy)
    with Vault.open(path, key, anchor=folder) as vault:
        vault.store("ada").add(feedback("second"))
        assert vault.info().anchored
    return copy


def test_an_older_file_is_refused_and_left_as_it_is(path, key, folder, noted):
    shutil.copy(noted, path)
    before = path.read_bytes()
    with pytest.raises(RolledBackError, match="older copy") as caught:
        Vault.open(path, key, anchor=folder)
    assert "--accept-older" in str(caught.value.hint)
    assert path.read_bytes() == before


def test_accepting_an_older_file_is_logged_in_it(path, key, folder, noted):
    shutil.copy(noted, path)
    with Vault.open(path, key, anchor=folder, accept_older=True) as vault:
        (act,) = vault.info().accepted
        assert act.found < act.expected < vault.info().generation
    with Vault.open(path, key, anchor=folder) as vault:
        assert len(list(vault.store("ada").memories())) == 1
        assert vault.info().accepted == (act,)


def test_a_note_that_was_changed_is_noticed(path, key, folder, noted):
    (note,) = folder.iterdir()
    for text in (b"", b"1 " + b"0" * 64, b"\xff\xfe", note.read_bytes().replace(b"2", b"1", 1)):
        note.write_bytes(text)
        with pytest.raises(RolledBackError, match="note"):
            Vault.open(path, key, anchor=folder)
    with Vault.open(path, key, anchor=folder, accept_older=True) as vault:
        assert len(vault.info().accepted) == 1
    Vault.open(path, key, anchor=folder).close()


def test_a_lost_note_is_made_again(path, key, folder, noted):
    shutil.rmtree(folder)
    with Vault.open(path, key, anchor=folder) as vault:
        assert vault.info().anchored
    shutil.copy(noted, path)
    with pytest.raises(RolledBackError):
        Vault.open(path, key, anchor=folder)


def test_a_note_that_cannot_be_written_loses_no_pair(path, key, folder, noted):
    shutil.rmtree(folder)
    folder.write_text("in the way")
    with Vault.open(path, key, anchor=folder) as vault:
        vault.store("ada").add(feedback("third"))
        assert vault.info().anchored is False
        assert len(list(vault.store("ada").memories())) == 3


def test_a_vault_replaced_while_it_is_open_is_noticed(path, key, folder, noted):
    with Vault.open(path, key, anchor=folder) as vault:
        store = vault.store("ada")
        list(store.memories())
        raw_header = raw(noted, "SELECT state FROM header")[0]
        raw(path, "UPDATE header SET state = ?", *raw_header)
        with pytest.raises(TamperedError):
            list(store.memories())


# ------------------------------------------------------------------------------------- keys


def test_the_master_key_is_exchanged_and_everything_is_there(path, vault, key, store, ids):
    vault.store("bob").add(feedback("theirs"))
    (before,) = raw(path, "SELECT group_concat(hex(lookup) || hex(key) || hex(name)) FROM users")
    vault.rotate_master(key)
    (after,) = raw(path, "SELECT group_concat(hex(lookup) || hex(key) || hex(name)) FROM users")
    assert before != after
    assert len(list(store.memories())) == 4
    store.add(feedback("after"))
    vault.close()
    with Vault.open(path, key) as again:
        assert again.users() == ["ada", "bob"]
        assert again.store("ada").counts().memories == 5
        assert again.store("ada").counts().learned == 3


def test_a_program_that_has_the_vault_open_is_told_of_a_new_key(path, vault, key, store, ids):
    with Vault.open(path, key) as other:
        vault.rotate_master(key)
        for attempt in (
            lambda: other.store("ada").add(feedback()),
            lambda: list(other.store("ada").memories()),
            other.users,
        ):
            with pytest.raises(KeyChangedError):
                attempt()
    assert store.counts().memories == 4


def test_a_new_keeper_disturbs_no_program_that_has_the_vault_open(path, vault, key, store, ids):
    with Vault.open(path, key) as other:
        vault.change_custody(KeyFile.make(path.parent / "other.key"))
        other.store("ada").add(feedback())
        assert store.counts().memories == 5


def test_a_data_key_is_exchanged_and_old_sealings_are_gone(path, vault, key, store, ids):
    before = {sealed for (sealed,) in raw(path, "SELECT sealed FROM records")}
    told: list[tuple[int, int]] = []
    assert vault.rotate_data_key("ada", lambda done, of: told.append((done, of))) == 7
    after = {sealed for (sealed,) in raw(path, "SELECT sealed FROM records")}
    assert not before & after
    assert told == [(7, 7)]
    assert raw(path, "SELECT next FROM users") == [(None,)]
    vault.close()
    with Vault.open(path, key) as again:
        assert len(list(again.store("ada").memories())) == 4
        assert len(again.store("ada").learned("recipe-1")) == 3


@pytest.fixture
def small_batches(monkeypatch):
    monkeypatch.setattr("pocketpref.vault.crypto.rotation._BATCH", 2)


@pytest.mark.usefixtures("small_batches")
def test_an_interrupted_exchange_is_read_written_and_taken_up(path, vault, key, store, ids):
    """At every step: what is there is read, and what comes in meanwhile is kept."""

    class EndedError(Exception):
        pass

    def end(done: int, of: int) -> None:
        raise EndedError

    for number in range(6):
        with pytest.raises(EndedError):
            vault.rotate_data_key("ada", end)
        with Vault.open(path, key) as other:
            there = other.store("ada")
            there.put_learned(learned(ids[number % 3], names=("Formal",)))
            there.add(feedback(f"meanwhile {number}"))
            assert len(list(there.memories())) == 5 + number
            assert len(there.learned("recipe-1")) == 3
    assert raw(path, "SELECT next FROM users") != [(None,)]
    vault.rotate_master(key)  # the key that is to come is wrapped anew, too
    vault.rotate_data_key("ada")
    assert raw(path, "SELECT next FROM users") == [(None,)]
    assert len(list(store.memories())) == 10
    vault.close()
    assert not refused(path, key)


def test_nobodys_key_is_not_exchanged(vault):
    assert vault.rotate_data_key("nobody") == 0
    assert vault.users() == []
