"""Candidate answers to training prompts, and people with known weights who choose among them.

    python -m tools.train.data INTO [--mtbench PAIRS.jsonl] [--people 200]

Answers are drawn from the base model, plainly and under an attribute, and rewritten by rule. An
answer is kept only where measures that know nothing of the rewards agree that it became what it
should (`personalization/measures.py`), and where the embedder finds that it is about its prompt. A
person is a weighting of the traits and chooses between two answers by Bradley-Terry in the weighted
reward. Everything in INTO is made again by this command; its licences are in `licences.txt`.

Written: candidates.jsonl (prompt, part, topic, answers), people.jsonl (a pair file whose `meta`
holds the weights). Prompts of the parts tune and test get no candidates: they are for measuring.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.backends.llama import prepare
from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.methods.palm.traits import REWARDS, rewards
from pocketpref.models.gguf_file import file_sha256
from pocketpref.personalization.measures import MEASURES, measures
from pocketpref.protocols import Embedder

from .base import Tokens, starter_path
from .prompts import LICENCES, Prompt, made_prompts, public_prompts
from .rewrites import RULES
from .sampling import Drawing, draw
from .weights import draw_weights

CANDIDATES = "candidates.jsonl"
COMMAND = "command.txt"

ATTRIBUTES = {
    "base": "",
    "one sentence": "Answer in one sentence.",
    "easy": "Attributes: <very simple and easy, using plain everyday words>",
    "informal": "Attributes: <informal and relaxed, like talking to a friend>",
}
"""What answers are drawn under, as the last line of the prompt."""

_EXPECTED: dict[str, tuple[tuple[str, int], ...]] = {
    "one sentence": (("length", -1),),
    "easy": (("word length", -1),),
    "informal": (("word length", -1),),
    "shorter": (("length", -1),),
    "listed": (("bullets", 1),),
    "flowing": (("bullets", -1),),
    "plain": (("word length", -1), ("sentence length", -1)),
    "formal": (("word length", 1),),
    "casual": (("word length", -1),),
}
"""Which measure of style must move which way, against the answer that it is compared with."""

_LEAST_SIMILAR = 0.35
"""Cosine of prompt and answer. The starter sometimes speaks of something else altogether."""

_LONGEST = 100  # tokens of an answer


@dataclass(frozen=True, slots=True)
class Answer:
    """A candidate.

    Attributes:
        text: what it says.
        made: how: drawn under what, or by which rule from which.
        ended: whether the model ended it itself, so that its end may be learned.
    """

    text: str
    made: str
    ended: bool


@dataclass(frozen=True, slots=True)
class Candidates:
    """The answers to one prompt."""

    prompt: Prompt
    answers: tuple[Answer, ...]


Ask = Callable[[Sequence[str]], list[Answer]]
"""Prompts as they are put to the model -> an answer each; `made` is left empty."""


def asking(path: Path, tokens: Tokens, seed: int) -> Ask:
    """Draws answers from a model."""

    def ask(prompts: Sequence[str]) -> list[Answer]:
        contexts = [tokens.prompt(prompt) for prompt in prompts]
        drawn = draw(path, contexts, Drawing(tokens=_LONGEST, seed=seed), on_progress=_say)
        return [Answer(tokens.text(d.tokens).strip(), "", d.ended) for d in drawn]

    return ask


def _say(done: int) -> None:
    if done % 20 == 0:
        print(f"{done} answers", file=sys.stderr, flush=True)


def candidates(prompts: Sequence[Prompt], ask: Ask, embedder: Embedder) -> list[Candidates]:
    """Draw, rewrite, and keep what became what it should.

    Args:
        prompts: any; usually those for training.
        ask: draws answers.
        embedder: tells whether an answer is about its prompt.

    Returns:
        Prompts with at least two distinct answers.
    """
    asked = [
        f"{prompt.text}\n{line}" if line else prompt.text
        for line in ATTRIBUTES.values()
        for prompt in prompts
    ]
    drawn = ask(asked)
    found = []
    for i, prompt in enumerate(prompts):
        own = drawn[i :: len(prompts)]
        made = _agreeing(own)
        answers = _about(prompt.text, made, embedder)
        if len(answers) > 1:
            found.append(Candidates(prompt, answers))
    return found


def _agreeing(drawn: Sequence[Answer]) -> list[Answer]:
    """Drawn answers and rewritten ones where style agrees; the first is the base's own."""
    named = [
        Answer(answer.text, name, answer.ended)
        for name, answer in zip(ATTRIBUTES, drawn, strict=True)
        if answer.text
    ]
    kept = [a for a in named if a.made == "base" or agrees(a.made, named[0].text, a.text)]
    for answer in tuple(kept):
        for rule, rewrite in RULES.items():
            text = rewrite(answer.text)
            if text != answer.text and agrees(rule, answer.text, text):
                # Whole sentences from the beginning may end there, even of what was cut short.
                ended = answer.ended or rule == "shorter"
                kept.append(Answer(text, f"{rule}, from {answer.made}", ended))
    return list({answer.text: answer for answer in reversed(kept)}.values())[::-1]


