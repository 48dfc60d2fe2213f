"""How the cost of learning one choice grows, and what memory it takes at most.

    python -m tools.bench.growth [--json FILE]

One round of the default search (k = 1) with the starter model and made-up texts: prompts of 50 to
8,000 tokens, answers of 50 to 2,000, banks of 10 to 42 attributes, each beside the same middle case
(a prompt of 200 tokens, answers of 100, 42 attributes). Printed: seconds, conditions evaluated, and
the most memory that the process has held so far. Prompts longer than the scoring window lose their
middle, so that time and memory stop growing there. Cost is proportional to the number of pairs:
nothing is shared between pairs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel, prepare
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.models import Catalogue
from pocketpref.records import Pair
from pocketpref.scoring import PairScorer
from tools.bench.scoring_workers import peak_memory

_MIDDLE = {"prompt": 200, "answer": 100, "attributes": 42}
_CASES = {"prompt": (50, 500, 2000, 8000), "answer": (50, 400, 2000), "attributes": (10, 21, 42)}
_WORDS = ["the", "river", "runs", "past", "old", "houses", "and", "under", "a", "stone", "bridge"]


def text(tokens: int, turn: int) -> str:
    """About so many tokens of plain words; another turn begins elsewhere."""
    return " ".join(_WORDS[(i * (turn + 1) + turn) % len(_WORDS)] for i in range(tokens))


def cases() -> Iterator[tuple[str, dict[str, int]]]:
    """What is varied, and the whole case."""
    yield "middle", _MIDDLE
    for name, values in _CASES.items():
        for value in values:
            yield f"{name} {value:,}", {**_MIDDLE, name: value}
    yield "longest of both", {**_MIDDLE, "prompt": 8000, "answer": 2000}


def measure() -> list[dict[str, Any]]:
    """One search of one round for each case, the longest prompts and answers last."""
    whole = AttributeBank.standard()
    entry = Catalogue(Path()).find(None)
    digest = Catalogue(Path()).digest(entry)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        model = LlamaModel(prepare(entry.path, Path(folder), digest), sha256=digest)
        Exact(whole).select(PairScorer(model, Pair("Hi", "Hello", "Go away")))  # loads the rest
        for name, case in cases():
            bank = AttributeBank(islice(whole, case["attributes"]))
            pair = Pair(*(text(case[n], i) for i, n in enumerate(("prompt", "answer", "answer"))))
            scorer = PairScorer(model, pair)
            began = time.perf_counter()
            Exact(bank, ExactSettings(k=1)).select(scorer)
            seconds = time.perf_counter() - began
            evaluated = scorer.evaluations // 2
            row = {"case": name, "seconds": seconds, "evaluated": evaluated, "peak": peak_memory()}
            rows.append(row)
            print(_line(rows[-1]), flush=True)
        model.close()
    return rows


def _line(row: dict[str, Any]) -> str:
    return (
        f"{row['case']:16} {row['seconds']:6.1f} s, {row['evaluated']:3} conditions evaluated, "
        f"at most {row['peak'] / 2**20:,.0f} MiB"
    )


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write the numbers where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = parser.parse_args(argv)
    rows = measure()
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
