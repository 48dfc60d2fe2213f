"""What it costs how OpenMP's threads wait for each other: asleep, spinning, or both.

    python -m tools.bench.waiting [--repeats 2] > FILE

The starter model, in a process of its own for each way (OpenMP reads its settings once): tokens of
a reply one by one, and a batch of 512, with nothing beside it and with programs beside it that keep
a core busy each. JSON; times are milliseconds, medians over the repeats; *of best* is the ratio to
the fastest way under the same load. GNU's OpenMP only: others know no GOMP_SPINCOUNT.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from pocketpref.backends.llama import device
from pocketpref.backends.llama.bindings import Context, Slot, Weights
from pocketpref.backends.scheduling import WAITING
from pocketpref.models import Catalogue

WAYS = {
    "asleep": {"OMP_WAIT_POLICY": "passive"},
    "100 rounds": {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "100"},
    "300 rounds (ours)": WAITING,
    "1,000 rounds": {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"},
    "10,000 rounds": {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000"},
    "spinning": {"OMP_WAIT_POLICY": "active"},
}
LOADS = (0, 1, 2)
BATCH = 512
TOKENS = 24


def here() -> tuple[float, float]:
    """Milliseconds for a token of a reply, and for a batch, in this process."""
    weights = Weights(Catalogue(Path("none")).find(None).path)
    tokens = weights.tokenize("The sky is blue because of the air. " * 100, special=False)[:BATCH]
    context = Context(weights, cells=BATCH + TOKENS, batch=BATCH, sequences=1, outputs=1)

    def batch() -> float:
        context.clear()
        start = time.perf_counter()
        context.decode([Slot(t, i, (0,), i == BATCH - 1) for i, t in enumerate(tokens)])
        return 1000 * (time.perf_counter() - start)

    def token() -> float:
        start = time.perf_counter()
        for place in range(TOKENS):
            context.decode([Slot(tokens[place], BATCH + place, (0,), output=True)])
        context.cut(0, BATCH)
        return 1000 * (time.perf_counter() - start) / TOKENS

    batches = [batch() for _ in range(2)]
    return statistics.median(token() for _ in range(4)), statistics.median(batches)


@contextmanager
def beside(count: int) -> Iterator[None]:
    """While so many other programs keep a core busy each."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for program in busy:
            program.kill()
            program.wait()


def one(way: dict[str, str]) -> tuple[float, float]:
    """The same in a process that waits this way."""
    bare = {name: value for name, value in os.environ.items() if name not in WAITING}
    ran = subprocess.run(
        [sys.executable, __file__, "--here"],
        env={**bare, **way},
        capture_output=True,
        text=True,
        check=True,
    )
    token, batch = json.loads(ran.stdout)
    return token, batch


def measure(repeats: int) -> list[dict[str, object]]:
    """A row for each load and way, the ways in turn."""
    rows: list[dict[str, object]] = []
    for load in LOADS:
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in WAYS}
        with beside(load):
            for _ in range(repeats):
                for name, way in WAYS.items():
                    found[name].append(one(way))
                    print(f"{load} beside, {name}: {found[name][-1]}", file=sys.stderr)
        middle = {
            name: list(map(statistics.median, zip(*f, strict=True))) for name, f in found.items()
        }
        best = [min(values) for values in zip(*middle.values(), strict=True)]
        rows += [
            {
                "beside": load,
                "way": name,
                "token_ms": round(token, 1),
                "token_of_best": round(token / best[0], 2),
                "batch_ms": round(batch),
                "batch_of_best": round(batch / best[1], 2),
            }
            for name, (token, batch) in middle.items()
        ]
    return rows


def main(argv: Sequence[str] | None = None) -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.here:
        print(json.dumps(here()))
        return 0
    rows = measure(options.repeats)
    where = {"processor": platform.machine(), "device": device()}
    print(json.dumps(where | {"rows": rows}, indent=1))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
