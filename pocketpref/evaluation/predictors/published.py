"""Published methods as predictors: EXACT with and without retrieval, Drift, PALM, Profile-to-PEFT.

EXACT: Algorithm 1 explains each past choice; Algorithm 2 injects the set of the most similar past
prompt. Without retrieval, the one set with the largest objective on any past pair is injected
everywhere (EXACT, Table 8 and Appendix C.5.2).

Drift (arXiv 2502.14289): one weight for each attribute, in closed form.
With r_i(y | x) the log-likelihood ratio of an answer with attribute i to the one without, a
person's chosen answers have W_i = sum r_i(y_w) and the rejected ones L_i = sum r_i(y_l). Then

    p = (W - L) / ||W - L||        R(y | x) = sum p_i r_i(y | x)

r_i(y_w) - r_i(y_l) is the anchored margin of attribute i alone, so the fit is a by-product of
EXACT's first round. Drift asks for attributes by a system prompt; here they are EXACT's line after
the query, as everywhere in this library.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import AdapterError
from pocketpref.evaluation.predictors import Case, CaseEvidence, Judge, Judgement, ScoringFrame
from pocketpref.lora import Blend
from pocketpref.lora.blend import wearing
from pocketpref.lora.manifest import Hypernetwork
from pocketpref.methods import profile_to_peft
from pocketpref.methods.exact import Exact, PromptIndex
from pocketpref.methods.palm import traits
from pocketpref.methods.palm.inference import infer
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.records import Condition, Learned, Matrix64, Pair, Selection
from pocketpref.scoring import PairScorer


class Explained:
    """What Algorithm 1 found for each pair, found once for all contestants and splits."""

    def __init__(
        self,
        evidence: CaseEvidence,
        exact: Exact,
        *,
        noise: float = 0.0,
        known: Mapping[Pair, Selection] | None = None,
    ) -> None:
        """Build it.

        Args:
            evidence: what the model says.
            exact: the search.
            noise: the model's noise floor, nats.
            known: what was found before, of the same recipe.
        """
        self.evidence = evidence
        self.exact = exact
        self._noise = noise
        self._found: dict[Pair, Selection] = dict(known or {})

    def learned(self, case: Case) -> Learned:
        """A case as an entry of the index."""
        if case.pair not in self._found:
            scorer = PairScorer(self.evidence.model, case.pair, noise=self._noise)
            self._found[case.pair] = self.exact.select(scorer)
        digest = hashlib.sha256(case.pair.prompt.encode()).digest()
        return Learned(case.group, case.vector, digest, self._found[case.pair], self.exact.recipe)

    def index(self, past: Sequence[Case]) -> PromptIndex:
        """What is recalled from, of a person with these past choices (the oldest first)."""
        return PromptIndex([self.learned(case) for case in reversed(past)])

    def judge(self, condition: Callable[[Case], Condition]) -> Judge:
        """Judge by the condition that is injected for each case."""

        def judged(case: Case) -> Judgement:
            return self.evidence.judge(case.pair, ScoringFrame(condition(case).block))

        return judged


class Recalled:
    """EXACT with retrieval."""

    name = "exact"

    def __init__(self, explained: Explained, *, relevance: float = -1.0) -> None:
        """Build it.

        Args:
            explained: what each pair teaches.
            relevance: cosine below which nothing is injected; -1 always takes the nearest, as the
                paper does.
        """
        self._explained = explained
        self._relevance = relevance

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Algorithm 1 on every past choice."""
        index, exact = self._explained.index(past), self._explained.exact
        return self._explained.judge(lambda c: exact.condition(c.vector, index, self._relevance))


class Global:
    """EXACT without retrieval: one set for all prompts."""

    name = "exact-global"

    def __init__(self, explained: Explained) -> None:
        self._explained = explained

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """The set that has the largest objective on any past choice."""
        explained, condition = self._explained, Condition()
        entries = [entry for entry in map(explained.learned, past) if entry.attributes]
        if entries:
            names = max(entries, key=lambda entry: entry.objective).attributes
            wording = explained.exact.settings.wording
            condition = Condition(names, explained.exact.bank.block(names, wording))
        return explained.judge(lambda _: condition)


