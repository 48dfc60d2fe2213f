"""Profile-to-PEFT as a method that predicts choices: answers scored under a written adapter.

Where choices are held out nobody has a summary of the others, so a profile is the two newest
choices alone: less than the device has once there is a summary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from pocketpref.adapters import Adapter, Blend
from pocketpref.errors import AdapterError
from pocketpref.methods import profile_to_peft
from pocketpref.methods.contest import Case, Evidence, Frame, Judge, Judgement
from pocketpref.protocols import Adaptable, Embedder, Hypernetwork, LanguageModel
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
            AdapterError: there is no hypernetwork for the model, or it reads profiles with another
                embedder.
        """
        if network is None:
            raise AdapterError("there is no hypernetwork for this model")
        if embedder().fingerprint != network.manifest.embedder:
            raise AdapterError("the hypernetwork reads profiles with another embedder")
        self._evidence = evidence
        self._network = network
        self._embedder = embedder
        self._model = model

    def fit(self, past: Sequence[Case], crowd: Sequence[Case]) -> Judge:
        """Write an adapter from the newest choices; other people taught the hypernetwork."""
        if not past:
            return lambda case: Judgement(*(float(n) for n in (*self._plain(case.pair),)))
        adapter = self._written([case.pair for case in past[::-1]])
        model = self._model()
        if not isinstance(model, Adaptable):
            raise AdapterError("the model in use takes no adapters")
        worn = model.adapted(Blend(((adapter, 1.0),)))
        return lambda case: self._judged(case.pair, worn)

    def _written(self, newest: Sequence[Pair]) -> Adapter:
        vector = profile_to_peft.encode("", newest, self._embedder())
        return profile_to_peft.adapter(self._network.write(vector), self._network.manifest, "")

    def _plain(self, pair: Pair) -> tuple[float, float, float, float]:
        total, mean = self._evidence.plain(pair)
        return float(total), 0.0, float(mean), 0.0

    def _judged(self, pair: Pair, worn: LanguageModel) -> Judgement:
        found = worn.likelihoods([Frame().around(pair.prompt)], (pair.chosen, pair.rejected))
        means = found.totals[0] / np.maximum(found.tokens, 1)
        total, mean = float(found.totals[0] @ [1, -1]), float(means @ [1, -1])
        plain_total, _, plain_mean, _ = self._plain(pair)
        return Judgement(total, total - plain_total, mean, mean - plain_mean)
