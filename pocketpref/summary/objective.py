"""POPI (arXiv 2510.17881): a short summary in words, chosen by what it explains.

POPI trains one model that infers a summary from a person's choices and one that answers under it,
by the same preference objective. Without training, a summary can still be chosen by that objective.
What is known of the paper is its abstract; the objective here is ours and follows from it:

    u(z) = mean over pairs of log sigma(beta m(z)) - cost of its tokens

with m the anchored margin (``scoring.py``), on pairs that had no part in writing z. A summary is
taken only if it beats the present one, none, and as many words that say nothing, each by more than
the noise. A trained summarizer makes better proposals (``drafts.py``).

    evidence      which choices count, how much, and in which half they are
    candidates    proposals from attributes and from the local model
    drafts        asking the local model, and a trained summarizer
    draft_checks  faults of a small model
    objective     margins, halving, verdicts
    search        the search of one half
    run           one call of ``summarize``
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from pocketpref.protocols import LanguageModel
from pocketpref.records import Condition, Message
from pocketpref.scoring import PairScorer
from pocketpref.summary.candidates import Proposal
from pocketpref.summary.evidence import Signal
from pocketpref.summary.records import Interval, Summary
from pocketpref.summary.wording import NEUTRAL, block

NAME = "popi"
"""The method's name in options and reports."""

VERSION = 1
"""Changes with the meaning of a margin: checkpoints of another version are not used."""


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


def recipe(index: str, settings: PopiSettings | None = None) -> str:
    """Return the fingerprint of everything that a summary depends on besides the choices.

    Args:
        index: fingerprint of what decides the index: model, embedder, bank and settings.
        settings: how to search.
    """
    text = f"{index} {(settings or PopiSettings()).fingerprint()}"
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def utility(margins: NDArray[np.float64], beta: float) -> NDArray[np.float64]:
    """Log sigma(beta m), the shape of ``margins``: log 1/2 where nothing is explained."""
    return np.asarray(-np.logaddexp(0.0, -beta * margins), dtype=np.float64)


def condition(summary: Summary | None) -> Condition:
    """Return what to inject for any prompt: the summary in force, or nothing."""
    if summary is None:
        return Condition()
    names = dict.fromkeys(name for clause in summary.clauses for name in clause.attributes)
    return Condition(tuple(names), block(summary.text), (), NAME)


Known = dict[str, dict[str, float]]
"""Text to memory id to anchored margin, nats."""

LEVEL = 0.9
"""Of two-sided intervals: a lead above the noise is above 0 with 95 %."""

_DRAWS = 4000
_LEAST_GROUPS = 8
"""Prompts below which a bootstrap draws choices instead: of a few, most draws would be alike."""

_CHUNK = 14
"""Texts that are evaluated between two looks at the clock."""

_SCREENED = 12
"""Choices on which first-order estimates compare texts: each costs as much as a few margins."""

_COUNTED = 16
"""Texts whose tokens are counted at once: a scorer has sequences for a few dozen answers."""


class Margins:
    """Anchored margins of texts on choices, each computed once.

    Attributes:
        known: margins computed in this run or before.
        estimated: first-order estimates, likewise.
        evaluations: (text, choice) margins computed in this run.
    """

    def __init__(
        self,
        model: LanguageModel,
        known: Known,
        on_step: Callable[[], None] = lambda: None,
        *,
        estimated: Known | None = None,
    ) -> None:
        """Build the table.

        Args:
            model: the model that scores.
            known: margins of earlier runs with the same recipe.
            on_step: called between evaluations; what it raises ends the work.
            estimated: first-order estimates of earlier runs.
        """
        self._model = model
        self._on_step = on_step
        self._scorers: dict[str, PairScorer] = {}
        self._tokens: dict[str, int] = {"": 0}
        self.known = known
        self.estimated = {} if estimated is None else estimated
        self.evaluations = 0

    def table(self, texts: Sequence[str], signals: Sequence[Signal]) -> NDArray[np.float64]:
        """Margins, shape (texts, signals), nats; those of "" are 0.

        Raises:
            ModelError: the model failed.
        """
        for signal in signals:
            missing = [t for t in dict.fromkeys(texts) if t and signal.id not in self._of(t)]
            for start in range(0, len(missing), _CHUNK):
                chunk = missing[start : start + _CHUNK]
                self._on_step()
                found = self._scorer(signal).margins([block(text) for text in chunk])
                self.evaluations += len(chunk)
                for text, margin in zip(chunk, found.tolist(), strict=True):
                    self._of(text)[signal.id] = margin
        rows = [[self._of(text)[s.id] if text else 0.0 for s in signals] for text in texts]
        return np.array(rows, dtype=np.float64).reshape(len(texts), len(signals))

    def estimates(
        self, texts: Sequence[str], signals: Sequence[Signal]
    ) -> NDArray[np.float64] | None:
        """First-order estimates of the margins, shape (texts, signals): an order, not nats.

        They cost as much as a few margins for each choice, however many texts there are.

        Returns:
            The estimates, or None if the model cannot give them.

        Raises:
            ModelError: the model failed.
        """
        for signal in signals:
            missing = [
                text
                for text in dict.fromkeys(texts)
                if signal.id not in self.estimated.setdefault(text, {})
            ]
            if not missing:
                continue
            self._on_step()
            found = self._scorer(signal).estimates([block(text) for text in missing])
            if found is None:
                return None
            for text, estimate in zip(missing, found.tolist(), strict=True):
                self.estimated[text][signal.id] = estimate
        return np.array([[self.estimated[text][s.id] for s in signals] for text in texts])

    def tokens(self, texts: Sequence[str]) -> NDArray[np.int64]:
        """How many tokens each text has, shape (texts,).

        Raises:
            ModelError: the model failed.
        """
        missing = [text for text in dict.fromkeys(texts) if text not in self._tokens]
        for start in range(0, len(missing), _COUNTED):
            part = missing[start : start + _COUNTED]
            self._on_step()
            found = self._model.likelihoods([[Message(role="user", content=".")]], part).tokens
            self._tokens |= dict(zip(part, found.tolist(), strict=True))
        return np.array([self._tokens[text] for text in texts], dtype=np.int64)

    def _of(self, text: str) -> dict[str, float]:
        return self.known.setdefault(text, {})

    def _scorer(self, signal: Signal) -> PairScorer:
        return self._scorers.setdefault(signal.id, PairScorer(self._model, signal.pair))


