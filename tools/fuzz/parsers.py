"""Tries every parser of what comes from outside with broken inputs.

    python -m tools.fuzz.parsers [--cases 100000] [--only NAME ...] [--seed N] [--keep] [--json F]

Each parser first reads the kept corpus (``tests/fuzz/corpus``: small real inputs, and each input
that ever found a mistake), also that of all other parsers; then as many fresh cases as asked for,
made from its corpus by `fuzz_mutations`. What must hold for each case stands in `fuzz_checks`,
which parsers there are in `fuzz_targets`. Printed: for each parser the cases, how many were parsed
and how many refused, in how many different messages, the slowest case, the most memory, and the
failures. The same seed gives the same cases. Ends with 1 if anything failed.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from tools.fuzz.checks import Outcome, Parser, judge
from tools.fuzz.mutations import Mutator
from tools.fuzz.targets import CORPUS, PARSERS

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  # a folder that no disk stands behind, if there is one
_PROGRESS_SECONDS = 10.0
_TRACED = 50  # every so many cases are traced from the first; the others where memory grows


@dataclass
class Report:
    """What became of the cases of one parser.

    Attributes:
        failures: for each kind of failure, the smallest case that shows it.
        messages: the different messages of refusals, numbers aside.
        slowest: seconds of the process's time.
        most: bytes held at most.
    """

    parser: str
    cases: int = 0
    parsed: int = 0
    refused: int = 0
    failed: int = 0
    failures: dict[str, bytes] = field(default_factory=dict)
    messages: set[str] = field(default_factory=set)
    slowest: float = 0.0
    most: int = 0

    def note(self, case: bytes, outcome: Outcome) -> None:
        """Count one case."""
        self.cases += 1
        self.slowest = max(self.slowest, outcome.seconds)
        self.most = max(self.most, outcome.memory)
        if outcome.failure:
            self.failed += 1
            known = self.failures.get(outcome.failure)
            if known is None or len(case) < len(known):
                self.failures[outcome.failure] = case
        elif outcome.refused is not None:
            self.refused += 1
            self.messages.add(outcome.refused)
        else:
            self.parsed += 1


def corpus(parser: Parser) -> list[bytes]:
    """What is kept for one parser, in the order of the names."""
    files = sorted((CORPUS / parser.name).iterdir())
    return [file.read_bytes() for file in files]


def kept_cases(parser: Parser) -> Iterator[bytes]:
    """The whole corpus, the parser's own part of it first."""
    yield from corpus(parser)
    for other in PARSERS:
        if other is not parser:
            yield from corpus(other)


def fresh_cases(parser: Parser, seed: int) -> Iterator[bytes]:
    """Cases without end, the same for the same seed."""
    dice = random.Random(f"{seed} {parser.name}")  # noqa: S311  # to be repeated, not to be secret
    mutator = Mutator(corpus(parser), parser.form, dice)
    while True:
        yield mutator.case()


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder, in memory where there is such a thing."""
    where = _SHARED_MEMORY if _SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=where) as folder:
        yield Path(folder)


def fuzz(
    parser: Parser,
    cases: Iterable[bytes],
    on_progress: Callable[[int], None] = lambda _: None,
    *,
    traced: int = 1,
) -> Report:
    """Let one parser read cases.

    Args:
        parser: which.
        cases: the inputs.
        on_progress: told now and then how many it has read.
        traced: how often allocations are traced from the first: 1 for each case, 100 for each
            hundredth. The others are if the process holds more memory than ever before.
    """
    report = Report(parser.name)
    told = time.monotonic()
    with scratch() as folder:
        for number, case in enumerate(cases):
            report.note(case, judge(parser, case, folder, traced=number % traced == 0))
            if time.monotonic() - told > _PROGRESS_SECONDS:
                on_progress(report.cases)
                told = time.monotonic()
    return report


def smallest(parser: Parser, case: bytes, failure: str) -> bytes:
    """A failing case, shortened for as long as it fails in the same way."""
    step = max(1, len(case) // 2)
    while step:
        position = 0
        while position < len(case):
            shorter = case[:position] + case[position + step :]
            if failure in fuzz(parser, [shorter]).failures:
                case = shorter
            else:
                position += step
        step //= 2
    return case


def keep(parser: Parser, report: Report) -> None:
    """Put what failed into the corpus, shortened, so that it is tried for ever after."""
    for failure, case in report.failures.items():
        shortened = smallest(parser, case, failure) if len(case) < 20_000 else case
        name = f"found-{hashlib.sha256(shortened).hexdigest()[:12]}"
        (CORPUS / parser.name / name).write_bytes(shortened)


def table(reports: Sequence[Report]) -> str:
    """The reports side by side."""
    head = "parser               cases   parsed  refused messages  slowest    memory failures"
    return "\n".join([head, *map(_row, reports)])


def _row(report: Report) -> str:
    return (
        f"{report.parser:17} {report.cases:8,} {report.parsed:8,} {report.refused:8,} "
        f"{len(report.messages):8} {1000 * report.slowest:5.0f} ms {report.most / 2**20:5.1f} MiB "
        f"{report.failed:8,}"
    )


def _as_json(report: Report) -> dict[str, Any]:
    names = ("parser", "cases", "parsed", "refused", "failed")
    return {name: getattr(report, name) for name in names} | {
        "messages": sorted(report.messages),
        "failures": sorted(report.failures),
        "slowest_seconds": report.slowest,
        "most_bytes": report.most,
    }


def _tell(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _try(parser: Parser, fresh: int, seed: int) -> Report:
    kept = list(kept_cases(parser))
    cases = chain(kept, islice(fresh_cases(parser, seed), fresh))

    def tell(done: int) -> None:
        _tell(f"{parser.name}: {done:,} of {len(kept) + fresh:,}")

    report = fuzz(parser, cases, tell, traced=_TRACED)
    _tell("\n  ".join([_row(report), *report.failures]))
    return report


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--cases", type=int, default=100_000, help="fresh cases for each parser")
    names = [p.name for p in PARSERS]
    parser.add_argument(
        "--only",
        choices=names,
        metavar="NAME",
        action="append",
        help=f"may be repeated: {', '.join(names)}",
    )
    parser.add_argument("--seed", type=int, default=1, help="another one gives other cases")
    parser.add_argument("--keep", action="store_true", help="put what fails into the corpus")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """Try them, print the table, and write the numbers where asked."""
    given = _arguments(argv)
    reports = []
    for parser in (p for p in PARSERS if given.only is None or p.name in given.only):
        reports.append(_try(parser, given.cases, given.seed))
        if given.keep:
            keep(parser, reports[-1])
    print(table(reports))
    if given.json:
        content = {"seed": given.seed, "parsers": [_as_json(report) for report in reports]}
        given.json.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return 1 if any(report.failures for report in reports) else 0


if __name__ == "__main__":
    sys.exit(main())
