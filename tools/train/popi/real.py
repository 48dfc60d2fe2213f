"""People of published data as `tools.train.popi` takes them.

    python -m tools.train.popi.real FILE INTO [--format fspo|alignx|prism|jsonl ...]

Everybody's earlier choices are what a summary is written from, the later ones what it is judged by;
whole people are trained, tuned or tested on, by a hash of their names. Of a person with five
choices, as AlignX has them, four are shown and one judges. What they like is not known: proposals
then come from the attribute bank, by the search's own estimates (`warm.py`).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pocketpref.importers import FORMATS, BadEntry, Format, read
from pocketpref.records import Feedback

from ..people import PEOPLE
from ..prompts import Part

_LEAST = 5
"""Choices without which a person is left out: as many as are shown, and one that judges."""

_PARTS: tuple[Part, ...] = ("test", "tune", *("train",) * 8)


def part_of(person: str) -> Part:
    """Eight of ten people are trained on."""
    digest = hashlib.sha256(person.encode()).digest()
    return _PARTS[int.from_bytes(digest[:4], "big") % len(_PARTS)]


def people(path: Path, form: Format | None) -> dict[str, list[Feedback]]:
    """The choices of everybody who made enough of them, the earliest first.

    Raises:
        FileError: the file cannot be read, or is of another format.
    """
    found: dict[str, list[Feedback]] = defaultdict(list)
    for entry in read(path, form):
        if not isinstance(entry, BadEntry) and entry.user:
            found[entry.user].append(entry)
    return {name: choices for name, choices in found.items() if len(choices) >= _LEAST}


def lines(found: dict[str, list[Feedback]], signals: int) -> Iterator[dict[str, Any]]:
    """Lines of a pair file that says what each choice is for.

    Args:
        found: people and their choices.
        signals: choices that a summary is written from, at most; one at least is left to judge.
    """
    for name, choices in found.items():
        until = min(signals, len(choices) - 1)
        for place, feedback in enumerate(choices):
            pair = feedback.pair
            role = "signal" if place < until else "later"
            yield {
                "user": name,
                "prompt": pair.prompt,
                "chosen": pair.chosen,
                "rejected": pair.rejected,
                "meta": {"part": part_of(name), "role": role, "style": {}},
            }


def main(argv: Sequence[str] | None = None) -> int:
    """Convert a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("into", type=Path, metavar="INTO")
    parser.add_argument("--format", choices=FORMATS, help="[default: recognized]")
    parser.add_argument("--signals", type=int, default=16)
    given = parser.parse_args(argv)
    found = people(given.file, given.format)
    given.into.mkdir(parents=True, exist_ok=True)
    said = (json.dumps(line, ensure_ascii=False) + "\n" for line in lines(found, given.signals))
    (given.into / PEOPLE).write_text("".join(said), encoding="utf-8", newline="\n")
    print(f"{len(found)} people with {_LEAST} choices or more")
    return 0


if __name__ == "__main__":
    sys.exit(main())
