"""How fast a pair is scored, how much of it is needed, and how faithful the numbers are.

    python tools/bench_scoring.py [--pairs 4] [--data FILE ...] [--json FILE]

Side by side in one run, on the starter model and the same pairs:

    plain        llama-cpp-python, the quantized file, one full evaluation for each condition and
                 answer; timed on a few conditions and multiplied to the 123 of a greedy search
    exhaustive   ours, every attribute on whole answers, 16-bit copy
    quick        ours, successive halving, BF16 to screen and F16 to decide

Covered: seconds a pair, tokens through the model, where the time goes, the objective that the
default search reaches against the exhaustive one (both rescored in float32), and the agreement of
margins in each precision with float32. Not covered: other models, GPUs, batched transformers.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel, TwoPrecisions, likelihoods, native, prepare
from pocketpref.catalogue import Catalogue
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.readers import BadEntry, read
from pocketpref.records import Pair, Selection
from pocketpref.samples import sample_pairs
from pocketpref.scoring import PairScorer, compose, noise_floor

GREEDY_CONDITIONS = 42 + 41 + 40
PLAIN_SAMPLE = 3


class Clock:
    """Counts tokens and seconds of every decode and every log-softmax while it is in force."""

    def __init__(self) -> None:
        self.tokens = self.batches = 0
        self.decode = self.softmax = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Put the counters around the two inner functions, and take them off again."""
        decode, collect = native.Context.decode, likelihoods._collect

        def timed_decode(context: native.Context, slots: Sequence[native.Slot]) -> None:
            began = time.perf_counter()
            decode(context, slots)
            self.decode += time.perf_counter() - began
            self.tokens += len(slots)
            self.batches += 1

        def timed_collect(*arguments: Any) -> None:
            began = time.perf_counter()
            collect(*arguments)
            self.softmax += time.perf_counter() - began

        with (
            patch.object(native.Context, "decode", timed_decode),
            patch.object(likelihoods, "_collect", timed_collect),
        ):
            yield


def plain_seconds(path: Path, pair: Pair, bank: AttributeBank) -> float:
    """A greedy search done plainly, from the time of a few conditions of the first round."""
    from llama_cpp import Llama

    model = Llama(str(path), n_ctx=4096, logits_all=True, verbose=False, n_threads=native.threads())
    template = LlamaModel(path, sha256="")
    began = time.perf_counter()
    for name in bank.names[:PLAIN_SAMPLE]:
        before = template._template.tokens(compose(pair.prompt, bank.block([name])))
        for answer in (pair.chosen, pair.rejected):
            after = model.tokenize(answer.encode(), add_bos=False)
            model.reset()
            model.eval([*before, *after])
            logits = model.scores[len(before) - 1 : len(before) + len(after) - 1]
            shifted = logits - logits.max(axis=1, keepdims=True)
            np.log(np.exp(shifted).sum(axis=1))
    seconds = time.perf_counter() - began
    template.close()
    model.close()
    return seconds / PLAIN_SAMPLE * GREEDY_CONDITIONS


def search(
    model: LlamaModel | TwoPrecisions, pair: Pair, bank: AttributeBank, noise: float, *, all_: bool
) -> tuple[Selection, dict[str, float]]:
    """One selection, with its time and what it was spent on."""
    clock = Clock()
    began = time.perf_counter()
    with clock.running():
        scorer = PairScorer(model, pair, noise=noise)
        found = Exact(bank, ExactSettings(exhaustive=all_)).select(scorer)
    seconds = time.perf_counter() - began
    return found, {
        "seconds": seconds,
        "tokens": clock.tokens,
        "evaluations": found.evaluations,
        "decode_share": clock.decode / seconds,
        "softmax_share": clock.softmax / seconds,
    }


def objective(model: LlamaModel, pair: Pair, bank: AttributeBank, found: Selection) -> float:
    """The anchored margin of a selection in float32, nats."""
    block = bank.block(found.attributes)
    return float(PairScorer(model, pair).margins([block])[0]) if block else 0.0


def fidelity(
    models: dict[str, LlamaModel], pairs: Sequence[Pair], bank: AttributeBank
) -> dict[str, dict[str, float]]:
    """Agreement of margins of every third attribute with float32, and each noise floor."""
    blocks = [bank.block([name]) for name in bank.names[::3]]
    margins = {
        name: np.concatenate([PairScorer(model, pair).margins(blocks) for pair in pairs])
        for name, model in models.items()
    }
    exact = margins["f32"]
    return {
        name: {
            "correlation": float(np.corrcoef(found, exact)[0, 1]),
            "rms_difference": float(np.sqrt(np.mean((found - exact) ** 2))),
            "noise_floor": noise_floor(models[name], blocks[:6]),
        }
        for name, found in margins.items()
    }


