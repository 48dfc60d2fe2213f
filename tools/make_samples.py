"""Make pocketpref/samples/*.jsonl again from the data they are taken from.

    python tools/make_samples.py UKP.jsonl MTBENCH.jsonl DESCRIPTIONS.jsonl [--into FOLDER]

The inputs are pair files of many people (`samples/ATTRIBUTION.md` says where they come from). The
result depends on them alone:

ukp.jsonl     at most 40 pairs of one person. Pairs whose two answers have 150 to 700 characters
              together, without what `UNSUITED_DEBATES` and `UNSUITED_WORDS` name. The shortest
              pair of each debate in turn, debates in alphabetical order; then in the order of
              `meta.time`.
mtbench.jsonl 24 pairs of one rater: the shortest pairs, in the order of the file.
demo.jsonl    the first turn of ukp.jsonl, one pair of each debate, with the pair of DEMO_DEBATE as
              the last: learning begins with the newest, and the demo asks about this debate.

descriptions.jsonl  all 30 pairs of the person who chose the text of fewer characters every time,
              in the order of `meta.order`.

"Shortest" counts prompt and both answers, since that is what learning from a pair costs; equal
ones stay in the file's order.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Sequence
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any

# Of those who judged 8 debates or more, the person whose choices follow length least: the longer
# answer is chosen in 59 % of these pairs (in 60 to 85 % by the others). The reasons given
# have one line all the same: more detail, a reason behind it, a clear stance.
UKP_PERSON = "ukp_0470"
DESCRIPTIONS_PERSON = "pref-1"
MTBENCH_PERSON = "mtb_author_4"  # the rater with the most votes

# Debates and texts that are likely to insult someone; nobody should meet them in a demo.
UNSUITED_WORDS = ("gay", "lesbian", "mexican")
UNSUITED_DEBATES = (
    "Christianity or Atheism?",
    "Gay Marriage: Right or Wrong",
    "Human Growth and Development: Should parents use spanking as an option to discipline?",
    "INDIA HAS THE POTENTIAL TO LEAD THE WORLD...",
    "Is porn wrong?",
    "Pro-Choice vs. Pro-Life",
)

DEMO_DEBATE = "TV is better than Books"

Row = dict[str, Any]


def main(argv: Sequence[str] | None = None) -> None:
    """Read the two data files and write the three samples."""
    parser = argparse.ArgumentParser(description="Make the bundled samples again.")
    parser.add_argument("ukp", type=Path)
    parser.add_argument("mtbench", type=Path)
    parser.add_argument("descriptions", type=Path)
    default = Path(__file__).parents[1] / "pocketpref" / "samples"
    parser.add_argument("--into", type=Path, default=default)
    options = parser.parse_args(argv)
    ukp = _in_turns(_suitable(_rows(options.ukp, UKP_PERSON)))
    mtbench = _rows(options.mtbench, MTBENCH_PERSON)
    shortest = sorted(mtbench, key=_characters)[:24]
    _write(options.into / "ukp.jsonl", _by_time(ukp[:40]))
    first_turn = _by_time(ukp[: len({_debate(row) for row in ukp})])
    _write(options.into / "demo.jsonl", sorted(first_turn, key=_is_asked_about))
    _write(options.into / "mtbench.jsonl", [row for row in mtbench if row in shortest])
    descriptions = _rows(options.descriptions, DESCRIPTIONS_PERSON)
    in_order = sorted(descriptions, key=lambda row: int(row["meta"]["order"]))
    _write(options.into / "descriptions.jsonl", in_order)


def _rows(path: Path, person: str) -> list[Row]:
    with path.open(encoding="utf-8") as file:
        return [row for row in map(json.loads, file) if row["user"] == person]


def _suitable(rows: list[Row]) -> list[Row]:
    return [
        row
        for row in rows
        if 150 <= len(row["chosen"]) + len(row["rejected"]) <= 700
        and _debate(row) not in UNSUITED_DEBATES
        and not any(word in (row["chosen"] + row["rejected"]).lower() for word in UNSUITED_WORDS)
    ]


def _in_turns(rows: list[Row]) -> list[Row]:
    debates = defaultdict(list)
    for row in sorted(rows, key=_characters):
        debates[_debate(row)].append(row)
    turns = zip_longest(*(debates[name] for name in sorted(debates)))
    return [row for row in chain.from_iterable(turns) if row is not None]


def _debate(row: Row) -> str:
    return str(row["prompt"]).split("\n", 1)[0].removeprefix("Debate: ")


def _is_asked_about(row: Row) -> bool:
    return _debate(row) == DEMO_DEBATE


def _characters(row: Row) -> int:
    return sum(len(row[key]) for key in ("prompt", "chosen", "rejected"))


def _by_time(rows: list[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: str(row["meta"]["time"]))


def _write(path: Path, rows: list[Row]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8", newline="\n")
    print(f"{path.name}: {len(rows)} pairs, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
