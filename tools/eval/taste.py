"""Is a known taste carried into replies? From choices to generated text, on held-out questions.

    python -m tools.eval.taste CORPUS.jsonl CACHE_FOLDER MODEL.gguf [MODEL.gguf ...]
        [--people N] [--questions N] [--tastes A,B] [--json FILE] [--no-generate]

CORPUS has answers in eight styles (``taste_corpus.py``). People of one taste choose the answer in
their style over the one in the opposite style; what is inferred of them is put before each model as
``Pocket.personalize`` does it. Taste carried is

    (plain - personalized) / (plain - told outright)

on the measure of the taste, told outright by a sentence written for it, in the frame in use; tastes
that telling outright moves by less than its standard error are left out. People
who choose by coin tell how often something is applied that nobody likes. ``--no-generate`` stops
after the words. Replies are kept in CACHE_FOLDER, so an interrupted run resumes.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import pocketpref
from pocketpref.personalization.frame_probe import frame_for
from pocketpref.personalization.frames import Frame, Instruction
from pocketpref.pocket import Pocket
from pocketpref.records import Feedback, Message, Pair
from pocketpref.testing import HashEmbedder, ScriptedModel
from pocketpref.vault.crypto.key_stores import EphemeralKey
from tools.eval.batched_replies import BatchedModel, ReplyCache, Request
from tools.eval.taste_generation import QUESTIONS
from tools.eval.taste_measures import TASTES, Taste

OPPOSITE = {
    "short": "long",
    "bullets": "prose",
    "formal": "casual",
    "simple": "expert",
}
OPPOSITE |= {other: one for one, other in OPPOSITE.items()}

CONDITIONS = ((6, 0.0), (12, 0.0), (12, 0.2))
"""Choices, and the share of them that goes against the taste."""

SEED = 20


@dataclass(frozen=True)
class Person:
    """Somebody of a known taste.

    Attributes:
        taste: name of the style they like; "" for none.
        choices: how many they made.
        noise: share of their choices against the taste.
        pairs: the choices, the oldest first.
    """

    taste: str
    choices: int
    noise: float
    pairs: tuple[Pair, ...]


def corpus(path: Path) -> dict[str, dict[str, str]]:
    """Answers by question and style."""
    found: dict[str, dict[str, str]] = {}
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        found.setdefault(row["question"], {})[row["style"]] = row["answer"]
    return found


def pairs_of(answers: dict[str, dict[str, str]], style: str) -> list[Pair]:
    """The pairs in which a style meets its opposite, that style chosen."""
    other = OPPOSITE[style]
    return [
        Pair(question, given[style], given[other])
        for question, given in answers.items()
        if style in given and other in given and given[style].strip() != given[other].strip()
    ]


def people(
    answers: dict[str, dict[str, str]], tastes: Sequence[str], count: int
) -> Iterator[Person]:
    """People of every taste and condition, then people who choose by coin."""
    dice = random.Random(SEED)  # noqa: S311 - no secret hangs on it
    for taste in tastes:
        pairs = pairs_of(answers, taste)
        for choices, noise in CONDITIONS:
            for _ in range(count):
                drawn = dice.sample(pairs, min(choices, len(pairs)))
                against = set(dice.sample(range(len(drawn)), round(noise * len(drawn))))
                made = [turned(p) if n in against else p for n, p in enumerate(drawn)]
                yield Person(taste, choices, noise, tuple(made))
    mixed = [pair for taste in tastes for pair in pairs_of(answers, taste)]
    for _ in range(20 * count):
        drawn = dice.sample(mixed, min(12, len(mixed)))
        made = [pair if dice.random() < 0.5 else turned(pair) for pair in drawn]
        yield Person("", 12, 0.5, tuple(made))


def turned(pair: Pair) -> Pair:
    """The same answers, the other one chosen."""
    return Pair(pair.prompt, pair.rejected, pair.chosen)


@dataclass(frozen=True)
class Told:
    """What a model is told for one person: names for people, and the words for each question."""

    person: Person
    labels: tuple[str, ...]
    instructions: tuple[str, ...]

    def contents(self, frame: Frame) -> list[str]:
        """The prompts in a frame."""
        said = [Instruction((text,)) if text else Instruction() for text in self.instructions]
        return framed(frame, said)


def framed(frame: Frame, said: Sequence[Instruction]) -> list[str]:
    """The held-out questions, each with an instruction in a frame."""
    return [
        frame.apply([Message(role="user", content=question)], instruction)[-1]["content"]
        for question, instruction in zip(QUESTIONS, said, strict=False)
    ]


def told(person: Person, questions: Sequence[str]) -> Told:
    """What ``Pocket.personalize`` makes of each question after the person's choices."""
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as pocket:
        pocket.add_many(Feedback(pair) for pair in person.pairs)
        found = [pocket.personalize(question) for question in questions]
        return Told(person, found[0].attributes, tuple(each.instruction for each in found))


