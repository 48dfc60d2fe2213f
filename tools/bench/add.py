"""How long ``add`` takes until a pair is on the disk.

    python -m tools.bench.add [--pairs 500] [--folder DIR] [--json FILE]

Covered: one durable commit per pair, of a pair of the usual size (a prompt of 200 and two answers
of 1,500 characters), into a vault that already holds ``--filled`` pairs; beside it, what the disk
itself needs to sync as many bytes. Not covered: importing many pairs in one transaction, and other
processes writing at the same time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pocketpref.records import Feedback, Pair
from pocketpref.vault import Vault
from pocketpref.vault.crypto.key_stores import EphemeralKey

TARGET_P50_MS = 10.0


def _pair(number: int) -> Feedback:
    return Feedback(Pair(f"{number:>200}", f"{number:>1500}", "b" * 1500))


def _times(action: Callable[[int], object], count: int) -> list[float]:
    """Milliseconds of each of ``count`` calls."""
    found = []
    for number in range(count):
        began = time.perf_counter()
        action(number)
        found.append((time.perf_counter() - began) * 1e3)
    return found


def _summary(times: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {"p50_ms": cuts[49], "p99_ms": cuts[98], "max_ms": max(times)}


def measure_add(folder: Path, pairs: int, filled: int) -> dict[str, float]:
    """Durable adds into a vault on that folder's disk."""
    with Vault.create(folder / "vault.db", EphemeralKey()) as vault:
        store = vault.store("bench")
        store.add_many(_pair(number) for number in range(filled))
        return _summary(_times(lambda number: store.add(_pair(number)), pairs))


def measure_sync(folder: Path, count: int) -> dict[str, float]:
    """Writing 12 KiB, about what one add writes, and syncing it."""
    with (folder / "plain").open("wb", buffering=0) as file:

        def write(_: int) -> None:
            file.write(bytes(12 * 1024))
            os.fsync(file.fileno())

        return _summary(_times(write, count))


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write the numbers where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=500, help="pairs to add one by one")
    parser.add_argument("--filled", type=int, default=1000, help="pairs that are there before")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: here)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(dir=given.folder or Path.cwd()) as name:
        report: dict[str, Any] = {
            "add": measure_add(Path(name), given.pairs, given.filled),
            "sync": measure_sync(Path(name), given.pairs),
            "pairs": given.pairs,
            "filled": given.filled,
            "target_p50_ms": TARGET_P50_MS,
            "sqlite": sqlite3.sqlite_version,
            "system": platform.platform(),
        }
    for what in ("add", "sync"):
        numbers = report[what]
        print(f"{what:5} p50 {numbers['p50_ms']:6.2f} ms   p99 {numbers['p99_ms']:6.2f} ms")
    print(f"target for add: p50 below {TARGET_P50_MS:g} ms")
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
