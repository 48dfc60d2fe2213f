"""The anchored margin, the one primitive on which every method stands.

For a condition z on a pair (x, y_w, y_l), in nats (EXACT, arXiv 2602.17695, eq. 12):

    m(z) = [log p(y_w | x, z) - log p(y_w | x)] - [log p(y_l | x, z) - log p(y_l | x)]

It is positive if z makes the model favour the preferred answer more than it does by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pocketpref.messages import compose
from pocketpref.protocols import LanguageModel, ModelLoader
from pocketpref.records import Pair


class PairScorer:
    """Anchored margins of many conditions on one pair.

    The plain likelihoods are computed once and kept.

    Attributes:
        noise: differences of margins below it mean nothing (``noise_floor``), nats.
        judge: a scorer of the same pair that is slower and adds less noise: asked where this one
            cannot tell conditions apart. None if there is none.
    """

    def __init__(
        self,
        model: LanguageModel,
        pair: Pair,
        *,
        noise: float = 0.0,
        judge: PairScorer | None = None,
    ) -> None:
        self.noise = noise
        self.judge = judge
        self._model = model
        self._pair = pair
        self._plain: NDArray[np.float64] | None = None
        self._evaluations = 0

    @property
    def evaluations(self) -> int:
        """How many (condition, answer) likelihoods were asked for so far, the judge's too."""
        return self._evaluations + (self.judge.evaluations if self.judge else 0)

    def plain(self) -> tuple[float, float]:
        """Log p(y_w | x) and log p(y_l | x), nats."""
        if self._plain is None:
            self._plain = self._totals([""])[0]
        chosen, rejected = self._plain
        return float(chosen), float(rejected)

    def margins(self, blocks: Sequence[str]) -> NDArray[np.float64]:
        """Anchored margin of each block, shape (len(blocks),), nats.

        Args:
            blocks: texts to inject, one condition each.

        Raises:
            ModelError: the model failed.
        """
        if not blocks:
            return np.empty(0)
        if self._plain is None:
            self._plain, *rows = self._totals(["", *blocks])
            totals = np.array(rows)
        else:
            totals = self._totals(blocks)
        anchored = totals - self._plain
        return np.asarray(anchored[:, 0] - anchored[:, 1], dtype=np.float64)

    def estimates(self, blocks: Sequence[str]) -> NDArray[np.float64] | None:
        """What tells which blocks have the largest margins, shape (len(blocks),).

        The first-order effect of each block on the margin: an order, not nats. It costs as much as
        a few margins, whatever the number of blocks.

        Returns:
            The estimates, or None if this model cannot give them.

        Raises:
            ModelError: the model failed.
        """
        contexts = [compose(self._pair.prompt, block) for block in blocks]
        answers = (self._pair.chosen, self._pair.rejected)
        return self._model.estimates(contexts, answers, (1.0, -1.0))

    def _totals(self, blocks: Sequence[str]) -> NDArray[np.float64]:
        """Log-likelihoods of both answers under each block, shape (len(blocks), 2)."""
        answers = (self._pair.chosen, self._pair.rejected)
        contexts = [compose(self._pair.prompt, block) for block in blocks]
        self._evaluations += len(contexts) * len(answers)
        return self._model.likelihoods(contexts, answers).totals


_CALIBRATION = Pair(
    prompt="How do I keep houseplants alive while I am away for two weeks?",
    chosen=(
        "Water them well the day before you leave, move them out of direct sun, and group them "
        "together so that the air around them stays moist."
    ),
    rejected=(
        "It depends on many things. Some people ask a neighbour, others buy an irrigation system, "
        "and there are also special gels which release water slowly over time."
    ),
)
"""A public pair on which a model's own noise is measured."""


def noise_floor(model: LanguageModel, blocks: Sequence[str]) -> float:
    """How far one margin moves between two ways of computing it, nats.

    The same margins are computed together in full batches and one at a time: the same mathematics
    in another layout. What differs is rounding, above all of activations that a quantized model
    squeezes to 8 bits. Differences below the floor mean nothing.

    Returns:
        Twice the root mean square of the differences, over all blocks.

    Raises:
        ModelError: the model failed.
    """
    together = PairScorer(model, _CALIBRATION).margins(blocks)
    alone = PairScorer(model, _CALIBRATION)
    apart = np.array([alone.margins([block])[0] for block in blocks])
    return float(2 * np.sqrt(np.mean((together - apart) ** 2)))


@dataclass(frozen=True, slots=True)
class Arbiter:
    """The weights that decide close margins: slower, and with less noise (nats)."""

    model: LanguageModel
    noise: float


@dataclass(frozen=True, slots=True)
class ScoringModels:
    """The models that score pairs, each loaded when it is first needed.

    Attributes:
        scorer: loads the model that scores.
        noise: the scoring model's noise floor, nats.
        arbiter: loads what decides where ``scorer`` cannot; None if nothing is more faithful.
    """

    scorer: ModelLoader
    noise: Callable[[], float]
    arbiter: Callable[[], Arbiter | None] = lambda: None

    def pair_scorer(self, pair: Pair) -> PairScorer:
        """Return a scorer of one pair.

        Raises:
            ModelError: a model is missing or failed.
        """
        found = self.arbiter()
        judge = None if found is None else PairScorer(found.model, pair, noise=found.noise)
        return PairScorer(self.scorer(), pair, noise=self.noise(), judge=judge)
