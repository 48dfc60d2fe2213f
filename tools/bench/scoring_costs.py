"""What work costs in ``bench_scoring``: seconds and their parts, tokens, arithmetic operations."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama import LlamaModel, bindings, scorer, transformer

DECODE, SOFTMAX, ESTIMATES = "decode", "log-softmax", "estimates"

_SHAPES = ((512, 576, 1536), (2048, 2048, 2048))  # the starter's own largest matrix, a large one
_FILE_TYPES = {"0": "float32", "1": "float32", "32": "bfloat16"}
"""Arithmetic of a file type: F16 weights are widened to float32 before they are multiplied."""


@dataclass(frozen=True, slots=True)
class Size:
    """Operations of one model, two for each multiplication and addition; attention is left out.

    Attributes:
        token: of a token through all layers: 2 x weights that are no embeddings.
        row: of a row of logits: 2 x hidden size x vocabulary.
        layers: of the model.
    """

    token: float
    row: float
    layers: int

    @classmethod
    def of(cls, model: LlamaModel) -> Size:
        """The size of a loaded model whose input and output embeddings are the same matrix."""
        weights = model._weights
        kind = weights.metadata("general.architecture")
        hidden = int(weights.metadata(f"{kind}.embedding_length") or 0)
        embedding = hidden * weights.vocabulary_size
        count = int(bindings.library().llama_model_n_params(weights.pointer))
        layers = int(weights.metadata(f"{kind}.block_count") or 0)
        return cls(2.0 * (count - embedding), 2.0 * embedding, layers)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a piece of work took.

    Attributes:
        seconds: wall-clock time.
        tokens: tokens through the model forwards, without padding.
        parts: seconds of "decode", "log-softmax" and "estimates"; the rest is Python.
        operations: of decoding, by arithmetic ("float32", "bfloat16", or "integers" in quantized
            files).
    """

    seconds: float
    tokens: float
    parts: dict[str, float]
    operations: dict[str, float]

    def share(self, part: float) -> Cost:
        """What ``part`` of the work takes, if all of it is alike."""
        return Cost(
            self.seconds * part,
            self.tokens * part,
            {name: part * value for name, value in self.parts.items()},
            {name: part * value for name, value in self.operations.items()},
        )


class Stopwatch:
    """Adds up the seconds of named parts; a part within a part counts for itself only."""

    def __init__(self) -> None:
        self.parts = {DECODE: 0.0, SOFTMAX: 0.0, ESTIMATES: 0.0}
        self._began = time.perf_counter()
        self._within = 0.0

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return time.perf_counter() - self._began

    @contextmanager
    def of(self, part: str) -> Iterator[None]:
        """Add the time of the block to a part."""
        began, outer, self._within = time.perf_counter(), self._within, 0.0
        try:
            yield
        finally:
            took = time.perf_counter() - began
            self.parts[part] += took - self._within
            self._within = outer + took


def best_rate(multiply: Callable[[int, int, int], Callable[[], object]]) -> float:
    """Operations per second of the best of several matrix products, of two shapes.

    Args:
        multiply: makes two matrices (n, k) and (k, m) and returns what multiplies them.
    """
    best = 0.0
    for n, k, m in _SHAPES:
        product = multiply(n, k, m)
        for _ in range(6):
            began = time.perf_counter()
            product()
            best = max(best, 2.0 * n * k * m / (time.perf_counter() - began))
    return best


def numpy_peak() -> float:
    """This machine's float32 operations per second, by numpy."""
    random = np.random.default_rng(0)

    def multiply(n: int, k: int, m: int) -> Callable[[], object]:
        a, b = random.random((n, k), np.float32), random.random((k, m), np.float32)
        return lambda: a @ b

    return best_rate(multiply)


class Clock:
    """Counts what scoring does in this process, from when it is made."""

    def __init__(self, size: Size) -> None:
        self._size = size
        self._arithmetic: dict[int, str] = {}
        self.watch = Stopwatch()
        self.tokens = 0.0
        self.operations: dict[str, float] = {}
        self._patches = ExitStack()
        wrappers: tuple[tuple[Any, str, Callable[[Any], Any]], ...] = (
            (bindings.Context, "__init__", self._opened),
            (bindings.Context, "decode", self._decoded),
            (scorer, "collect", self._timed(SOFTMAX)),
            (LlamaModel, "estimates", self._timed(ESTIMATES)),
            (transformer.Block, "forward", self._forwarded),
        )
        for owner, name, wrap in wrappers:
            self._patches.enter_context(patch.object(owner, name, wrap(getattr(owner, name))))

    def close(self) -> None:
        """Count no more."""
        self._patches.close()

    def reset(self) -> None:
        """Start again from nothing."""
        self.watch, self.tokens, self.operations = Stopwatch(), 0.0, {}

    @property
    def cost(self) -> Cost:
        """What was counted since the last reset."""
        return Cost(self.watch.seconds, self.tokens, self.watch.parts, self.operations)

    def _opened(self, inner: Callable[..., None]) -> Callable[..., None]:
        def opened(context: bindings.Context, weights: bindings.Weights, **options: Any) -> None:
            inner(context, weights, **options)
            kind = weights.metadata("general.file_type") or ""
            self._arithmetic[id(context)] = _FILE_TYPES.get(kind, "integers")

        return opened

    def _decoded(self, inner: Callable[..., bool]) -> Callable[..., bool]:
        def decoded(context: bindings.Context, slots: Sequence[bindings.Slot]) -> bool:
            with self.watch.of(DECODE):
                done = inner(context, slots)
            self.tokens += len(slots)
            rows = sum(slot.output for slot in slots)
            kind = self._arithmetic[id(context)]
            work = len(slots) * self._size.token + rows * self._size.row
            self.operations[kind] = self.operations.get(kind, 0.0) + work
            return done

        return decoded

    def _timed(self, part: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        def wrap(inner: Callable[..., Any]) -> Callable[..., Any]:
            def timed(*arguments: Any) -> Any:
                with self.watch.of(part):
                    return inner(*arguments)

            return timed

        return wrap

    def _forwarded(self, inner: Callable[..., Any]) -> Callable[..., Any]:
        def forwarded(block: transformer.Block, x: NDArray[np.float32], *more: Any) -> Any:
            self.tokens += len(x) / self._size.layers
            return inner(block, x, *more)

        return forwarded
