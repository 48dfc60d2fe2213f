"""One user's store does what the ``MemoryStore`` protocol says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pocketpref.errors import InputError, NotFoundError
from pocketpref.protocols import MemoryStore
from pocketpref.records import Counts, Effort, Feedback, Forgotten, Pair
from pocketpref.vault import Vault
from tests.vault.making import feedback, learned, raw, same_learned


def test_it_is_a_memory_store(store):
    assert isinstance(store, MemoryStore)
    assert store.user == "ada"


def test_what_was_added_can_be_got(store):
    moment = datetime(2020, 2, 29, 12, tzinfo=UTC)
    given = feedback(created=moment, origin="chat", meta={"rating": 4.5, "tags": ["é", None]})
    memory = store.get(store.add(given))
    assert (memory.pair, memory.created, memory.origin) == (given.pair, moment, "chat")
    assert memory.meta == given.meta


def test_a_pair_without_a_time_was_made_now(store):
    before = datetime.now(UTC)
    memory = store.get(store.add(feedback()))
    assert before <= memory.created <= before + timedelta(minutes=1)


def test_what_was_added_is_there_after_reopening(path, key, vault, store):
    ids = [store.add(feedback(f"question {n}")) for n in range(5)]
    store.put_learned(learned(ids[0]))
    vault.close()
    with Vault.open(path, key) as again:
        found = again.store("ada")
        assert [memory.id for memory in found.memories()] == ids[::-1]
        assert same_learned(found.learned("recipe-1")[0], learned(ids[0]))


def test_the_same_pair_twice_is_two_memories(store):
    assert store.add(feedback()) != store.add(feedback())
    assert store.counts() == Counts(2, 0)


def test_the_largest_pair_is_kept_whole(store):
    pair = Pair("\U0001f600" * 1_000_000, "\u20ac" * 1_000_000, "b" * 1_000_000)
    assert store.get(store.add(Feedback(pair))).pair == pair


def test_an_unknown_id_is_not_found_and_not_repeated(store):
    store.add(feedback())
    with pytest.raises(NotFoundError, match="abcdefghjkmn"):
        store.get("abcdefghjkmn")
    with pytest.raises(NotFoundError) as caught:
        store.get("planted text that a user typed")
    assert "planted" not in str(caught.value)


def test_memories_come_newest_first_over_many_pages(store):
    ids = store.add_many(feedback(f"question {n}") for n in range(200))
    assert [memory.id for memory in store.memories()] == ids[::-1]
    prompts = [memory.pair.prompt for memory in store.memories()]
    assert prompts == [f"question {n}" for n in reversed(range(200))]


def test_order_is_that_of_adding_not_of_the_times(store):
    old = store.add(feedback(created=datetime(2030, 1, 1, tzinfo=UTC)))
    new = store.add(feedback(created=datetime(1999, 1, 1, tzinfo=UTC)))
    assert [memory.id for memory in store.memories()] == [new, old]


def test_a_listing_goes_on_while_memories_come_and_go(store):
    ids = store.add_many(feedback(f"question {n}") for n in range(200))
    listing = store.memories()
    seen = [next(listing).id for _ in range(10)]
    store.add(feedback("a new one"))
    store.forget(ids[:50])
    seen += [memory.id for memory in listing]
    assert seen == ids[50:][::-1]


def test_many_are_added_all_or_none(store):
    def pairs():
        yield feedback("one")
        yield feedback("two", meta={"bad": object()})

    with pytest.raises(InputError):
        store.add_many(pairs())
    assert store.counts() == Counts(0, 0)


def test_adding_nothing_writes_nothing(vault, store):
    before = store.version()
    assert store.add_many([]) == []
    assert store.version() == before
    assert vault.users() == []


def test_reading_makes_no_user(vault, store):
    assert (list(store.memories()), store.pending("r"), store.learned("r")) == ([], [], [])
    assert store.counts() == Counts(0, 0)
    assert store.put_learned(learned("abcdefghjkmn")) is False
    assert vault.users() == []


def test_users_do_not_see_one_another(vault, store):
    mine = store.add(feedback("mine"))
    bob = vault.store("bob")
    theirs = bob.add(feedback("theirs"))
    bob.put_learned(learned(theirs))
    assert [memory.id for memory in store.memories()] == [mine]
    assert store.learned("recipe-1") == []
    for refused in (lambda: store.get(theirs), lambda: store.forget([theirs])):
        with pytest.raises(NotFoundError):
            refused()
    assert store.put_learned(learned(theirs)) is False
    assert bob.counts() == Counts(1, 1)
    assert vault.users() == ["ada", "bob"]


def test_one_name_in_two_spellings_is_one_user(vault):
    memory_id = vault.store("  Zoe\u0308 ").add(feedback())
    assert vault.store("Zo\u00eb").get(memory_id).id == memory_id
    assert vault.users() == ["Zo\u00eb"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 201, "\ud800"])
def test_a_name_that_is_none_is_refused(vault, name):
    with pytest.raises(InputError):
        vault.store(name)


# -------------------------------------------------------------------------------- learning


def test_pending_are_those_without_an_entry_of_the_recipe(store):
    ids = store.add_many(feedback(f"question {n}") for n in range(4))
    store.put_learned(learned(ids[1], "recipe-1"))
    store.put_learned(learned(ids[2], "recipe-2"))
    assert store.pending("recipe-1") == [ids[3], ids[2], ids[0]]
    assert store.pending("recipe-2") == [ids[3], ids[1], ids[0]]
    assert store.counts() == Counts(4, 2)


def test_pending_are_then_those_that_a_better_search_would_refine(store):
    ids = store.add_many(feedback(f"question {n}") for n in range(4))
    for memory_id, effort in zip(ids[:3], Effort, strict=True):
        store.put_learned(with_effort(learned(memory_id), effort))
    assert store.pending("recipe-1") == [ids[3], ids[0]]
    assert store.pending("recipe-1", Effort.EXHAUSTIVE) == [ids[3], ids[1], ids[0]]
    assert store.pending("recipe-1", Effort.PARTIAL) == [ids[3]]


def with_effort(entry, effort):
    return replace(entry, selection=replace(entry.selection, effort=effort))


def test_learned_entries_come_newest_memory_first(store):
    ids = store.add_many(feedback(f"question {n}") for n in range(4))
    for memory_id in (ids[2], ids[0], ids[3]):
        assert store.put_learned(learned(memory_id)) is True
    found = store.learned("recipe-1")
    assert [entry.memory_id for entry in found] == [ids[3], ids[2], ids[0]]
    assert all(same_learned(entry, learned(entry.memory_id)) for entry in found)
    assert store.learned("recipe-2") == []


def test_a_new_entry_replaces_the_old(store):
    memory_id = store.add(feedback())
    store.put_learned(learned(memory_id, "recipe-1"))
    assert store.learned("recipe-1")  # now in the cache
    store.put_learned(learned(memory_id, "recipe-1", names=("Formal", "Humble")))
    (entry,) = store.learned("recipe-1")
    assert entry.selection.attributes == ("Formal", "Humble")
    store.put_learned(learned(memory_id, "recipe-2"))
    assert store.learned("recipe-1") == []
    assert len(store.learned("recipe-2")) == 1
    assert store.counts() == Counts(1, 1)


def test_a_forgotten_memory_keeps_no_entry(store):
    memory_id = store.add(feedback())
    store.forget([memory_id])
    assert store.put_learned(learned(memory_id)) is False
    assert store.counts() == Counts(0, 0)


# -------------------------------------------------------------------------------- forgetting


def test_forgetting_removes_the_pair_and_what_was_learned_from_it(path, store):
    ids = store.add_many(feedback(f"question {n}") for n in range(3))
    for memory_id in ids:
        store.put_learned(learned(memory_id))
    assert len(store.learned("recipe-1")) == 3
    assert store.forget([ids[1], ids[1]]) == Forgotten((ids[1],), 1)
    assert [memory.id for memory in store.memories()] == [ids[2], ids[0]]
    assert [entry.memory_id for entry in store.learned("recipe-1")] == [ids[2], ids[0]]
    assert raw(path, "SELECT COUNT(*) FROM records WHERE id = ?", ids[1]) == [(0,)]


def test_a_dry_run_says_the_same_and_removes_nothing(store):
    memory_id = store.add(feedback())
    store.put_learned(learned(memory_id))
    before = store.version()
    assert store.forget([memory_id], dry_run=True) == Forgotten((memory_id,), 1, dry_run=True)
    assert store.counts() == Counts(1, 1)
    assert store.version() == before


def test_forgetting_an_unknown_id_removes_nothing(store):
    memory_id = store.add(feedback())
    for dry_run in (True, False):
        with pytest.raises(NotFoundError):
            store.forget([memory_id, "abcdefghjkmn"], dry_run=dry_run)
    assert store.counts() == Counts(1, 0)


def test_an_id_is_never_given_again(path, store):
    """Row numbers too, for they are what binds a record to its place."""
    first = store.add(feedback())
    (number,) = raw(path, "SELECT seq FROM records")[0]
    store.forget([first])
    store.add(feedback())
    assert raw(path, "SELECT seq FROM records")[0][0] > number


def test_forgetting_everything_forgets_one_user(path, vault, store):
    for name in ("ada", "bob"):
        memory_id = vault.store(name).add(feedback())
        vault.store(name).put_learned(learned(memory_id))
    store.forget_everything()
    assert vault.users() == ["bob"]
    assert store.counts() == Counts(0, 0)
    assert vault.store("bob").counts() == Counts(1, 1)
    assert raw(path, "SELECT COUNT(*) FROM records") == [(2,)]
    store.forget_everything()  # again, with nothing left
    assert store.get(store.add(feedback("a new start"))).pair.prompt == "a new start"


def test_an_interrupted_wipe_is_final_and_ended_on_opening(path, key, vault, store, monkeypatch):
    store.add(feedback())
    vault.store("bob").add(feedback())

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("pocketpref.vault.storage.users.Directory.remove_wiped", interrupt)
    with pytest.raises(KeyboardInterrupt):
        store.forget_everything()
    monkeypatch.undo()
    assert store.counts() == Counts(0, 0)
    assert raw(path, "SELECT COUNT(*) FROM records") == [(2,)]
    assert raw(path, "SELECT COUNT(*) FROM users WHERE key IS NULL") == [(1,)]
    vault.close()
    with Vault.open(path, key) as again:
        assert again.users() == ["bob"]
        assert raw(path, "SELECT COUNT(*) FROM records") == [(1,)]


# -------------------------------------------------------------------------------- versions


def test_the_version_changes_with_every_write_and_with_nothing_else(store):
    seen = [store.version()]

    def changed() -> bool:
        seen.append(store.version())
        return seen[-1] not in seen[:-1]

    memory_id = store.add(feedback())
    assert changed()
    store.put_learned(learned(memory_id))
    assert changed()
    (list(store.memories()), store.learned("r"), store.pending("r"), store.counts())
    assert not changed()
    store.forget([memory_id])
    assert changed()


def test_the_version_changes_when_another_connection_writes(path, key, vault, store):
    seen = [store.version()]
    with Vault.open(path, key) as other:
        memory_id = other.store("ada").add(feedback())
        assert store.version() not in seen
        seen.append(store.version())
        other.store("ada").put_learned(learned(memory_id))
        assert store.version() not in seen
        assert len(store.learned("recipe-1")) == 1
        other.store("ada").put_learned(learned(memory_id, names=("Formal",)))
        assert store.learned("recipe-1")[0].selection.attributes == ("Formal",)
        other.store("ada").forget([memory_id])
        assert store.learned("recipe-1") == []
    assert vault.users() == ["ada"]


def test_a_user_wiped_by_another_process_begins_anew(path, key, vault, store):
    store.add(feedback("old"))
    with Vault.open(path, key) as other:
        other.store("ada").forget_everything()
    assert list(store.memories()) == []
    store.add(feedback("new"))
    assert [memory.pair.prompt for memory in store.memories()] == ["new"]
