"""Profile-to-PEFT as a method that predicts choices: answers scored under a written adapter.

Where choices are held out nobody has a summary of the others, so a profile is the two newest
choices alone: less than the device has once there is a summary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pocketpref.errors import AdapterError
from pocketpref.lora import Blend
from pocketpref.methods import profile_to_peft
from pocketpref.methods.contest import Case, Evidence, Frame, Judge, Judgement
from pocketpref.methods.wearing import wearing
from pocketpref.protocols import Embedder, Hypernetwork, LanguageModel
from pocketpref.records import Pair


class Tailored:
    """Prefers what the model finds likelier under the adapter that a person's choices make."""

    name = profile_to_peft.NAME

    def __init__(
        self,
        evidence: Evidence,
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
        found = worn.likelihoods([Frame().around(pair.prompt)], (pair.chosen, pair.rejected))
        sums, means = found.totals[0], found.totals[0] / np.maximum(found.tokens, 1)
        now, now_mean = float(sums[0] - sums[1]), float(means[0] - means[1])
        return Judgement(now, now - float(total), now_mean, now_mean - float(mean))
