"""People who like to be answered in many ways, and choose so: by rule, from the base's own answers.

    python -m tools.train.people INTO [--mtbench PAIRS.jsonl] [--people 400]

A person cares about two to four axes of style (`styles.py`) and nothing else. Of two versions of
one answer of the base they choose the one that is in their style on more of these; of their signals
one in ten goes against it. Nobody who is judged on shares a style with anybody trained on, nor a
prompt: both are told apart by hash. Everything in INTO is made again by this command.

Written: people.jsonl, a pair file; `meta` holds the person's part, what the choice is for
("signal": the profile is made of it; "later": it is predicted) and the style behind it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.backends.llama import prepare
from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.importers import Format, read
from pocketpref.models.gguf_file import file_sha256
from pocketpref.protocols import Embedder
from pocketpref.records import Feedback, Pair

from .base import Tokens, starter_path
from .data import Answer, write_lines
from .prompts import LICENCES, Part, Prompt, fresh_prompts, made_prompts, public_prompts
from .rewrites import sentences
from .sampling import Drawing, draw
from .styles import AXES, Style, readable, written

PEOPLE = "people.jsonl"
ANSWERS = "answers.jsonl"

_LONGEST = 80  # tokens of an answer of the base
_LEAST_SIMILAR = 0.35  # cosine of prompt and answer; as in data.py
_AGAINST = 0.1
_BY_CHANCE = 0.15  # that an answer does something on an axis that nobody asked about
_SHARE_JUDGED = 4  # one style in so many is for people who are judged on


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody's choices.

    Attributes:
        name: of the person.
        part: whether trained, tuned or tested on.
        style: what they like; {} if it is not known, as of real people.
        signals: what the profile is made of.
        later: what it has to predict.
    """

    name: str
    part: Part
    style: Style
    signals: tuple[Pair, ...]
    later: tuple[Pair, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A prompt with the base's own answer."""

    prompt: Prompt
    answer: str


def answered(prompts: Sequence[Prompt], copy: Path, tokens: Tokens, seed: int) -> list[Answered]:
    """Let the base answer, and keep what is about its prompt and can be rewritten.

    Args:
        prompts: of any part.
        copy: a GGUF file of the base.
        tokens: of the base.
        seed: of the answers.
    """
    contexts = [tokens.prompt(prompt.text) for prompt in prompts]
    drawn = draw(copy, contexts, Drawing(tokens=_LONGEST, seed=seed), on_progress=_say)
    kept = [
        Answered(prompt, text)
        for prompt, one in zip(prompts, drawn, strict=True)
        if readable(text := _whole(Answer(tokens.text(one.tokens).strip(), "", one.ended)))
    ]
    return _about(kept, open_embedder(None))


def _whole(answer: Answer) -> str:
    """Without the sentence that the limit cut off."""
    if answer.ended:
        return answer.text
    end = max(answer.text.rfind(mark) for mark in ".!?")
    return answer.text[: end + 1]


def _about(found: Sequence[Answered], embedder: Embedder) -> list[Answered]:
    prompts = embedder.embed([one.prompt.text for one in found])
    answers = embedder.embed([one.answer for one in found])
    near = (prompts * answers).sum(axis=1) >= _LEAST_SIMILAR
    return [one for one, kept in zip(found, near, strict=True) if kept]


def _say(done: int) -> None:
    if done % 20 == 0:
        print(f"{done} answers", file=sys.stderr, flush=True)


def part_of_style(style: Style) -> Part:
    """The part of all people with a style, by its hash."""
    digest = hashlib.sha256(json.dumps(sorted(style.items())).encode()).digest()
    return ("test", "tune", "train", "train")[digest[0] % _SHARE_JUDGED]


def draw_style(random: np.random.Generator) -> dict[str, str]:
    """Two to four axes that somebody cares about, and how."""
    cared = random.choice(list(AXES), int(random.integers(2, 5)), replace=False)
    return {str(axis): str(random.choice(list(AXES[str(axis)]))) for axis in sorted(cared)}


def draw_people(
    found: Sequence[Answered], counts: Mapping[Part, int], *, signals: int, later: int, seed: int
) -> Iterator[Person]:
    """People with styles that nobody of another part has.

    Args:
        found: answers of the base. Everybody's signals are about prompts of the parts "train" and
            "tune", and so is what those trained on choose later; others choose later about prompts
            of the part "test".
        counts: how many people of each part.
        signals: choices that profiles are made of.
        later: choices to predict.
        seed: of everything.
    """
    random = np.random.default_rng(seed)
    fresh = [one for one in found if one.prompt.part == "test"]
    known = [one for one in found if one.prompt.part != "test"]
    wanted = dict(counts)
    while any(wanted.values()):
        style = draw_style(random)
        part = part_of_style(style)
        if not wanted.get(part):
            continue
        wanted[part] -= 1
        own = np.random.default_rng([seed, *style_digest(style), wanted[part]])
        past = own.permutation(len(known))
        # Nobody is trained to predict a choice about a prompt of their own signals.
        theirs, places = (
            (known, past[signals:]) if part == "train" else (fresh, own.permutation(len(fresh)))
        )
        yield Person(
            f"{part}_{wanted[part]:04}",
            part,
            style,
            tuple(_choice(known[i], style, own, _AGAINST) for i in past[:signals]),
            tuple(_choice(theirs[i], style, own, 0.0) for i in places[:later]),
        )


def style_digest(style: Style) -> list[int]:
    """A style as numbers for a seed."""
    return list(hashlib.sha256(json.dumps(sorted(style.items())).encode()).digest()[:4])


def part_of_an_answer(answer: str, random: np.random.Generator) -> str:
    """Two sentences of an answer that follow each other: so one answer makes several.

    Whoever reads the same few answers again and again learns these by heart, and not how people
    want them written.
    """
    found = sentences(answer)
    begin = int(random.integers(max(1, len(found) - 1)))
    return " ".join(found[begin : begin + 2]) or answer


def _choice(one: Answered, style: Style, random: np.random.Generator, against: float) -> Pair:
    """Two versions of an answer: one in the style, one that misses it on some axis at least."""
    other = {axis: option for axis, option in draw_any(random).items() if axis not in style}
    liked = other | dict(style)
    missed = dict(liked)
    cared = random.permutation(sorted(style)).tolist()
    for axis in cared[: int(random.integers(1, len(cared) + 1))]:
        missed.pop(axis)
        away = [option for option in AXES[axis] if option != style[axis]]
        if away and random.random() < 0.5:
            missed[axis] = str(random.choice(away))
    number = int(random.integers(1 << 16))
    answer = part_of_an_answer(one.answer, random)
    texts = [written(answer, liked, number), written(answer, missed, number)]
    if texts[0] == texts[1]:  # a rule that finds nothing to do; being longer is nobody's style
        texts[1] = texts[1] + " " + one.answer
    if random.random() < against:
        texts.reverse()
    return Pair(one.prompt.text, *texts)


def draw_any(random: np.random.Generator) -> dict[str, str]:
    """What an answer happens to be like on the axes that nobody asked about."""
    return {
        axis: str(random.choice(list(options)))
        for axis, options in AXES.items()
        if random.random() < _BY_CHANCE
    }


def lines(people: Iterable[Person]) -> Iterator[dict[str, Any]]:
    """People as lines of a pair file."""
    for person in people:
        for role, pairs in (("signal", person.signals), ("later", person.later)):
            for pair in pairs:
                meta = {"part": person.part, "role": role, "style": dict(person.style)}
                yield {
                    "user": person.name,
                    "prompt": pair.prompt,
                    "chosen": pair.chosen,
                    "rejected": pair.rejected,
                    "meta": meta,
                }


def read_people(path: Path, known: Format | None = None) -> list[Person]:
    """People from a file of choices, in the order of the file.

    A file that does not say which choices are signals, like those of real people, gives each
    person's earlier two thirds to the profile. One that does not say who is trained on tells people
    apart by a hash of their names.

    Args:
        path: a pair file of this module, or any that the library imports.
        known: its format; None to recognize it.

    Raises:
        FileError: it cannot be read.
    """
    by_user: dict[str, list[Feedback]] = {}
    for entry in read(path, known):
        if isinstance(entry, Feedback):
            by_user.setdefault(entry.user or "somebody", []).append(entry)
    return [_person(name, entries) for name, entries in by_user.items()]


def _person(name: str, entries: Sequence[Feedback]) -> Person:
    metas = [entry.meta for entry in entries]
    known = "role" in metas[0]
    until = len(entries) * 2 // 3
    past = [m["role"] == "signal" if known else n < until for n, m in enumerate(metas)]
    return Person(
        name,
        metas[0].get("part") or part_of_name(name),
        metas[0].get("style", {}),
        tuple(entry.pair for entry, first in zip(entries, past, strict=True) if first),
        tuple(entry.pair for entry, first in zip(entries, past, strict=True) if not first),
    )


def part_of_name(name: str) -> Part:
    """The part of a real person, by a hash of their name."""
    return ("test", "tune", "train", "train")[hashlib.sha256(name.encode()).digest()[0] % 4]


def main(argv: Sequence[str] | None = None) -> int:
    """Draw answers and people."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("into", type=Path, metavar="INTO")
    parser.add_argument("--mtbench", type=Path, help="a pair file with MT-Bench's questions")
    parser.add_argument("--each", type=int, default=3, help="made prompts about each topic")
    parser.add_argument("--people", type=int, default=600, help="that are trained on")
    parser.add_argument("--judged", type=int, default=40, help="to tune on, and to test on")
    parser.add_argument("--signals", type=int, default=16, help="choices that profiles are made of")
    parser.add_argument("--later", type=int, default=5, help="choices to predict")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(argv)
    given.into.mkdir(parents=True, exist_ok=True)
    path = starter_path()
    copy = prepare(path, given.into, file_sha256(path), "bf16")
    found = _answers(given, copy, Tokens(path))
    counts: dict[Part, int] = {"train": given.people, "tune": given.judged, "test": given.judged}
    people = draw_people(found, counts, signals=given.signals, later=given.later, seed=given.seed)
    write_lines(given.into / PEOPLE, lines(people))
    licences = f"{LICENCES}; answers by {path.stem} (Apache-2.0)\n"
    (given.into / "licences.txt").write_text(licences, "utf-8")
    print(f"{sum(counts.values())} people, who choose among versions of {len(found)} answers")
    return 0


def _answers(given: argparse.Namespace, copy: Path, tokens: Tokens) -> list[Answered]:
    """The base's answers; those of an earlier run with the same prompts are taken up."""
    public = public_prompts(given.mtbench) if given.mtbench else []
    prompts = [*made_prompts(given.each), *public, *fresh_prompts(given.each)]
    kept = given.into / ANSWERS
    if kept.is_file():
        known = [json.loads(line) for line in kept.read_text("utf-8").splitlines()]
        return [Answered(Prompt(**one["prompt"]), one["answer"]) for one in known]
    found = answered(prompts, copy, tokens, given.seed)
    entries = (
        {
            "prompt": {"text": o.prompt.text, "part": o.prompt.part, "topic": o.prompt.topic},
            "answer": o.answer,
        }
        for o in found
    )
    write_lines(kept, entries)
    return found


if __name__ == "__main__":
    sys.exit(main())
