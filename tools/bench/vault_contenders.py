"""What every contender of ``bench_vault`` does, and the vault itself."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocketpref.methods.exact import PromptIndex
from pocketpref.records import Feedback, Vector
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import KeyFile
from pocketpref.vault.storage.rows import RowEntry
from pocketpref.vault.storage.serialization import dump_learned, dump_memory
from pocketpref.vault.store import UserStore
from tools.bench.vault_samples import RECIPE, RELEVANCE, Answer, Samples

VAULT = "vault"

USER = "bench"

_BATCH = 5000  # memories of one transaction while filling

Timed = tuple[float, Answer]
"""Seconds, and what was answered."""


class Contender(ABC):
    """One store in a folder of its own. Whatever is timed gives seconds."""

    name: str

    def __init__(self, folder: Path) -> None:
        self.path = folder / "memories.db"

    def fill(self, size: int, seed: int) -> None:
        """Make the store and put all memories and what they taught into it."""
        samples = Samples(size, seed)
        self._create()
        for begin in range(0, size, _BATCH):
            end = min(begin + _BATCH, size)
            self._put(samples, range(begin, end))
            if size > _BATCH:
                print(f"{self.name}: {end:,} of {size:,} put in", file=sys.stderr, flush=True)
        self.close()

    def first_recall(self, query: Vector) -> Timed:
        """Open the store and answer one query."""
        began = time.perf_counter()
        self._open()
        answer = self._recall(query)
        return time.perf_counter() - began, answer

    def recalls(self, queries: Vector) -> list[Timed]:
        """Answer queries, one at a time, with the store open."""
        return [self._timed_recall(query) for query in queries]

    def adds(self, feedback: Sequence[Feedback]) -> list[float]:
        """Keep pairs, one at a time, each on the disk before the next."""
        times = []
        for item in feedback:
            began = time.perf_counter()
            self._add(item)
            times.append(time.perf_counter() - began)
        return times

    def recall_after_add(self, feedback: Feedback, query: Vector) -> Timed:
        """Answer a query when one pair was added since the last; adding is not timed."""
        self._add(feedback)
        return self._timed_recall(query)

    def forgets(self, ids: Sequence[str]) -> list[float]:
        """Forget memories, one at a time."""
        times = []
        for name in ids:
            began = time.perf_counter()
            self._forget(name)
            times.append(time.perf_counter() - began)
        return times

    def _timed_recall(self, query: Vector) -> Timed:
        began = time.perf_counter()
        answer = self._recall(query)
        return time.perf_counter() - began, answer

    @abstractmethod
    def rotate(self) -> float | None:
        """Put everything under a new key; None if that is not possible."""

    @abstractmethod
    def close(self) -> None:
        """Close the store."""

    @abstractmethod
    def _create(self) -> None:
        """Make it and open it."""

    @abstractmethod
    def _put(self, samples: Samples, numbers: range) -> None: ...

    @abstractmethod
    def _open(self) -> None: ...

    @abstractmethod
    def _recall(self, query: Vector) -> Answer: ...

    @abstractmethod
    def _add(self, feedback: Feedback) -> None: ...

    @abstractmethod
    def _forget(self, name: str) -> None: ...


class Sealed(Contender):
    """Pocketpref's vault with a key file, used as a Pocket uses it."""

    name = VAULT
    _vault: Vault
    _store: UserStore

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._key = folder / "vault.key"
        self._anchor = folder / "state"
        self._index: tuple[int, PromptIndex] | None = None

    def _create(self) -> None:
        self._use(Vault.create(self.path, KeyFile.make(self._key), anchor=self._anchor))

    def _open(self) -> None:
        self._use(Vault.open(self.path, KeyFile(self._key), anchor=self._anchor))

    def _use(self, vault: Vault) -> None:
        self._vault = vault
        self._store = vault.store(USER)

    def _put(self, samples: Samples, numbers: range) -> None:
        self._store.restore(_entry(samples, number) for number in numbers)

    def _recall(self, query: Vector) -> Answer:
        version = self._store.version()
        if self._index is None or self._index[0] != version:
            lessons = self._store.lessons(RECIPE)
            known = self._index[1] if self._index else None
            same = known is not None and known.lessons is lessons
            self._index = version, known if known and same else PromptIndex(lessons)
        found = self._index[1].nearest(query, RELEVANCE)
        return None if found is None else (found[1].id, found[1].similarity)

    def _add(self, feedback: Feedback) -> None:
        self._store.add(feedback)

    def _forget(self, name: str) -> None:
        self._store.forget([name])

    def rotate(self) -> float | None:
        """Give the user a new data key and seal every record again."""
        rotate: Any = getattr(self._vault, "rotate_data_key", None)
        if rotate is None:
            return None
        began = time.perf_counter()
        rotate(USER)
        return time.perf_counter() - began

    def close(self) -> None:
        """Close the vault."""
        self._vault.close()


def _entry(samples: Samples, number: int) -> RowEntry:
    feedback = samples.feedback(number)
    assert feedback.created is not None
    learned = dump_learned(samples.learned(number))
    return RowEntry(samples.name(number), dump_memory(feedback, feedback.created), learned)
