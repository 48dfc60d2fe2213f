"""What a summarizer is shown of a person, and the choices by which its summary is judged."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pocketpref.records import Pair
from pocketpref.summary import drafts
from pocketpref.summary.candidates import SHOWN, Proposal, read_draft
from pocketpref.summary.evidence import Signal

from ..base import Tokens
from ..people import Person
from ..sampling import Drawing, Parts, draw
from ..styles import Style


@dataclass(frozen=True, slots=True)
class Case:
    """One summary to be written.

    Attributes:
        person: whose.
        style: what they like, where it is known; only reports look at it.
        shown: the choices that the summarizer sees.
        signals: all choices that are known of the person, those shown among them.
        judged: choices that it does not see, by which the summary is judged.
    """

    person: str
    style: Style
    shown: tuple[Pair, ...]
    signals: tuple[Pair, ...]
    judged: tuple[Pair, ...]

    @property
    def key(self) -> str:
        """Tells a case from others: a hash of what it says."""
        pairs = (self.shown, self.signals, self.judged)
        said = [[(p.prompt, p.chosen, p.rejected) for p in part] for part in pairs]
        return hashlib.sha256(json.dumps([self.person, said]).encode()).hexdigest()[:24]


def training_cases(people: Sequence[Person], draws: int, judged: int, seed: int) -> list[Case]:
    """Several cases for each person, shown other choices each time and judged by the same.

    Args:
        people: to train on; the first case of everybody comes first, in their order.
        draws: cases of each.
        judged: choices that judge a person's cases: none of them is shown.
        seed: of both.
    """
    return [_case(person, draw, judged, seed) for draw in range(draws) for person in people]


def _case(person: Person, draw: int, judged: int, seed: int) -> Case:
    named = list(person.name.encode())
    every = [*person.signals, *person.later]
    order = np.random.default_rng([seed, *named]).permutation(len(every)).tolist()
    judging = order[:judged]
    left = [i for i in range(len(person.signals)) if i not in judging]
    shown = np.random.default_rng([seed, draw, *named]).permutation(left).tolist()
    return Case(
        person.name,
        person.style,
        tuple(every[i] for i in shown[:SHOWN]),
        person.signals,
        tuple(every[i] for i in judging),
    )


def cases_to_judge(people: Sequence[Person], draw: int, most: int) -> list[Case]:
    """One case for each person, judged by their later choices.

    Args:
        people: that nobody was trained on.
        draw: which of their signals are shown: others with every draw, in turn.
        most: choices that judge a person.
    """
    return [
        Case(p.name, p.style, _in_turn(p.signals, draw), p.signals, p.later[:most]) for p in people
    ]


def _in_turn(signals: Sequence[Pair], draw: int) -> tuple[Pair, ...]:
    count = min(SHOWN, len(signals))
    return tuple(signals[(draw * count + i) % len(signals)] for i in range(count))


def asked(case: Case, tokens: Tokens) -> list[int]:
    """What the summarizer is asked about a case, up to where its answer begins."""
    return tokens.conversation(drafts.request(case.shown))


def begun(tokens: Tokens) -> list[int]:
    """The words that every summary begins with."""
    return tokens.answer(drafts.heading(), ended=False)


def sound(text: str, case: Case) -> bool:
    """Whether the library would take a summary as a draft: in form, and without a fault.

    Any words before an answer move its likelihood, rambling ones too. What the device would drop
    must not be worth anything in training.
    """
    signals = [Signal(str(n), pair, 1.0, pair.prompt) for n, pair in enumerate(case.shown)]
    return isinstance(read_draft(f"{text}\n", signals, "en"), Proposal)


def clauses(text: str) -> list[str]:
    """The clauses of a summary in the form of the library, without the words around them."""
    said = text.removeprefix(drafts.heading()).strip().removesuffix(".")
    return [clause for part in said.split(";") if (clause := " ".join(part.split()))]


@dataclass(frozen=True, slots=True)
class Written:
    """A summary as it was drawn.

    Attributes:
        text: the whole sentence, its beginning included.
        tokens: what was drawn after the beginning.
        ended: whether the model ended it itself.
    """

    text: str
    tokens: list[int]
    ended: bool


def write(
    copy: Path, cases: Sequence[Case], tokens: Tokens, how: Drawing, parts: Parts = ()
) -> list[Written]:
    """A summary for each case, its beginning given.

    Args:
        copy: a GGUF file of the base.
        cases: any number; one that stands there twice gets two summaries.
        tokens: of the base.
        how: the sampling.
        parts: the summarizer's adapter, or nothing for the untrained model.
    """
    start = begun(tokens)
    contexts = [[*asked(case, tokens), *start] for case in cases]
    drawn = draw(copy, contexts, how, parts=parts)
    return [
        Written(drafts.heading() + tokens.text(one.tokens), one.tokens, one.ended) for one in drawn
    ]
