"""The model as it is: what every method has to beat."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from pocketpref.evaluation.predictors import (
    Case,
    CaseEvidence,
    Judge,
    Judgement,
    Predictor,
    ScoringFrame,
)
from pocketpref.records import Pair

# Base: past choices before the prompt, as they are (EXACT, section 6.1).
#
# Up to 200 past pairs and 20,000 characters are put into the system prompt. Where the model's
# window holds less, the newest that fit.

MAX_PAIRS = 200
MAX_CHARACTERS = 20_000

_HEAD = "Examples of answers that this person preferred, and of answers that they did not:"


def history(pairs: Sequence[Pair], characters: int = MAX_CHARACTERS) -> str:
    """The system text.

    Args:
        pairs: the oldest first; of too many the newest stay.
        characters: longest text.
    """
    parts: list[str] = []
    room = characters - len(_HEAD)
    for pair in reversed(pairs[-MAX_PAIRS:]):
        part = f"\n\nPrompt: {pair.prompt}\nPreferred: {pair.chosen}\nOther: {pair.rejected}"
        if len(part) > room:
            break
        parts.append(part)
        room -= len(part)
    return _HEAD + "".join(reversed(parts)) if parts else ""


class History:
    """Injects past choices as they are."""

    name = "base"

    def __init__(self, evidence: CaseEvidence, *, characters: int = MAX_CHARACTERS) -> None:
        """Build it.

        Args:
            evidence: what the model says.
            characters: longest history.
        """
        self._evidence = evidence
        self._characters = characters

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Keeps what fits."""
        frame = ScoringFrame(system=history([case.pair for case in past], self._characters))
        return lambda case: self._evidence.judge(case.pair, frame)


# Always the longer answer, or the shorter: to beat before anything is learned of a person.


class Longer:
    """Prefers the answer with more characters."""

    name = "longer"

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learns nothing."""
        return lambda case: Judgement.own(len(case.pair.chosen) - len(case.pair.rejected))


class Shorter:
    """Prefers the answer with fewer characters."""

    name = "shorter"

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learns nothing."""
        return lambda case: Judgement.own(len(case.pair.rejected) - len(case.pair.chosen))


# Another person's profile: what a method does that is not about this person.


class Other:
    """A method that learned from somebody else, from as many choices as it would have had.

    Who that is depends on the name of the person alone. What a method takes from everybody (a
    prior) stays as it is, so that only the personal part is exchanged.
    """

    def __init__(self, method: Predictor, name: str = "other") -> None:
        """Build it.

        Args:
            method: learns from the other person.
            name: of this contestant.
        """
        self._method = method
        self._name = name

    @property
    def name(self) -> str:
        """How it is called in options and reports."""
        return self._name

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learn from one of the crowd; from nothing if there is no crowd."""
        others = sorted({case.user for case in crowd})
        if not past or not others:
            return self._method.fit([], crowd)
        draw = int.from_bytes(hashlib.sha256(past[0].user.encode()).digest()[:8], "big")
        who = others[draw % len(others)]
        theirs = [case for case in crowd if case.user == who]
        return self._method.fit(theirs[-len(past) :], crowd)


# Random attributes: what any injected text does to margins, whatever it says.


class Placebo:
    """Injects attributes drawn at random for each prompt; the same prompt gets the same ones."""

    name = "placebo"

    def __init__(self, evidence: CaseEvidence, *, count: int = 1, seed: int = 0) -> None:
        """Build it.

        Args:
            evidence: what the model says.
            count: attributes injected at a time.
            seed: another seed draws other attributes.
        """
        self._evidence = evidence
        self._count = count
        self._seed = seed

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learns nothing."""
        return self._judge

    def _judge(self, case: Case) -> Judgement:
        bank = self._evidence.bank
        # Of prompt and person: one draw for all people would make their outcomes depend on it.
        digest = hashlib.sha256(f"{self._seed} {case.user} {case.pair.prompt}".encode()).digest()
        drawn = np.random.default_rng(list(digest)).choice(len(bank), self._count, replace=False)
        names = [bank.names[place] for place in drawn]
        return self._evidence.judge(
            case.pair, ScoringFrame(bank.block(names, self._evidence.wording))
        )


class Plain:
    """No condition. Its anchored margin is 0: a tie, which counts half."""

    name = "none"

    def __init__(self, evidence: CaseEvidence) -> None:
        self._evidence = evidence

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Learns nothing."""
        return lambda case: self._evidence.judge(case.pair, ScoringFrame())
