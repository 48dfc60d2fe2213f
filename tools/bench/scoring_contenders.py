"""What ``bench_scoring`` compares: llama-cpp-python plainly, batched transformers, and ours.

Each class lives in a process of its own (``scoring_workers``). All score the same tokens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pocketpref.attributes import AttributeBank
from pocketpref.backends.llama import WORTH, LlamaModel, bindings, speedup
from pocketpref.backends.scheduling import threads
from pocketpref.methods.exact import Exact, ExactSettings
from pocketpref.protocols import LanguageModel
from pocketpref.records import Pair, Selection
from pocketpref.scoring import PairScorer, noise_floor
from tools.bench.scoring_costs import DECODE, SOFTMAX, Clock, Cost, Size, Stopwatch, best_rate

Row = tuple[list[int], list[int]]
"""The tokens of a context and of an answer to it."""

Copies = Mapping[str, Path]
"""Copies of one model by precision: "q4_1" as shipped, and "f16", "bf16", "f32" made from it."""

_PLAIN_WINDOW = 4096
_NOISE_BLOCKS = 6
_WARM_UP = Pair("What is a river?", "Water that flows downhill.", "A road for boats and for fish.")


def default_models(copies: Copies) -> tuple[LanguageModel, LanguageModel | None]:
    """What the default search works with, chosen as ``pocketpref.open`` does.

    Returns:
        The model that scores, and the one that decides where it cannot, if there is one.
    """
    faithful, fast = (LlamaModel(copies[name], sha256=name) for name in ("f16", "bf16"))
    if speedup(faithful, fast) >= WORTH:
        return fast, faithful
    fast.close()
    return faithful, None


class Plain:
    """llama-cpp-python's own class: every context and answer evaluated alone, from its start."""

    def __init__(self, path: Path, size: Size) -> None:
        self._llama = bindings.library().Llama(
            str(path),
            n_ctx=_PLAIN_WINDOW,
            logits_all=True,
            verbose=False,
            n_threads=threads(),
            n_threads_batch=threads(),
        )
        self._size = size

    def score(self, rows: Sequence[Row]) -> tuple[list[float], Cost]:
        """Log p(answer | context) of each row in nats, and what it took."""
        watch = Stopwatch()
        found = []
        for context, answer in rows:
            self._llama.reset()
            with watch.of(DECODE):
                self._llama.eval([*context, *answer])
            with watch.of(SOFTMAX):
                logits = self._llama.scores[len(context) - 1 : len(context) + len(answer) - 1]
                peaks = logits.max(axis=1)
                normalizers = np.log(np.exp(logits - peaks[:, None]).sum(axis=1)) + peaks
                found.append(float((logits[range(len(answer)), answer] - normalizers).sum()))
        return found, _full_cost(watch, rows, self._size, "integers")


