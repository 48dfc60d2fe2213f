"""Measures from which cosine on a past prompt counts as related, for the bundled embedder.

    python tools/calibrate_relevance.py --tasks mtbench_votes.jsonl --debates ukp_workers.jsonl

Recall takes the most similar of N past prompts, so what matters is how similar the *most similar*
of N unrelated ones is, not two prompts drawn at random.

Unrelated: a first-turn question of MT-Bench against (a) the 79 other questions, (b) the debate
prompts and (c) N texts out of the debates' prompts and arguments, for N up to all of them, which
stand for a long memory. Some questions of MT-Bench are about nearly the same thing (two about
sorted arrays); they count as unrelated all the same, so the rates of (a) err on the high side.

Related: a debate prompt against the other position of the same debate, and a question against
itself after edits that keep its meaning (``EDITS``), sought among the other questions. Also shown,
and counted as neither: a debate prompt against the other debates, the same task about another
subject.

The threshold is the least at which at most 5 % of questions recall something in each of these
memories. Not covered: other languages than English; whether what is recalled helps.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.onnx.embedder import OnnxEmbedder
from pocketpref.protocols import Embedder
from tools import manifest as manifests

MODELS = Path(__file__).resolve().parent.parent / "models"
FALSE_RECALL = 0.05
SIZES = (30, 100, 300, 1000)
DRAWS = 50
GRID = tuple(round(0.30 + 0.01 * step, 2) for step in range(51))
SHOWN = GRID[::5]

Vectors = NDArray[np.float32]
Tops = NDArray[np.floating[Any]]


def _polite(text: str) -> str:
    return f"Hi! I wonder whether you could help me with this: {text} Thank you very much!"


def _first_half(text: str) -> str:
    words = text.split()
    return " ".join(words[: (len(words) + 1) // 2])


def _gaps(text: str) -> str:
    return " ".join(word for place, word in enumerate(text.split()) if place % 3 != 2)


def _typos(text: str) -> str:
    words = text.split()
    for place in range(0, len(words), 4):
        word = words[place]
        if len(word) > 3:
            words[place] = word[0] + word[2] + word[1] + word[3:]
    return " ".join(words)


EDITS: dict[str, Callable[[str], str]] = {
    "wrapped in courtesies": _polite,
    "first half of its words": _first_half,
    "every third word left out": _gaps,
    "two letters swapped in every fourth word": _typos,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write the threshold into the manifest. Returns the exit status."""
    options = _parse(argv)
    embedder = OnnxEmbedder(options.models / options.embedder, relevance=1.0)
    tasks, debates, arguments = _texts(options.tasks, options.debates)
    rng = np.random.default_rng(options.seed)
    unrelated = _unrelated(embedder, tasks, debates, arguments, rng)
    related = _related(embedder, tasks, debates)
    threshold = _choose(unrelated)
    report = _report(threshold, unrelated, related, _other_debates(embedder, debates))
    report["texts"] = {"tasks": len(tasks), "debates": len(debates), "arguments": len(arguments)}
    _print(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
    if options.write:
        _record(options, report)
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the relevance threshold.")
    parser.add_argument("--tasks", type=Path, required=True, help="pair file of MT-Bench")
    parser.add_argument("--debates", type=Path, required=True, help="pair file of UKPConvArg1")
    parser.add_argument("--embedder", default="all-MiniLM-L6-v2", help="folder below --models")
    parser.add_argument("--models", type=Path, default=MODELS)
    parser.add_argument("--seed", type=int, default=0, help="of the draws of memories")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--write", action="store_true", help="write the manifest")
    return parser.parse_args(argv)


def _texts(tasks: Path, debates: Path) -> tuple[list[str], list[str], list[str]]:
    """Distinct questions, debate prompts and arguments, in the order of the files."""
    rows = [_rows(path) for path in (tasks, debates)]
    questions, prompts = (list(dict.fromkeys(r["prompt"] for r in part)) for part in rows)
    arguments = (r[side] for r in rows[1] for side in ("chosen", "rejected"))
    return questions, prompts, list(dict.fromkeys(arguments))


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def _debate(prompt: str) -> str:
    """The debate's title: a prompt's first line."""
    return prompt.split("\n", 1)[0]


def _unrelated(
    embedder: Embedder,
    tasks: Sequence[str],
    debates: Sequence[str],
    arguments: Sequence[str],
    rng: np.random.Generator,
) -> dict[str, Tops]:
    """Cosine of the most similar entry, for each kind of memory: one for each query and draw."""
    questions, prompts, texts = (embedder.embed(t) for t in (tasks, debates, arguments))
    tops: dict[str, Tops] = {
        f"{len(tasks) - 1} other questions": _others(questions).max(axis=1),
        f"{len(debates)} debate prompts": (questions @ prompts.T).max(axis=1),
    }
    cosines = questions @ np.concatenate([prompts, texts]).T
    for size in (s for s in SIZES if s <= cosines.shape[1]):
        draws = [rng.choice(cosines.shape[1], size, replace=False) for _ in range(DRAWS)]
        each = [cosines[:, draw].max(axis=1) for draw in draws]
        tops[f"{size} texts of debates"] = np.concatenate(each)
    return tops


def _others(vectors: Vectors) -> Vectors:
    """Cosines to one another, with the diagonal out of the way."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1.0)
    return cosines


def _related(embedder: Embedder, tasks: Sequence[str], debates: Sequence[str]) -> dict[str, Tops]:
    """Cosine to the related past prompt; -1 where another one was found more similar."""
    questions = embedder.embed(tasks)
    found = {"same debate, other position": _other_position(embedder, debates)}
    for name, edit in EDITS.items():
        cosines = embedder.embed([edit(text) for text in tasks]) @ questions.T
        right = cosines.argmax(axis=1) == np.arange(len(tasks))
        found[f"question {name}"] = np.where(right, cosines.diagonal(), -1.0)
    return found


def _other_position(embedder: Embedder, debates: Sequence[str]) -> Tops:
    cosines = _others(embedder.embed(debates))
    titles = np.array([_debate(prompt) for prompt in debates])
    nearest = cosines.argmax(axis=1)
    return np.where(titles[nearest] == titles, cosines.max(axis=1), -1.0)


def _other_debates(embedder: Embedder, debates: Sequence[str]) -> Tops:
    titles = np.array([_debate(prompt) for prompt in debates])
    cosines = _others(embedder.embed(debates))
    cosines[titles[:, None] == titles[None, :]] = -1.0
    return np.asarray(cosines.max(axis=1))


def _choose(unrelated: dict[str, Tops]) -> float:
    return next(
        t for t in GRID if all((tops >= t).mean() <= FALSE_RECALL for tops in unrelated.values())
    )


def _report(
    threshold: float, unrelated: dict[str, Tops], related: dict[str, Tops], other: Tops
) -> dict[str, Any]:
    def over(tops: Tops) -> dict[str, float]:
        return {f"{t:.2f}": round(float((tops >= t).mean()), 4) for t in (*SHOWN, threshold)}

    return {
        "threshold": threshold,
        "rule": f"least at which at most {FALSE_RECALL:.0%} of unrelated prompts recall anything",
        "recalled_unrelated": {name: over(tops) for name, tops in unrelated.items()},
        "recalled_related": {name: over(tops) for name, tops in related.items()},
        "recalled_same_task_other_subject": over(other),
    }


def _print(report: dict[str, Any]) -> None:
    other = report["recalled_same_task_other_subject"]
    columns = sorted(other)
    print(" " * 52 + "".join(f"{t:>7}" for t in columns))
    for title, rows in (
        ("UNRELATED: recalled although nothing is", report["recalled_unrelated"]),
        ("RELATED: recalled, and the right one", report["recalled_related"]),
        ("NEITHER: same task, other subject", {"debate prompt, other debates": other}),
    ):
        print(title)
        for name, rates in rows.items():
            print(f"  {name:<50}" + "".join(f"{rates[t]:>7.1%}" for t in columns))
    print(f"\nthreshold {report['threshold']:.2f}: {report['rule']}")


def _record(options: argparse.Namespace, report: dict[str, Any]) -> None:
    at = f"{report['threshold']:.2f}"
    parts = ("recalled_unrelated", "recalled_related")
    rates = {part: {name: r[at] for name, r in report[part].items()} for part in parts}
    arguments = ["--tasks", options.tasks.name, "--debates", options.debates.name, "--write"]
    entry = {
        "threshold": report["threshold"],
        "rule": report["rule"],
        "recipe": shlex.join(["python", "tools/calibrate_relevance.py", *arguments]),
    }
    manifest = manifests.read(options.models)
    manifest["relevance"][options.embedder] = entry | rates
    manifests.write(options.models, manifest)


if __name__ == "__main__":
    sys.exit(main())
