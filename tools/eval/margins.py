"""Computes the likelihoods that an evaluation reads, once: plain, each attribute, each opposite.

    python -m tools.eval.margins ukp_workers.jsonl --cache FOLDER --budget 3600

Answers of one prompt are scored together, so that what they have in common is computed once, and an
answer that several people judged is scored once. Debate after debate (or prompt after prompt) is
finished before the next is begun: whatever is there when it is stopped is enough to evaluate on a
part of the data, and the next call goes on where the last one stopped.

The cache holds hashes and numbers, no text (``pocketpref/evaluation/likelihood_cache.py``).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import LlamaModel, prepare
from pocketpref.backends.llama.half_precision import Precision
from pocketpref.config import Config, Places
from pocketpref.evaluation.likelihood_cache import CachedModel, LikelihoodFile
from pocketpref.importers import BadEntry, read
from pocketpref.messages import compose
from pocketpref.models import Catalogue
from pocketpref.records import Feedback, Message

_TOGETHER = 8
"""Answers that are scored in one call: as many as fill a batch with one condition."""


def main(argv: Sequence[str] | None = None) -> int:
    """Compute until everything is there or the time is up. Returns the exit status."""
    options = _parse(argv)
    feedback = [e for path in options.files for e in read(path) if not isinstance(e, BadEntry)]
    model = open_cached(options.cache, options.weights)
    began = time.monotonic()
    todo = list(_work(feedback, options.seed, options.part))
    conditions = blocks_of(bank_of(options.attributes))
    for place, (item, prompt, answers) in enumerate(todo, 1):
        for start in range(0, len(answers), _TOGETHER):
            if time.monotonic() - began > options.budget:
                print(f"time is up at prompt {place} of {len(todo)}: {model.computed:,} computed")
                return 0
            contexts: list[tuple[Message, ...]] = [compose(prompt, b) for b in conditions]
            model.likelihoods(contexts, answers[start : start + _TOGETHER])
        spent = time.monotonic() - began
        print(f"{place} of {len(todo)} prompts, item {item}: {spent:.0f} s", flush=True)
    print(f"all there: {len(model.known):,} likelihoods, {model.computed:,} of them computed now")
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compute the likelihoods of an evaluation.")
    parser.add_argument("files", type=Path, nargs="+", help="pair files")
    parser.add_argument("--cache", type=Path, required=True, help="folder for the likelihoods")
    parser.add_argument("--weights", choices=["f16", "bf16"], default="bf16")
    parser.add_argument("--budget", type=float, default=float("inf"), help="seconds")
    parser.add_argument("--attributes", metavar="A,B,C", help="names [default: the whole bank]")
    parser.add_argument(
        "--part",
        type=int,
        nargs=2,
        default=(0, 1),
        metavar=("N", "OF"),
        help="every OFth item from the Nth: several processes share the work",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the order of the items")
    return parser.parse_args(argv)


def open_cached(
    folder: Path, weights: str, model: str | None = None, *, compute: bool = True
) -> CachedModel:
    """The starter model (or another) in 16-bit weights, behind a file of likelihoods.

    Args:
        folder: where the likelihoods and the copy of the model are kept; made if not there.
        weights: "f16" or "bf16".
        model: a handle or path; None for the configured one.
        compute: load the model; False works with what is known.
    """
    folder.mkdir(parents=True, exist_ok=True)
    places = Places.find()
    catalogue = Catalogue(places.models)
    entry = catalogue.find(model if model is not None else Config.load(places).model)
    digest = catalogue.digest(entry)
    file = LikelihoodFile(folder / f"{digest[:16]}-{weights}.likelihoods", f"{digest} {weights}")
    if not compute:
        return CachedModel(None, file, name=entry.handle)
    precision: Precision = "bf16" if weights == "bf16" else "f16"
    path = prepare(entry.path, Path(tempfile.gettempdir()) / "pocketpref-eval", digest, precision)
    loaded = LlamaModel(path, name=entry.handle, sha256=digest)
    return CachedModel(loaded, file)


def item_of(feedback: Feedback) -> str:
    """What a pair is about, wider than its prompt: both positions of a debate are one item."""
    first, newline, _ = feedback.pair.prompt.partition("\n")
    return first if newline and first.startswith("Debate: ") else feedback.pair.prompt


def _work(
    feedback: Sequence[Feedback], seed: int, part: Sequence[int]
) -> Iterator[tuple[int, str, list[str]]]:
    """(number of the item, prompt, its answers): items in random order, each one whole."""
    prompts: dict[str, dict[str, dict[str, None]]] = {}
    for entry in feedback:
        answers = prompts.setdefault(item_of(entry), {}).setdefault(entry.pair.prompt, {})
        answers |= dict.fromkeys((entry.pair.chosen, entry.pair.rejected))
    order = np.random.default_rng(seed).permutation(len(prompts))
    items = list(prompts.values())
    for number in order[part[0] :: part[1]]:
        for prompt, answers in items[number].items():
            # Answers of one length fill their batches evenly.
            yield int(number), prompt, sorted(answers, key=len)


def bank_of(names: str | None) -> AttributeBank:
    """The attributes of these names, or all of them.

    Raises:
        NotFoundError: a name is not in the bank.
    """
    bank = AttributeBank.standard()
    return AttributeBank(bank[name] for name in names.split(",")) if names else bank


def blocks_of(bank: AttributeBank) -> list[str]:
    """The plain prompt, each attribute, and the opposite of each."""
    turned = AttributeBank(replace(a, wording=a.opposite, opposite=a.wording) for a in bank)
    return [""] + [side.block([name]) for side in (bank, turned) for name in bank.names]


if __name__ == "__main__":
    sys.exit(main())
