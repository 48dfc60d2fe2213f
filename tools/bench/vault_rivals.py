"""Rivals of the vault in ``bench_vault``: the same tables unsealed, and SQLCipher.

Both are as durable as the vault: write-ahead log, ``synchronous = FULL``. They promise less:

    plain      sqlite-utils on the vault's own tables, no protection. What recall compares stands at
               fixed places before the JSON, and only the nearest entry's JSON is parsed, so that
               the vault is not compared with something slower than need be
    SQLCipher  plain on encrypted pages (its defaults), opened with a raw key, as a vault with a key
               file; what was deleted or put back behind its back goes unnoticed
"""

from __future__ import annotations

import importlib
import json
import os
import secrets
import sqlite3
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from sqlite_utils import Database

from pocketpref.records import Feedback, Learned, Vector
from pocketpref.vault.storage.database import next_number
from pocketpref.vault.storage.rows import LEARNED, MEMORY
from pocketpref.vault.storage.schema import migrate
from pocketpref.vault.storage.serialization import new_id
from tools.bench.vault_contenders import USER, Contender
from tools.bench.vault_samples import DIMENSIONS, RELEVANCE, Answer, Samples

PLAIN, SQLCIPHER = "plain", "SQLCipher"

SQLCIPHER_MODULE = "sqlcipher3"
"""What ``pip install sqlcipher3-binary`` or ``sqlcipher3-wheels`` brings."""

_LAYOUT = struct.Struct(f"<32sd{4 * DIMENSIONS}s")  # digest of the prompt, objective, vector


class Plain(Contender):
    """The vault's tables in plain sqlite-utils, without the seals."""

    name = PLAIN
    _db: Database

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._changes = 0
        self._index: tuple[tuple[int, int], list[tuple[str, bytes]], Vector] | None = None

    def _create(self) -> None:
        self._open()
        with self._writing():
            migrate(self._db)
            self._db.execute("INSERT INTO users (lookup) VALUES (?)", (USER.encode(),))

    def _open(self) -> None:
        # Transactions begin where we say so, as in the vault.
        self._db = Database(self._connect(), execute_plugins=False)
        for setting in ("journal_mode = WAL", "synchronous = FULL", "fullfsync = ON"):
            self._db.execute(f"PRAGMA {setting}")

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        yield
        self._db.execute("COMMIT")
        self._changes += 1

    def _user(self) -> int:
        query = "SELECT id FROM users WHERE lookup = ?"
        return int(self._db.execute(query, (USER.encode(),)).fetchone()[0])

    def _put(self, samples: Samples, numbers: range) -> None:
        with self._writing():
            for number in numbers:
                name = samples.name(number)
                self._insert(MEMORY, name, _memory(samples.feedback(number)))
                self._insert(LEARNED, name, _learned(samples.learned(number)))

    def _insert(self, kind: str, name: str, content: bytes) -> None:
        seq = next_number(self._db, "records")
        self._db.execute(
            "INSERT INTO records (seq, user, kind, id, sealed) VALUES (?, ?, ?, ?, ?)",
            (seq, self._user(), kind, name, content),
        )

    def _recall(self, query: Vector) -> Answer:
        (other,) = self._db.execute("PRAGMA data_version").fetchone()
        version = other, self._changes
        if self._index is None or self._index[0] != version:
            self._index = version, *self._load()
        _, entries, vectors = self._index
        similarities = np.vecdot(vectors, query)
        best = int(np.argmax(similarities))
        if similarities[best] < RELEVANCE:
            return None
        name, content = entries[best]
        json.loads(content[_LAYOUT.size :])
        return name, float(similarities[best])

    def _load(self) -> tuple[list[tuple[str, bytes]], Vector]:
        """For each prompt the entry with the largest objective, and their vectors."""
        rows = self._db.execute(
            "SELECT id, sealed FROM records WHERE user = ? AND kind = ? ORDER BY seq DESC",
            (self._user(), LEARNED),
        )
        best: dict[bytes, tuple[float, bytes, str, bytes]] = {}
        for name, content in rows:
            digest, objective, vector = _LAYOUT.unpack_from(content)
            held = best.get(digest)
            if held is None or objective > held[0]:
                best[digest] = objective, vector, name, content
        vectors = np.frombuffer(b"".join(entry[1] for entry in best.values()), dtype="<f4")
        return [entry[2:] for entry in best.values()], vectors.reshape(-1, DIMENSIONS)

    def _add(self, feedback: Feedback) -> None:
        with self._writing():
            self._insert(MEMORY, new_id(), _memory(feedback))

    def _forget(self, name: str) -> None:
        with self._writing():
            # The sign keeps SQLite from going through all of the user's rows.
            query = "DELETE FROM records WHERE id = ? AND +user = ?"
            self._db.execute(query, (name, self._user()))

    def rotate(self) -> float | None:
        """Without a key there is nothing to rotate."""
        return None

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class Ciphered(Plain):
    """Plain, on SQLCipher's pages."""

    name = SQLCIPHER

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._key = folder / "raw.key"

    def _create(self) -> None:
        self._key.write_text(secrets.token_hex(32), "ascii")
        super()._create()

    def _connect(self) -> sqlite3.Connection:
        driver = importlib.import_module(f"{SQLCIPHER_MODULE}.dbapi2")
        connection: sqlite3.Connection = driver.connect(os.fspath(self.path), isolation_level=None)
        connection.execute(f"PRAGMA key = \"x'{self._key.read_text('ascii')}'\"")
        return connection

    def rotate(self) -> float | None:
        """Encrypt every page again under another key."""
        began = time.perf_counter()
        self._db.execute(f"PRAGMA rekey = \"x'{secrets.token_hex(32)}'\"")
        return time.perf_counter() - began


def _memory(feedback: Feedback) -> bytes:
    pair = feedback.pair
    content = {"prompt": pair.prompt, "chosen": pair.chosen, "rejected": pair.rejected}
    return json.dumps(content | {"created": str(feedback.created)}).encode()


def _learned(learned: Learned) -> bytes:
    selection = learned.selection
    head = _LAYOUT.pack(learned.prompt_digest, selection.objective, learned.vector.tobytes())
    content = {
        "recipe": learned.recipe,
        "attributes": selection.attributes,
        "gains": selection.gains,
        "singles": dict(selection.singles),
        "screened": dict(selection.screened),
        "evaluations": selection.evaluations,
    }
    return head + json.dumps(content).encode()