def agrees(made: str, before: str, after: str) -> bool:
    """Whether an answer's style differs from another's in the way its making says."""
    names = list(MEASURES)
    moved = measures(after) - measures(before)
    return all(moved[names.index(name)] * sign > 0 for name, sign in _EXPECTED[made])


def _about(prompt: str, answers: Sequence[Answer], embedder: Embedder) -> tuple[Answer, ...]:
    if not answers:
        return ()
    vectors = embedder.embed([prompt, *(answer.text for answer in answers)])
    near = vectors[1:] @ vectors[0] >= _LEAST_SIMILAR
    return tuple(answer for answer, kept in zip(answers, near, strict=True) if kept)


def people(
    sets: Sequence[Candidates], count: int, pairs: int, seed: int, scale: float = 12.0
) -> Iterable[dict[str, Any]]:
    """Choices of people with known weights, as lines of a pair file.

    Args:
        sets: what they choose among.
        count: of people; their weights are drawn uniformly from the simplex.
        pairs: choices of each.
        seed: of everything.
        scale: a reward is this many logits; the larger, the surer they choose.
    """
    names = list(REWARDS)
    random = np.random.default_rng(seed)
    for person, weights in enumerate(draw_weights(count, len(names), seed)):
        for place in random.choice(len(sets), min(pairs, len(sets)), replace=False):
            first, second = random.choice(len(sets[place].answers), 2, replace=False)
            texts = [sets[place].answers[i].text for i in (first, second)]
            gain = float(weights @ (rewards(texts[0], names) - rewards(texts[1], names)))
            if random.random() > 1 / (1 + np.exp(-scale * gain)):
                texts.reverse()
            yield {
                "user": f"made_{person:04}",
                "prompt": sets[place].prompt.text,
                "chosen": texts[0],
                "rejected": texts[1],
                "meta": {"weights": dict(zip(names, map(float, weights.round(4)), strict=True))},
            }


def read_candidates(path: Path) -> list[Candidates]:
    """Read what ``write_candidates`` wrote."""
    found = []
    for line in path.read_text("utf-8").splitlines():
        entry = json.loads(line)
        answers = tuple(Answer(**answer) for answer in entry.pop("answers"))
        found.append(Candidates(Prompt(**entry), answers))
    return found


def write_candidates(path: Path, sets: Sequence[Candidates]) -> None:
    """Write candidates, one prompt a line."""
    lines = [
        asdict(one.prompt) | {"answers": [asdict(answer) for answer in one.answers]} for one in sets
    ]
    write_lines(path, lines)


def write_lines(path: Path, entries: Iterable[dict[str, Any]]) -> None:
    """Write objects, one a line, the same on every system."""
    text = "".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
    path.write_text(text, encoding="utf-8", newline="\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Make the data."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("into", type=Path, metavar="INTO")
    parser.add_argument("--mtbench", type=Path, help="a pair file with MT-Bench's questions")
    parser.add_argument("--each", type=int, default=3, help="made prompts about each topic")
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--pairs", type=int, default=20, help="choices of each person")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    given.into.mkdir(parents=True, exist_ok=True)
    prompts = made_prompts(given.each) + (public_prompts(given.mtbench) if given.mtbench else [])
    path = starter_path()
    copy = prepare(path, given.into, file_sha256(path), "bf16")
    ask = asking(copy, Tokens(path), given.seed)
    train = [prompt for prompt in prompts if prompt.part == "train"]
    sets = candidates(train, ask, open_embedder(None))
    write_candidates(given.into / CANDIDATES, sets)
    write_lines(given.into / "people.jsonl", people(sets, given.people, given.pairs, given.seed))
    licences = f"{LICENCES}; answers by {path.stem} (Apache-2.0)\n"
    (given.into / "licences.txt").write_text(licences, "utf-8")
    public = " --mtbench PAIRS.jsonl" if given.mtbench else ""
    command = f"python -m tools.train.data DATA --each {given.each} --seed {given.seed}{public}"
    (given.into / COMMAND).write_text(f"{command}\n", "utf-8")
    answers = sum(len(one.answers) for one in sets)
    print(f"{len(sets)} of {len(train)} training prompts with {answers} answers")
    return 0


if __name__ == "__main__":
    sys.exit(main())
