"""Documents: sealed beside the pairs, and gone with what they were made of."""

from __future__ import annotations

import pytest

from pocketpref.errors import InputError, NotFoundError, TamperedError
from pocketpref.vault import Vault
from pocketpref.vault.archive import export_user, restore
from pocketpref.vault.documents import KINDS
from pocketpref.vault.recovery.salvage import salvage
from tests.vault.making import feedback, learned, raw


@pytest.fixture
def ids(store) -> list[str]:
    ids = store.add_many(feedback(f"question {n}") for n in range(3))
    store.put_learned(learned(ids[0]))
    return ids


def keep(store, kind="summary", content=b"likes short answers", sources=()) -> str:
    with store.changing() as documents:
        return documents.insert(kind, content, sources)


def kept(store, kind="summary") -> list[bytes]:
    with store.documents() as documents:
        return [document.content for document in documents.all(kind)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_is_there_when_the_vault_is_opened_again(path, key, store, kind, ids):
    name = keep(store, kind, b"\x00\xff bytes", ids[:2])
    with Vault.open(path, key) as again, again.store("ada").documents() as documents:
        (found,) = documents.all(kind)
        assert (found.id, found.content, found.sources) == (name, b"\x00\xff bytes", tuple(ids[:2]))
        assert documents.get(kind, name) == found
        assert documents.get(kind, ids[0]) is None
    assert "bytes" in repr(found)
    assert "xff" not in repr(found)


def test_nothing_of_a_document_stands_in_the_file(path, store):
    keep(store, content=b"likes short answers" * 20)
    files = [path, path.with_name(path.name + "-wal")]
    assert all(b"short answers" not in file.read_bytes() for file in files)


def test_what_was_made_of_a_memory_is_forgotten_with_it(store, ids):
    keep(store, content=b"of two", sources=ids[:2])
    keep(store, content=b"of the third", sources=ids[2:])
    keep(store, "released", b"left once", ids[1:2])
    keep(store, "release", b"that something left")
    dry = store.forget([ids[1]], dry_run=True)
    assert (dry.documents, dry.learned) == (2, 0)
    assert len(kept(store)) == 2
    assert store.forget([ids[1]]).documents == 2
    assert kept(store) == [b"of the third"]
    assert kept(store, "released") == []
    assert kept(store, "release") == [b"that something left"]


def test_nothing_is_kept_that_was_made_of_a_forgotten_memory(store, ids):
    store.forget(ids[:1])
    with pytest.raises(NotFoundError):
        keep(store, sources=ids)
    assert kept(store) == []


def test_a_change_is_whole_or_undone(store, ids):
    def change() -> None:
        with store.changing() as documents:
            documents.insert("grant", b"one")
            documents.insert("summary", b"two", ["a" * 12])

    with pytest.raises(NotFoundError):
        change()
    assert kept(store, "grant") == []


def test_a_document_is_replaced_and_removed(store):
    name = keep(store)
    with store.changing() as documents:
        documents.put("summary", name, b"likes long answers")
        documents.delete("grant", name)
    assert kept(store) == [b"likes long answers"]
    with store.changing() as documents:
        documents.delete("summary", name)
        documents.delete("summary", name)
    assert kept(store) == []


def test_people_have_their_own(vault, store):
    keep(store)
    assert kept(vault.store("bob")) == []


def test_a_document_that_was_taken_away_is_missed(path, key, vault, store):
    keep(store, "grant")
    vault.close()
    raw(path, "DELETE FROM records WHERE kind = 'grant'")
    with Vault.open(path, key) as again, pytest.raises(TamperedError):
        kept(again.store("ada"), "grant")


def test_lessons_stay_the_same_object_when_a_document_is_kept(store, ids):
    before = store.lessons("recipe-1")
    keep(store)
    assert store.lessons("recipe-1") is before


def test_a_new_data_key_seals_documents_too(vault, store, ids):
    keep(store, sources=ids)
    vault.rotate_data_key("ada")
    assert kept(store) == [b"likes short answers"]


def test_an_accepted_older_copy_is_counted(path, key, tmp_path, store, vault):
    vault.close()
    notes = tmp_path / "state"
    with Vault.open(path, key, anchor=notes) as one:
        older = path.read_bytes()
        assert one.store("ada").restored == 0
        keep(one.store("ada"))
    path.write_bytes(older)
    with Vault.open(path, key, anchor=notes, accept_older=True) as two:
        assert two.store("ada").restored == 1


def test_what_is_no_kind_or_too_large_is_refused(store):
    with pytest.raises(ValueError, match="no kind"):
        keep(store, "memory")
    with pytest.raises(InputError):
        keep(store, content=bytes(200_000_000))


def test_archives_carry_summaries_statements_and_corrections_alone(
    vault, store, ids, key, tmp_path
):
    name = keep(store, sources=ids[:2])
    keep(store, "statement", b"metric units")
    keep(store, "correction", b"not that")
    for kind in set(KINDS) - set(KINDS[:3]):
        keep(store, kind)
    file = tmp_path / "archive"
    export_user(store, file, key)
    for user in ("new", "new", "ada"):
        restore(vault, file, key, user=user)
    other = vault.store("new")
    with other.documents() as documents:
        (summary,) = documents.all("summary")
        assert summary.content == b"likes short answers"
        assert summary.id != name, "it is another person's here"
        assert [len(documents.all(kind)) for kind in KINDS] == [
            *(1, 1, 1),
            *(0 for _ in KINDS[3:]),
        ]
    assert set(summary.sources) < {memory.id for memory in other.memories()}
    assert other.forget(summary.sources[:1]).documents == 1


def test_documents_are_saved_from_a_damaged_vault_but_grants_are_not(path, key, store, vault, ids):
    for kind in KINDS:
        keep(store, kind, kind.encode(), ids[:1])
    vault.close()
    content = bytearray(path.read_bytes())
    content[100:200] = bytes(100)  # the schema
    path.write_bytes(content)
    saved = salvage(path, path.with_name("saved.db"), key)
    assert [(user.memories, user.missing) for user in saved.users] == [(3, 0)]
    with Vault.open(saved.target, key) as again:
        found = {kind: kept(again.store("ada"), kind) for kind in KINDS}
        again.store("ada").forget(ids[:1])
        assert not any(kept(again.store("ada"), kind) for kind in KINDS)
    assert found == {kind: [kind.encode()] for kind in KINDS if kind != "grant"} | {"grant": []}


def test_a_document_that_was_taken_away_is_missed_before_anything_is_changed(path, store):
    keep(store, "grant")
    raw(path, "DELETE FROM records WHERE kind = 'grant'")
    with pytest.raises(TamperedError):
        keep(store, "grant")
