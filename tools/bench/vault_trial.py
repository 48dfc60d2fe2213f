"""One size of ``bench_vault``: contenders in processes of their own, taking turns."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypedDict

import numpy as np

from tools.bench.scoring_workers import Worker
from tools.bench.vault_contenders import VAULT, Contender, Sealed, Timed
from tools.bench.vault_rivals import PLAIN, SQLCIPHER, Ciphered, Plain
from tools.bench.vault_samples import Expected, Samples

ADDS = 200
"""Pairs that are added, in ten turns."""

FORGETS = 20
"""Memories that are forgotten, in four turns."""

WARM = 100
"""Queries that are put to an open store."""

MAKERS: dict[str, type[Contender]] = {VAULT: Sealed, PLAIN: Plain, SQLCIPHER: Ciphered}


class Summary(TypedDict):
    """Times in milliseconds."""

    p50: float
    p99: float
    least: float
    most: float
    count: int


class Result(TypedDict):
    """One contender at one size.

    Attributes:
        times: by what was timed: add, first, warm, changed, forget, rotate; as far as possible.
        file: bytes of the file, its log cleared.
        memory: most bytes that a process held until its first answer.
        before: of these, held before it opened the store.
    """

    times: dict[str, Summary]
    file: int
    memory: int
    before: int


@dataclass
class Tally:
    """Answers compared with the reference."""

    queries: int = 0
    mismatches: int = 0

    def check(self, expected: Sequence[Expected], found: Sequence[Timed]) -> list[float]:
        """Count wrong answers; the seconds that all of them took."""
        self.queries += len(found)
        for right, (_, answer) in zip(expected, found, strict=True):
            self.mismatches += not right.agrees(answer)
        return [seconds for seconds, _ in found]


@dataclass
class _Contestant:
    """A contender while it is measured; seconds by what was timed."""

    worker: Worker
    seconds: dict[str, list[float]] = field(default_factory=dict)
    file: int = 0
    memory: int = 0
    before: int = 0

    def note(self, what: str, seconds: Sequence[float]) -> None:
        self.seconds.setdefault(what, []).extend(seconds)

    def result(self) -> Result:
        times = {what: summary(seconds) for what, seconds in self.seconds.items()}
        return {"times": times, "file": self.file, "memory": self.memory, "before": self.before}


def summary(seconds: Sequence[float]) -> Summary:
    """What stands in the report."""
    times = np.sort(seconds) * 1e3
    p50, p99 = np.quantile(times, (0.5, 0.99))
    return Summary(
        p50=float(p50), p99=float(p99), least=float(times[0]), most=float(times[-1]),
        count=len(times),
    )  # fmt: skip


class Trial:
    """All contenders at one size."""

    def __init__(self, samples: Samples, folder: Path, names: Sequence[str], tally: Tally) -> None:
        """Start the contenders.

        Args:
            samples: the memories.
            folder: empty; the stores are made there.
            names: who takes part.
            tally: counts answers.
        """
        self._samples = samples
        self._tally = tally
        self._names = names
        self._folder = folder
        self._close = ExitStack()
        self._all: dict[str, _Contestant] = {}

    def run(self, repeats: int) -> dict[str, Result]:
        """Measure everything, in this order, for later steps change the files.

        Args:
            repeats: how many new processes open each store.

        Raises:
            ModelError: a contender failed.
        """
        with self._close:
            self._fill()
            self._first(repeats)
            self._warm()
            self._add()
            gone = self._forget()
            self._rotate(gone)
        return {name: one.result() for name, one in self._all.items()}

    def _say(self, what: str) -> None:
        print(f"{self._samples.size:,} memories: {what}", file=sys.stderr, flush=True)

    def _turn(self, number: int) -> list[tuple[str, _Contestant]]:
        """All of them; another one begins each time, for the disk is not always as fast."""
        all_ = list(self._all.items())
        begin = number % len(all_)
        return all_[begin:] + all_[:begin]

    def _start(self, name: str) -> Worker:
        worker = Worker(name, MAKERS[name], self._folder / name)
        self._close.callback(worker.stop)
        return worker

    def _fill(self) -> None:
        for name in self._names:
            self._say(f"filling {name}")
            folder = self._folder / name
            folder.mkdir()
            self._all[name] = one = _Contestant(self._start(name))
            one.worker.call("fill", self._samples.size, self._samples.seed)
            one.file = sum(path.stat().st_size for path in folder.glob("memories.db*"))

    def _first(self, repeats: int) -> None:
        """The processes of the last turn stay."""
        queries = self._samples.queries(repeats, turn=0)
        expected = self._samples.expected(queries)
        for turn in range(repeats):
            self._say(f"opening, {turn + 1} of {repeats}")
            for name, one in self._turn(turn):
                one.worker.stop()
                one.worker = self._start(name)
                one.before = one.worker.memory()
                found = one.worker.call("first_recall", queries[turn])
                one.memory = one.worker.memory()
                one.note("first", self._tally.check(expected[turn : turn + 1], [found]))

    def _warm(self) -> None:
        self._say("recalling")
        queries = self._samples.queries(WARM, turn=1)
        expected = self._samples.expected(queries)
        for _, one in self._turn(0):
            one.note("warm", self._tally.check(expected, one.worker.call("recalls", queries)))

    def _add(self) -> None:
        self._say("adding")
        new = [Samples(1, seed=-number).feedback(0) for number in range(1, ADDS + 1)]
        for turn in range(10):
            for _, one in self._turn(turn):
                one.note("add", one.worker.call("adds", new[turn::10]))
        queries = self._samples.queries(3, turn=2)
        expected = self._samples.expected(queries)
        for _, one in self._turn(0):
            found = [one.worker.call("recall_after_add", new[0], query) for query in queries]
            one.note("changed", self._tally.check(expected, found))

    def _forget(self) -> frozenset[int]:
        """Forget some memories, and ask for the very prompts that they were about."""
        self._say("forgetting")
        step = max(1, self._samples.size // FORGETS)
        gone = range(0, self._samples.size, step)[:FORGETS]
        ids = [self._samples.name(number) for number in gone]
        for turn in range(4):
            for _, one in self._turn(turn):
                one.note("forget", one.worker.call("forgets", ids[turn::4]))
        queries = self._samples.vectors[list(gone)]
        expected = self._samples.expected(queries, frozenset(gone))
        for _, one in self._turn(0):
            self._tally.check(expected, one.worker.call("recalls", queries))
        return frozenset(gone)

    def _rotate(self, gone: frozenset[int]) -> None:
        queries = self._samples.queries(10, turn=3)
        expected = self._samples.expected(queries, gone)
        for name, one in self._turn(0):
            self._say(f"rotating {name}")
            seconds = one.worker.call("rotate")
            if seconds is not None:
                one.note("rotate", [seconds])
            self._tally.check(expected, one.worker.call("recalls", queries))