def opened(folder: Path) -> Pocket:
    """A Pocket whose model is never asked."""
    return pocketpref.open(
        path=folder / "vault.db",
        key=EphemeralKey(),
        model=ScriptedModel({}),
        embedder=HashEmbedder(),
    )


def requests(contents: Sequence[str], most: int) -> list[Request]:
    """One reply to each prompt."""
    return [
        Request((Message(role="user", content=content),), seed, most)
        for seed, content in enumerate(contents)
    ]


def outright(taste: Taste, frame: Frame, count: int) -> list[str]:
    """The first questions, each with the taste told in words written for it."""
    return framed(frame, [Instruction((taste.order,), (taste.clause,))] * count)


def all_requests(tastes: Sequence[Taste], everybody: Sequence[Told], frame: Frame) -> list[Request]:
    """Every reply that the table needs: written together they take a fraction of the time."""
    found: list[Request] = []
    for taste in tastes:
        theirs = [each for each in everybody if each.person.taste == taste.name]
        count = len(theirs[0].instructions)
        found += requests(QUESTIONS[:count], taste.most)
        found += requests(outright(taste, frame, count), taste.most)
        for each in theirs:
            found += requests(each.contents(frame), taste.most)
    return found


def carried(
    taste: Taste, everybody: Sequence[Told], model: BatchedModel, cache: ReplyCache
) -> dict[str, Any]:
    """Taste carried by condition, with the means it comes from."""
    questions = QUESTIONS[: len(everybody[0].instructions)]
    frame = frame_for(model.fingerprint)

    def values(contents: Sequence[str]) -> list[float]:
        replies = cache.replies(model, requests(contents, taste.most))
        return [taste.shown([reply]) for reply in replies]

    before, best = values(questions), values(outright(taste, frame, len(questions)))
    plain = float(np.mean(before))
    effect = np.subtract(best, before)
    # A taste that telling outright does not move cannot be carried: a ratio to noise says nothing.
    moves = effect.mean() > effect.std(ddof=1) / np.sqrt(len(effect))
    found: dict[str, Any] = {"plain": plain, "told outright": float(np.mean(best))}
    for choices, noise in CONDITIONS:
        theirs = [
            each
            for each in everybody
            if (each.person.choices, each.person.noise) == (choices, noise)
        ]
        shown = [float(np.mean(values(each.contents(frame)))) for each in theirs]
        found[f"{choices} choices, {noise:.0%} against"] = {
            "personalized": float(np.mean(shown)),
            "carried": float((np.mean(shown) - plain) / effect.mean()) if moves else None,
            "people": len(theirs),
        }
    return found


def words_report(everybody: Sequence[Told]) -> dict[str, Any]:
    """What is said of whom: by taste and condition, and how often by coin."""
    found: dict[str, Any] = {}
    for each in everybody:
        person = each.person
        name = person.taste or "coin"
        key = f"{person.choices} choices, {person.noise:.0%} against"
        labels = found.setdefault(name, {}).setdefault(key, {})
        said = "; ".join(each.labels) or "nothing"
        labels[said] = labels.get(said, 0) + 1
    return found


def main() -> None:
    """Print the words, then the table of each model."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("corpus", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("models", type=Path, nargs="*")
    parser.add_argument("--people", type=int, default=5, help="of each taste and condition")
    parser.add_argument("--questions", type=int, default=len(QUESTIONS))
    parser.add_argument("--tastes", default=",".join(taste.name for taste in TASTES))
    parser.add_argument("--no-generate", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    wanted = options.tastes.split(",")
    questions = QUESTIONS[: options.questions]
    everybody = [
        told(person, questions) for person in people(corpus(options.corpus), wanted, options.people)
    ]
    report: dict[str, Any] = {"words": words_report(everybody), "models": {}}
    print(json.dumps(report["words"], indent=1))
    for path in [] if options.no_generate else options.models:
        model = BatchedModel(path)
        cache = ReplyCache(options.cache / f"{path.stem}.jsonl")
        chosen = [taste for taste in TASTES if taste.name in wanted]
        cache.replies(model, all_requests(chosen, everybody, frame_for(model.fingerprint)))
        table = {
            taste.name: carried(
                taste, [t for t in everybody if t.person.taste == taste.name], model, cache
            )
            for taste in chosen
        }
        model.close()
        report["models"][path.stem] = table
        print(path.stem)
        for choices, noise in CONDITIONS:
            key = f"{choices} choices, {noise:.0%} against"
            shares = {
                n: t[key]["carried"] for n, t in table.items() if t[key]["carried"] is not None
            }
            mean = float(np.mean(list(shares.values()))) if shares else float("nan")
            each = ", ".join(f"{name} {share:.2f}" for name, share in shares.items())
            print(f"  {key}: taste carried {mean:.2f} ({each})")
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
