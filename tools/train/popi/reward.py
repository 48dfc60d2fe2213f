"""What a summary earns: how well a generator tells by it which answers the person chose.

The generator is a frozen model, or one with an adapter that is trained together with the
summarizer. Put a ``CachedModel`` in its place, and a run that was killed goes on where it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketpref.evaluation.likelihood_cache import CachedModel, LikelihoodFile
from pocketpref.messages import compose
from pocketpref.protocols import LanguageModel
from pocketpref.records import Message, Pair
from pocketpref.summary.objective import utility
from pocketpref.summary.wording import NEUTRAL, block

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Frame:
    """What stands around a prompt: a system message, or a summary after it, or nothing."""

    summary: str = ""
    system: str = ""

    def messages(self, prompt: str) -> tuple[Message, ...]:
        """The conversation up to where the answer begins."""
        before = [Message(role="system", content=self.system)] if self.system else []
        return compose(prompt, block(self.summary), before)


PLAIN = Frame()

_STEP = 6


def remembering(model: LanguageModel, folder: Path, name: str) -> CachedModel:
    """A model whose likelihoods are kept.

    Args:
        model: of these weights; a copy in another precision gets another name.
        folder: made if it is not there.
        name: of the file in it.

    Raises:
        FileError: the file is another model's.
    """
    folder.mkdir(parents=True, exist_ok=True)
    identity = f"{model.fingerprint} {name}"
    return CachedModel(model, LikelihoodFile(folder / f"{name}.likelihoods", identity))


def neutral(text: str) -> str:
    """About as many words as a text has, which say nothing about answers.

    In steps of a few words, so that texts of nearly one length share their likelihoods.
    """
    count = max(1, round(len(text.split()) / _STEP)) * _STEP
    return f"{' '.join(NEUTRAL.split()[:count])}."


@dataclass(frozen=True, slots=True)
class Reward:
    """The objective of ``summary/objective.py``, in nats of margin.

    Attributes:
        generator: what answers under a summary.
        reference: without any: the base. Another than ``generator`` if that is trained, too.
        beta: how steeply a choice counts with its margin.
        token_cost: nats of mean margin that a token has to earn.
    """

    generator: LanguageModel
    reference: LanguageModel
    beta: float = 0.1
    token_cost: float = 0.005

    def margins(self, frames: Sequence[Frame], pairs: Sequence[Pair]) -> Array:
        """Log-ratio of the chosen answer less that of the rejected one, shape (frames, pairs).

        Raises:
            ModelError: a model failed.
        """
        found = [self._differences(self.generator, frames, pair) for pair in pairs]
        columns = [f - p for f, p in zip(found, self.plain(pairs), strict=True)]
        return np.array(columns).T.reshape(len(frames), len(pairs))

    def plain(self, pairs: Sequence[Pair]) -> Array:
        """Log p of the chosen answer less that of the rejected one by the reference, nats."""
        found = [self._differences(self.reference, [PLAIN], pair)[0] for pair in pairs]
        return np.array(found, dtype=np.float64)

    @staticmethod
    def _differences(model: LanguageModel, frames: Sequence[Frame], pair: Pair) -> Array:
        found: dict[Frame, float] = {}
        # A whole history has nothing in common with the others, and leaves no room for them.
        for system in dict.fromkeys(frame.system for frame in frames):
            alike = [frame for frame in frames if frame.system == system]
            contexts = [frame.messages(pair.prompt) for frame in alike]
            totals = model.likelihoods(contexts, (pair.chosen, pair.rejected)).totals
            found |= zip(alike, (totals[:, 0] - totals[:, 1]).tolist(), strict=True)
        return np.array([found[frame] for frame in frames], dtype=np.float64)

    def gains(self, texts: Sequence[str], pairs: Sequence[Pair], tokens: Sequence[int]) -> Array:
        """What summaries earn above as many words that say nothing, nats, shape (texts,).

        Any text before an answer moves its likelihood, the more the longer it is. So rambling would
        earn most, were it not for this, which is what the device's verdict asks for, too.

        Args:
            texts: summaries.
            pairs: choices that had no part in any of them.
            tokens: how long each is.
        """
        frames = [Frame(text) for text in (*texts, *map(neutral, texts))]
        earned = self.earned(self.margins(frames, pairs)).mean(axis=1)
        above = earned[: len(texts)] - earned[len(texts) :]
        return np.asarray(above - self.token_cost * np.array(tokens))

    def earned(self, margins: Array) -> Array:
        """Log sigma(beta m) above that of no margin, as nats: about m where m is small."""
        return np.asarray((utility(margins, self.beta) + np.log(2)) / (self.beta / 2))
