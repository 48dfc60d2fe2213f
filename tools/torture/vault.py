"""Tortures a vault in every way we know, and says in one table what came of it.

    python -m tools.torture.vault [--only NAME]... [--scale 1.0] [--thorough] [--seed 1]
                                  [--folder DIR] [--json FILE] [--markdown]

Parts, each of which ``--only`` chooses (``--scale`` makes each smaller or larger):

    kills      1,000 processes killed while adding, learning, forgetting, rotating keys, restoring
    faults     every write of every operation fails: full disk, broken disk, half of it written
    power      the power goes: what was not synced is lost, or half of it is there
    bytes      every byte of a small vault flipped, every length it can be cut to, pages exchanged
    forgeries  rows deleted, doubled, moved, replayed and pasted in; foreign files; older files
    leaks      all files searched for planted text, vectors and what was forgotten
    writers    eight processes adding 1,000 choices each; a clock that goes backwards

Covered: what the vault promises to whoever lets it keep something, against a crash, a disk and
somebody who can write the file. Not covered: the parsers of what is imported
(tools/fuzz/parsers.py), and an attacker who has the key. Ends with 1 if anything was lost, leaked
or went wrong otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.torture import byte_flips, faults, forgeries, kills, leaks, power, writers
from tools.torture.report import Row, complain, report, table
from tools.torture.scene import workplace

KILLS = 1000
CHOICES_OF_A_WRITER = 1000


@dataclass(frozen=True, slots=True)
class Plan:
    """How much to do.

    Attributes:
        scale: 1 for the whole run.
        thorough: flip single bits, too.
        seed: of what is chosen at random.
        folder: on which disk; None for the system's folder of temporary files.
    """

    scale: float = 1.0
    thorough: bool = False
    seed: int = 1
    folder: Path | None = None

    def times(self, count: int) -> int:
        """A count at this scale, at least 1."""
        return max(1, round(count * self.scale))

    @property
    def every(self) -> int:
        """Only each so-many-th byte is flipped."""
        return max(1, round(1 / self.scale))


def _kills(plan: Plan, folder: Path) -> Iterator[Row]:
    return kills.kill_all(folder, plan.times(KILLS), plan.seed)


def _faults(plan: Plan, folder: Path) -> Iterator[Row]:
    return faults.fail_all(folder, plan.times(60), _cores())


def _power(plan: Plan, folder: Path) -> Iterator[Row]:
    return power.cut_all(folder, plan.times(600), plan.seed)


def _bytes(plan: Plan, folder: Path) -> Iterator[Row]:
    return byte_flips.try_all(folder, plan.every, plan.thorough, _cores())


def _cores() -> int:
    return min(os.cpu_count() or 1, 8)


def _forgeries(plan: Plan, folder: Path) -> Iterator[Row]:
    return forgeries.forge_all(folder, plan.every)


def _leaks(plan: Plan, folder: Path) -> Iterator[Row]:
    return leaks.search_all(folder, plan.times(40) + 3)


def _writers(plan: Plan, folder: Path) -> Iterator[Row]:
    return writers.write_all(folder, plan.times(CHOICES_OF_A_WRITER))


PARTS: dict[str, tuple[Callable[[Plan, Path], Iterator[Row]], bool]] = {
    "kills": (_kills, False),
    "faults": (_faults, False),
    "power": (_power, True),
    "bytes": (_bytes, True),
    "forgeries": (_forgeries, True),
    "leaks": (_leaks, False),
    "writers": (_writers, False),
}
"""What each part does, and whether a folder in memory is as good for it as one on the disk."""


def run(plan: Plan, only: Sequence[str] = ()) -> list[Row]:
    """Carry out the parts, all of them unless some are named."""
    rows: list[Row] = []
    for name, (part, in_memory) in PARTS.items():
        if only and name not in only:
            continue
        began = time.monotonic()
        with workplace(plan.folder, in_memory=in_memory) as folder:
            for row in part(plan, folder):
                rows.append(row)
                _progress(name, row, time.monotonic() - began)
    return rows


def _progress(name: str, row: Row, seconds: float) -> None:
    wrong = f", {row.bad:,} WENT WRONG" if row.bad else ""
    line = f"{seconds:6.0f} s  {name}: {row.what}: {row.tried:,}{wrong}"
    print(line, file=sys.stderr, flush=True)


def main(argv: list[str] | None = None) -> int:
    """Torture, print the table, and write it where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", action="append", default=[], choices=PARTS, metavar="NAME")
    parser.add_argument("--scale", type=float, default=1.0, help="1 for the whole run")
    parser.add_argument("--thorough", action="store_true", help="flip every bit, too")
    parser.add_argument("--seed", type=int, default=1, help="of what is chosen at random")
    parser.add_argument("--folder", type=Path, help="on the disk to work on")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    parser.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    given = parser.parse_args(argv)
    plan = Plan(given.scale, given.thorough, given.seed, given.folder)
    began = time.monotonic()
    rows = run(plan, given.only)
    found = report(rows, given.scale, time.monotonic() - began)
    print(table(found, markdown=given.markdown))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 1 if complain(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
