"""Lessons: what recall reads of learned entries, and when it reads them again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pocketpref.errors import TamperedError
from pocketpref.records import Effort, Learned, Selection
from pocketpref.vault import Vault
from pocketpref.vault.storage.serialization import dump_learned, load_lesson
from tests.vault.making import feedback, learned, raw

ID = "abcdefghjkmn"

names = st.text(min_size=1, max_size=30) | st.sampled_from(
    ['],"digest":"', '","screened":{', '"', "\\", "\\\\", "]", "\n", '],"gains":[1.0]']
)


def same_lesson(found, entry):
    assert np.array_equal(found.vector, entry.vector)
    assert found.vector.dtype == np.float32
    wanted = (entry.memory_id, entry.prompt_digest, entry.attributes, entry.objective)
    assert (found.memory_id, found.prompt_digest, found.attributes, found.objective) == wanted
    assert (found.effort, found.recipe) == (entry.effort, entry.recipe)


@given(
    st.lists(st.tuples(names, st.floats(-1e6, 1e6)), max_size=4),
    st.sampled_from(Effort),
    names | st.just(""),
    st.binary(max_size=40),
)
@example([('],"digest":"00"', 1.0)], Effort(2), "", b"")
def test_a_lesson_says_what_the_whole_entry_says(chosen, effort, recipe, digest):
    attributes, gains = (tuple(part) for part in zip(*chosen, strict=True)) if chosen else ((), ())
    margins = dict.fromkeys(attributes, 0.5)
    selection = Selection(attributes, gains, margins, margins, 9, effort)
    entry = Learned(ID, np.array([0.6, 0.8], dtype=np.float32), digest, selection, recipe)
    found = load_lesson(ID, dump_learned(entry))
    same_lesson(found, entry)


def test_a_lesson_shows_nothing_of_what_was_learned():
    found = load_lesson(ID, dump_learned(learned(ID, names=("Telling secrets",))))
    assert found.attributes == ("Telling secrets",)
    assert "Telling" not in repr(found)
    assert str(found.vector[0]) not in repr(found)


@given(st.binary(max_size=80), st.integers(0, 400))
def test_bytes_that_are_no_entry_are_refused_by_name(junk, cut):
    with pytest.raises(TamperedError):
        load_lesson(ID, junk)
    whole = dump_learned(learned(ID))
    with pytest.raises(TamperedError):
        load_lesson(ID, whole[: cut % (len(whole) - len(learned(ID).vector) * 4)])


def test_lessons_come_newest_memory_first_and_of_one_recipe(store):
    ids = store.add_many(feedback(f"question {n}") for n in range(4))
    for number in (2, 0, 3):
        store.put_learned(learned(ids[number], "recipe-1" if number else "recipe-2"))
    assert [lesson.memory_id for lesson in store.lessons("recipe-1")] == [ids[3], ids[2]]
    assert [lesson.memory_id for lesson in store.lessons("recipe-2")] == [ids[0]]
    for lesson, entry in zip(store.lessons("recipe-1"), store.learned("recipe-1"), strict=True):
        same_lesson(lesson, entry)


def test_lessons_stay_the_same_object_until_one_of_them_changes(vault, path, key):
    store = vault.store("ada")
    ids = store.add_many(feedback(f"question {n}") for n in range(3))
    store.put_learned(learned(ids[0]))
    before = store.lessons("recipe-1")
    store.add(feedback("another question"))
    assert store.lessons("recipe-1") is before
    with Vault.open(path, key) as elsewhere:
        elsewhere.store("ada").put_learned(learned(ids[1]))
    assert [lesson.memory_id for lesson in store.lessons("recipe-1")] == [ids[1], ids[0]]
    better = learned(ids[1], names=("Formal", "Humble"))
    store.put_learned(replace(better, selection=replace(better.selection, effort=Effort.DEFAULT)))
    assert store.lessons("recipe-1")[0].attributes == ("Formal", "Humble")
    store.forget([ids[1]])
    assert [lesson.memory_id for lesson in store.lessons("recipe-1")] == [ids[0]]


@pytest.mark.parametrize("kind", ["memory", "learned"])
def test_lessons_of_which_a_record_is_missing_are_refused_each_time(vault, path, kind):
    store = vault.store("ada")
    ids = store.add_many(feedback(f"question {n}") for n in range(3))
    for memory_id in ids:
        store.put_learned(learned(memory_id))
    raw(path, "DELETE FROM records WHERE id = ? AND kind = ?", ids[1], kind)
    fresh = vault.store("ada")
    for _ in range(2):
        with pytest.raises(TamperedError, match="missing"):
            fresh.lessons("recipe-1")
    with pytest.raises(TamperedError, match="missing"):
        store.lessons("recipe-1")
