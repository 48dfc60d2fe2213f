"""What personalization adds to a local answer: embedding, recall, and the line that is injected.

    python -m tools.bench.overhead [--memories 10000] [--questions 24] [--json FILE]

A real vault with so many made-up memories, the bundled embedder, the starter model, and the prompts
of the bundled samples as questions, each of which stands in the vault, so that something is
recalled for every one. Measured, each question plain and personalized in turn:

    personalize      the whole call: has the vault changed, embed, recall, compose
    first token      from the question to the first token, plain and personalized
    a token          of the answer, plain: an answer of 200 tokens takes 199 of them more

EXACT's paper gives 5.27 % of inference for embedding and retrieval; here that is the share of
``personalize`` in an answer of 200 tokens. The line that is injected is prefilled as well: what
that costs is in the first tokens. Not covered: opening the vault, and the first question after it
was opened or changed, which builds the index anew (its time is printed).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import pocketpref
from pocketpref.messages import compose
from pocketpref.pocket import Pocket
from pocketpref.protocols import LanguageModel
from pocketpref.records import Feedback, Learned, Message, Pair, Sampling
from pocketpref.samples import sample_pairs
from pocketpref.vault.crypto.key_stores import EphemeralKey
from pocketpref.vault.storage.rows import RowEntry
from pocketpref.vault.storage.serialization import dump_learned, dump_memory
from tools.bench.vault_samples import Samples

_ANSWER = 200
"""Tokens of the answer that the overhead is a share of."""

_DRAWN = 40  # tokens of each answer that are timed: each takes about as long as another


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write the numbers where asked."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--memories", type=int, default=10_000)
    parser.add_argument("--questions", type=int, default=24)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there too")
    given = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vault.db"
        with pocketpref.open("bench", path=path, key=EphemeralKey()) as pocket:
            found = measure(pocket, given.memories, given.questions)
    for line in _lines(found):
        print(line)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


def measure(pocket: Pocket, memories: int, count: int) -> dict[str, Any]:
    """Fill the vault, ask, and take the medians, in seconds."""
    prompts = list(dict.fromkeys(f.pair.prompt for f in sample_pairs("mtbench")))
    prompts += list(dict.fromkeys(f.pair.prompt for f in sample_pairs("ukp")))
    asked = prompts[:count]
    fill(pocket, memories, asked)
    began = time.perf_counter()
    pocket.personalize(asked[0])
    first = time.perf_counter() - began
    _drawn(pocket._components.model(), compose("Hello"))  # loads the model
    rows = [_question(pocket, prompt, number % 2 == 0) for number, prompt in enumerate(asked)]
    medians = {name: statistics.median(row[name] for row in rows) for name in rows[0]}
    answer = medians["plain first token"] + (_ANSWER - 1) * medians["a token"]
    # Of each question by itself: questions differ more than the line costs.
    line = statistics.median(
        row["personalized first token"] - row["plain first token"] for row in rows
    )
    return {
        "memories": pocket.counts().memories,
        "questions": len(rows),
        "recalled": sum(row["recalled"] for row in rows),
        "first personalize": first,
        "medians": medians,
        "the line": line,
        "answer of 200 tokens": answer,
        "embedding and recall, share": medians["personalize"] / answer,
        "with the line, share": (medians["personalize"] + line) / answer,
    }


def fill(pocket: Pocket, memories: int, prompts: Sequence[str]) -> None:
    """Memories whose prompts are made up, and one learned for each of these prompts."""
    parts = pocket._components  # a bench may look inside: nothing public adds what is learned
    samples, recipe = Samples(memories - len(prompts)), parts.recipe()

    def entries() -> Iterator[RowEntry]:
        for number in range(samples.size):
            learned = replace(samples.learned(number), recipe=recipe)
            yield _entry(samples.feedback(number), learned)
        vectors = parts.embedder().embed(list(prompts))
        for number, (prompt, vector) in enumerate(zip(prompts, vectors, strict=True)):
            like = samples.learned(number)
            digest = hashlib.sha256(prompt.encode()).digest()
            name = Samples(1, seed=number + 1).name(0)
            learned = Learned(name, np.asarray(vector), digest, like.selection, recipe)
            yield _entry(Feedback(Pair(prompt, "Yes.", "No.")), learned)

    parts.store.restore(entries())  # type: ignore[attr-defined]  # the vault's own store has it


def _entry(feedback: Feedback, learned: Learned) -> RowEntry:
    moment = Samples(1).feedback(0).created
    assert moment is not None
    return RowEntry(learned.memory_id, dump_memory(feedback, moment), dump_learned(learned))


def _question(pocket: Pocket, prompt: str, plain_first: bool) -> dict[str, float]:
    """One question, personalized and plain, in either order; seconds."""
    began = time.perf_counter()
    personalized = pocket.personalize(prompt)
    spent = time.perf_counter() - began
    model = pocket._components.model()
    turns = [compose(prompt), personalized.messages]
    drawn = [_drawn(model, turn) for turn in (turns if plain_first else turns[::-1])]
    other, one = drawn if plain_first else drawn[::-1]
    return {
        "personalize": spent,
        "personalized first token": one[0],
        "plain first token": other[0],
        "a token": other[1],
        "recalled": float(bool(personalized.attributes)),
    }


def _drawn(model: LanguageModel, messages: Sequence[Message]) -> list[float]:
    """Seconds to the first token, and for each later one. A seed leaves nothing in the cache."""
    sampling = Sampling(max_tokens=_DRAWN, seed=1)
    began = time.perf_counter()
    moments = [time.perf_counter() - began for _ in model.generate(messages, sampling=sampling)]
    return [moments[0], (moments[-1] - moments[0]) / max(len(moments) - 1, 1)]


def _lines(found: dict[str, Any]) -> Iterator[str]:
    medians = found["medians"]
    yield (
        f"{found['memories']:,} memories, {found['questions']} questions, "
        f"something recalled for {found['recalled']:.0f}; medians:"
    )
    for name in ("personalize", "plain first token", "personalized first token", "a token"):
        yield f"  {name:26} {1000 * medians[name]:8.1f} ms"
    yield f"  the line, in first tokens  {1000 * found['the line']:8.1f} ms"
    yield f"  first personalize          {1000 * found['first personalize']:8.1f} ms"
    yield f"  an answer of 200 tokens    {1000 * found['answer of 200 tokens']:8.0f} ms"
    yield f"embedding and recall: {found['embedding and recall, share']:.2%} of it"
    yield f"with prefilling the line: {found['with the line, share']:.2%} of it"


if __name__ == "__main__":
    sys.exit(main())
