"""What protection costs: the vault beside the same tables unsealed, and beside SQLCipher.

    python -m tools.bench.vault [--sizes 1000 10000 100000] [--repeats 5] [--folder DIR]
                                [--json FILE]

Side by side in one run, on the same made-up memories (vault_samples.py), each contender in a
process of its own; vault_rivals.py says what the others promise. At every size:

    add                  one pair of about 1 kB, on the disk when it returns; contenders take turns
    open + first recall  in a new process that has imported its libraries: open with the key file,
                         read what was learned, answer one query. The file is in the system's cache.
                         Memory is the most that this process has held
    recall, warm         one more query
    recall after an add  one more query, when the vault has changed meanwhile (the others keep no
                         account of what changed and read everything again)
    forget               one memory with what it taught; the vault clears file and log of it too
    rotate               everything sealed under a new key, once

Every answer is compared with a search by brute force in float64; of cosines within 1e-6 of each
other either is right. A wrong answer makes the exit status 1. SQLCipher takes part where ``pip
install sqlcipher3-binary`` or ``sqlcipher3-wheels`` was done. The disk is that of ``--folder``, by
default of the working directory: 100,000 memories need about 3 GB. Not covered: other processes
at work on the same vault, a cold disk, passphrases (which cost what Argon2id is set to).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TypedDict

from pocketpref.errors import PocketprefError
from tools.bench.vault_contenders import VAULT
from tools.bench.vault_rivals import PLAIN, SQLCIPHER, SQLCIPHER_MODULE
from tools.bench.vault_samples import Samples
from tools.bench.vault_trial import FORGETS, Result, Summary, Tally, Trial

ADD_RATIO, FIRST_RATIO = 2.0, 3.0
FIRST_MS, FIRST_SIZE = 300.0, 10_000
WARM_MS, WARM_SIZE = 15.0, 100_000

LEAST_SIZE = 2 * FORGETS

TIMES = {
    "add": "add",
    "first": "open + first recall",
    "warm": "recall, warm",
    "changed": "recall after an add",
    "forget": "forget",
    "rotate": "rotate",
}
"""What is timed, in words."""


class Document(TypedDict):
    """What ``--json`` writes.

    Attributes:
        sizes: by size, then by contender.
        left_out: contenders that did not take part, and why.
        queries: answers compared with the reference.
        mismatches: how many of them were wrong.
        seconds: that the whole run took.
    """

    system: str
    sqlite: str
    repeats: int
    seed: int
    sizes: dict[str, dict[str, Result]]
    left_out: dict[str, str]
    queries: int
    mismatches: int
    seconds: float


def run(sizes: Sequence[int], repeats: int, folder: Path, target: Path | None) -> Document:
    """Measure all sizes.

    Args:
        sizes: how many memories.
        repeats: how many new processes open each store.
        folder: stores are made under it, and removed.
        target: a JSON file to write after each size.

    Raises:
        ModelError: a contender failed.
    """
    began = time.perf_counter()
    names, left_out = [VAULT, PLAIN], {}
    if find_spec(SQLCIPHER_MODULE):
        names.append(SQLCIPHER)
    else:
        left_out[SQLCIPHER] = "not installed: pip install sqlcipher3-binary (or sqlcipher3-wheels)"
    document = Document(
        system=f"{platform.platform()}, {os.cpu_count()} cores", sqlite=sqlite3.sqlite_version,
        repeats=repeats, seed=0, sizes={}, left_out=left_out, queries=0, mismatches=0, seconds=0.0,
    )  # fmt: skip
    tally = Tally()
    for size in sizes:
        with tempfile.TemporaryDirectory(dir=folder) as place:
            trial = Trial(Samples(size, document["seed"]), Path(place), names, tally)
            document["sizes"][str(size)] = trial.run(repeats)
        document["queries"], document["mismatches"] = tally.queries, tally.mismatches
        document["seconds"] = time.perf_counter() - began
        if target:
            target.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    return document


# ------------------------------------------------------------------------------------- report


def report(document: Document) -> str:
    """Tables of all sizes, then the targets."""
    lines = [document["system"], f"SQLite {document['sqlite']}"]
    lines += [f"{name}: {why}" for name, why in document["left_out"].items()]
    for size, results in document["sizes"].items():
        lines += ["", *_table(int(size), results)]
    lines += ["", "p50 (p99), or p50 (least to most) of fewer than 20", "", "targets"]
    return "\n".join(lines + [f"  {line}" for line in targets(document)])


def _table(size: int, results: Mapping[str, Result]) -> list[str]:
    """A row for each measure: every contender, then how many times the rivals' the vault's is."""
    rivals = [name for name in results if name != VAULT]
    heads = [*results, *(f"/ {name}" for name in rivals)]
    lines = [_row(f"{size:,} memories", heads)]
    for what, label in TIMES.items():
        cells = [_cell(results[name]["times"].get(what)) for name in results]
        lines.append(_row(f"{label}, ms", cells + [_ratio(results, what, n) for n in rivals]))
    lines.append(_row("file, MB", [f"{r['file'] / 1e6:,.1f}" for r in results.values()]))
    memory = [f"{r['memory'] / 1e6:,.0f} ({r['before'] / 1e6:,.0f})" for r in results.values()]
    lines.append(_row("memory (before), MB", memory))
    return lines


def _row(label: str, cells: Sequence[str]) -> str:
    return (label.ljust(24) + "".join(f"{cell:>28}" for cell in cells)).rstrip()


def _cell(times: Summary | None) -> str:
    if times is None:
        return "-"
    if times["count"] == 1:
        return f"{times['p50']:,.1f}"
    if times["count"] < 20:
        return f"{times['p50']:,.2f} ({times['least']:,.1f} to {times['most']:,.1f})"
    return f"{times['p50']:,.2f} ({times['p99']:,.2f})"


def _ratio(results: Mapping[str, Result], what: str, rival: str) -> str:
    ours, theirs = (results[name]["times"].get(what) for name in (VAULT, rival))
    return f"{ours['p50'] / theirs['p50']:.2f}x" if ours and theirs else "-"


def targets(document: Document) -> list[str]:
    """Each target, what was measured, and whether it was met."""
    sizes = document["sizes"]
    first = first_ratio = warm = None
    if found := sizes.get(str(FIRST_SIZE)):
        first, first_ratio = found[VAULT]["times"]["first"]["p50"], _times_plain(found, "first")
    if found := sizes.get(str(WARM_SIZE)):
        warm = found[VAULT]["times"]["warm"]["p50"]
    adds = [_times_plain(results, "add") for results in sizes.values()]
    opening = f"open + first recall of {FIRST_SIZE:,}"
    wrong, asked = document["mismatches"], document["queries"]
    return [
        _line(f"add at most {ADD_RATIO:g}x plain, at every size", max(adds), ADD_RATIO, "x"),
        _line(f"{opening} under {FIRST_MS:g} ms", first, FIRST_MS, " ms"),
        _line(f"{opening} at most {FIRST_RATIO:g}x plain", first_ratio, FIRST_RATIO, "x"),
        _line(f"warm recall of {WARM_SIZE:,} under {WARM_MS:g} ms", warm, WARM_MS, " ms"),
        f"recall as in float64: {asked:,} queries, {wrong:,} wrong: {'no' if wrong else 'yes'}",
    ]


def _times_plain(results: Mapping[str, Result], what: str) -> float:
    """How many times as long as plain the vault takes, by medians."""
    return results[VAULT]["times"][what]["p50"] / results[PLAIN]["times"][what]["p50"]


def _line(what: str, value: float | None, most: float, unit: str) -> str:
    if value is None:
        return f"{what}: not measured"
    return f"{what}: {value:.2f}{unit}: {'yes' if value <= most else 'no'}"


def _size(text: str) -> int:
    value = int(text)
    if value < LEAST_SIZE:
        raise argparse.ArgumentTypeError(f"at least {LEAST_SIZE} memories, some are forgotten")
    return value


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write the numbers where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    sizes = [1000, FIRST_SIZE, WARM_SIZE]
    parser.add_argument("--sizes", type=_size, nargs="+", default=sizes, help="how many memories")
    parser.add_argument("--repeats", type=int, default=5, help="new processes that open each store")
    parser.add_argument("--folder", type=Path, help="on the disk to measure (default: here)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = parser.parse_args(argv)
    # As Ctrl-C, so that a run that is ended leaves no stores behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = run(given.sizes, given.repeats, given.folder or Path.cwd(), given.json)
    except PocketprefError as error:
        print(f"{error.message}\n{error.hint or ''}".rstrip(), file=sys.stderr)
        return 1
    print(report(found))
    return 1 if found["mismatches"] else 0


if __name__ == "__main__":
    sys.exit(main())
