"""EXACT written slowly and plainly from the paper, to check the fast implementation against.

Covered: Algorithm 1 (greedy, every attribute on whole answers, gains above the noise), Algorithm 2
(nearest prompt by cosine, prompt-level deduplication). Every likelihood is computed on its own:
one fresh evaluation of the whole text through llama-cpp-python's own high-level class, nothing
shared, nothing batched.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.records import Learned, Pair


class PlainModel:
    """log p(answer | prompt), one evaluation after the other."""

    def __init__(self, path: Path, context: int = 2048) -> None:
        from llama_cpp import Llama
        from llama_cpp.llama_chat_format import Jinja2ChatFormatter

        self.llama = Llama(str(path), n_ctx=context, logits_all=True, verbose=False, n_threads=2)
        self._render: Any = Jinja2ChatFormatter(
            template=self.llama.metadata["tokenizer.chat_template"],
            eos_token="<|im_end|>",
            bos_token="<|im_start|>",
        )

    def log_likelihood(self, prompt: str, answer: str) -> float:
        text = self._render(messages=[{"role": "user", "content": prompt}]).prompt
        before = self.llama.tokenize(text.encode(), add_bos=False, special=True)
        after = self.llama.tokenize(answer.encode(), add_bos=False, special=False)
        self.llama.reset()
        self.llama.eval(before + after)
        total = 0.0
        for place, token in enumerate(after, start=len(before)):
            logits = self.llama.scores[place - 1].astype(np.float64)
            largest = logits.max()
            total += float(logits[token] - largest - np.log(np.exp(logits - largest).sum()))
        return total


LogLikelihood = Callable[[str, str], float]


def margin(log_likelihood: LogLikelihood, pair: Pair, block: str) -> float:
    """Equation 12 for one pair and one attribute set."""
    shown = f"{pair.prompt}\n{block}" if block else pair.prompt
    with_chosen = log_likelihood(shown, pair.chosen) - log_likelihood(pair.prompt, pair.chosen)
    with_rejected = log_likelihood(shown, pair.rejected) - log_likelihood(
        pair.prompt, pair.rejected
    )
    return with_chosen - with_rejected


def algorithm_1(
    log_likelihood: LogLikelihood, pair: Pair, bank: AttributeBank, k: int, noise: float
) -> tuple[list[str], float]:
    """The selected attributes and the objective of the set."""
    chosen: list[str] = []
    objective = 0.0
    for _ in range(k):
        best_name, best_margin = "", -math.inf
        for name in bank.names:
            if name not in chosen:
                value = margin(log_likelihood, pair, bank.block([*chosen, name]))
                if value > best_margin:
                    best_name, best_margin = name, value
        if best_margin - objective <= noise:
            break
        chosen.append(best_name)
        objective = best_margin
    return chosen, objective


def algorithm_2(
    query: Sequence[float], memory: Sequence[Learned], relevance: float
) -> tuple[str, ...]:
    """The attributes to inject for a query; none below the relevance threshold."""
    by_prompt: dict[bytes, Learned] = {}
    for entry in reversed(memory):  # oldest first, so that on a tie the newest stays
        held = by_prompt.get(entry.prompt_digest)
        if held is None or entry.selection.objective >= held.selection.objective:
            by_prompt[entry.prompt_digest] = entry
    best: tuple[float, tuple[str, ...]] = (-math.inf, ())
    for entry in by_prompt.values():
        dot = math.fsum(float(a) * float(b) for a, b in zip(query, entry.vector, strict=True))
        norms = math.sqrt(math.fsum(float(a) ** 2 for a in query)) * math.sqrt(
            math.fsum(float(b) ** 2 for b in entry.vector)
        )
        if dot / norms > best[0]:
            best = (dot / norms, entry.selection.attributes)
    return best[1] if best[0] >= relevance else ()
