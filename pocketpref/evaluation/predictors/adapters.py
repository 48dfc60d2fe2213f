"""Traits weighed as the person weighs them: the part of PALM that predicts choices.

No model is asked: it is the inference that chooses a person's policy (``palm_weights``), judged by
whether it knows what they will prefer. What a policy then makes of the model is another matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import AdapterError
from pocketpref.evaluation.predictors.base import Case, CaseEvidence, Judge, Judgement, ScoringFrame
from pocketpref.lora import Blend
from pocketpref.lora.blend import wearing
from pocketpref.lora.manifest import Hypernetwork
from pocketpref.methods import profile_to_peft
from pocketpref.methods.palm import traits
from pocketpref.methods.palm.inference import infer
from pocketpref.protocols import Embedder, LanguageModel
from pocketpref.records import Pair

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
        worn = self._worn([case.pair for case in past[::-1]]) if past else None
        return lambda case: self._judged(case.pair, worn)

    def _worn(self, newest: Sequence[Pair]) -> LanguageModel:
        """The model under the adapter that these choices make."""
        adapter = profile_to_peft.written(
            "", newest, "held out", network=self._network, embedder=self._embedder()
        )
        return wearing(self._model(), Blend(((adapter, 1.0),)))

    def _judged(self, pair: Pair, worn: LanguageModel | None) -> Judgement:
        total, mean = self._evidence.plain(pair)
        if worn is None:
            return Judgement(float(total), 0.0, float(mean), 0.0)
        found = worn.likelihoods([ScoringFrame().around(pair.prompt)], (pair.chosen, pair.rejected))
        sums, means = found.totals[0], found.totals[0] / np.maximum(found.tokens, 1)
        now, now_mean = float(sums[0] - sums[1]), float(means[0] - means[1])
        return Judgement(now, now - float(total), now_mean, now_mean - float(mean))


class Weighed:
    """Prefers the answer that earns more under the person's weights."""

    name = "palm"

    def __init__(self, names: Sequence[str] = tuple(traits.KNOWN)) -> None:
        """Weigh these traits.

        Args:
            names: of reward functions.
        """
        self._names = tuple(names)
        self._rewards = cache(self._measure)

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Infer the weights; other people teach nothing."""
        rows = [self._difference(case) for case in past]
        mean = infer(np.array(rows).reshape(-1, len(self._names))).mean
        return lambda case: Judgement.own(float(mean @ self._difference(case)))

    def _difference(self, case: Case) -> NDArray[np.float64]:
        return self._rewards(case.pair.chosen) - self._rewards(case.pair.rejected)

    def _measure(self, text: str) -> NDArray[np.float64]:
        return traits.rewards(text, self._names)
