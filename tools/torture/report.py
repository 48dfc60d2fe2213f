"""What a torture run found, as one table: how often what was done, and how it ended.

A `Row` counts one kind of attempt. Every attempt ends well in a way that has a name ("refused by
name", "read as it was stored"), or it is a problem: described, so that it can be made again.
"""

from __future__ import annotations

import platform
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Category = Literal["kills", "faults", "bytes", "inputs", "writes", "searches"]

TOTALS: tuple[tuple[Category, str], ...] = (
    ("faults", "faults injected"),
    ("inputs", "bad inputs tried"),
    ("bytes", "bytes flipped"),
    ("kills", "kills survived"),
    ("writes", "records written side by side"),
    ("searches", "searches of the files for plain text"),
)

_SHOWN = 40
"""Problems kept of one row; beyond that they only count."""


@dataclass
class Row:
    """One kind of attempt.

    Attributes:
        part: the part of the run that made it.
        category: under which total it counts.
        what: what was done, for people.
        ended: how many attempts ended well, by the way they did.
        bad: how many did not.
        lost: records that were acknowledged and are not there, or not as they were.
        leaks: places where plain text, or what was forgotten, was found.
        problems: what went wrong.
    """

    part: str
    category: Category
    what: str
    ended: Counter[str] = field(default_factory=Counter)
    bad: int = 0
    lost: int = 0
    leaks: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """How many attempts there were."""
        return sum(self.ended.values()) + self.bad

    def well(self, way: str, count: int = 1) -> None:
        """Count attempts that ended well."""
        self.ended[way] += count

    def badly(self, problem: str, *, lost: int = 0, leaks: int = 0) -> None:
        """Count an attempt that did not."""
        self.bad += 1
        self.lost += lost
        self.leaks += leaks
        if len(self.problems) < _SHOWN:
            self.problems.append(problem)

    def add(self, other: Row) -> None:
        """Count what another process found of the same kind."""
        self.ended.update(other.ended)
        self.bad += other.bad
        self.lost += other.lost
        self.leaks += other.leaks
        self.problems = [*self.problems, *other.problems][:_SHOWN]

    def as_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "part": self.part,
            "what": self.what,
            "tried": self.tried,
            "ended": dict(self.ended),
            "bad": self.bad,
            "lost": self.lost,
            "leaks": self.leaks,
            "problems": self.problems,
        }


def totals(rows: Iterable[Row]) -> dict[str, int]:
    """The headline numbers."""
    rows = list(rows)
    found = {}
    for category, name in TOTALS:
        those = [row for row in rows if row.category == category]
        survived = sum(row.bad for row in those) if category == "kills" else 0
        found[name] = sum(row.tried for row in those) - survived
    found["records lost"] = sum(row.lost for row in rows)
    found["plaintext leaks found"] = sum(row.leaks for row in rows)
    found["anything else that went wrong"] = sum(
        max(0, row.bad - row.lost - row.leaks) for row in rows
    )
    return found


def report(rows: Sequence[Row], scale: float, seconds: float) -> dict[str, Any]:
    """Everything as plain data, for ``--json``."""
    return {
        "totals": totals(rows),
        "rows": [row.as_json() for row in rows],
        "scale": scale,
        "seconds": round(seconds, 1),
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "system": f"{platform.system()} {platform.machine()}",
    }


def table(found: dict[str, Any], *, markdown: bool) -> str:
    """The table, for people."""
    lines = [("what was done", "times", "how it ended")]
    for row in found["rows"]:
        ways = [f"{way}: {count:,}" for way, count in sorted(row["ended"].items())]
        ways += [f"**went wrong: {row['bad']:,}**"] if row["bad"] else []
        lines.append((row["what"], f"{row['tried']:,}", ", ".join(ways)))
    heads = [(name, f"{count:,}", "") for name, count in found["totals"].items()]
    if markdown:
        return _markdown([("", "count")] + [head[:2] for head in heads]) + "\n" + _markdown(lines)
    widths = [max(len(line[n]) for line in [*lines, *heads]) for n in range(2)]
    return "\n".join(
        f"{what:{widths[0]}}  {times:>{widths[1]}}  {ways}".rstrip()
        for what, times, ways in [*lines, ("", "", ""), *heads]
    )


def _markdown(lines: Sequence[tuple[str, ...]]) -> str:
    rows = [f"| {' | '.join(line)} |" for line in lines]
    rule = "|" + "|".join("---:" if n == 1 else "---" for n in range(len(lines[0]))) + "|"
    return "\n".join([rows[0], rule, *rows[1:]]) + "\n"


def complain(rows: Iterable[Row]) -> bool:
    """Say on standard error what went wrong; whether anything did."""
    found = [(row, problem) for row in rows for problem in row.problems]
    for row, problem in found:
        print(f"{row.part}: {row.what}: {problem}", file=sys.stderr)
    return any(row.bad for row in rows)
