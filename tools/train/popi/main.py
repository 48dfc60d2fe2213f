"""POPI's summarizer and generator, trained (arXiv 2510.17881).

    python -m tools.train.popi all RUN --people PEOPLE [--into models/adapters]
    python -m tools.train.popi understand|propose|warm|reinforce|joint|report|export RUN ...

PEOPLE is a folder of `tools.train.people`. Every step keeps what it found in RUN and goes on where
it stopped; a step whose result is there does nothing.

    understand  which wordings of a style the generator follows at all
    propose     for each person the best of several proposals
    warm        the summarizer learns to write these
    reinforce   it learns from what its own summaries earn
    joint       generator and summarizer by turns
    report      people whom nobody was trained on: every stage against none, history, selection
    export      the summarizer as the library loads it, if it earns its place
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, fields, replace
from pathlib import Path

from ..export import write_json
from ..people import ANSWERS, Answered
from ..prompts import Prompt
from .cases import write
from .joint import train_by_turns
from .policy import ADAPTER
from .told import export, report
from .understood import understood
from .warm import best_of
from .work import REPORT, TARGETS, UNDERSTOOD, Sizes, Work

JOINT = "joint.json"
STEPS = ("understand", "propose", "warm", "reinforce", "joint", "report", "export")


def understand(work: Work) -> None:
    """Which wordings the generator follows; nothing to do where no style is known."""
    if not work.styled:
        write_json(work.folder / UNDERSTOOD, {})
        return
    lines = (work.data / ANSWERS).read_text("utf-8").splitlines()
    read = [json.loads(line) for line in lines]
    answers = [Answered(Prompt(**one["prompt"]), one["answer"]) for one in read]
    own = [one for one in answers if one.prompt.part == "train"]
    with closing(work.open()) as model:
        found = understood(own, work.judge(model), work.sizes.tried, _say)
    write_json(work.folder / UNDERSTOOD, found)


def propose(work: Work) -> None:
    """For each person the best of several proposals."""
    cases, sizes = work.cases(), work.sizes
    every = [case for case in cases for _ in range(sizes.samples)]
    drawn = work.folder / "untrained.json"
    if not drawn.is_file():
        written = write(work.copy, every, work.tokens, work.recipe.drawing) if every else []
        write_json(drawn, [one.text for one in written])
    texts = json.loads(drawn.read_text("utf-8"))
    own = [texts[n * sizes.samples : (n + 1) * sizes.samples] for n in range(len(cases))]
    with closing(work.open()) as model:
        targets = best_of(
            cases,
            own,
            lambda case: work.composed(case, model),
            work.judge(model),
            work.tokens,
            kept=work.folder / "proposals",
            on_progress=lambda done: _say(f"{done} of {len(cases)} people"),
        )
    lines = [json.dumps(target and asdict(target)) for target in targets]
    (work.folder / TARGETS).write_text("\n".join(lines) + "\n", "utf-8")
    won = [target for target in targets if target]
    model_won = sum(target.origin == "model" for target in won)
    print(f"{len(won)} of {len(cases)} people have a target; the model wrote {model_won} of them")


def warm(work: Work) -> None:
    """Supervised by the best proposals."""
    work.summarizer.supervise(*work.targets())


def reinforce(work: Work, steps: int) -> None:
    """The policy gradient, from the warm start on.

    Args:
        work: where the warm start is done.
        steps: so many at most; they go over the first cases once.
    """
    cases, _ = work.targets()
    plan = work.recipe.reinforced
    cases = cases[: steps * plan.batch]
    with closing(work.open()) as model:
        start = work.factors("warm")
        work.summarizer.reinforce(cases, work.judge(model), start, "reinforced", plan)


def joint(work: Work) -> None:
    """Generator and summarizer by turns, from the warm start on."""
    cases, _ = work.targets()
    cases = cases[: work.sizes.joint]
    cache = work.folder / "likelihoods"
    found = train_by_turns(
        work.summarizer, cases, work.factors("warm"), work.turns, cache=cache, on_round=_say
    )
    places = {
        name: path.relative_to(work.folder).as_posix() for name, path in asdict(found).items()
    }
    write_json(work.folder / JOINT, places)


def _say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one step, or all of them in their order."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("step", choices=["all", *STEPS])
    parser.add_argument("folder", type=Path, metavar="RUN")
    parser.add_argument("--people", type=Path, required=True, help="of tools.train.people")
    parser.add_argument("--until", choices=STEPS, default=STEPS[-1], help="the last step of all")
    parser.add_argument("--into", type=Path, help="the folder of adapters [default: in RUN]")
    parser.add_argument("--other", type=Path, help="a GGUF file: another generator to report on")
    parser.add_argument("--base", type=Path, help="the GGUF base [default: the starter]")
    for one in fields(Sizes):
        parser.add_argument(f"--{one.name}", type=int, default=one.default)
    parser.add_argument("--steps", type=int, default=20, help="of the policy gradient, at most")
    given = parser.parse_args(argv)
    given.folder.mkdir(parents=True, exist_ok=True)
    sizes = Sizes(**{one.name: getattr(given, one.name) for one in fields(Sizes)})
    work = Work(given.folder, given.people, sizes)
    if given.base:
        work = replace(work, path=given.base)
    into = given.into or given.folder / "adapters"
    steps: dict[str, tuple[str, Callable[[], None]]] = {
        "understand": (UNDERSTOOD, lambda: understand(work)),
        "propose": (TARGETS, lambda: propose(work)),
        "warm": (f"warm/{ADAPTER}", lambda: warm(work)),
        "reinforce": (f"reinforced/{ADAPTER}", lambda: reinforce(work, given.steps)),
        "joint": (JOINT, lambda: joint(work)),
        "report": (REPORT, lambda: report(work, given.other)),
        "export": ("", lambda: export(work, into)),
    }
    every = STEPS[: STEPS.index(given.until) + 1]
    for name in every if given.step == "all" else (given.step,):
        result, run = steps[name]
        if not result or not (given.folder / result).is_file():
            run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
