"""Import, learn and personalize for one person of each file, beside a slow reference.

    python tools/compare_reference.py [FILE ...] [--pairs 1] [--attributes N] [--json FILE]

The reference (tests/methods/reference.py) is EXACT written plainly from the paper: every likelihood
is one fresh evaluation of the whole text by llama-cpp-python's own high-level class, nothing
shared, nothing batched. It stays beside the tests, which use it too, so this program puts the
repository's root on ``sys.path``. Both sides run on the same file, the starter's 16-bit copy.

Covered: the attributes of each pair and their objective (exhaustive search and default search), the
margins of all single attributes, and the attributes injected into the person's other prompts. Where
two sets differ, the reference judges both: they are equal within noise if ours is worth no less
than its own by more than the model's noise floor. Not covered: other models, quantized weights.

Slow: minutes a pair with the whole bank, nearly all of it in the reference.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from pocketpref.attributes import AttributeBank  # noqa: E402 - after the path, like all below
from pocketpref.backends.llama import LlamaModel, prepare  # noqa: E402
from pocketpref.backends.onnx.embedder import open_embedder  # noqa: E402
from pocketpref.components import Components  # noqa: E402
from pocketpref.importers import BadEntry, read  # noqa: E402
from pocketpref.methods.exact import Exact, ExactSettings  # noqa: E402
from pocketpref.models import Catalogue  # noqa: E402
from pocketpref.pocket import Pocket  # noqa: E402
from pocketpref.protocols import Embedder, LanguageModel  # noqa: E402
from pocketpref.records import Feedback, Learned, Pair, Selection  # noqa: E402
from pocketpref.samples import sample_pairs  # noqa: E402
from pocketpref.scoring import PairScorer, noise_floor  # noqa: E402
from pocketpref.vault import Vault  # noqa: E402
from pocketpref.vault.crypto.key_stores import EphemeralKey  # noqa: E402
from tests.methods import reference  # noqa: E402

WINDOW = 4096  # tokens of one evaluation, on both sides


@dataclass(frozen=True, slots=True)
class Agreement:
    """One pair, learned by both.

    Attributes:
        reference: attributes that the reference selects.
        ours: attributes that we select.
        objective_reference: anchored margin of the reference's set, by the reference, nats.
        objective_ours: that of our set, by ourselves.
        objective_judged: that of our set, by the reference.
        margin_max: largest difference of a single attribute's margin, nats.
        margin_mean: mean difference, nats.
        seconds_reference: wall-clock time of the reference.
        seconds_ours: ours.
    """

    reference: tuple[str, ...]
    ours: tuple[str, ...]
    objective_reference: float
    objective_ours: float
    objective_judged: float
    margin_max: float
    margin_mean: float
    seconds_reference: float
    seconds_ours: float

    @property
    def same(self) -> bool:
        """Whether both select the same attributes in the same order."""
        return self.reference == self.ours

    def within(self, noise: float) -> bool:
        """Whether they are the same, or differ by no more than the noise."""
        return self.same or self.objective_reference - self.objective_judged <= noise


@dataclass(frozen=True, slots=True)
class Bench:
    """What both sides work with.

    Attributes:
        model: our model, which decides.
        plain: the reference's, on the same file.
        noise: the model's noise floor, nats.
    """

    model: LanguageModel
    plain: reference.LogLikelihood
    embedder: Embedder
    bank: AttributeBank
    k: int
    noise: float


def compare_pairs(bench: Bench, pairs: Sequence[Pair]) -> tuple[list[Agreement], list[Agreement]]:
    """Learn pairs three times: by the reference, exhaustively, and by the default search.

    Returns:
        How the exhaustive and how the default search agree with the reference, pair by pair.
    """
    exhaustive: list[Agreement] = []
    default: list[Agreement] = []
    for number, pair in enumerate(pairs, 1):
        print(f"  pair {number} of {len(pairs)}", file=sys.stderr, flush=True)
        judge = cache(bench.plain)
        began = time.monotonic()
        found = reference.algorithm_1(judge, pair, bench.bank, bench.k, bench.noise)
        seconds = time.monotonic() - began
        for into, everything in ((exhaustive, True), (default, False)):
            into.append(_agreement(bench, pair, judge, found, seconds, exhaustive=everything))
    return exhaustive, default


def _agreement(
    bench: Bench,
    pair: Pair,
    judge: reference.LogLikelihood,
    found: tuple[list[str], float],
    seconds: float,
    *,
    exhaustive: bool,
) -> Agreement:
    began = time.monotonic()
    scorer = PairScorer(bench.model, pair, noise=bench.noise)
    ours = Exact(bench.bank, ExactSettings(k=bench.k, exhaustive=exhaustive)).select(scorer)
    took = time.monotonic() - began
    bank = bench.bank
    apart = [
        abs(value - reference.margin(judge, pair, bank.block([name])))
        for name, value in ours.singles.items()
    ]
    return Agreement(
        reference=tuple(found[0]),
        ours=ours.attributes,
        objective_reference=found[1],
        objective_ours=ours.objective,
        objective_judged=reference.margin(judge, pair, bank.block(ours.attributes)),
        margin_max=max(apart),
        margin_mean=math.fsum(apart) / len(apart),
        seconds_reference=seconds,
        seconds_ours=took,
    )


def compare_injection(
    bench: Bench, feedback: Sequence[Feedback], agreements: Sequence[Agreement]
) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """Attributes that our Pocket and the reference inject, for each distinct prompt of a person.

    Args:
        bench: what both work with.
        feedback: all of the person's choices; the last ones were learned.
        agreements: what each of the last ones taught.
    """
    learned = feedback[-len(agreements) :]
    vectors = bench.embedder.embed([item.pair.prompt for item in feedback])
    memory = [
        Learned(
            memory_id=str(place),
            vector=vectors[len(feedback) - len(learned) + place],
            prompt_digest=hashlib.sha256(item.pair.prompt.encode()).digest(),
            selection=_selection(result.reference, result.objective_reference),
            recipe="reference",
        )
        for place, (item, result) in enumerate(zip(learned, agreements, strict=True))
    ][::-1]
    with _pocket(bench) as pocket:
        pocket.add_many(learned)
        pocket.learn()
        prompts = dict(zip((item.pair.prompt for item in feedback), vectors, strict=True))
        return [
            (
                pocket.personalize(prompt, method="exact").attributes,
                reference.algorithm_2(vector.tolist(), memory, bench.embedder.relevance),
            )
            for prompt, vector in prompts.items()
        ]


def _selection(names: tuple[str, ...], objective: float) -> Selection:
    # The reference knows the objective of a set, not its parts.
    return Selection(names, (objective, *[0.0] * (len(names) - 1)) if names else ())


@contextmanager
def _pocket(bench: Bench) -> Iterator[Pocket]:
    """A Pocket in a throw-away vault that learns exhaustively."""
    method = Exact(bench.bank, ExactSettings(k=bench.k, exhaustive=True))
    with tempfile.TemporaryDirectory() as folder:
        vault = Vault.create(Path(folder) / "vault.db", EphemeralKey())
        parts = Components(
            store=vault.store("somebody"),
            bank=bench.bank,
            method=method,
            recipe=lambda: method.recipe,
            noise=lambda: bench.noise,
            model=lambda: bench.model,
            scorer=lambda: bench.model,
            embedder=lambda: bench.embedder,
            about=dict,
            on_close=vault.close,
        )
        with Pocket(parts) as pocket:
            yield pocket


@contextmanager
def starter_bench(attributes: int | None, k: int = 3) -> Iterator[Bench]:
    """Both sides on the 16-bit copy of the starter model.

    Args:
        attributes: how many of the bank are used, evenly spread; None for all.
        k: most attributes of a set.
    """
    entry = Catalogue(Path()).find(None)
    with tempfile.TemporaryDirectory() as folder:
        digest = Catalogue(Path()).digest(entry)
        path = prepare(entry.path, Path(folder), digest)
        model = LlamaModel(path, sha256=digest)
        bank = few_attributes(attributes)
        yield Bench(
            model=model,
            plain=reference.PlainModel(path, WINDOW).log_likelihood,
            embedder=open_embedder(None),
            bank=bank,
            k=k,
            noise=noise_floor(model, [bank.block([name]) for name in bank.names[:6]]),
        )
        model.close()


def few_attributes(count: int | None) -> AttributeBank:
    """The standard bank, or a few of it, evenly spread."""
    bank = AttributeBank.standard()
    if count is None:
        return bank
    places = np.linspace(0, len(bank) - 1, count).round().astype(int)
    return AttributeBank(bank[bank.names[place]] for place in places)


def people(files: Sequence[Path]) -> dict[str, list[Feedback]]:
    """The choices of one person of each file (the first one in it), or of each bundled sample."""
    if not files:
        return {name: sample_pairs(name) for name in ("mtbench", "ukp")}
    found = {}
    for file in files:
        entries = [entry for entry in read(file) if not isinstance(entry, BadEntry)]
        found[file.name] = [entry for entry in entries if entry.user == entries[0].user]
    return found


def measure(files: Sequence[Path], pairs: int, attributes: int | None) -> dict[str, Any]:
    """The whole comparison."""
    report: dict[str, Any] = {"people": {}}
    with starter_bench(attributes) as bench:
        report |= {"attributes": len(bench.bank), "noise": bench.noise}
        for name, feedback in people(files).items():
            print(name, file=sys.stderr, flush=True)
            exhaustive, default = compare_pairs(bench, [f.pair for f in feedback[-pairs:]])
            report["people"][name] = {
                "pairs": len(feedback),
                "exhaustive": [asdict(agreement) for agreement in exhaustive],
                "default": [asdict(agreement) for agreement in default],
                "within_noise": {
                    "exhaustive": sum(a.within(bench.noise) for a in exhaustive),
                    "default": sum(a.within(bench.noise) for a in default),
                },
                "injected": compare_injection(bench, feedback, exhaustive),
            }
    return report


def _print(report: dict[str, Any]) -> None:
    print(f"{report['attributes']} attributes, noise floor {report['noise']:.3f} nats")
    for name, found in report["people"].items():
        print(f"\n{name}: {len(found['exhaustive'])} of {found['pairs']} pairs")
        for search in ("exhaustive", "default"):
            for row in found[search]:
                _print_row(search, row)
            kept = found["within_noise"][search]
            print(f"  {search}: {kept} of {len(found[search])} equal within noise")
        injected = found["injected"]
        same = sum(ours == theirs for ours, theirs in injected)
        some = sum(bool(theirs) for _, theirs in injected)
        print(f"  injected alike: {same} of {len(injected)} prompts, {some} with attributes")


def _print_row(search: str, row: dict[str, Any]) -> None:
    names = {side: ", ".join(row[side]) or "none" for side in ("reference", "ours")}
    verdict = "the same" if names["ours"] == names["reference"] else f"ours: {names['ours']}"
    print(
        f"  {search:10} {names['reference']} ({verdict})\n"
        f"{'':13}objective {row['objective_reference']:.3f}, ours {row['objective_ours']:.3f}, "
        f"ours judged by the reference {row['objective_judged']:.3f} nats\n"
        f"{'':13}margins apart by {row['margin_mean']:.3f} (mean), {row['margin_max']:.3f} (max) "
        f"nats; {row['seconds_reference']:.0f} s and {row['seconds_ours']:.1f} s"
    )


def main(argv: list[str] | None = None) -> int:
    """Compare, print, and write the numbers where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", type=Path, nargs="*", help="pair files [default: the samples]")
    parser.add_argument("--pairs", type=int, default=1, help="the newest N pairs of each person")
    parser.add_argument("--attributes", type=int, metavar="N", help="use N of the bank only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = parser.parse_args(argv)
    report = measure(given.files, given.pairs, given.attributes)
    _print(report)
    if given.json:
        given.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
