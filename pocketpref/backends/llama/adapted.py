"""A language model that wears adapters: the same weights, scored and replying as another model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pocketpref.lora import Blend
from pocketpref.records import Likelihoods, Message, Sampling

if TYPE_CHECKING:
    from pocketpref.backends.llama.model import LlamaModel


class AdaptedModel:
    """A view of a model with a blend on, as a ``LanguageModel`` of its own.

    Its fingerprint is made of the base's and the blend's, so that nothing computed with it is ever
    taken for something computed with the base or with another blend.
    """

    def __init__(self, base: LlamaModel, blend: Blend) -> None:
        self._base = base
        self._blend = blend

    def __repr__(self) -> str:
        return f"AdaptedModel({self.name!r})"

    @property
    def name(self) -> str:
        """How people know it."""
        names = ", ".join(f"{a.manifest.name} x {scale:g}" for a, scale in self._blend.parts)
        return f"{self._base.name} with {names}"

    @property
    def fingerprint(self) -> str:
        """Tells it from its base and from other blends over it; hex."""
        return self._blend.fingerprint(self._base.fingerprint)

    @property
    def context_size(self) -> int:
        """Longest conversation and reply together, in tokens."""
        return self._base.context_size

    @property
    def on_gpu(self) -> bool:
        """Whether its layers were offloaded to a GPU."""
        return self._base.on_gpu

    def likelihoods(
        self, contexts: Sequence[Sequence[Message]], answers: Sequence[str]
    ) -> Likelihoods:
        """See ``LanguageModel.likelihoods``."""
        return self._base.likelihoods(contexts, answers, blend=self._blend)

    def estimates(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        signs: Sequence[float],
    ) -> NDArray[np.float64] | None:
        """None: what estimates knows the base's matrices only."""
        del contexts, answers, signs
        return None

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        grammar: str | None = None,
    ) -> Iterator[str]:
        """See ``LanguageModel.generate``."""
        return self._base.generate(
            messages, sampling=sampling, stop=stop, grammar=grammar, blend=self._blend
        )

    def count_tokens(self, text: str) -> int:
        """How many tokens a text has."""
        return self._base.count_tokens(text)

    def close(self) -> None:
        """Take the blend off and free it; the base stays. A second call does nothing."""
        self._base.take_off(self._blend)