def weights(margins: Matrix64) -> Matrix64:
    """The closed form for one person.

    Args:
        margins: anchored margins of single attributes on the person's pairs, shape
            (pairs, attributes), nats.

    Returns:
        A vector of length 1, shape (attributes,); zeros if nothing speaks for any attribute.
    """
    total = margins.sum(axis=0)
    length = float(np.linalg.norm(total))
    return np.asarray(total / length if length else total)


class Drift:
    """Prefers the answer of larger reward R."""

    name = "drift"

    def __init__(self, evidence: CaseEvidence) -> None:
        self._evidence = evidence

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """The closed form, of sums and of means each."""
        singles = np.array([self._evidence.singles(case.pair) for case in past])
        count = len(self._evidence.bank)
        totals, means = (weights(part) for part in np.moveaxis(singles.reshape(-1, count, 2), 2, 0))

        def judge(case: Case) -> Judgement:
            of = self._evidence.singles(case.pair)
            total, mean = float(of[:, 0] @ totals), float(of[:, 1] @ means)
            return Judgement(total, total, mean, mean)

        return judge


# PALM without a policy: traits weighed as the person weighs them.
#
# No model is asked: it is the inference that chooses a person's policy (``methods.palm``), judged
# by whether it predicts what they will prefer. What the policy does to replies is not judged.


class Weighed:
    """Prefers the answer that earns more under the person's weights."""

    name = "palm"

    def __init__(self, names: Sequence[str] = tuple(traits.KNOWN)) -> None:
        """Weigh these traits.

        Args:
            names: of reward functions.
        """
        self._names = tuple(names)
        self._rewards = cache(lambda text: traits.rewards(text, self._names))

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Infer the weights; other people teach nothing."""
        rows = [self._difference(case) for case in past]
        mean = infer(np.array(rows).reshape(-1, len(self._names))).mean
        return lambda case: Judgement.own(float(mean @ self._difference(case)))

    def _difference(self, case: Case) -> NDArray[np.float64]:
        return self._rewards(case.pair.chosen) - self._rewards(case.pair.rejected)


# Profile-to-PEFT as a method that predicts choices: answers scored under a written adapter.
#
# Where choices are held out nobody has a summary of the others, so a profile is the two newest
# choices alone: less than the device has once there is a summary.


class Tailored:
    """Prefers what the model finds likelier under the adapter that a person's choices make."""

    name = profile_to_peft.NAME

    def __init__(
        self,
        evidence: CaseEvidence,
        network: Hypernetwork | None,
        embedder: Callable[[], Embedder],
        model: Callable[[], LanguageModel],
    ) -> None:
        """Nothing is loaded or written yet.

        Args:
            evidence: what the bare model says.
            network: what writes adapters for the model.
            embedder: loads what reads profiles.
            model: loads the model that wears them: the weights that ``evidence`` is of.

        Raises:
            AdapterError: there is no hypernetwork for the model.
        """
        if network is None:
            raise AdapterError(
                "there is no hypernetwork for this model",
                hint="leave profile-to-peft out of the methods, or use the starter model",
            )
        self._evidence = evidence
        self._network = network
        self._embedder = embedder
        self._model = model

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Write an adapter from the newest choices; other people taught the hypernetwork."""
        worn: LanguageModel | None = None
        if past:
            newest = [case.pair for case in past[::-1]]
            adapter = profile_to_peft.written(
                "", newest, "held out", network=self._network, embedder=self._embedder()
            )
            worn = wearing(self._model(), Blend(((adapter, 1.0),)))

        def judge(case: Case) -> Judgement:
            pair = case.pair
            total, mean = map(float, self._evidence.plain(pair))
            if worn is None:
                return Judgement(total, 0.0, mean, 0.0)
            found = worn.likelihoods(
                [ScoringFrame().around(pair.prompt)], (pair.chosen, pair.rejected)
            )
            sums, means = found.totals[0], found.totals[0] / np.maximum(found.tokens, 1)
            now, now_mean = float(sums[0] - sums[1]), float(means[0] - means[1])
            return Judgement(now, now - total, now_mean, now_mean - mean)

        return judge
