"""Two copies of one model: a fast one to screen with, a faithful one for what counts.

On a processor with BF16 arithmetic a BF16 copy scores 1.7 times as fast as an F16 one, but its
margins move by a quarter of a nat. That is enough to tell which attributes are worth a closer
look (``first=`` tokens), not enough to choose one.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from pocketpref.protocols import LanguageModel
from pocketpref.records import Likelihoods, Message, Sampling

WORTH = 1.2
"""The fast copy must be this many times as fast to be worth its memory."""


class TwoPrecisions:
    """A ``LanguageModel`` that screens with one copy of its weights and decides with another."""

    def __init__(self, fine: LanguageModel, coarse: LanguageModel) -> None:
        """Join two copies of the same weights.

        Args:
            fine: scores whole answers, and replies.
            coarse: scores first tokens only.
        """
        self._fine = fine
        self._coarse = coarse

    @property
    def name(self) -> str:
        """The model's name."""
        return self._fine.name

    @property
    def fingerprint(self) -> str:
        """Which model both are copies of."""
        return self._fine.fingerprint

    @property
    def context_size(self) -> int:
        """Longest conversation and reply together, in tokens."""
        return self._fine.context_size

    def likelihoods(
        self,
        contexts: Sequence[Sequence[Message]],
        answers: Sequence[str],
        *,
        first: int | None = None,
    ) -> Likelihoods:
        """See ``LanguageModel.likelihoods``; first tokens come from the fast copy."""
        model = self._fine if first is None else self._coarse
        return model.likelihoods(contexts, answers, first=first)

    def generate(
        self,
        messages: Sequence[Message],
        *,
        sampling: Sampling | None = None,
        stop: Sequence[str] = (),
        grammar: str | None = None,
    ) -> Iterator[str]:
        """See ``LanguageModel.generate``."""
        return self._fine.generate(messages, sampling=sampling, stop=stop, grammar=grammar)

    def close(self) -> None:
        """Free both copies."""
        self._fine.close()
        self._coarse.close()


def speedup(fine: LanguageModel, coarse: LanguageModel) -> float:
    """How many times as fast the coarse copy scores, the better of two runs each; one second."""
    return _seconds(fine) / _seconds(coarse)


def _seconds(model: LanguageModel) -> float:
    question = [Message(role="user", content="What is a river?")]
    answers = ("A river is water that flows downhill, " * 6, "Rivers begin at a spring. " * 6)
    best = float("inf")
    for attempt in range(3):  # the first one warms up
        began = time.perf_counter()
        model.likelihoods([question], answers)
        if attempt:
            best = min(best, time.perf_counter() - began)
    return best
