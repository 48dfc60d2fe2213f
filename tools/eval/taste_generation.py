"""How far replies move when a taste is told outright: eight tastes, each frame, held-out questions.

    python -m tools.eval.taste_generation MODEL.gguf CACHE_FOLDER [--frames A,B] [--tastes A,B]
        [--questions N] [--seeds N] [--json FILE]

Replies are kept in ``CACHE_FOLDER``, so that an interrupted run goes on where it ended.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pocketpref.personalization.frames import FRAMES, Frame, Instruction, frame_named
from pocketpref.records import Message

from .batched_replies import BatchedModel, ReplyCache, Request
from .taste_measures import TASTES, Taste

QUESTIONS: tuple[str, ...] = (
    "How can I keep cut flowers fresh for longer?",
    "Why is the sea salty?",
    "What should I do when my computer is slow?",
    "How do I cook lentils?",
    "What is the difference between weather and climate?",
    "How do I learn to play the guitar as an adult?",
    "Why do we dream?",
    "How do I remove limescale from a shower head?",
)
"""Held out: none of them is in the corpus of ``taste_corpus.py``."""


def asked(taste: Taste, frame: Frame | None, questions: Sequence[str], seeds: int) -> list[Request]:
    """The requests of one cell of the table; without a frame, the plain questions."""
    said = Instruction((taste.order,), (taste.clause,))
    found = []
    for seed in range(seeds):
        for question in questions:
            plain = [Message(role="user", content=question)]
            messages = plain if frame is None else frame.apply(plain, said)
            found.append(Request(tuple(messages), seed, taste.most))
    return found


def effect(plain: Sequence[float], framed: Sequence[float]) -> tuple[float, float]:
    """Mean change and its standard error, pairing replies to the same question."""
    change = np.asarray(framed) - np.asarray(plain)
    return float(change.mean()), float(change.std(ddof=1) / np.sqrt(len(change)))


def main() -> None:
    """Write what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("cache", type=Path)
    parser.add_argument("--frames", default=",".join(frame.name for frame in FRAMES))
    parser.add_argument("--tastes", default=",".join(taste.name for taste in TASTES))
    parser.add_argument("--questions", type=int, default=len(QUESTIONS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    frames = [frame_named(name) for name in options.frames.split(",")]
    tastes = [taste for taste in TASTES if taste.name in options.tastes.split(",")]
    questions = QUESTIONS[: options.questions]
    model = BatchedModel(options.model)
    cache = ReplyCache(options.cache / f"{options.model.stem}.jsonl")
    cells: dict[tuple[str, str], list[Request]] = {}
    for taste in tastes:
        cells[taste.name, "plain"] = asked(taste, None, questions, options.seeds)
        for frame in frames:
            cells[taste.name, frame.name] = asked(taste, frame, questions, options.seeds)
    # One question at a time, so that an interrupted run has every cell of the table.
    cache.replies(model, [request for row in zip(*cells.values(), strict=True) for request in row])
    report: dict[str, dict[str, dict[str, float]]] = {}
    print(f"{'':9}" + "".join(f"{name:>22}" for name in ["plain", *(f.name for f in frames)]))
    for taste in tastes:
        shown = {
            name: [taste.shown([reply]) for reply in cache.replies(model, cells[taste.name, name])]
            for name in ["plain", *(frame.name for frame in frames)]
        }
        row = f"{taste.name:9}{np.mean(shown['plain']):22.2f}"
        report[taste.name] = {"plain": {"mean": float(np.mean(shown["plain"])), "error": 0.0}}
        for frame in frames:
            mean, error = effect(shown["plain"], shown[frame.name])
            report[taste.name][frame.name] = {"mean": mean, "error": error}
            row += f"{f'{mean:+.2f} ({error:.2f})':>22}"
        print(row)
    told = {taste.name: max(report[taste.name][f.name]["mean"] for f in frames) for taste in tastes}
    moved = [name for name in told if told[name] > 0]
    for frame in frames:
        shares = [report[name][frame.name]["mean"] / told[name] for name in moved]
        print(f"{frame.name:22} share of the best frame's effect: {np.mean(shares):.2f}")
    if options.json:
        options.json.write_text(json.dumps({"model": options.model.stem, "tastes": report}))
    model.close()


if __name__ == "__main__":
    main()
