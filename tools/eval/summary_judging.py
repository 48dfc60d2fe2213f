"""What summaries are compared with, and how they did on pairs that nothing was chosen by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pocketpref.evaluation.predictors.baselines import history
from pocketpref.evaluation.runner import credited, interval
from pocketpref.protocols import LanguageModel
from pocketpref.records import Message, Pair
from pocketpref.scoring import PairScorer
from pocketpref.summary.objective import Margins, Objective, PopiSettings
from pocketpref.summary.wording import block
from tools.eval.summary_people import Person

CONDITIONS = ("chosen", "best", "template", "random", "another", "placebo")

HISTORY_CHARACTERS = 14_000
"""Raw history that fits the starter's window of 4,096 tokens together with prompt and answer."""

_TOGETHER = 4
"""Pairs whose likelihoods under raw history are computed together: it is read once for all."""

Found = dict[str, Any]
"""What was found for one person, with the texts it is compared with, as JSON."""

Outcome = tuple[str, float, float]
"""Whose pair, anchored margin and margin as such, nats."""


def complete(done: Sequence[tuple[Person, Found]], model: LanguageModel, seed: int) -> None:
    """Add what stands beside each summary: a random candidate, another's, a placebo, lengths.

    The other person is half the people away: of people who stand in pairs of opposite tastes it is
    none of the same pair.
    """
    rng = np.random.default_rng(seed)
    words = Objective(Margins(model, {}), PopiSettings())
    for place, (_, found) in enumerate(done):
        other = done[(place + max(1, len(done) // 2)) % len(done)][1]
        found["random"] = str(rng.choice(found["tried"])) if found["tried"] else ""
        found["another"] = other["best"] if other is not found else ""
        found["placebo"] = words.neutral(found["best"]) if found["best"] else ""
        found["tokens"] = {name: _tokens(model, found[name]) for name in CONDITIONS}


def judged(
    done: Sequence[tuple[Person, Found]], model: LanguageModel, *, raw: bool = False
) -> dict[str, Any]:
    """Figures of all conditions on held-out pairs, with intervals over people.

    Args:
        done: people and what was found for them, completed.
        model: scores.
        raw: judge the raw history, too.
    """
    rows: dict[str, list[Outcome]] = {name: [] for name in ("none", *CONDITIONS)}
    for person, found in done:
        for name, outcomes in _under_texts(person, found, model).items():
            rows[name] += outcomes
        if raw:
            plain = rows["none"][-len(person.future) :]
            rows.setdefault("history", []).extend(_under_history(person, plain, model))
    report: dict[str, Any] = {
        "conditions": {name: _figures(outcomes) for name, outcomes in rows.items()},
        "above": {mine: _above(rows, mine) for mine in ("chosen", "best")},
    }
    if raw:
        report["history_tokens"] = [_tokens(model, _history(person)) for person, _ in done]
    return report


def _under_texts(person: Person, found: Found, model: LanguageModel) -> dict[str, list[Outcome]]:
    names = ("none", *CONDITIONS)
    rows: dict[str, list[Outcome]] = {name: [] for name in names}
    for pair in person.future:
        scorer = PairScorer(model, pair)
        # No text is no block: the conversation is the plain one, and the margin 0.
        margins = scorer.margins([block(found.get(name, "")) for name in names])
        own = scorer.plain()[0] - scorer.plain()[1]
        for name, margin in zip(names, margins.tolist(), strict=True):
            rows[name].append((person.name, margin, own + margin))
    return rows


def _under_history(person: Person, plain: Sequence[Outcome], model: LanguageModel) -> list[Outcome]:
    """Margins under the person's past choices as they are (Base)."""
    told: list[float] = []
    for start in range(0, len(person.future), _TOGETHER):
        told += _margins(model, person.future[start : start + _TOGETHER], _history(person))
    return [(person.name, a - p[2], a) for a, p in zip(told, plain, strict=True)]


def _margins(model: LanguageModel, pairs: Sequence[Pair], system: str) -> list[float]:
    head = Message(role="system", content=system)
    contexts = [[head, Message(role="user", content=pair.prompt)] for pair in pairs]
    answers = list(dict.fromkeys(a for pair in pairs for a in (pair.chosen, pair.rejected)))
    totals = model.likelihoods(contexts, answers).totals
    return [
        float(row[answers.index(pair.chosen)] - row[answers.index(pair.rejected)])
        for row, pair in zip(totals, pairs, strict=True)
    ]


def _history(person: Person) -> str:
    return history([f.pair for f in person.past], HISTORY_CHARACTERS)


def _figures(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    names = [name for name, _, _ in outcomes]
    margins = [margin for _, margin, _ in outcomes]
    absolute = [margin for _, _, margin in outcomes]
    return {
        "margin": interval(margins, names).to_dict(),
        "anchored_accuracy": interval(credited(margins), names).to_dict(),
        "absolute_accuracy": interval(credited(absolute), names).to_dict(),
        "pairs": len(outcomes),
        "people": len(set(names)),
    }


def _above(rows: dict[str, list[Outcome]], mine: str) -> dict[str, Any]:
    """By how much one condition is above each of the others, pair by pair: nats, and accuracy."""
    ours = rows[mine]
    names = [name for name, _, _ in ours]
    found = {}
    for other, theirs in rows.items():
        if other in ("chosen", "best"):
            continue
        both = list(zip(ours, theirs, strict=True))
        anchored = credited([a[1] for a, _ in both]) - credited([b[1] for _, b in both])
        absolute = credited([a[2] for a, _ in both]) - credited([b[2] for _, b in both])
        found[other] = {
            "margin": interval([a[1] - b[1] for a, b in both], names).to_dict(),
            "anchored_accuracy": interval(anchored, names).to_dict(),
            "absolute_accuracy": interval(absolute, names).to_dict(),
        }
    return found


def _tokens(model: LanguageModel, text: str) -> int:
    """Tokens of a text, counted part by part: a scorer cuts what is long."""
    parts = [part for part in text.split("\n\n") if part]
    asked = [[Message(role="user", content=".")]]
    return sum(int(model.likelihoods(asked, [part]).tokens[0]) for part in parts)
