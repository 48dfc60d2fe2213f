"""Adapters made for a person: sealed, forgotten with what they were made of, never in the clear."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pocketpref.errors import AdapterError, InputError, NotFoundError, TamperedError
from pocketpref.lora import Adapter
from pocketpref.lora.store import KIND, MOST_BYTES, discard, keep, kept
from pocketpref.records import Feedback, Pair
from pocketpref.vault import UserStore, Vault
from pocketpref.vault.archive import export_user, restore
from pocketpref.vault.crypto.key_stores import KeyFile
from tests.lora.making import Pairs, adapter_of, with_data


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    return KeyFile.make(tmp_path / "vault.key")


@pytest.fixture
def vault(tmp_path: Path, key: KeyFile) -> Iterator[Vault]:
    with Vault.create(tmp_path / "vault.db", key) as vault:
        yield vault


@pytest.fixture
def store(vault: Vault) -> UserStore:
    return vault.store("ada")


@pytest.fixture
def ids(store: UserStore) -> list[str]:
    pairs = [Pair(f"Question {i}?", "A short answer.", "A longer answer.") for i in range(3)]
    return store.add_many([Feedback(pair) for pair in pairs])


def test_a_kept_adapter_comes_back_whole_and_personal(
    store: UserStore, ids: list[str], adapter: Adapter
) -> None:
    name = keep(store, adapter, ids[:2])
    (found,) = kept(store).values()
    assert (found.manifest, found.data) == (adapter.manifest, adapter.data)
    assert found.personal
    assert not adapter.personal
    discard(store, name)
    discard(store, name)
    assert not kept(store)


def test_no_byte_of_it_lies_in_the_clear(
    tmp_path: Path, vault: Vault, store: UserStore, ids: list[str], adapter: Adapter
) -> None:
    """Not in the vault, its log, nor anything beside it; looked for in pieces of 32 bytes."""
    keep(store, adapter, ids)
    middle = len(adapter.data) // 2
    wanted = [
        *(adapter.data[at : at + 32] for at in (middle, middle + 4096, len(adapter.data) - 64)),
        b"blk.3.attn_q.weight.lora_a",
        adapter.manifest.sha256.encode(),
    ]
    for path in (p for p in tmp_path.rglob("*") if p.is_file()):
        content = path.read_bytes()
        assert not [piece for piece in wanted if piece in content], path.name
    vault.close()
    assert not [piece for piece in wanted if piece in (tmp_path / "vault.db").read_bytes()]


def test_it_goes_with_the_first_memory_that_it_was_made_of(
    store: UserStore, ids: list[str], small: Adapter, adapter: Adapter
) -> None:
    keep(store, small, ids[:1])
    stays = keep(store, adapter, ids[1:2])
    assert store.forget(ids[:1]).documents == 1
    assert list(kept(store)) == [stays]
    with pytest.raises(NotFoundError):
        keep(store, small, ids[:1])


def test_an_archive_does_not_carry_it(
    tmp_path: Path, vault: Vault, key: KeyFile, ids: list[str], small: Adapter
) -> None:
    keep(vault.store("ada"), small, ids)
    export_user(vault.store("ada"), tmp_path / "archive", key)
    restore(vault, tmp_path / "archive", key, user="new")
    assert len(list(vault.store("new").memories())) == 3
    assert not kept(vault.store("new"))


def test_what_is_too_large_or_disagrees_is_not_kept(
    store: UserStore, ids: list[str], small: Adapter
) -> None:
    with pytest.raises(InputError, match="24 MiB"):
        keep(store, with_data(small, bytes(MOST_BYTES + 1)), ids)
    with pytest.raises(AdapterError, match="not the file"):
        keep(store, Adapter(small.manifest, small.data[:-1] + b"x"), ids)
    assert not kept(store)


def test_the_largest_that_is_kept_fits_a_record(store: UserStore, ids: list[str]) -> None:
    matrix = np.ones((256, 512), np.float16)  # twice is half a MiB
    pairs: Pairs = {f"blk.{i}.attn_q.weight": (matrix, matrix.T) for i in range(47)}
    large = adapter_of(pairs, "ab" * 32)
    assert 23.5 * 2**20 < len(large.data) <= MOST_BYTES
    keep(store, large, ids)
    (found,) = kept(store).values()
    assert found.data == large.data


@pytest.mark.parametrize(
    "content", [b"", b"\x05", b"\xff\xff\xff\xff{}", b"\x02\0\0\0{}", b"\x02\0\0\0[]rest"]
)
def test_a_document_that_is_no_adapter_is_refused(store: UserStore, content: bytes) -> None:
    with store.changing() as documents:
        documents.insert(KIND, content)
    with pytest.raises(TamperedError):
        kept(store)
