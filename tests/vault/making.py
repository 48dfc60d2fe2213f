"""What the vault tests are made of: pairs, learned entries, and a look at the raw file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.records import Feedback, Learned, Pair, Selection
from pocketpref.vault.crypto.key_stores import Argon2Cost

QUICK = Argon2Cost(memory_kib=64, passes=1, lanes=1)


def feedback(text: str = "a question", **more) -> Feedback:
    return Feedback(Pair(text, "the answer kept", "the answer left"), **more)


def learned(memory_id: str, recipe: str = "recipe-1", names: tuple[str, ...] = ("Concise",)):
    vector = np.linspace(-1, 1, 384, dtype=np.float32)
    gains = tuple(1.5 - 0.25 * place for place in range(len(names)))
    selection = Selection(names, gains, {"Concise": 1.5, "Formal": -0.1}, {"Humble": 0.3}, 50)
    return Learned(memory_id, vector, b"\x07" * 32, selection, recipe)


def same_learned(one: Learned, other: Learned) -> bool:
    """Equality of entries, whose vectors ``==`` cannot compare."""
    return (
        np.array_equal(one.vector, other.vector)
        and one.vector.dtype == other.vector.dtype == np.float32
        and (one.memory_id, one.prompt_digest, one.selection, one.recipe)
        == (other.memory_id, other.prompt_digest, other.selection, other.recipe)
    )


def raw(path: Path, sql: str, *values: object) -> list[tuple[Any, ...]]:
    """Run one statement on the file as anyone with sqlite3 could."""
    connection = sqlite3.connect(path)
    try:
        with connection:
            return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def vault_bytes(folder: Path) -> bytes:
    """Everything that lies in a folder: database, log, shared memory, temporary files."""
    return b"\0".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())