def measure(data: Sequence[Path], count: int) -> dict[str, Any]:
    """The whole comparison."""
    bank = AttributeBank.standard()
    catalogue = Catalogue(Path())
    entry = catalogue.find(None)
    digest = catalogue.digest(entry)
    pairs = _pairs(data, count)
    with tempfile.TemporaryDirectory() as folder:
        copies = Path(folder)
        models = {"q4_1": LlamaModel(entry.path, sha256=digest)}
        for precision in ("f16", "bf16"):
            models[precision] = LlamaModel(prepare(entry.path, copies, digest, precision))
        native.quantize(entry.path, copies / "f32.gguf", 0)
        models["f32"] = LlamaModel(copies / "f32.gguf", sha256="f32")
        two = TwoPrecisions(models["f16"], models["bf16"])
        agreement = fidelity(models, pairs, bank)
        noise = agreement["f16"]["noise_floor"]
        rows = []
        for number, pair in enumerate(pairs, 1):
            print(f"pair {number} of {len(pairs)}", file=sys.stderr, flush=True)
            default, default_cost = search(two, pair, bank, noise, all_=False)
            full, full_cost = search(models["f16"], pair, bank, noise, all_=True)
            rows.append(
                {
                    "tokens": [models["f16"].count_tokens(t) for t in _texts(pair)],
                    "plain": {"seconds": plain_seconds(entry.path, pair, bank)},
                    "exhaustive": full_cost,
                    "quick": default_cost,
                    "objective_quick": objective(models["f32"], pair, bank, default),
                    "objective_exhaustive": objective(models["f32"], pair, bank, full),
                    "same_first": default.attributes[:1] == full.attributes[:1],
                }
            )
        for model in models.values():
            model.close()
    return {"pairs": rows, "fidelity": agreement, "machine": _machine()}


def _texts(pair: Pair) -> tuple[str, str, str]:
    return pair.prompt, pair.chosen, pair.rejected


def _pairs(data: Sequence[Path], count: int) -> list[Pair]:
    """As many short as long pairs of the given files, or of the bundled samples."""
    if data:
        found = [e.pair for path in data for e in read(path) if not isinstance(e, BadEntry)]
    else:
        found = [e.pair for name in ("ukp", "mtbench") for e in sample_pairs(name)]
    by_length = sorted(found, key=lambda pair: sum(map(len, _texts(pair))))
    places = np.linspace(0.05, 0.95, count) * (len(by_length) - 1)
    return [by_length[round(place)] for place in places]


def _machine() -> dict[str, Any]:
    return {"system": platform.platform(), "cores": os.cpu_count(), "threads": native.threads()}


def _print(report: dict[str, Any]) -> None:
    rows = report["pairs"]
    print(f"{len(rows)} pairs, {report['machine']['threads']} threads; medians (least - most)")
    for name in ("plain", "exhaustive", "quick"):
        seconds = [row[name]["seconds"] for row in rows]
        ratio = [row["plain"]["seconds"] / row[name]["seconds"] for row in rows]
        print(
            f"  {name:11} {statistics.median(seconds):7.1f} s a pair "
            f"({min(seconds):.1f} - {max(seconds):.1f}), {statistics.median(ratio):5.1f} x plain"
        )
    for name in ("exhaustive", "quick"):
        decode, softmax, speed = (
            statistics.median(row[name][key] for row in rows)
            for key in ("decode_share", "softmax_share", "tokens")
        )
        rate = statistics.median(row[name]["tokens"] / row[name]["seconds"] for row in rows)
        print(
            f"  {name:11} {speed:7.0f} tokens a pair, {rate:.0f} tokens/s, "
            f"decode {decode:.0%}, log-softmax {softmax:.0%}, Python {1 - decode - softmax:.0%}"
        )
    reached = sum(row["objective_quick"] for row in rows)
    possible = sum(row["objective_exhaustive"] for row in rows)
    same = sum(row["same_first"] for row in rows)
    print(f"  objective of quick / exhaustive in float32: {reached / possible:.3f}")
    print(f"  same first attribute: {same} of {len(rows)}")
    print("margins of single attributes against float32")
    for name, found in report["fidelity"].items():
        print(
            f"  {name:5} correlation {found['correlation']:.4f}, "
            f"rms difference {found['rms_difference']:.3f} nats, "
            f"noise floor {found['noise_floor']:.3f} nats"
        )


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write the numbers where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=4, help="pairs, from short to long")
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="pair files (JSONL)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = parser.parse_args(argv)
    report = measure(given.data, given.pairs)
    _print(report)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
