"""The anchored margin, the one primitive on which every method stands.

For a condition z on a pair (x, y_w, y_l), in nats (EXACT, arXiv 2602.17695, eq. 12):

    m(z) = [log p(y_w | x, z) - log p(y_w | x)] - [log p(y_l | x, z) - log p(y_l | x)]

It is positive if z makes the model favour the preferred answer more than it does by itself.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pocketpref.protocols import LanguageModel
from pocketpref.records import Message, Pair


def compose(prompt: str, block: str = "", history: Sequence[Message] = ()) -> tuple[Message, ...]:
    """Chat messages for a prompt with an injected block.

    The block stands on a line of its own at the end of the user's turn (EXACT, section 4.1), so
    that everything before it is common to all conditions.
    """
    content = f"{prompt}\n{block}" if block else prompt
    return (*history, Message(role="user", content=content))


class PairScorer:
    """Anchored margins of many conditions on one pair.

    The plain likelihoods are computed once for each length and kept.

    Attributes:
        evaluations: (condition, answer) likelihoods asked for so far.
    """

    def __init__(self, model: LanguageModel, pair: Pair) -> None:
        self._model = model
        self._pair = pair
        self._plain: dict[int | None, NDArray[np.float64]] = {}
        self.evaluations = 0

    def plain(self, *, first: int | None = None) -> tuple[float, float]:
        """Log p(y_w | x) and log p(y_l | x), nats."""
        if first not in self._plain:
            self.margins([], first=first)
        chosen, rejected = self._plain[first]
        return float(chosen), float(rejected)

    def margins(self, blocks: Sequence[str], *, first: int | None = None) -> NDArray[np.float64]:
        """Anchored margin of each block, shape (len(blocks),), nats.

        Args:
            blocks: texts to inject, one condition each.
            first: compare only this many tokens of each answer (None: whole answers).

        Raises:
            ModelError: the model failed.
        """
        new = first not in self._plain
        wanted = ["", *blocks] if new else list(blocks)
        if not wanted:
            return np.empty(0)
        totals = self._totals(wanted, first)
        if new:
            self._plain[first], totals = totals[0], totals[1:]
        anchored = totals - self._plain[first]
        return np.asarray(anchored[:, 0] - anchored[:, 1], dtype=np.float64)

    def _totals(self, blocks: Sequence[str], first: int | None) -> NDArray[np.float64]:
        """Log-likelihoods of both answers under each block, shape (len(blocks), 2)."""
        answers = (self._pair.chosen, self._pair.rejected)
        contexts = [compose(self._pair.prompt, block) for block in blocks]
        self.evaluations += len(contexts) * len(answers)
        return self._model.likelihoods(contexts, answers, first=first).totals
