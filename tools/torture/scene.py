"""The vaults that are tortured, and a look at everything that one of them serves.

Nothing here is anybody's: the texts are made up, and the learned entries have the shape of real
ones (a vector of 384 numbers, sets of attributes with their gains).
"""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.errors import (
    NewerFormatError,
    PocketprefError,
    StorageError,
    TamperedError,
    WrongKeyError,
)
from pocketpref.records import Feedback, Learned, Memory, Pair, Selection
from pocketpref.vault import UserStore, Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from pocketpref.vault.storage.serialization import dump_learned

RECIPE = "torture"
DIMENSIONS = 384

REFUSALS = (TamperedError, WrongKeyError, NewerFormatError, StorageError)
"""What a file that was tampered with may be refused with."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A vault, its key and its anchor, in a folder of their own."""

    folder: Path

    @property
    def path(self) -> Path:
        """The vault."""
        return self.folder / "data" / "vault.db"

    @property
    def state(self) -> Path:
        """Folder of the note that tells how new the vault should be."""
        return self.folder / "state"

    @property
    def key(self) -> KeyFile:
        """Who opens it."""
        return KeyFile(self.folder / "vault.key")

    @classmethod
    def make(cls, folder: Path) -> Scene:
        """An empty vault with a fresh key."""
        folder.mkdir(parents=True, exist_ok=True)
        scene = cls(folder)
        KeyFile.make(scene.key.path)
        Vault.create(scene.path, scene.key, anchor=scene.state).close()
        return scene

    def open(self, *, anchored: bool = True, busy_seconds: float = 10.0) -> Vault:
        """Open the vault; with its anchor, unless it is not to be compared with it."""
        anchor = self.state if anchored else None
        return Vault.open(self.path, self.key, anchor=anchor, busy_seconds=busy_seconds)

    def copy(self, folder: Path) -> Scene:
        """The same vault in another folder, as a backup of everything would have it."""
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.folder, folder)
        return Scene(folder)

    def sql(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Run a statement as anybody could who can write the file."""
        with closing(sqlite3.connect(self.path)) as db, db:
            return db.execute(statement, values).fetchall()


@contextmanager
def workplace(folder: Path | None, *, in_memory: bool = False) -> Iterator[Path]:
    """A fresh folder to work in.

    Args:
        folder: on which disk; None for the system's folder of temporary files.
        in_memory: where the disk does not matter, a folder in memory is as good, and quicker.
    """
    memory = Path("/dev/shm")  # noqa: S108 - only made-up text lies there
    parent = memory if folder is None and in_memory and memory.is_dir() else folder
    with tempfile.TemporaryDirectory(prefix="torture-", dir=parent) as name:
        yield Path(name)


# ------------------------------------------------------------------------------- what lies in it


def feedback(text: str, size: int = 40) -> Feedback:
    """A made-up choice that its prompt tells apart."""
    chosen = f"Kept for {text}. ".ljust(size, "k")
    return Feedback(Pair(text, chosen, f"Left for {text}. "), origin="user", meta={"of": text})


def vector(text: str) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    """The embedding that stands for a text, unit length."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
    numbers = np.random.default_rng(seed).standard_normal(DIMENSIONS).astype(np.float32)
    return numbers / np.float32(np.linalg.norm(numbers))


def learned(memory_id: str, text: str, tag: str) -> Learned:
    """What was learned from a choice, as large as a real entry; the tag tells versions apart."""
    names = tuple(f"Attribute {number}" for number in range(42))
    selection = Selection(
        attributes=(tag, "Concise"),
        gains=(1.25, 0.5),
        singles=dict.fromkeys(names[:12], 0.375),
        screened=dict.fromkeys(names, -0.0625),
        evaluations=61,
    )
    digest = hashlib.sha256(text.encode()).digest()
    return Learned(memory_id, vector(text), digest, selection, RECIPE)


def fill(scene: Scene, user: str, count: int, *, known: int = 0, size: int = 40) -> list[str]:
    """Add choices and learn some of them; returns their ids."""
    with scene.open() as vault:
        store = vault.store(user)
        texts = [f"{user} {number}" for number in range(count)]
        ids = store.add_many(feedback(text, size) for text in texts)
        for memory_id, text in zip(ids[:known], texts, strict=False):
            store.put_learned(learned(memory_id, text, "first"))
    return ids


# ------------------------------------------------------------------------------- what it serves


class WrongAnswerError(Exception):
    """The vault served something that was never stored, or contradicts itself."""


@dataclass(frozen=True, slots=True)
class Content:
    """Everything one user's part of a vault serves, by every way of asking."""

    user: str
    memories: tuple[tuple[object, ...], ...]
    learned: tuple[tuple[str, bytes], ...]
    lessons: tuple[tuple[object, ...], ...]
    pending: tuple[str, ...]
    counts: tuple[int, int]


def read(vault: Vault, *, recall_first: bool = False) -> tuple[Content, ...]:
    """Everything that a vault serves.

    Args:
        vault: an open one.
        recall_first: ask for what recall needs before all else: what is asked for first is checked
            while it is read.

    Raises:
        WrongAnswerError: two ways of asking gave different answers.
    """
    return tuple(_content(vault.store(name), recall_first) for name in vault.users())


def _content(store: UserStore, recall_first: bool) -> Content:
    first = _lessons(store) if recall_first else None
    memories = tuple(_facts(memory) for memory in store.memories())
    entries = [(entry.id, entry.learned) for entry in store.entries()][::-1]
    known = tuple((entry.memory_id, dump_learned(entry)) for entry in store.learned(RECIPE))
    if [name for name, _ in entries] != [facts[0] for facts in memories]:
        raise WrongAnswerError("the memories in an archive are not those that are listed")
    if tuple(entry for entry in entries if entry[1] is not None) != known:
        raise WrongAnswerError("what was learned is not the same for an archive")
    lessons = _lessons(store)
    if first not in (None, lessons) or [lesson[0] for lesson in lessons] != [k for k, _ in known]:
        raise WrongAnswerError("what recall uses is not what was learned")
    if memories != tuple(_by_id(store, str(facts[0])) for facts in memories):
        raise WrongAnswerError("a memory is another when asked for by its id")
    counts = store.counts()
    return Content(
        store.user,
        memories,
        known,
        lessons,
        tuple(store.pending(RECIPE)),
        (counts.memories, counts.learned),
    )


def _lessons(store: UserStore) -> tuple[tuple[object, ...], ...]:
    return tuple(
        (
            lesson.memory_id,
            lesson.vector.tobytes(),
            lesson.prompt_digest,
            lesson.attributes,
            lesson.objective,
            lesson.effort,
        )
        for lesson in store.lessons(RECIPE)
    )


def _by_id(store: UserStore, name: str) -> tuple[object, ...]:
    return _facts(store.get(name))


def _facts(memory: Memory) -> tuple[object, ...]:
    pair = memory.pair
    return (
        memory.id,
        pair.prompt,
        pair.chosen,
        pair.rejected,
        memory.created.isoformat(),
        memory.origin,
        repr(sorted(memory.meta.items())),
    )


def is_sound(scene: Scene) -> bool:
    """Whether SQLite finds the file whole: pages, indexes, free list."""
    return scene.sql("PRAGMA integrity_check") == [("ok",)]


# ------------------------------------------------------------------------------- how it ended


REFUSED = "refused by name"
AS_STORED = "read as it was stored"


def ending(scene: Scene, stored: Sequence[Content], *, recall_first: bool = False) -> str:
    """Open a vault that was tampered with and read everything; how that ended.

    Args:
        scene: the vault.
        stored: what was stored in it.
        recall_first: see `read`.

    Returns:
        ``REFUSED`` or ``AS_STORED``; or, if something went wrong, what.
    """
    try:
        with scene.open() as vault:
            found = read(vault, recall_first=recall_first)
    except REFUSALS as error:
        return REFUSED if error.hint and error.message else f"{type(error).__name__} without words"
    except WrongAnswerError as error:
        return f"WRONG: {error}"
    except PocketprefError as error:
        return f"WRONG: {type(error).__name__}, which says that nothing is wrong with the file"
    except Exception as error:  # noqa: BLE001 - that nothing else comes out is what is tested
        return f"NO NAME: {type(error).__name__}"
    return AS_STORED if found == tuple(stored) else "WRONG: served other than was stored"
