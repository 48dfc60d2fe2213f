"""Whether people's generated adapters make the model write as each of them likes, and still well.

    python -m tools.train.profile_to_peft.speech RUN --people PEOPLE.jsonl
        --network models/profile-to-peft

For some people of the part "test" the device's own path is gone: ONNX, GGUF, llama.cpp. The model
answers prompts of the test part without an adapter and under each person's. Every option of style
has a measure (`styles.py`): it should rise for those who like the option, and for nobody else.
Written into RUN: speech.json, and with --figure an SVG.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.backends.onnx.hypernetwork import OnnxHypernetwork
from pocketpref.evaluation.runner import interval
from pocketpref.methods.profile_to_peft import adapter

from ..base import starter_path
from ..export import write_json
from ..measure import Judge, Said, fluency, measure, relevance
from ..people import Person, read_people
from ..prompts import fresh_prompts
from ..sampling import Drawing
from ..styles import AXES
from .profiles import profile

TRAITS = ("brevity", "plainness", "formality")
SPEECH = "speech.json"


@dataclass(frozen=True, slots=True)
class Spoken:
    """Answers to the same prompts: the base's, and each person's."""

    base: list[Said]
    own: list[tuple[Person, list[Said]]]


def speak(
    people: Sequence[Person], network: OnnxHypernetwork, prompts: Sequence[str], judge: Judge
) -> Spoken:
    """Let the model answer without an adapter, and under that of each person.

    Args:
        people: whose profiles are read.
        network: what writes adapters.
        prompts: of the test part.
        judge: the base.
    """
    how = Drawing(tokens=80)
    embedder = open_embedder(None)
    base = measure(judge, prompts, TRAITS, how=how, parts=())
    own = []
    with tempfile.TemporaryDirectory() as folder:
        for person in people:
            made = adapter(network.write(profile(person, embedder)), network.manifest, "00")
            path = Path(folder) / f"{person.name}.gguf"
            path.write_bytes(made.data)  # people made up by rule: nothing of anybody
            own.append((person, measure(judge, prompts, TRAITS, how=how, parts=[(path, 1.0)])))
            print(f"{person.name} has answered", file=sys.stderr, flush=True)
    return Spoken(base, own)


def by_option(spoken: Spoken) -> dict[str, dict[str, Any]]:
    """For each option its measure in the base's answers, in those of who likes it, and of others.

    An option is left out unless two people like it and two do not: one says nothing of others.

    Returns:
        By option: means, how many people like it, and for them and the others the rise over the
        base with an interval over people.
    """
    found: dict[str, dict[str, Any]] = {}
    for axis, options in AXES.items():
        for name, option in options.items():
            plain = np.array([option.measure(said.text) for said in spoken.base])
            rises: dict[bool, list[float]] = {True: [], False: []}
            for person, answers in spoken.own:
                mean = np.mean([option.measure(said.text) for said in answers])
                rises[person.style.get(axis) == name].append(float(mean - plain.mean()))
            if min(len(rises[True]), len(rises[False])) > 1:
                found[name] = {
                    "base": float(plain.mean()),
                    "spread": float(plain.std()),
                    "people": len(rises[True]),
                    "liked": interval(rises[True]).to_dict(),
                    "others": interval(rises[False]).to_dict(),
                }
    return found


def report(spoken: Spoken) -> dict[str, Any]:
    """Options, and how well the model still writes."""
    embedder = open_embedder(None)
    everybody = [said for _, answers in spoken.own for said in answers]
    return {
        "options": by_option(spoken),
        "base": fluency(spoken.base) | {"relevance": relevance(spoken.base, embedder)},
        "adapted": fluency(everybody) | {"relevance": relevance(everybody, embedder)},
        "people": len(spoken.own),
        "prompts": len(spoken.base),
        "examples": [
            {"likes": dict(person.style), "prompt": answers[0].prompt, "answer": answers[0].text}
            for person, answers in spoken.own[:4]
        ],
    }


_WIDE, _ROW, _LEFT = 360, 24, 90
_STYLE = (
    "text{font:12px sans-serif;fill:#555}.zero{stroke:#999}.liked{fill:#2a6f97}"
    ".others{fill:#fff;stroke:#999}.bar{stroke:#2a6f97}"
)


def drawn(options: Mapping[str, Mapping[str, Any]]) -> str:
    """How each option's measure rises for those who like it and for others, as SVG.

    Args:
        options: what ``by_option`` gives. Rises are in standard deviations of the base's answers,
            at least a tenth; of what the base never does, in units of the measure.
    """
    height = 40 + _ROW * len(options) + 40
    width = _LEFT + _WIDE + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}"><style>{_STYLE}</style><rect width="{width}" height="{height}" '
        'fill="#fff"/>'
    ]
    for place, (name, one) in enumerate(options.items()):
        unit = max(one["spread"], 0.1)
        y = 40 + _ROW * place
        low, mean, high = (_x(one["liked"][part] / unit) for part in ("low", "mean", "high"))
        others = _x(one["others"]["mean"] / unit)
        parts += [
            f'<text x="{_LEFT - 8}" y="{y + 4}" text-anchor="end">{name}</text>',
            f'<path class="bar" d="M{low} {y}H{high}"/>',
            f'<circle class="others" cx="{others}" cy="{y}" r="4"/>',
            f'<circle class="liked" cx="{mean}" cy="{y}" r="4"/>',
        ]
    bottom = 40 + _ROW * len(options)
    parts += [
        f'<path class="zero" d="M{_x(0)} 24V{bottom}"/>',
        *(
            f'<text x="{_x(tick)}" y="{bottom + 12}" text-anchor="middle">{tick}</text>'
            for tick in _TICKS
        ),
        f'<text x="8" y="{height - 6}">rise over the base, standard deviations; filled: people '
        "who like it; hollow: others</text></svg>\n",
    ]
    return "\n".join(parts)


_TICKS = (-2, 0, 2, 4, 6)


def _x(rise: float) -> float:
    return round(_LEFT + _WIDE * (min(max(rise, -2.5), 6.5) + 2.5) / 9, 1)


def main(argv: Sequence[str] | None = None) -> int:
    """Let people's adapters speak."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="RUN")
    parser.add_argument("--people", type=Path, required=True)
    parser.add_argument("--network", type=Path, required=True, help="its folder")
    parser.add_argument("--count", type=int, default=16, help="people")
    parser.add_argument("--prompts", type=int, default=8)
    parser.add_argument("--figure", type=Path)
    given = parser.parse_args(argv)
    people = [person for person in read_people(given.people) if person.part == "test"]
    prompts = [prompt.text for prompt in fresh_prompts(1)]
    step = max(1, len(prompts) // given.prompts)
    spoken = speak(
        people[: given.count],
        OnnxHypernetwork(given.network),
        prompts[::step][: given.prompts],
        Judge(starter_path()),
    )
    found = report(spoken)
    given.folder.mkdir(parents=True, exist_ok=True)
    write_json(given.folder / SPEECH, found)
    for name, one in found["options"].items():
        liked, others = one["liked"], one["others"]
        print(
            f"{name:8} base {one['base']:7.3f}  liked by {one['people']:2}: "
            f"{liked['mean']:+.3f} ({liked['low']:+.3f} to {liked['high']:+.3f})  "
            f"others {others['mean']:+.3f}"
        )
    for who in ("base", "adapted"):
        print(who, {name: round(value, 3) for name, value in found[who].items()})
    if given.figure:
        given.figure.parent.mkdir(parents=True, exist_ok=True)
        given.figure.write_text(drawn(found["options"]), encoding="utf-8", newline="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
