"""The proof after forgetting: it finds what is there, and only that."""

from __future__ import annotations

import pytest

from pocketpref.errors import NotFoundError
from pocketpref.vault.integrity import erasure_check as module
from pocketpref.vault.integrity.erasure_check import Traces
from tests.vault.making import feedback, learned


def test_what_is_there_is_found_and_what_was_forgotten_is_not(path, store):
    kept, gone = store.add_many([feedback("a question that stays"), feedback("one that goes")])
    store.put_learned(learned(gone))
    traces = store.traces([gone])
    assert len(traces) > 10
    assert traces.search([path.parent]).found, "the sealed blobs are still there"
    store.forget([gone])
    scan = traces.search([path.parent])
    assert not scan.found
    assert scan.files == 3, "the vault, its log and its index"
    assert store.traces([kept]).search([path.parent]).found


def test_an_unknown_memory_has_no_traces(store):
    with pytest.raises(NotFoundError):
        store.traces(["no such id"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
@pytest.mark.parametrize("place", [0, 1, 7, 100, 4090])
def test_a_text_is_found_wherever_it_lies(tmp_path, store, monkeypatch, encoding, place):
    monkeypatch.setattr(module, "_CHUNK_BYTES", 128)
    (memory_id,) = store.add_many([feedback("What may I plant in the shade?")])
    traces = store.traces([memory_id])
    file = tmp_path / "left"
    file.write_bytes(bytes(place) + "What may I plant in the shade?".encode(encoding) + bytes(9))
    assert traces.search([file]).found == (file,)
    file.write_bytes(bytes(place) + "Who may plant in the sunlight?".encode(encoding) + bytes(9))
    assert traces.search([file]).found == ()


def test_empty_files_and_missing_ones_hold_nothing(tmp_path):
    (tmp_path / "empty").touch()
    scan = Traces().search([tmp_path, tmp_path / "nowhere"])
    assert (scan.files, scan.bytes, scan.found) == (1, 0, ())


def test_a_repr_shows_nothing(store):
    store.add(feedback("a planted secret"))
    assert repr(store.traces()) == f"Traces({len(store.traces())})"
