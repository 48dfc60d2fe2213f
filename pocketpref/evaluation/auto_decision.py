"""What "auto" applies for one person: tested on their own learned choices, and kept sealed.

Tested is what would be done: each choice is judged under the attributes that recall would have
injected if neither it nor any other choice on its prompt had been learned. What was found for each
choice alone (Algorithm 1) stands in the vault already, so that two conditions of each choice are
all there is to score.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

from pocketpref.components import Components
from pocketpref.evaluation.likelihood_cache import CachedModel
from pocketpref.evaluation.predictors.auto import Auto
from pocketpref.evaluation.predictors.base import Case, Evidence, Judge, Judgement, Predictor
from pocketpref.evaluation.predictors.baselines import Plain
from pocketpref.evaluation.predictors.exact import Explained, Recalled
from pocketpref.evaluation.runner import ProgressCallback
from pocketpref.personalization import auto_decision
from pocketpref.personalization.auto_decision import AutoDecision
from pocketpref.records import Learned, Pair, Selection

NEWEST: Final = 100
"""Choices that are tested at most: about a second each on two cores."""


def decide(
    parts: Components,
    *,
    limit: int = NEWEST,
    on_progress: ProgressCallback = lambda done, of: None,
) -> AutoDecision:
    """Test recall on a person's own choices, and keep what was found.

    Args:
        parts: what a Pocket works with.
        limit: the newest learned choices that are tested.
        on_progress: told of every judgement.

    Returns:
        The verdict; "none" with nothing tested if too few choices are learned.

    Raises:
        ModelError: a model is missing or failed.
        NotFoundError: a choice was forgotten meanwhile; nothing is kept.
        VaultError: the vault cannot be read or written.
    """
    learned = list(islice(parts.store.learned(parts.recipe()), limit))[::-1]
    pairs = [parts.store.get(entry.memory_id).pair for entry in learned]
    cases = [_case(*both, place) for place, both in enumerate(zip(learned, pairs, strict=True))]
    evidence = Evidence(CachedModel(parts.scorer()), parts.bank)
    found = {pair: entry.selection for pair, entry in zip(pairs, learned, strict=True)}
    recalled = _recalled(parts, evidence, found)
    told = _Teller(on_progress, 2 * len(cases))
    auto = Auto(told.around(Plain(evidence)), [told.around(recalled)])
    verdict = auto.verdict(cases, [])
    auto_decision.keep(parts.store, verdict, parts.recipe(), [entry.memory_id for entry in learned])
    return verdict


def _case(entry: Learned, pair: Pair, place: int) -> Case:
    prompt = entry.prompt_digest.hex()
    return Case("", pair, entry.vector, group=prompt, item=prompt, when=float(place))


def _recalled(parts: Components, evidence: Evidence, found: dict[Pair, Selection]) -> Predictor:
    """Recall as ``personalize`` does it, its threshold included."""
    explained = Explained(evidence, parts.method, known=found)
    return Recalled(explained, relevance=parts.embedder().relevance)


class _Teller:
    """Counts judgements."""

    def __init__(self, tell: ProgressCallback, of: int) -> None:
        self._tell = tell
        self._of = of
        self._done = 0

    def around(self, method: Predictor) -> Predictor:
        return _Told(method, self)

    def one(self) -> None:
        self._done += 1
        self._tell(self._done, self._of)


class _Told:
    """A method that says when it judges."""

    def __init__(self, method: Predictor, teller: _Teller) -> None:
        self._method = method
        self._teller = teller
        self.name = method.name

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        judge = self._method.fit(past, crowd)

        def told(case: Case) -> Judgement:
            self._teller.one()
            return judge(case)

        return told
