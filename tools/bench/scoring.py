"""How fast a pair is scored, beside other ways to do it, and how faithful the numbers are.

    python -m tools.bench.scoring [--data FILE ...] [--pairs 20] [--seed 0] [--json FILE]

Side by side in one run, on the starter model and the same pairs, each in a process of its own:

    plain              llama-cpp-python's own class on the quantized file, one full evaluation for
                       each condition and answer
    transformers       torch on the same weights, dequantized, in float32 and in bfloat16: padded
                       batches sorted by length, as lm-evaluation-harness computes log-likelihoods
    exhaustive         ours, every attribute on whole answers, in float32 (the reference) and F16
    default            ours, the search that needs fewer evaluations

Plain and transformers would take hours. So plain is timed on 3 conditions of each pair and
transformers on 8 (both answers each, spread over the bank), and the time of one condition is
multiplied: by the 123 of the paper's greedy search, and by the number that the float32 exhaustive
search of the same pair evaluated (it stops when nothing is gained), which compares like with like.

Half of the pairs are short and half long; scoring_pairs.py says how they are chosen. Without
``--data`` they come from the bundled samples. Transformers need ``pip install
'pocketpref[cpu,bench]'`` and are left out, by name, where they are not installed. Twenty pairs
take most of an hour on two cores. ``--json`` is written after each pair, so that a run that is
killed keeps what it has; Ctrl-C prints it too. Not covered: other models, GPUs.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel, bindings
from pocketpref.backends.scheduling import threads
from pocketpref.errors import PocketprefError
from pocketpref.messages import compose
from pocketpref.models import Catalogue
from pocketpref.records import Pair, Selection
from tools.bench.scoring_contenders import Copies, Ours, Plain, Transformers
from tools.bench.scoring_contenders import Row as TokenRow
from tools.bench.scoring_costs import Cost, Size, numpy_peak
from tools.bench.scoring_pairs import Candidate, Half, candidates, choose
from tools.bench.scoring_report import report
from tools.bench.scoring_statistics import (
    DEFAULT,
    EXHAUSTIVE,
    PLAIN,
    REFERENCE,
    TORCH,
    Document,
    Row,
)
from tools.bench.scoring_workers import Worker

PLAIN_SAMPLE = 3
"""Conditions of a pair that the plain way is timed on."""

TORCH_SAMPLE = 8
"""Conditions of a pair that transformers are timed on; the first has no attribute."""

BATCHES = (4, 8)
"""Rows of a batch that are tried, for short and for long pairs; more was slower on two cores."""

FIDELITY_STEP = 4
"""Margins of every fourth attribute are computed where no search computes them all."""

_NEEDED = ("torch", "transformers", "gguf", "accelerate")
_FILE_TYPES = {"f32": 0, "f16": 1, "bf16": 32}


class Texts:
    """The tokens that all contenders score."""

    def __init__(self, model: LlamaModel, bank: AttributeBank) -> None:
        self._model = model
        self._bank = bank

    def rows(self, pair: Pair, names: Sequence[str | None]) -> list[TokenRow]:
        """Two rows for each attribute, None for no attribute: chosen, rejected."""
        answers = [
            self._model._weights.tokenize(text, special=False)
            for text in (pair.chosen, pair.rejected)
        ]
        blocks = [self._bank.block([name]) if name else "" for name in names]
        contexts = [self._model._template.tokens(compose(pair.prompt, b)) for b in blocks]
        return [(context, answer) for context in contexts for answer in answers]


class Comparison:
    """All contenders, ready; measures one pair after the other."""

    def __init__(
        self, model: LlamaModel, copies: Copies, bank: AttributeBank, close: ExitStack
    ) -> None:
        """Start every contender.

        Args:
            model: the quantized model, for its tokens.
            copies: files of the model by precision.
            bank: attributes.
            close: told what is to be ended.
        """
        self._texts = Texts(model, bank)
        self._bank = bank
        size = Size.of(model)
        self._close = close
        self.peaks: dict[str, float] = {}
        self.left_out: dict[str, str] = {}
        self.batches: dict[str, dict[str, int]] = {}
        self._plain = self._start(PLAIN, Plain, copies["q4_1"], size)
        self._torch = self._start_torch(copies["q4_1"], size)
        self._ours = {
            which: self._start(f"ours, {which}", Ours, copies, which, bank, size)
            for which in ("f32", "f16", "bf16", "q4_1", DEFAULT)
        }
        self.noise = {w: float(ours.call("noise_floor")) for w, ours in self._ours.items()}

    def _start(self, name: str, make: Callable[..., object], *arguments: object) -> Worker:
        print(f"starting {name}", file=sys.stderr, flush=True)
        worker = Worker(name, make, *arguments)
        self._close.callback(worker.stop)
        return worker

    def _start_torch(self, path: Path, size: Size) -> dict[str, Worker]:
        missing = [name for name in _NEEDED if find_spec(name) is None]
        if missing:
            how = f"not installed: {', '.join(missing)}; pip install 'pocketpref[cpu,bench]'"
            self.left_out = dict.fromkeys(TORCH, how)
            return {}
        found = {}
        for name, dtype in TORCH.items():
            found[name] = self._start(name, Transformers, path, size, dtype)
        return found

    def measure_peaks(self) -> None:
        """Multiply matrices; what is kept is the best of the whole run, as others may be busy."""
        rates = [("float32", numpy_peak())]
        rates += [(TORCH[name], worker.call("peak")) for name, worker in self._torch.items()]
        for arithmetic, rate in rates:
            self.peaks[arithmetic] = max(self.peaks.get(arithmetic, 0.0), rate)

    def tune(self, half: Half, pair: Pair) -> None:
        """Find the fastest batches of transformers for pairs of one half, on one of them."""
        for name, worker in self._torch.items():
            rows = self._texts.rows(pair, self._sample(max(BATCHES) // 2))
            worker.call("score", rows[:1], 1)  # the first one warms up
            took = {b: worker.call("score", rows, b)[1].seconds for b in BATCHES}
            self.batches.setdefault(name, {})[half] = min(took, key=took.__getitem__)

    def _sample(self, count: int) -> list[str | None]:
        """No attribute, and some that are spread over the bank."""
        names = self._bank.names
        some = min(count - 1, len(names))
        return [None, *(names[i * len(names) // some] for i in range(some))]

    def measure(self, half: Half, candidate: Candidate) -> Row:
        """Everything about one pair."""
        pair = candidate.pair
        row = Row(
            file=candidate.file, place=candidate.place, half=half, tokens=list(candidate.tokens),
            conditions=0, costs={}, selected={}, objectives={}, singles={}, plain={},
        )  # fmt: skip
        self._sampled(row, half, pair)
        self._searches(row, pair)
        names = self._bank.names[::FIDELITY_STEP]
        for which in ("bf16", "q4_1", DEFAULT):
            margins = self._ours[which].call("margins", pair, [[name] for name in names])
            row["singles"][which] = dict(zip(names, margins, strict=True))
        sets = row["selected"]
        values = self._ours["f32"].call("margins", pair, list(sets.values()))
        row["objectives"] = dict(zip(sets, values, strict=True))
        row["plain"]["f32"] = list(self._ours["f32"].call("plain", pair))
        return row

    def _sampled(self, row: Row, half: Half, pair: Pair) -> None:
        """The contenders that are timed on a few conditions."""
        names = self._sample(PLAIN_SAMPLE + 1)[1:]
        _, cost = self._plain.call("score", self._texts.rows(pair, names))
        _put(row, PLAIN, cost.share(1 / len(names)))
        names = self._sample(TORCH_SAMPLE)
        for name, worker in self._torch.items():
            rows = self._texts.rows(pair, names)
            found, cost = worker.call("score", rows, self.batches[name][half])
            _put(row, name, cost.share(1 / len(names)))
            row["plain"][name] = found[:2]
            gaps = [a - b for a, b in zip(found[::2], found[1::2], strict=True)]
            row["singles"][name] = {
                str(n): gap - gaps[0] for n, gap in zip(names[1:], gaps[1:], strict=True)
            }

    def _searches(self, row: Row, pair: Pair) -> None:
        for name, which in {**EXHAUSTIVE, DEFAULT: DEFAULT}.items():
            found: Selection
            found, cost = self._ours[which].call("select", pair, exhaustive=name != DEFAULT)
            _put(row, name, cost)
            row["selected"][name] = list(found.attributes)
            if name != DEFAULT:
                row["singles"][which] = dict(found.singles)
            if name == REFERENCE:
                row["conditions"] = found.evaluations // 2

    def memory(self) -> dict[str, int]:
        """Peaks of memory so far, bytes."""
        whose = {PLAIN: self._plain, **self._torch, DEFAULT: self._ours[DEFAULT]}
        whose |= {name: self._ours[which] for name, which in EXHAUSTIVE.items()}
        return {name: worker.memory() for name, worker in whose.items()}


def _put(row: Row, name: str, cost: Cost) -> None:
    row["costs"][name] = {
        "seconds": cost.seconds,
        "tokens": cost.tokens,
        "parts": cost.parts,
        "operations": cost.operations,
    }


def make_copies(path: Path, folder: Path) -> dict[str, Path]:
    """The model in all precisions, by name.

    Raises:
        ModelError: there is no room for them.
    """
    copies = {"q4_1": path}
    for name, file_type in _FILE_TYPES.items():
        copies[name] = folder / f"{name}.gguf"
        bindings.quantize(path, copies[name], file_type)
    return copies


def run(
    data: Sequence[Path], count: int, seed: int, target: Path | None, bank: AttributeBank
) -> Document:
    """The whole comparison; Ctrl-C ends it with the pairs that are finished.

    Args:
        data: files of pairs; none for the bundled samples.
        count: how many pairs, an even number.
        seed: which pairs.
        target: a JSON file to write after each pair.
        bank: attributes.

    Raises:
        FileError: a file cannot be read, or holds too few pairs.
        ModelError: a contender failed.
    """
    entry = Catalogue(Path()).find(None)
    with ExitStack() as close:
        folder = Path(close.enter_context(tempfile.TemporaryDirectory()))
        model = LlamaModel(entry.path, sha256="")
        close.callback(model.close)
        pairs = choose(candidates(data, model.count_tokens), count, seed)
        document = Document(
            model=entry.path.name, system=f"{platform.platform()}, {os.cpu_count()} cores",
            threads=threads(), attributes=len(bank), planned=count, seed=seed,
            peaks={}, noise={}, memory={}, batches={}, left_out={}, pairs=[], seconds=0.0,
        )  # fmt: skip
        _write(document, target)  # a file that cannot be written is found out now
        try:
            comparison = Comparison(model, make_copies(entry.path, folder), bank, close)
            _measure_all(comparison, pairs, document, target)
        except KeyboardInterrupt:
            print("stopped; what follows is what was finished", file=sys.stderr)
    return document


def _measure_all(
    comparison: Comparison,
    pairs: Sequence[tuple[Half, Candidate]],
    document: Document,
    target: Path | None,
) -> None:
    halves: dict[Half, list[Candidate]] = {"short": [], "long": []}
    for half, candidate in pairs:
        halves[half].append(candidate)
    for half, members in halves.items():
        comparison.tune(half, members[len(members) // 2].pair)
    document["peaks"] = comparison.peaks
    document["noise"] = comparison.noise
    document["batches"] = comparison.batches
    document["left_out"] = comparison.left_out
    began = time.perf_counter()
    done, whole = 0, sum(candidate.length for _, candidate in pairs)
    for number, (half, candidate) in enumerate(pairs, 1):
        document["pairs"].append(comparison.measure(half, candidate))
        comparison.measure_peaks()
        document["memory"] = comparison.memory()
        document["seconds"] = time.perf_counter() - began
        _write(document, target)
        done += candidate.length
        left = document["seconds"] / done * (whole - done)
        print(
            f"pair {number} of {len(pairs)} ({half}, {candidate.length} tokens) done, "
            f"about {left / 60:.0f} min left",
            file=sys.stderr,
            flush=True,
        )


def _write(document: Document, target: Path | None) -> None:
    """Replace the JSON file as a whole, so that it is never half written."""
    if target is None:
        return
    unfinished = target.with_name(f"{target.name}.part")
    unfinished.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    unfinished.replace(target)


def _even(text: str) -> int:
    value = int(text)
    if value < 2 or value % 2:
        raise argparse.ArgumentTypeError("an even number: half of the pairs are short, half long")
    return value


def main(argv: list[str] | None = None) -> int:
    """Measure, print, and write the numbers where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, nargs="+", default=[], help="pair files (JSONL)")
    parser.add_argument("--pairs", type=_even, default=20, help="how many, half short, half long")
    parser.add_argument("--seed", type=int, default=0, help="another seed takes other pairs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = parser.parse_args(argv)
    # As Ctrl-C, so that a run that is ended leaves no copies of the model behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        found = run(given.data, given.pairs, given.seed, given.json, AttributeBank.standard())
    except PocketprefError as error:
        print(f"{error.message}\n{error.hint or ''}".rstrip(), file=sys.stderr)
        return 1
    print(report(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
