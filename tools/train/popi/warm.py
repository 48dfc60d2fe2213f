"""Warm start by rejection sampling: of several proposals for a person, the one that earns most.

Proposals are what the untrained model writes, and compositions of what measures of style
(``styles.py``) notice in the person's choices, in several wordings; of the attribute bank where the
choices are not made by rule. The untrained model hardly ever
writes anything useful, so that nearly all that wins is composed: the warm start teaches the model
to read off choices what a search would find, in the wordings that the generator understands best.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.protocols import LanguageModel
from pocketpref.scoring import PairScorer
from pocketpref.summary.candidates import single_clauses
from pocketpref.summary.records import Clause
from pocketpref.summary.wording import block, render

from ..base import Tokens
from ..styles import noticed
from .cases import Case, sound
from .reward import Reward

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
        origin: "model" or "composed"; "noticed" for one that was not judged.
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


def noticed_best(case: Case, understood: Understood) -> str | None:
    """What measures notice, each in the wording that the generator follows best on average.

    Nothing of the person is scored for it, so that it costs nothing; None if nothing is noticed.
    """
    style = noticed([(pair.chosen, pair.rejected) for pair in case.signals])
    known = [understood[option] for option in style.values() if understood.get(option)]
    best = sorted((max(said.items(), key=lambda item: item[1]) for said in known), key=_margin)
    return render([Clause(words) for words, _ in best[:_LARGEST]]) if best else None


def _margin(item: tuple[str, float]) -> float:
    return -item[1]


def from_the_bank(case: Case, model: LanguageModel, most: int) -> list[str]:
    """Summaries put together from the attribute bank, where nothing is known of styles.

    The clauses that first-order estimates find best on what the case shows, alone and by twos.

    Args:
        case: whose shown choices are read.
        model: estimates.
        most: of so many.

    Raises:
        ModelError: the model failed.
    """
    clauses = single_clauses((), AttributeBank.standard(), wordings=0, opposites=0)
    blocks = [block(render([clause])) for clause in clauses]
    totals = np.zeros(len(blocks))
    for pair in case.shown:
        found = PairScorer(model, pair).estimates(blocks)
        totals += 0.0 if found is None else found
    best = [clauses[i] for i in np.argsort(-totals, kind="stable")[:_LARGEST]]
    pairs = [list(two) for two in combinations(best, 2)]
    return [render(part) for part in (*pairs, *([clause] for clause in best))][:most]


def best_of(
    cases: Sequence[Case],
    drawn: Sequence[Sequence[str]],
    compose: Callable[[Case], Sequence[str]],
    reward: Reward,
    tokens: Tokens,
    *,
    kept: Path,
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[Target | None]:
    """The best proposal for each case that the library would take; None where none earns anything.

    Args:
        cases: to train on.
        drawn: what the untrained model wrote for each.
        compose: further proposals for a case.
        reward: decides.
        tokens: count what proposals cost.
        kept: a folder; what was decided in it stays.
        on_progress: told how many cases are done.
    """
    kept.mkdir(parents=True, exist_ok=True)
    found: list[Target | None] = []
    for case, own in zip(cases, drawn, strict=True):
        proposals = dict.fromkeys(compose(case), "composed")
        proposals |= dict.fromkeys((text for text in own if sound(text, case)), "model")
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
