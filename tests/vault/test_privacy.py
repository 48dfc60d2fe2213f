"""What a thief of the files sees: no text, name, attribute or time, and nothing forgotten."""

from __future__ import annotations

import base64
import logging
import struct
import traceback
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from pocketpref.errors import PocketprefError
from pocketpref.records import Feedback, Learned, Pair, Selection
from pocketpref.vault import Vault, archive
from pocketpref.vault.crypto.key_stores import Passphrase
from tests.vault.making import QUICK, feedback, raw, vault_bytes

MARK = "Zanzibar-4711"
MOMENT = datetime(1987, 6, 5, 4, 3, 2, tzinfo=UTC)
VECTOR = np.sin(np.arange(384, dtype=np.float32))


def planted() -> Feedback:
    pair = Pair(f"{MARK} prompt", f"{MARK} chosen", f"{MARK} rejected")
    return Feedback(pair, created=MOMENT, meta={f"{MARK} key": f"{MARK} value"})


def planted_learned(memory_id: str) -> Learned:
    selection = Selection((f"{MARK}A",), (0.123456789,), {f"{MARK}B": 0.5}, {f"{MARK}C": 0.5})
    return Learned(memory_id, VECTOR, MARK.encode(), selection, f"{MARK} recipe")


def traces() -> dict[str, bytes]:
    """The planted facts in the forms in which they might lie in a file."""
    texts = {name: MARK.encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be", "utf-32-le")}
    return texts | {
        "base64": base64.b64encode(MARK.encode())[:14],
        "hex": MARK.encode().hex().encode(),
        "reversed": MARK.encode()[::-1],
        "year": b"1987-06-05",
        "seconds since 1970": struct.pack("<d", MOMENT.timestamp()),
        "seconds as an integer": struct.pack(">q", int(MOMENT.timestamp())),
        "vector": VECTOR[5:9].tobytes(),
        "margin": b"0.123456789",
    }


def assert_nothing_shows(folder: Path, where: str) -> None:
    content = vault_bytes(folder)
    assert content
    found = [name for name, trace in traces().items() if trace.lower() in content.lower()]
    assert not found, f"{found} found {where}"


def test_nothing_shows_at_any_moment(path, key, vault):
    folder = path.parent
    store = vault.store(f"{MARK} user")
    ids = store.add_many([planted() for _ in range(20)])
    assert_nothing_shows(folder, "after adding")
    for memory_id in ids:
        store.put_learned(planted_learned(memory_id))
    assert_nothing_shows(folder, "after learning")
    store.forget(ids[:10])
    assert_nothing_shows(folder, "after forgetting")
    archive.export_user(store, folder / "archive", Passphrase(lambda: MARK, QUICK))
    assert_nothing_shows(folder, "after exporting")
    store.forget_everything()
    assert_nothing_shows(folder, "after forgetting everything")
    archive.restore(vault, folder / "archive", Passphrase(lambda: MARK, QUICK))
    assert_nothing_shows(folder, "after restoring")
    vault.close()
    assert_nothing_shows(folder, "after closing")
    with Vault.open(path, key) as again:
        assert again.users() == [f"{MARK} user"]
        assert len(list(again.store(f"{MARK} user").memories())) == 10


def test_the_search_itself_would_find_what_shows(tmp_path):
    """The test above can fail: each trace is found where it was put."""
    for name, trace in traces().items():
        (tmp_path / "file").write_bytes(b"xx" + trace + b"yy")
        with pytest.raises(AssertionError, match=name):
            assert_nothing_shows(tmp_path, "here")


def chunks(blob: bytes) -> list[bytes]:
    return [blob[start : start + 16] for start in range(0, len(blob) - 16, 64)]


def sealed_of(path: Path, memory_id: str) -> list[bytes]:
    rows = raw(path, "SELECT sealed FROM records WHERE id = ?", memory_id)
    return [chunk for (blob,) in rows for chunk in chunks(blob)]


def test_not_even_the_sealed_bytes_of_what_was_forgotten_remain(path, vault, store):
    """Of records of many sizes, in a file and a log that are in use, forgotten in any order."""
    sizes = [5, 300, 900, 3000, 9000, 40_000]
    ids = [
        store.add(Feedback(Pair("p" * size, "a" * size, "b" * (1 + size // 2))))
        for size in sizes * 6
    ]
    for memory_id in ids[::2]:
        store.put_learned(planted_learned(memory_id))
    order = np.random.default_rng(5).permutation(len(ids))
    gone: list[bytes] = []
    for place in order[:24]:
        gone += sealed_of(path, ids[place])
        store.forget([ids[place]])
        vault.store("bob").add(feedback("traffic"))
    content = vault_bytes(path.parent)
    assert len(gone) > 2000
    assert not [chunk for chunk in gone if chunk in content]
    kept = sealed_of(path, ids[order[-1]])
    assert all(chunk in content for chunk in kept[:10])  # the search finds what is there


def test_a_replaced_entry_is_gone_once_the_memory_is_forgotten(path, store):
    memory_id = store.add(feedback())
    store.put_learned(planted_learned(memory_id))
    old = sealed_of(path, memory_id)
    store.put_learned(planted_learned(memory_id))
    store.forget([memory_id])
    content = vault_bytes(path.parent)
    assert not [chunk for chunk in old if chunk in content]


def test_a_wiped_users_key_is_gone_from_the_file(path, vault, store):
    store.add(feedback())
    vault.store("bob").add(feedback())
    (row,) = raw(path, "SELECT lookup, name, key FROM users WHERE id = 1")
    store.forget_everything()
    content = vault_bytes(path.parent)
    assert not [chunk for blob in row for chunk in chunks(blob) if chunk in content]


def test_the_size_of_the_file_tells_little(tmp_path, key):
    """Answers of 10 and of 60 characters give files of the same size."""
    sizes = set()
    for length in (10, 60):
        with Vault.create(tmp_path / f"{length}.db", key) as vault:
            vault.store("ada").add(Feedback(Pair("p", "a" * length, "b")))
        sizes.add((tmp_path / f"{length}.db").stat().st_size)
    assert len(sizes) == 1


def test_no_log_line_and_no_error_shows_text(path, vault, caplog):
    caplog.set_level(logging.DEBUG)
    store = vault.store(f"{MARK} user")
    memory_id = store.add(planted())
    bad = Feedback(planted().pair, meta={MARK: object()})
    shown: list[str] = []
    for attempt in (
        lambda: store.add(bad),
        lambda: store.get(MARK),
        lambda: store.forget([MARK]),
        lambda: vault.store(MARK * 100),
    ):
        with pytest.raises(PocketprefError) as caught:
            attempt()
        shown += traceback.format_exception(caught.value)
        shown.append(str(caught.value.hint))
    raw(path, "UPDATE records SET sealed = x'00'")
    with pytest.raises(PocketprefError) as caught:
        store.get(memory_id)
    shown += traceback.format_exception(caught.value)
    text = "".join(shown) + caplog.text
    # Tracebacks quote source lines, which name the constant but not what it holds.
    assert MARK not in text
