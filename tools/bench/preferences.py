"""What inferring a person's preferences costs, and what it adds to a prompt (processor time).

    python -m tools.bench.preferences [--choices N] [--repeats N] [--json FILE]

People of N choices who always take the shorter answer, and people who choose by coin: for these
prompts are embedded as well, to see whether taste differs by topic.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pocketpref
from pocketpref.pocket import Pocket
from pocketpref.records import Feedback, Pair
from pocketpref.samples import sample_pairs
from pocketpref.testing import ScriptedModel
from pocketpref.vault.crypto.key_stores import EphemeralKey


def made(count: int, *, coin: bool) -> list[Feedback]:
    """Choices between real answers, each under a prompt of its own."""
    dice = random.Random(7)  # noqa: S311 - no secret hangs on it
    known = [feedback.pair for name in ("ukp", "mtbench") for feedback in sample_pairs(name)]
    found = []
    for number in range(count):
        pair = known[number % len(known)]
        short, long = sorted((pair.chosen, pair.rejected), key=len)
        chosen, rejected = (long, short) if coin and dice.random() < 0.5 else (short, long)
        found.append(Feedback(Pair(f"{number}: {pair.prompt}", chosen, rejected)))
    return found


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median processor time of some work."""
    times = []
    for _ in range(repeats):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return statistics.median(times)


def measured(feedback: list[Feedback], repeats: int) -> dict[str, float]:
    """Seconds to infer everything, and to personalize a prompt afterwards."""
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as pocket:
        pocket.add_many(feedback)
        pocket.personalize("Explain DNS")  # loads what is loaded once

        def infer() -> None:
            pocket._preferences.clear()
            pocket.preferences()

        return {
            "infer_s": seconds(infer, repeats),
            "personalize_ms": 1000 * seconds(lambda: pocket.personalize("Explain DNS"), 20),
        }


def opened(folder: Path) -> Pocket:
    """A Pocket with the bundled embedder, whose model is never asked."""
    key, model = EphemeralKey(), ScriptedModel({})
    return pocketpref.open(path=folder / "vault.db", key=key, model=model)


def main() -> None:
    """Print both rows."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--choices", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    report = {
        name: measured(made(options.choices, coin=coin), options.repeats)
        for name, coin in (("one taste", False), ("by coin", True))
    }
    for name, row in report.items():
        print(
            f"{name:10} infer {options.choices} choices {row['infer_s']:.2f} s, "
            f"personalize {row['personalize_ms']:.1f} ms"
        )
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