class Objective:
    """The objective above on some choices."""

    def __init__(self, margins: Margins, settings: PopiSettings) -> None:
        self.margins = margins
        self.settings = settings

    def scores(self, texts: Sequence[str], signals: Sequence[Signal]) -> NDArray[np.float64]:
        """Weighted mean of log sigma(beta m) less the cost of tokens, shape (texts,)."""
        values = utility(self.margins.table(texts, signals), self.settings.beta)
        weights = np.array([signal.weight for signal in signals])
        means = values @ weights / weights.sum()
        return np.asarray(means - self.costs(texts), dtype=np.float64)

    def costs(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Cost of tokens, as utility; a nat is worth beta / 2 where margins are small."""
        nats = self.settings.token_cost * self.margins.tokens(texts)
        return np.asarray(nats * self.settings.beta / 2, dtype=np.float64)

    def fits(self, text: str) -> bool:
        """Whether a summary is short enough."""
        return int(self.margins.tokens([text])[0]) <= self.settings.max_tokens

    def neutral(self, text: str) -> str:
        """Return words that say nothing about answers, with about as many tokens as a text."""
        wanted = int(self.margins.tokens([text])[0])
        words = NEUTRAL.split()
        few, many = 1, len(words)
        while few < many:  # the fewest words that have as many tokens
            half = (few + many) // 2
            enough = int(self.margins.tokens([_cut(words, half)])[0]) >= wanted
            few, many = (few, half) if enough else (half + 1, many)
        return _cut(words, few)

    def leads(self, text: str, rival: str, signals: Sequence[Signal]) -> NDArray[np.float64]:
        """One text's objective less another's on each choice, shape (signals,)."""
        values = utility(self.margins.table([text, rival], signals), self.settings.beta)
        cost, rival_cost = self.costs([text, rival])
        return np.asarray(values[0] - values[1] - (cost - rival_cost), dtype=np.float64)

    def lead(self, text: str, rival: str, signals: Sequence[Signal]) -> Interval:
        """The mean of ``leads`` with its interval."""
        return spread(self.leads(text, rival, signals), signals)

    def margin(self, text: str, signals: Sequence[Signal]) -> Interval:
        """Weighted mean anchored margin, nats, with its interval."""
        return spread(self.margins.table([text], signals)[0], signals)


def _cut(words: Sequence[str], count: int) -> str:
    return f"{' '.join(words[:count])}."


def halving(
    objective: Objective, proposals: Sequence[Proposal], signals: Sequence[Signal], keep: int
) -> list[Proposal]:
    """Rank proposals by successive halving (Jamieson and Talwalkar, 2016), the best first.

    A quarter of the choices screens, the better half goes on to half of the choices, and so on to
    all of them.

    Args:
        objective: ranks them.
        proposals: at least one.
        signals: choices, the worthiest first.
        keep: how many are judged on all choices.
    """
    left = list(proposals)
    for part in (4, 2):
        few = signals[: max(1, len(signals) // part)]
        if len(left) > keep:
            left = _ranked(objective, left, few)[: max(keep, (len(left) + 1) // 2)]
    return _ranked(objective, left[:keep] if len(left) > keep else left, signals)


def screened(
    objective: Objective, proposals: Sequence[Proposal], signals: Sequence[Signal], keep: int
) -> list[Proposal]:
    """Return the proposals that look worth an evaluation on all choices.

    First-order estimates compare many texts on a choice in the time of a few margins; halving, for
    a model that gives none, judges most of them by a quarter of the choices.

    Args:
        objective: has the margins.
        proposals: any number.
        signals: choices, the worthiest first.
        keep: how many are wanted.
    """
    few = signals[:_SCREENED]
    estimates = objective.margins.estimates([proposal.text for proposal in proposals], few)
    if estimates is None:
        return halving(objective, proposals, signals, keep)[:keep]
    means = estimates @ np.array([signal.weight for signal in few])
    return [proposals[i] for i in np.argsort(-means, kind="stable")[:keep]]


def _ranked(
    objective: Objective, proposals: Sequence[Proposal], signals: Sequence[Signal]
) -> list[Proposal]:
    scores = objective.scores([p.text for p in proposals], signals)
    return [proposals[i] for i in np.argsort(-scores, kind="stable")]


def spread(values: NDArray[np.float64], signals: Sequence[Signal]) -> Interval:
    """Return the weighted mean of one value for each choice, with a bootstrap interval.

    Whole prompts are drawn, as choices on one prompt may have more in common than others; with
    fewer than 8 prompts, single choices are. The ends are those of the expanded percentile
    interval (Hesterberg, The American Statistician 69, 2015), as wide as Student's: the plain one
    is too narrow where there are few.

    Args:
        values: one for each choice.
        signals: the choices.
    """
    weights = np.array([signal.weight for signal in signals])
    prompts = [signal.prompt for signal in signals]
    groups: Sequence[Hashable] = (
        prompts if len(set(prompts)) >= _LEAST_GROUPS else range(len(prompts))
    )
    _, member = np.unique(np.array(groups), return_inverse=True)
    total = np.bincount(member, values * weights)
    weight = np.bincount(member, weights)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(total), np.full(len(total), 1 / len(total)), _DRAWS)
    means = (drawn @ total) / (drawn @ weight)
    tail = expanded_tail((1 - LEVEL) / 2, len(total))
    low, high = np.quantile(means, [tail, 1 - tail])
    return Interval(float(values @ weights / weights.sum()), float(low), float(high))


def expanded_tail(part: float, count: int) -> float:
    """Return the quantile of bootstrapped means that has ``part`` of truths below it.

    Phi(sqrt(n / (n - 1)) t), with Student's quantile t of n - 1 degrees of freedom by its expansion
    (Abramowitz and Stegun, 26.7.5). A single value says nothing: its interval is itself.

    Args:
        part: share of truths, in (0, 1).
        count: how many values the means are of.
    """
    if count < 2:
        return part
    free, normal = count - 1, NormalDist()
    z = normal.inv_cdf(part)
    student = (
        z
        + (z**3 + z) / (4 * free)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * free**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * free**3)
    )
    return normal.cdf(math.sqrt(count / free) * student)


@dataclass(frozen=True, slots=True)
class Comparison:
    """How the best proposals of the halves did on choices that had no part in them.

    Each choice is judged by the proposal that was found without it. So all choices speak for or
    against the way in which proposals are found, and no two proposals compete for the same luck.

    Attributes:
        finalist: the proposal that did best.
        unseen: ids of these choices.
        margin: its mean margin on them, nats.
        over_none: how far they all are above no summary (what the person stated alone, if any).
        over_neutral: how far above as many words that say nothing about answers.
        over_current: how far above the present one, or None if there is none.
        judged: texts of the proposals, the one that did best first.
    """

    finalist: Proposal
    unseen: tuple[str, ...]
    margin: Interval
    over_none: Interval
    over_neutral: Interval
    over_current: Interval | None
    judged: tuple[str, ...]

    @property
    def wins(self) -> bool:
        """Whether they beat all rivals by more than the noise."""
        leads = (self.over_none, self.over_neutral, self.over_current)
        return all(lead is None or lead.low > 0 for lead in leads)


def verdict(
    objective: Objective,
    best: Sequence[Proposal],
    signals: Sequence[Signal],
    *,
    ground: str,
    current: str,
    least: int,
) -> Comparison | None:
    """Judge the best of every half on what each had no part in; None if that is too little.

    The present summary is judged on the same choices. It may have been written from some of them:
    that is in its favour, so that a summary changes only for a better one.

    Args:
        objective: judges.
        best: one proposal of each half, or one that both found.
        signals: all choices.
        ground: the text without any proposal: what the person stated, or "".
        current: the text of the present summary, or "".
        least: choices that a judgement takes.
    """
    judged = [(p, [s for s in signals if s.id not in p.seen]) for p in best]
    judged = [(proposal, unseen) for proposal, unseen in judged if unseen]
    if sum(len(unseen) for _, unseen in judged) < least:
        return None

    def over(rival: Callable[[str], str]) -> Interval:
        """By how much they are above a rival, each on its own choices."""
        found = [objective.leads(p.text, rival(p.text), unseen) for p, unseen in judged]
        return spread(np.concatenate(found), [s for _, unseen in judged for s in unseen])

    order = sorted(judged, key=lambda j: -objective.lead(j[0].text, ground, j[1]).mean)
    finalist, unseen = order[0]
    return Comparison(
        finalist,
        tuple(signal.id for signal in unseen),
        objective.margin(finalist.text, unseen),
        over(lambda _: ground),
        over(objective.neutral),
        over(lambda _: current) if current else None,
        tuple(proposal.text for proposal, _ in order),
    )
