"""Simulate people with known tastes and report how often their taste is named.

A simulated person chooses between two answers in opposite styles and likes one of eight: short,
long, bullets, prose, formal, casual, simple words, expert words. Noise is the share of choices
against the taste. People without a taste choose by coin; whatever is named for them is wrong.

    python tools/eval/taste_naming.py --data ../shared/data [--styles tastes.jsonl] [--json FILE]

Answers come from three sources: pairs written by hand (tests/data/taste_pairs.jsonl), answers
rewritten by rule (`rewrite`) from the answers of MT-Bench, and, with `--styles`, answers that a
model wrote in each style (`{"question", "style", "answer"}` a line).
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from pocketpref.personalization.beliefs import Beliefs, infer
from pocketpref.personalization.dimensions import Dimensions, PoleName
from pocketpref.personalization.measures import MEASURES, measures
from pocketpref.records import Matrix64

TASTES: Final[dict[str, tuple[str, str, tuple[str, PoleName]]]] = {
    "short": ("short", "long", ("length", "low")),
    "long": ("long", "short", ("length", "high")),
    "bullets": ("bullets", "prose", ("bullets", "high")),
    "prose": ("prose", "bullets", ("bullets", "low")),
    "formal": ("formal", "casual", ("formality", "high")),
    "casual": ("casual", "formal", ("formality", "low")),
    "simple": ("simple", "expert", ("difficulty", "low")),
    "expert": ("expert", "simple", ("difficulty", "high")),
}
"""Style that is liked, style that it is compared with, and the pole that should be named."""

_HAND: Final = Path(__file__).parents[2] / "tests" / "data" / "taste_pairs.jsonl"
_AXES: Final = {
    "length": ("long", "short"),
    "bullets": ("bullets", "prose"),
    "formality": ("formal", "casual"),
    "difficulty": ("expert", "simple"),
}
_LIST_MEASURES: Final = [MEASURES.index("bullets"), MEASURES.index("steps")]
_CONTRACTIONS: Final = {
    "do not": "don't", "does not": "doesn't", "it is": "it's", "is not": "isn't",
    "you are": "you're", "cannot": "can't", "will not": "won't", "that is": "that's",
    "we are": "we're", "I am": "I'm", "therefore": "so", "however": "but", "many": "lots of",
    "additionally": "also", "such as": "like", "obtain": "get", "children": "kids",
    "very": "super", "ensure": "make sure",
}  # fmt: skip
_EXPERT: Final = {
    "use": "utilise", "help": "facilitate", "show": "demonstrate", "get": "obtain",
    "need": "require", "make": "construct", "start": "initiate", "end": "terminate",
    "buy": "purchase", "people": "individuals", "about": "approximately", "part": "component",
    "enough": "sufficient", "way": "methodology", "change": "modification",
    "idea": "conceptualisation", "think": "hypothesise", "find": "ascertain",
}  # fmt: skip


def _sentences(text: str) -> list[str]:
    parts = re.split(r"(?<=[.!?])\s+|\n+", text)
    return [re.sub(r"^\s*(?:[-*•]|\d+[.)])\s*", "", part) for part in parts if part.strip()]


def _replace(text: str, words: dict[str, str]) -> str:
    pattern = r"\b(" + "|".join(map(re.escape, words)) + r")\b"
    return re.sub(pattern, lambda match: words[match[0]], text)


def rewrite(answer: str) -> dict[str, str]:
    """Return an answer in the eight styles, by rule, with the side effects that styles have.

    Bullets and simple sentences are shorter than prose and expert ones, formal answers longer.
    """
    sentences = _sentences(answer)
    prose = " ".join(sentences)
    clauses = [" ".join(s.rstrip(".!?").split()[:14]) for s in sentences[:8]]
    casual = [s.rstrip(".") + ("!" if i % 3 == 0 else ".") for i, s in enumerate(sentences)]
    simple = [" ".join(w for w in s.split()[:11] if len(w) < 9).rstrip(".,;") for s in sentences]
    formal = [*sentences, "Furthermore, it is advisable to consider the respective requirements."]
    return {
        "short": " ".join(sentences[:2]),
        "long": prose,
        "bullets": "\n".join(f"- {clause}" for clause in clauses),
        "prose": prose,
        "formal": _replace(" ".join(formal), {v: k for k, v in _CONTRACTIONS.items()}),
        "casual": "Hey, " + _replace(" ".join(casual), _CONTRACTIONS),
        "simple": ". ".join(simple) + ".",
        "expert": _replace("; ".join(s.rstrip(".") for s in sentences), _EXPERT) + ".",
    }


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, path.read_text("utf-8").splitlines())


def sources(data: Path, styles: Path | None) -> dict[str, dict[str, list[dict[str, str]]]]:
    """Return, for each source and axis, the questions' answers by style."""
    found: dict[str, dict[str, list[dict[str, str]]]] = {"hand": defaultdict(list)}
    for row in _rows(_HAND):
        high, low = _AXES[row["axis"]]
        found["hand"][row["axis"]].append({high: row["high"], low: row["low"]})
    plain = sorted({
        row["chosen"]
        for row in _rows(data / "mtbench_votes.jsonl")
        if "```" not in row["chosen"] and len(_sentences(row["chosen"])) >= 5
    })  # fmt: skip
    rewritten = [rewrite(answer) for answer in plain[::4]]
    found["rules"] = dict.fromkeys(_AXES, rewritten)
    if styles is not None:
        questions: dict[str, dict[str, str]] = defaultdict(dict)
        for row in _rows(styles):
            lists = measures(row["answer"])[_LIST_MEASURES].any()
            # The model does not always write what it was asked for.
            if row["style"] not in {"prose", "bullets"} or lists == (row["style"] == "bullets"):
                questions[row["question"]][row["style"]] = row["answer"]
        found["model"] = {
            axis: [q for q in questions.values() if high in q and low in q]
            for axis, (high, low) in _AXES.items()
        }
    return found


