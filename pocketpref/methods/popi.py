"""POPI (arXiv 2510.17881): a short summary in words, chosen by what it explains.

POPI trains one model that infers a summary from a person's choices and one that answers under it,
by the same preference objective. Without training, a summary can still be chosen by that objective.
What is known of the paper is its abstract; the objective here is ours and follows from it:

    u(z) = mean over pairs of log sigma(beta m(z)) - cost of its tokens

with m the anchored margin (``scoring.py``), on pairs that had no part in writing z. A summary is
taken only if it beats the present one, none, and as many words that say nothing, each by more than
the noise. A summarizer that was
trained makes better proposals: it is the local model with an adapter (``popi_trained``).

    popi_signals      which choices count, how much, and in which half they are
    popi_proposals    what could be said
    popi_trained      what a trained summarizer is asked, and where it is found
    popi_checks       what a small model must not get in
    popi_selection    margins, halving, verdicts
    popi_search       one half's search for what explains it best
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from pocketpref.methods.popi_wording import block
from pocketpref.records import Condition
from pocketpref.summary import Summary

NAME = "popi"
"""How the method is called in options and reports."""

VERSION = 1
"""Changes with what a margin of a text means: notes of a search under another are not used."""


@dataclass(frozen=True, slots=True)
class PopiSettings:
    """How a summary is searched for.

    Attributes:
        beta: how steeply a choice counts with its margin; DPO's usual value.
        token_cost: nats of mean margin that a token has to earn.
        max_tokens: longest summary.
        most_pairs: choices that are looked at, at most.
        least_pairs: choices below which nothing is inferred.
        wordings: attributes whose wording enters a search of one half: those with the most
            evidence.
        opposites: attributes whose opposite does: those with the most evidence against them.
        drafts: summaries that the local model is asked for, for each half.
        trained: summaries that a trained summarizer is asked for, for each half, where there is
            one.
        finalists: proposals that the search of a half goes on with.
        rounds: rounds of edits.
    """

    beta: float = 0.1
    token_cost: float = 0.005
    max_tokens: int = 64
    most_pairs: int = 64
    least_pairs: int = 12
    wordings: int = 14
    opposites: int = 14
    drafts: int = 2
    trained: int = 2
    finalists: int = 2
    rounds: int = 1

    def fingerprint(self) -> str:
        """Changes with any of them."""
        return hashlib.sha256(f"popi/{VERSION} {sorted(asdict(self).items())}".encode()).hexdigest()


def utility(margins: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """Log sigma(beta m), the shape of ``margins``: log 1/2 where nothing is explained."""
    return np.asarray(-np.logaddexp(0.0, -beta * margins), dtype=np.float64)


def condition(summary: Summary | None) -> Condition:
    """What to inject for any prompt: the summary in force, or nothing."""
    if summary is None:
        return Condition()
    names = dict.fromkeys(name for clause in summary.clauses for name in clause.attributes)
    return Condition(tuple(names), block(summary.text), (), NAME)
