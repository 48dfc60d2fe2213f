"""Ids are random, easy to type, and derived ones always the same."""

from pocketpref.vault.storage.serialization import ALPHABET, derived_id, is_id, new_id


def test_ids_are_twelve_letters_and_digits_that_cannot_be_confused():
    ids = {new_id() for _ in range(2000)}
    assert len(ids) == 2000
    assert all(len(name) == 12 and is_id(name) for name in ids)
    assert set("".join(ids)) == set(ALPHABET)
    assert not set(ALPHABET) & set("ilo01")


def test_other_texts_are_no_ids():
    assert not any(map(is_id, ["", "abc", "abcdefghjkmo", "ABCDEFGHJKMN", "a question?!"]))


def test_a_derived_id_depends_on_key_and_id_alone():
    assert derived_id(b"k" * 32, "abcdefghjkmn") == derived_id(b"k" * 32, "abcdefghjkmn")
    assert is_id(derived_id(b"k" * 32, "abcdefghjkmn"))
    assert derived_id(b"k" * 32, "abcdefghjkmn") != derived_id(b"x" * 32, "abcdefghjkmn")
