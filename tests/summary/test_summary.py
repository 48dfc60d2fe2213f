"""The record of a summary: as bytes, as JSON, and what it refuses."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketpref.errors import InputError, TamperedError
from pocketpref.records import Document
from pocketpref.summary import store as summary_store
from pocketpref.summary.records import Clause, Interval, Summary

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)

texts = st.text(st.characters(codec="utf-8"), max_size=40)
numbers = st.floats(allow_nan=False, allow_infinity=False)
clauses = st.builds(
    Clause,
    texts,
    st.sampled_from(["", "work"]),
    st.lists(texts, max_size=3).map(tuple),
    st.lists(texts, max_size=2).map(tuple),
    st.booleans(),
    st.booleans(),
)
records = st.builds(
    Summary,
    id=st.just("0123456789ab"),
    text=texts,
    tokens=st.integers(0, 64),
    language=st.sampled_from(["en", "de"]),
    clauses=st.lists(clauses, max_size=4).map(tuple),
    margin=st.none() | st.builds(Interval, numbers, numbers, numbers),
    sources=st.lists(texts, max_size=4).map(tuple),
    origin=st.sampled_from(["template", "model", "edit"]),
    model=texts,
    recipe=texts,
    created=st.just(NOW),
    replaced=st.none() | st.just(NOW),
)


def example() -> Summary:
    return Summary(
        "0123456789ab",
        "Be kind.",
        3,
        "en",
        (Clause("kind", "", ("id1",), ("Kind",)),),
        Interval(1.0, 0.5, 1.5),
        ("id1", "id2"),
        "template",
        "model",
        "recipe",
        NOW,
    )


@given(records)
def test_a_summary_is_read_back_as_it_was_kept(summary):
    assert Summary.load(Document(summary.id, summary.dump(), summary.sources)) == summary


def test_its_json_has_the_promised_shape():
    found = example().to_dict()
    assert found["text"] == "Be kind."
    assert found["tokens"] == 3
    assert found["margin"] == {"mean": 1.0, "low": 0.5, "high": 1.5}
    assert found["evidence"][0]["pairs"] == ["id1"]
    assert json.loads(json.dumps(found)) == found


def test_ids_and_sources_are_the_documents_own():
    content = json.loads(example().dump())
    assert "sources" not in content
    assert "id" not in content


@pytest.mark.parametrize(
    "change",
    [
        {"form": "summary/2"},
        {"text": 3},
        {"margin": {"mean": math.nan, "low": 0, "high": 0}},
        {"margin": {}},
        {"origin": "stranger"},
        {"created": "2026-06-01"},
        {"created": None},
        {"evidence": "kind"},
        {"evidence": [{"text": "kind"}]},
        {"tokens": "many"},
    ],
)
def test_what_is_no_summary_is_refused_by_name_and_shows_no_text(change):
    content = json.dumps(json.loads(example().dump()) | change).encode()
    with pytest.raises(TamperedError) as raised:
        Summary.load(Document("x", content))
    assert "kind" not in str(raised.value)
    assert raised.value.__context__ is None


@given(st.binary(max_size=200))
def test_bytes_that_are_no_summary_are_refused(content):
    with pytest.raises(TamperedError):
        Summary.load(Document("x", content))


def test_reprs_show_sizes_only():
    shown = repr(example()) + repr(example().clauses)
    assert "kind" not in shown.casefold()
    assert "0123456789ab" in shown


@pytest.mark.parametrize("text", ["", " \n ", "x" * 501, "a\x1b[2Jb", "a\u202eb"])
def test_a_persons_text_must_be_a_printable_line(text):
    with pytest.raises(InputError):
        summary_store.one_line(text)


def test_a_persons_lines_become_one():
    assert summary_store.one_line(" Be kind.\n Be  short. ") == "Be kind. Be short."
