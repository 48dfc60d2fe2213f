"""Records become bytes and come back as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketpref.errors import InputError, TamperedError
from pocketpref.records import Effort, Feedback, Learned, Pair, Selection
from pocketpref.vault.storage.serialization import (
    MAX_META_CHARACTERS,
    dump_learned,
    dump_memory,
    load_learned,
    load_memory,
)
from tests.vault.making import feedback, learned, same_learned

NOW = datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=UTC)
ID = "abcdefghjkmn"

texts = st.text(min_size=1, max_size=300).filter(str.strip)
finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | finite | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=12,
)
metas = st.dictionaries(st.text(max_size=20), json_values, max_size=4)
names = st.text(min_size=1, max_size=30)
margins = st.dictionaries(names, finite, max_size=8)


@st.composite
def pairs(draw):
    prompt, chosen = draw(texts), draw(texts)
    return Pair(prompt, chosen, draw(texts.filter(lambda text: text.strip() != chosen.strip())))


@st.composite
def selections(draw):
    chosen = draw(st.lists(st.tuples(names, finite), max_size=4))
    evaluations = draw(st.integers(0, 2**40))
    attributes, gains = (tuple(part) for part in zip(*chosen, strict=True)) if chosen else ((), ())
    effort = draw(st.sampled_from(Effort))
    return Selection(attributes, gains, draw(margins), draw(margins), evaluations, effort)


@given(
    pairs(),
    st.none() | st.datetimes(timezones=st.timezones()),
    st.sampled_from(["user", "import", "chat", "edit"]),
    metas,
)
def test_a_memory_comes_back_as_it_was(pair, created, origin, meta):
    payload = dump_memory(Feedback(pair, "ada", created, origin, meta), NOW)
    memory = load_memory(ID, payload)
    assert (memory.id, memory.pair, memory.origin, memory.meta) == (ID, pair, origin, meta)
    assert memory.created == (created or NOW).astimezone(UTC)
    assert memory.created.utcoffset() == timedelta(0)


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=40),
    st.binary(max_size=40),
    selections(),
    st.text(max_size=40),
)
def test_a_learned_entry_comes_back_as_it_was(vector, digest, selection, recipe):
    entry = Learned(ID, np.array(vector, dtype=np.float32), digest, selection, recipe)
    assert same_learned(load_learned(ID, dump_learned(entry)), entry)


def test_equal_records_give_equal_bytes():
    one = feedback(meta={"b": 1, "a": [1.5, None]}, created=NOW)
    elsewhere = NOW.astimezone(timezone(timedelta(hours=9)))
    other = feedback(meta={"a": [1.5, None], "b": 1}, created=elsewhere)
    assert dump_memory(one, NOW) == dump_memory(other, NOW)


def test_a_time_without_a_zone_is_utc():
    memory = load_memory(ID, dump_memory(feedback(created=NOW.replace(tzinfo=None)), NOW))
    assert memory.created == NOW


@pytest.mark.parametrize(
    "meta",
    [
        {"secret": object()},
        {"secret": float("nan")},
        {"secret": float("inf")},
        {"secret": "\ud800"},
        {"secret": b"bytes"},
        {"secret": 10**5000},
        {1: "secret", "a": 2},
    ],
)
def test_meta_that_json_cannot_express_is_refused_without_quoting_it(meta):
    with pytest.raises(InputError, match="meta") as caught:
        dump_memory(feedback(meta=meta), NOW)
    assert "secret" not in str(caught.value)
    assert caught.value.__context__ is None


def test_meta_nested_too_deep_is_refused():
    meta: dict = {}
    for _ in range(100_000):
        meta = {"a": meta}
    with pytest.raises(InputError):
        dump_memory(feedback(meta=meta), NOW)


def test_meta_that_is_too_long_is_refused():
    with pytest.raises(InputError, match="meta takes"):
        dump_memory(feedback(meta={"a": "x" * MAX_META_CHARACTERS}), NOW)


@pytest.mark.parametrize(
    "vector", [np.zeros((2, 2)), np.array([np.nan]), np.array([np.inf]), np.float32(1)]
)
def test_a_vector_that_is_no_row_of_numbers_is_refused(vector):
    with pytest.raises(InputError):
        dump_learned(replace(learned(ID), vector=vector))


def test_a_margin_that_is_not_finite_is_refused():
    selection = Selection((), (), {"Concise": float("nan")})
    with pytest.raises(InputError):
        dump_learned(replace(learned(ID), selection=selection))


@given(st.binary(max_size=60))
def test_bytes_that_are_no_record_are_refused_by_name(payload):
    with pytest.raises(TamperedError):
        load_memory(ID, payload)
    with pytest.raises(TamperedError):
        load_learned(ID, payload)


@pytest.mark.parametrize(
    "change",
    [
        {"prompt": ""},
        {"prompt": 5},
        {"created": "yesterday"},
        {"created": "2026-01-01T00:00:00"},
        {"created": 5},
        {"origin": "elsewhere"},
        {"origin": []},
        {"meta": []},
        {"chosen": "the answer left"},
    ],
)
def test_a_memory_that_does_not_fit_is_refused_by_name(change):
    content = json.loads(dump_memory(feedback(), NOW)) | change
    with pytest.raises(TamperedError):
        load_memory(ID, json.dumps(content).encode())


def test_a_loaded_vector_cannot_be_changed():
    """The cache hands the same array to everyone."""
    vector = load_learned(ID, dump_learned(learned(ID))).vector
    with pytest.raises(ValueError, match="read-only"):
        vector[0] = 5
