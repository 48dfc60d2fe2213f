"""Which 16-bit copy of a model scores: a faithful one (F16), or a faster one (BF16).

On a processor with BF16 arithmetic a BF16 copy scores 1.5 times as fast as an F16 one, and its
margins move a fifth of a nat (docs/performance.md). That is enough where a few attributes are
compared that are mostly nats apart.
"""

from __future__ import annotations

import time

from pocketpref.protocols import LanguageModel
from pocketpref.records import Message

WORTH = 1.2
"""The fast copy must be this many times as fast to be worth its noise."""


def speedup(faithful: LanguageModel, fast: LanguageModel) -> float:
    """How many times as fast the second copy scores, the better of two runs each; one second."""
    return _seconds(faithful) / _seconds(fast)


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
