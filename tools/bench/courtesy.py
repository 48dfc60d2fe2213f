"""How long a person waits for the first token of a reply, with and without learning beside it.

    python -m tools.bench.courtesy [--repeats 6] [--json FILE]

The starter model replies to a prompt of about 200 tokens that it has not seen (each repeat asks
something new, so that nothing of it is in the cache), in turn with nothing beside it and with a
search for attributes running in another thread of the same process, as `/prefer` and a program that
embeds pocketpref do it. Printed: medians, least and most, and the ratio, which should be 1.3 or
less. Not covered: learning in another process, which shares the processor as the system decides.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel, prepare
from pocketpref.methods.exact import Exact
from pocketpref.models import Catalogue
from pocketpref.records import Message, Sampling
from pocketpref.samples import sample_pairs
from pocketpref.scoring import PairScorer

_WORDS = "river mountain library winter engine garden letter bridge market candle forest window"
_WARM_UP_SECONDS = 4.0  # until learning is amid its work


def first_token_seconds(model: LlamaModel, number: int) -> float:
    """From the question to the first token of the reply."""
    words = _WORDS.split()
    turned = words[number % len(words) :] + words[: number % len(words)]
    prompt = f"Story number {number}. " + " ".join(turned * 15)
    sampling = Sampling(max_tokens=4, temperature=0)
    began = time.perf_counter()
    pieces = model.generate([Message(role="user", content=prompt)], sampling=sampling)
    next(pieces)
    seconds = time.perf_counter() - began
    for _ in pieces:
        pass
    return seconds


@contextmanager
def learning(scorer: LlamaModel) -> Iterator[None]:
    """Search for attributes in another thread, over and over."""
    ended = threading.Event()
    bank = AttributeBank.standard()
    pairs = [feedback.pair for feedback in sample_pairs("mtbench")]

    def work() -> None:
        while not ended.is_set():
            for pair in pairs:
                Exact(bank).select(PairScorer(scorer, pair), lambda _: not ended.is_set())

    thread = threading.Thread(target=work)
    thread.start()
    try:
        time.sleep(_WARM_UP_SECONDS)
        yield
    finally:
        ended.set()
        thread.join()


def measure(repeats: int) -> dict[str, list[float]]:
    """Seconds to the first token, alone and beside learning, a few of each in turn."""
    entry = Catalogue(Path()).find(None)
    found: dict[str, list[float]] = {"alone": [], "learning": []}
    with tempfile.TemporaryDirectory() as folder:
        digest = Catalogue(Path()).digest(entry)
        model = LlamaModel(entry.path, sha256=digest)
        scorer = LlamaModel(prepare(entry.path, Path(folder), digest), sha256=digest)
        first_token_seconds(model, -1)
        for number in range(repeats):
            for turn in range(3):
                found["alone"].append(first_token_seconds(model, 100 * number + turn))
            with learning(scorer):
                for turn in range(3):
                    found["learning"].append(first_token_seconds(model, 100 * number + 50 + turn))
                    time.sleep(1.0)
            print(f"{number + 1} of {repeats}", file=sys.stderr, flush=True)
        model.close()
        scorer.close()
    return found


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write the numbers where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--repeats", type=int, default=6, help="times that learning is started")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = parser.parse_args(argv)
    found = measure(given.repeats)
    for name, values in found.items():
        print(
            f"{name:9} {1000 * statistics.median(values):6.0f} ms to the first token "
            f"({1000 * min(values):.0f} - {1000 * max(values):.0f})"
        )
    ratio = statistics.median(found["learning"]) / statistics.median(found["alone"])
    print(f"beside learning {ratio:.2f} times as long")
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
