"""The last steps of the POPI recipe: the report, and the artefact if it earns its place."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from pocketpref.backends.onnx.embedder import open_embedder
from pocketpref.summary import drafts

from ..export import Made, manifest, read_gguf, write_json
from .cases import Case, cases_to_judge, write
from .figure import drawn, panels
from .policy import ADAPTER
from .report import (
    Selection,
    judge,
    known_taste,
    lead,
    placebo,
    raw_history,
    selected,
    strip,
)
from .reward import Frame
from .support import faithfulness, refused
from .understood import usable
from .work import REPORT, UNDERSTOOD, Work

WRITTEN = "written.json"
FIGURE = "curves.svg"
STAGES = ("untrained", "warm", "reinforced")
_COMMAND = "python -m tools.train.popi all RUN --people PEOPLE"


def report(work: Work, other: Path | None = None) -> None:
    """Judge every stage on people whom nobody was trained on, and draw the curves.

    Args:
        work: where at least the warm start is done.
        other: a GGUF file of another generator, for which no summary was trained.
    """
    sizes = work.sizes
    people = work.of_part("test", sizes.tested)
    cases = [cases_to_judge(people, draw, sizes.later) for draw in range(sizes.written)]
    texts = summaries(work, cases)
    found: dict[str, Any] = {"stages": {}}
    table = _judged(work, cases[0], texts)
    found["table"] = strip(table)
    found["leads"] = {
        f"{row} above {rival}": lead(table, row, rival)
        for row in table
        for rival in ("untrained", "selected", "placebo")
        if rival in table and row in (*_trained(texts), "trained and selected")
    }
    for stage, drawn_texts in texts.items():
        every = [case for part in cases for case in part]
        said = [text for part in drawn_texts for text in part]
        found["stages"][stage] = {
            **faithfulness(every, said),
            "refused": refused(every, said),
            "different": len(set(said)),
            "summaries": len(said),
        }
    if other is not None:
        found["other generator"] = _under_another(work, other, cases[0], texts)
    found["examples"] = _examples(cases[0], texts)
    write_json(work.folder / REPORT, found)
    figure = drawn(panels(work.folder))
    (work.folder / FIGURE).write_text(figure, encoding="utf-8", newline="\n")


def summaries(work: Work, cases: Sequence[Sequence[Case]]) -> dict[str, list[list[str]]]:
    """What every stage that is there writes: by stage, draw and person. Kept in the run."""
    path = work.folder / WRITTEN
    found: dict[str, list[list[str]]] = (
        json.loads(path.read_text("utf-8")) if path.is_file() else {}
    )
    for stage in STAGES:
        adapter = work.folder / stage / ADAPTER
        if stage in found or not (stage == "untrained" or adapter.is_file()):
            continue
        parts = [] if stage == "untrained" else [(adapter, 1.0)]
        found[stage] = [
            [
                _shut(one.text)
                for one in write(
                    work.copy, part, work.tokens, replace(work.recipe.drawing, seed=n), parts
                )
            ]
            for n, part in enumerate(cases)
        ]
        write_json(path, found)
    return found


def _shut(text: str) -> str:
    """One line that ends as a sentence does, whatever was cut off."""
    line = " ".join(text.split())
    return line if line.endswith(".") else f"{line}."


def _trained(texts: dict[str, list[list[str]]]) -> list[str]:
    return [stage for stage in texts if stage != "untrained"]


def _judged(work: Work, cases: Sequence[Case], texts: dict[str, list[list[str]]]) -> dict[str, Any]:
    known = usable(work.read(UNDERSTOOD))
    best = _trained(texts)[-1]
    with closing(work.open()) as model:
        reward = work.judge(model)
        selection = Selection(reward.generator, open_embedder(None), work.sizes.searched)
        drafts = {name: _by_person(texts[name]) for name in ("untrained", best)}
        most = work.sizes.selected
        rows: dict[str, list[list[Frame] | None]] = {
            "none": [[Frame()] for _ in cases],
            "placebo": [[placebo(text, work.tokens)] for text in texts[best][0]],
            "history": [
                [raw_history(case)] if n < work.sizes.history else None
                for n, case in enumerate(cases)
            ],
            **{
                stage: [[Frame(t) for t in own] for own in _by_person(texts[stage])]
                for stage in texts
            },
            "selected": selected(selection, cases, drafts["untrained"], most, _counted("selected")),
            "trained and selected": selected(
                selection, cases, drafts[best], most, _counted("trained and selected")
            ),
            "known taste": [[known_taste(case, known)] for case in cases],
        }
        return judge(rows, cases, reward, work.tokens)


def _counted(what: str) -> Callable[[int], None]:
    return lambda done: print(f"{what}: {done} people", file=sys.stderr, flush=True)


def _by_person(drawn_texts: Sequence[Sequence[str]]) -> list[list[str]]:
    return [list(own) for own in zip(*drawn_texts, strict=True)]


def _under_another(
    work: Work, other: Path, cases: Sequence[Case], texts: dict[str, list[list[str]]]
) -> dict[str, Any]:
    """The same summaries under a generator that none of them was trained for."""
    best = _trained(texts)[-1]
    with closing(work.open(other)) as model:
        rows: dict[str, list[list[Frame] | None]] = {
            "placebo": [[placebo(text, work.tokens)] for text in texts[best][0]],
            "untrained": [[Frame(text)] for text in texts["untrained"][0]],
            best: [[Frame(text)] for text in texts[best][0]],
        }
        table = judge(rows, cases, work.judge(model, other.stem), work.tokens)
    rivals = ("untrained", "placebo")
    return {
        "file": other.name,
        "table": strip(table),
        "leads": {f"{best} above {rival}": lead(table, best, rival) for rival in rivals},
    }


def _examples(cases: Sequence[Case], texts: dict[str, list[list[str]]]) -> list[dict[str, Any]]:
    return [
        {"style": dict(case.style), **{stage: texts[stage][0][n] for stage in texts}}
        for n, case in enumerate(cases)
    ]


def export(work: Work, into: Path) -> None:
    """Write the summarizer as the library loads it.

    Args:
        work: with a report.
        into: the folder of adapters.

    Raises:
        ValueError: it is not above the untrained model on the people of the report.
    """
    told = work.read(REPORT)
    stage = next(s for s in reversed(STAGES) if s in told["table"])
    over = told["leads"][f"{stage} above untrained"]
    if not (over["low"] or 0) > 0:  # None, or NaN in older runs: one person has no interval
        raise ValueError(f"{stage} is not above the untrained model: {over}")
    data = (work.folder / stage / ADAPTER).read_bytes()
    summarizer = work.summarizer
    rows = {"untrained": "untrained", "selected": "selected", "trained": stage}
    name = drafts.FILE_NAME.removesuffix(".json")
    made = Made(
        recipe=f"POPI (arXiv 2510.17881), summarizer: {stage}",
        command=_COMMAND,
        seed=work.recipe.supervised.seed,
        data="people of tools.train.people, made by rule from the base's own answers (Apache-2.0)",
    )
    found = manifest(
        name,
        data,
        summarizer.base.identity,
        read_gguf(data, summarizer.base.shape)[1],
        made,
        held_out={
            **{said: told["table"][row]["margins"] for said, row in rows.items()},
            "trained_above_untrained": over,
            "people": told["table"][stage]["people"],
        },
    )
    into.mkdir(parents=True, exist_ok=True)
    (into / found.file).write_bytes(data)
    (into / drafts.FILE_NAME).write_bytes(found.dump())
