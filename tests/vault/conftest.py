"""Vaults to break: real files and a real key file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketpref.vault import UserStore, Vault
from pocketpref.vault.crypto.key_stores import KeyFile


@pytest.fixture
def key(tmp_path: Path) -> KeyFile:
    return KeyFile.make(tmp_path / "keys" / "vault.key")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "vault.db"


@pytest.fixture
def vault(path: Path, key: KeyFile) -> Iterator[Vault]:
    with Vault.create(path, key, busy_seconds=5) as vault:
        yield vault


@pytest.fixture
def store(vault: Vault) -> UserStore:
    return vault.store("ada")