def contrasts(dimensions: Dimensions, pairs: Iterable[tuple[str, str]]) -> Matrix64:
    """Return the text contrasts of (chosen, rejected) answers, shape (pairs, dimensions)."""
    rows = [measures(chosen) - measures(rejected) for chosen, rejected in pairs]
    return dimensions.text_contrasts(np.array(rows).reshape(-1, len(MEASURES)))


def interval(hits: int, total: int) -> tuple[float, float, float]:
    """Return a rate with its 95 % Wilson interval."""
    if not total:
        return math.nan, 0.0, 1.0
    z, rate = 1.96, hits / total
    centre = (rate + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(rate * (1 - rate) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    return rate, max(0.0, centre - half), min(1.0, centre + half)


def _named(beliefs: Beliefs) -> list[tuple[str, PoleName]]:
    return [(b.dimension, b.pole) for b in beliefs.sure]


def simulate_taste(
    dimensions: Dimensions,
    pool: Matrix64,
    wanted: tuple[str, PoleName],
    *,
    choices: int,
    noise: float,
    people: int,
    seed: int,
) -> dict[str, Any]:
    """Return how often a taste was named, alone and with or without false companions."""
    rng = np.random.default_rng(seed)
    right = clean = false = 0
    wrong: Counter[str] = Counter()
    for _ in range(people):
        drawn = rng.choice(len(pool), choices, replace=len(pool) < choices)
        signs = np.where(rng.random(choices) < noise, -1.0, 1.0)
        named = _named(infer(dimensions, pool[drawn] * signs[:, None]))
        others = [pole for pole in named if pole != wanted]
        right += wanted in named
        clean += named == [wanted]
        false += bool(others)
        wrong.update(f"{name} {pole}" for name, pole in others)
    return {
        "choices": choices,
        "noise": noise,
        "right": interval(right, people),
        "right and nothing else": interval(clean, people),
        "something false": interval(false, people),
        "false": dict(wrong.most_common(3)),
    }


def simulate_coin(
    dimensions: Dimensions, pool: Matrix64, *, choices: int, people: int, seed: int
) -> dict[str, Any]:
    """Return how often anything was named for people who choose by coin."""
    rng = np.random.default_rng(seed)
    wrong: Counter[str] = Counter()
    any_named = 0
    for _ in range(people):
        drawn = rng.choice(len(pool), choices, replace=len(pool) < choices)
        signs = rng.choice([-1.0, 1.0], choices)
        named = _named(infer(dimensions, pool[drawn] * signs[:, None]))
        any_named += bool(named)
        wrong.update(f"{name} {pole}" for name, pole in named)
    return {
        "choices": choices,
        "named": interval(any_named, people),
        "false": dict(wrong.most_common(3)),
    }


def run(data: Path, styles: Path | None, people: int, seed: int = 0) -> dict[str, Any]:
    """Run every simulation and the real people of descriptions.jsonl."""
    dimensions = Dimensions.standard()
    report: dict[str, Any] = {"tastes": [], "coin": [], "people": []}
    pools: dict[str, Matrix64] = {}
    for name in ("descriptions", "mtbench_votes", "ukp_workers"):
        rows = _rows(data / f"{name}.jsonl")
        pools[name] = contrasts(dimensions, [(r["chosen"], r["rejected"]) for r in rows])
    for source, axes in sources(data, styles).items():
        for taste, (liked, other, wanted) in TASTES.items():
            axis = next(name for name, poles in _AXES.items() if liked in poles)
            questions = axes[axis]
            if len(questions) < 3:
                continue
            pool = contrasts(dimensions, [(q[liked], q[other]) for q in questions])
            pools.setdefault(f"{source} {axis}", pool)
            for choices, noise in ((3, 0.0), (6, 0.0), (12, 0.0), (12, 0.2), (30, 0.2)):
                result = simulate_taste(
                    dimensions, pool, wanted,
                    choices=choices, noise=noise, people=people, seed=seed,
                )  # fmt: skip
                report["tastes"].append({"source": source, "taste": taste, **result})
        mixed = [pool for name, pool in pools.items() if name.startswith(source)]
        pools[f"{source} mixed"] = np.concatenate(mixed)
    for name, pool in pools.items():
        for choices in (4, 6, 12, 30):
            result = simulate_coin(dimensions, pool, choices=choices, people=2 * people, seed=seed)
            report["coin"].append({"pairs": name, **result})
    report["people"] = _real_people(dimensions, data)
    return report


def _real_people(dimensions: Dimensions, data: Path) -> list[dict[str, Any]]:
    chosen: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for row in _rows(data / "descriptions.jsonl"):
        chosen[row["user"]].append((row["chosen"], row["rejected"]))
    people = []
    for user, pairs in chosen.items():
        pool = contrasts(dimensions, pairs)
        people.append({
            "user": user,
            "longer chosen": int((pool[:, dimensions.index("length")] > 0).sum()),
            "choices": len(pairs),
            "named": [f"{n} {p}" for n, p in _named(infer(dimensions, pool))],
            "named after 12": [f"{n} {p}" for n, p in _named(infer(dimensions, pool[:12]))],
        })  # fmt: skip
    return people


def _print(report: dict[str, Any]) -> None:
    print(f"{'source':7s}{'taste':9s}{'choices':>8s}{'noise':>7s}  right            alone  false")
    for row in report["tastes"]:
        rate, low, high = row["right"]
        print(
            f"{row['source']:7s}{row['taste']:9s}{row['choices']:8d}{row['noise']:7.1f}"
            f"  {rate:4.2f} [{low:4.2f}, {high:4.2f}]  {row['right and nothing else'][0]:4.2f}"
            f"   {row['something false'][0]:4.2f} {row['false']}"
        )
    print("\nby coin: something is named")
    for row in report["coin"]:
        rate, low, high = row["named"]
        print(
            f"{row['pairs']:18s}{row['choices']:3d}  {rate:5.3f} [{low:5.3f}, {high:5.3f}]"
            f" {row['false']}"
        )
    print("\nreal people (descriptions.jsonl): longer chosen, named after 30 and after 12 choices")
    for row in report["people"]:
        print(f"{row['user']:9s}{row['longer chosen']:3d}  {row['named']}  {row['named after 12']}")


def main() -> None:
    """Run the simulation and print its figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder with the JSONL files")
    parser.add_argument("--styles", type=Path, help="answers that a model wrote in each style")
    parser.add_argument("--people", type=int, default=100, help="simulated people per figure")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    arguments = parser.parse_args()
    report = run(arguments.data, arguments.styles, arguments.people, arguments.seed)
    _print(report)
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(report, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
