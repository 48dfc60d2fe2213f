"""Warm start by rejection sampling: of several proposals for a person, the one that earns most.

Proposals are what the untrained model writes, and compositions of what measures of style
(``styles.py``) notice in the person's choices, in several wordings. The untrained model hardly ever
writes anything useful, so that nearly all that wins is composed: the warm start teaches the model
to read off choices what a search would find, in the wordings that the generator understands best.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from pocketpref.methods.popi_wording import render
from pocketpref.summary import Clause

from .base import Tokens
from .popi_cases import Case
from .popi_reward import Reward
from .styles import AXES, noticed

Understood = Mapping[str, Mapping[str, float]]
"""Of each option, which wordings the generator follows, and their mean margin, nats."""

_WORDINGS = 2
_LARGEST = 3  # clauses of a composition


@dataclass(frozen=True, slots=True)
class Target:
    """The best proposal for a case.

    Attributes:
        text: what it says.
        gain: what it earned on the choices that judge the case, nats.
        origin: "model" or "composed".
        tried: how many proposals it is the best of.
    """

    text: str
    gain: float
    origin: str
    tried: int


def compositions(case: Case, understood: Understood, most: int, seed: int) -> list[str]:
    """Summaries put together from what the person's choices speak for.

    Args:
        case: all of whose signals are measured, not only those that the summarizer will see.
        understood: the wordings that are used.
        most: of so many.
        seed: of wordings and order.
    """
    style = noticed([(pair.chosen, pair.rejected) for pair in case.signals])
    options = [name for name in style.values() if understood.get(name)]
    random = np.random.default_rng([seed, *case.person.encode()])
    found: dict[str, None] = {}
    sizes = range(min(len(options), _LARGEST), 0, -1)
    for chosen in [c for size in sizes for c in combinations(options, size)]:
        for _ in range(_WORDINGS):
            found[_composed(chosen, understood, random)] = None
    return list(found)[:most]


def _composed(options: Sequence[str], understood: Understood, random: np.random.Generator) -> str:
    order = random.permutation(list(options)).tolist()
    return render([Clause(str(random.choice(sorted(understood[name])))) for name in order])


def best_of(
    cases: Sequence[Case],
    drawn: Sequence[Sequence[str]],
    understood: Understood,
    reward: Reward,
    tokens: Tokens,
    *,
    kept: Path,
    composed: int = 6,
    seed: int = 0,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[Target | None]:
    """The best proposal for each case; None where none earns anything.

    Args:
        cases: to train on.
        drawn: what the untrained model wrote for each.
        understood: see ``compositions``.
        reward: decides.
        tokens: count what proposals cost.
        kept: a folder; what was decided in it stays.
        composed: compositions for each case, at most.
        seed: of compositions.
        on_progress: told how many cases are done.
    """
    kept.mkdir(parents=True, exist_ok=True)
    found: list[Target | None] = []
    for case, own in zip(cases, drawn, strict=True):
        proposals = dict.fromkeys(compositions(case, understood, composed, seed), "composed")
        proposals |= dict.fromkeys(own, "model")
        path = kept / f"{_name(case, proposals)}.json"
        if not path.is_file():
            target = _best(case, proposals, reward, tokens)
            path.write_text(json.dumps(target and asdict(target)), "utf-8")
        read = json.loads(path.read_text("utf-8"))
        found.append(Target(**read) if read else None)
        on_progress(len(found))
    return found


def _name(case: Case, proposals: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps([case.key, sorted(proposals)]).encode()).hexdigest()[:24]


def _best(
    case: Case, proposals: Mapping[str, str], reward: Reward, tokens: Tokens
) -> Target | None:
    texts = list(proposals)
    if not texts:
        return None
    gains = reward.gains(texts, case.judged, [len(tokens.answer(t, ended=False)) for t in texts])
    place = int(gains.argmax())
    if gains[place] <= 0:
        return None
    return Target(texts[place], float(gains[place]), proposals[texts[place]], len(texts))


def wordings() -> Iterator[tuple[str, str, str]]:
    """Axis, option and wording of all that a summary may be composed of; see ``styles.AXES``.

    The last wording of each is kept for people who are judged on.
    """
    for axis, options in AXES.items():
        for name, option in options.items():
            for said in option.said[:-1]:
                yield axis, name, said
