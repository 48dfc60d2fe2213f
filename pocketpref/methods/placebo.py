"""Random attributes: what any injected text does to margins, whatever it says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from pocketpref.methods.contest import Case, Evidence, Frame, Judge, Judgement


class Placebo:
    """Injects attributes drawn at random for each prompt; the same prompt gets the same ones."""

    name = "placebo"

    def __init__(self, evidence: Evidence, *, count: int = 1, seed: int = 0) -> None:
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
        return self._evidence.judge(case.pair, Frame(bank.block(names, self._evidence.wording)))