class Transformers:
    """Batches of padded rows as lm-evaluation-harness computes log-likelihoods, with torch.

    Logits of all tokens, their log-softmax over the vocabulary, the answer's gathered from it.
    """

    def __init__(self, path: Path, size: Size, dtype: str) -> None:
        for quiet in ("HF_HUB_OFFLINE", "HF_HUB_DISABLE_TELEMETRY", "TQDM_DISABLE"):
            os.environ[quiet] = "1"
        import torch
        from transformers import AutoModelForCausalLM
        from transformers.utils import logging

        logging.set_verbosity_error()
        torch.set_num_threads(threads())
        self._torch = torch
        self._dtype = getattr(torch, dtype)
        self._arithmetic = dtype
        self._size = size
        self._model = AutoModelForCausalLM.from_pretrained(
            str(path.parent), gguf_file=path.name, dtype=self._dtype
        ).eval()

    def peak(self) -> float:
        """This machine's operations per second in this model's arithmetic, by torch."""

        def multiply(n: int, k: int, m: int) -> Callable[[], object]:
            a, b = (self._torch.rand(shape, dtype=self._dtype) for shape in ((n, k), (k, m)))
            return lambda: a @ b

        return best_rate(multiply)

    def score(self, rows: Sequence[Row], batch: int) -> tuple[list[float], Cost]:
        """Log p(answer | context) of each row in nats, and what it took.

        Args:
            rows: in any order; they are put into batches by length, longest first.
            batch: rows of a batch.
        """
        watch = Stopwatch()
        found = [0.0] * len(rows)
        order = sorted(range(len(rows)), key=lambda i: -sum(map(len, rows[i])))
        with self._torch.inference_mode():
            for start in range(0, len(order), batch):
                places = order[start : start + batch]
                values = self._batch([rows[i] for i in places], watch)
                for i, value in zip(places, values, strict=True):
                    found[i] = value
        return found, _full_cost(watch, rows, self._size, self._arithmetic)

    def _batch(self, rows: Sequence[Row], watch: Stopwatch) -> list[float]:
        torch = self._torch
        inputs = [(context + answer)[:-1] for context, answer in rows]
        ids = torch.zeros(len(rows), max(map(len, inputs)), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for i, tokens in enumerate(inputs):
            ids[i, : len(tokens)] = torch.tensor(tokens)
            mask[i, : len(tokens)] = 1
        with watch.of(DECODE):
            logits = self._model(input_ids=ids, attention_mask=mask, use_cache=False).logits
        with watch.of(SOFTMAX):
            chances = torch.log_softmax(logits, -1)
        found = []
        for i, (context, answer) in enumerate(rows):
            own = chances[i, len(context) - 1 : len(context) - 1 + len(answer)]
            targets = torch.tensor(answer)[:, None]
            found.append(float(own.gather(-1, targets).float().sum()))
        return found


def _full_cost(watch: Stopwatch, rows: Sequence[Row], size: Size, arithmetic: str) -> Cost:
    """The cost of rows of which every token is computed, and its logits too."""
    tokens = sum(len(context) + len(answer) for context, answer in rows)
    work = tokens * (size.token + size.row)
    return Cost(watch.seconds, tokens, watch.parts, {arithmetic: work})


class Ours:
    """This library with one copy of the weights, or with what the default search uses."""

    def __init__(self, copies: Copies, which: str, bank: AttributeBank, size: Size) -> None:
        self._clock = Clock(size)
        self._bank = bank
        self._model: LanguageModel
        self._judge: LanguageModel | None = None
        if which == "default":
            self._model, self._judge = default_models(copies)
        else:
            self._model = LlamaModel(copies[which], sha256=which)
        blocks = [bank.block([name]) for name in bank.names[:_NOISE_BLOCKS]]
        self.noise = noise_floor(self._model, blocks)
        self._judges_noise = noise_floor(self._judge, blocks) if self._judge else 0.0
        if which == "default":  # loads what is loaded when first used
            self.select(_WARM_UP, exhaustive=False)

    def noise_floor(self) -> float:
        """The noise floor of its margins, nats."""
        return self.noise

    def select(self, pair: Pair, *, exhaustive: bool) -> tuple[Selection, Cost]:
        """Search for the attributes of a pair."""
        self._clock.reset()
        judge = None
        if self._judge is not None:
            judge = PairScorer(self._judge, pair, noise=self._judges_noise)
        scorer = PairScorer(self._model, pair, noise=self.noise, judge=judge)
        found = Exact(self._bank, ExactSettings(exhaustive=exhaustive)).select(scorer)
        return found, self._clock.cost

    def margins(self, pair: Pair, sets: Sequence[Sequence[str]]) -> list[float]:
        """Anchored margins of sets of attributes on whole answers, nats; the empty set's is 0."""
        scorer = PairScorer(self._model, pair)
        values = iter(scorer.margins([self._bank.block(names) for names in sets if names]).tolist())
        return [next(values) if names else 0.0 for names in sets]

    def plain(self, pair: Pair) -> tuple[float, float]:
        """Log-likelihoods of both answers without any attribute, nats."""
        return PairScorer(self._model, pair).plain()

    def close(self) -> None:
        """Free the model and stop counting."""
        self._clock.close()
        self._model.close()
        if self._judge:
            self._judge.close()
