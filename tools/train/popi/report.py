"""What every stage is worth on people whom nobody was trained on, and another generator's view.

A row is a way to get a summary, with one or several summaries for each person. All are judged on
the same later choices; intervals are bootstraps over people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.evaluation.predictors.baselines import history
from pocketpref.evaluation.runner import interval
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.records import Pair
from pocketpref.summary.candidates import Proposal, Refused, read_draft
from pocketpref.summary.evidence import Signal
from pocketpref.summary.objective import Margins, Objective, PopiSettings
from pocketpref.summary.records import Clause
from pocketpref.summary.search import HalfSearch, Meaning, Wishes
from pocketpref.summary.wording import NEUTRAL, render

from ..base import Tokens
from .cases import Case
from .reward import Array, Frame, Reward
from .warm import Understood

Rows = Mapping[str, Sequence[Sequence[Frame] | None]]
"""Name of a row to the frames of each person; None for a person whom it leaves out."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One row on one person, the mean over its frames.

    Attributes:
        margins: of each later choice, nats.
        anchored: share of frames whose margin points to what was chosen, for each choice.
        absolute: share under which the chosen answer is the likelier one.
        reward: log sigma(beta m), for each choice.
        tokens: of what stands around the prompt.
    """

    margins: Array
    anchored: Array
    absolute: Array
    reward: Array
    tokens: float


def judge(rows: Rows, cases: Sequence[Case], reward: Reward, tokens: Tokens) -> dict[str, Any]:
    """Every row on every person; the shape of the report's tables.

    Args:
        rows: each with an entry for every case.
        cases: judged by their later choices.
        reward: under whose generator.
        tokens: count what a frame costs.
    """
    found: dict[str, list[Judged | None]] = {name: [] for name in rows}
    for place, case in enumerate(cases):
        frames = {name: row[place] for name, row in rows.items()}
        every = list(dict.fromkeys(f for part in frames.values() for f in part or ()))
        margins = dict(zip(every, reward.margins(every, case.judged), strict=True))
        plain = reward.plain(case.judged)
        for name, part in frames.items():
            one = _judged([margins[f] for f in part], plain, part, reward, tokens) if part else None
            found[name].append(one)
    return {name: _row(row) for name, row in found.items() if any(row)}


def _judged(
    margins: Sequence[Array],
    plain: Array,
    frames: Sequence[Frame],
    reward: Reward,
    tokens: Tokens,
) -> Judged:
    table = np.array(margins)
    lengths = [len(tokens.answer(f.summary or f.system, ended=False)) for f in frames]
    return Judged(
        table.mean(0),
        _share(table),
        _share(table + plain),
        (reward.earned(table) * reward.beta / 2 - np.log(2)).mean(0),
        float(np.mean(lengths)),
    )


def _share(differences: Array) -> Array:
    """How often positive; a difference of exactly 0 says nothing and counts half."""
    return np.asarray((0.5 + 0.5 * np.sign(differences)).mean(0))


def _row(row: Sequence[Judged | None]) -> dict[str, Any]:
    kept = [one for one in row if one]
    figures: dict[str, Any] = {
        name: interval([float(getattr(one, name).mean()) for one in kept]).to_dict()
        for name in ("margins", "anchored", "absolute", "reward")
    }
    by_person = [float(one.margins.mean()) if one else None for one in row]
    return figures | {
        "tokens": float(np.mean([one.tokens for one in kept])),
        "people": len(kept),
        "by_person": by_person,
    }


def lead(table: Mapping[str, Any], row: str, rival: str) -> dict[str, float]:
    """By how much one row's margin lies above another's on the people that both have."""
    both = zip(table[row]["by_person"], table[rival]["by_person"], strict=True)
    return interval([a - b for a, b in both if a is not None and b is not None]).to_dict()


# ------------------------------------------------------------------------------------ rows


def placebo(text: str, tokens: Tokens) -> Frame:
    """As many tokens as a text has, which say nothing about answers."""
    wanted = len(tokens.answer(text, ended=False))
    words = NEUTRAL.split()
    count = next(
        (n for n in range(1, len(words)) if len(tokens.answer(" ".join(words[:n]))) > wanted),
        len(words),
    )
    return Frame(" ".join(words[:count]) + ".")


def raw_history(case: Case) -> Frame:
    """All that is known of the person, as it is."""
    return Frame(system=history(case.signals))


def known_taste(case: Case, understood: Understood) -> Frame:
    """What would be said by who knows the person, in the wordings that work best."""
    options = [name for name in case.style.values() if understood.get(name)]
    best = [max(understood[name], key=lambda words: understood[name][words]) for name in options]
    return Frame(render([Clause(words) for words in best])) if best else Frame()


# ------------------------------------------------------------------------------- selection


@dataclass(frozen=True, slots=True)
class Selection:
    """The library's own search, on the choices that are known of a person.

    Attributes:
        model: scores; its likelihoods may be kept.
        embedder: tells what says the same.
        most: choices that it looks at.
    """

    model: LanguageModel
    embedder: Embedder
    most: int

    def best(self, case: Case, drafts: Sequence[str]) -> str:
        """The first finalist for a person, "" if there is none.

        Args:
            case: whose signals it searches.
            drafts: what a model wrote about them, to be checked as the library does.
        """
        signals = [_signal(n, pair) for n, pair in enumerate(case.signals[: self.most])]
        settings = PopiSettings(drafts=len(drafts))
        search = HalfSearch(
            signals,
            AttributeBank.standard(),
            Objective(Margins(self.model, {}), settings),
            meaning=Meaning(self.embedder),
            wishes=Wishes(),
        )

        def write(_: Sequence[Signal], draw: int) -> Proposal | Refused:
            return read_draft(f"{drafts[draw]}\n", signals, "en")

        found = search.finalists(write, None)
        return found[0].text if found else ""


def _signal(number: int, pair: Pair) -> Signal:
    return Signal(str(number), pair, 1.0, pair.prompt)


def selected(
    selection: Selection,
    cases: Sequence[Case],
    drafts: Sequence[Sequence[str]],
    most: int,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[list[Frame] | None]:
    """What the search finds for the first people; None for the others."""
    rows: list[list[Frame] | None] = []
    for case, own in zip(cases, drafts, strict=True):
        if len(rows) >= most:
            rows.append(None)
            continue
        rows.append([Frame(selection.best(case, own))])
        on_progress(len(rows))
    return rows


def strip(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table without the figures of single people."""
    return {name: {k: v for k, v in row.items() if k != "by_person"} for name, row in table.items()}
