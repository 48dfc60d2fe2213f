"""Estimate the effect of many contexts on the answers, to first order, in one backward pass.

Contexts that differ in a few tokens (attributes) are put before the answers all at once, side by
side: each sees the common beginning and itself, the answers see them all. What an answer's token
pays to a token of a context is scaled down, so that all contexts together count as one. The
gradient of the answers' log-likelihoods with regard to the logarithm of these scales tells what a
little more of each context would change. One pass over the answers so compares all contexts,
where evaluating them takes a pass for each.

The estimate is linear, and good for ranking only: the few best contexts are then evaluated
(docs/performance.md has how often the best one is among them). The idea is attribution patching
(Syed et al., arXiv 2310.10348), with the attention to an injected text as what is patched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from pocketpref.backends.llama.gguf_tensors import Tensors
from pocketpref.backends.llama.scorer import common_beginning, common_length, shorten
from pocketpref.backends.llama.transformer import Block, Head, KeysValues, Rope, Shape, Sight, Trace
from pocketpref.backends.scheduling import courtesy, threads
from pocketpref.records import Matrix32

_READ = 96
"""Tokens of each answer that are looked at. More rank little better and cost in proportion."""

_LANES = 2
"""Threads that estimate: one for each answer."""

Run = Callable[..., Iterator[Any]]
"""Calls a function on each of some arguments, as ``map`` does, several at a time."""

_CHUNK = 512
"""Tokens of a long beginning that are computed at a time."""


@dataclass(frozen=True, slots=True)
class Fan:
    """Contexts laid side by side.

    Attributes:
        earlier: keys and values of the beginning and of all middles, for each layer.
        owner: which context each middle token belongs to.
        begin: tokens of the common beginning.
        after: the common end of the contexts, which follows any middle.
        position: where the common end stands: after a middle of mean length.
    """

    earlier: list[KeysValues]
    owner: NDArray[np.int64]
    begin: int
    after: list[int]
    position: int


class FirstOrder:
    """First-order estimates with one model. Safe for threads."""

    def __init__(self, path: Path, shape: Shape, window: int) -> None:
        """Open a model's weights as matrices.

        Args:
            path: its file.
            shape: its sizes.
            window: longest common beginning, in tokens.

        Raises:
            ModelDamagedError: the file cannot be read.
        """
        self._lock = threading.Lock()
        self._tensors = Tensors(path)
        self._shape = shape
        self._window = window
        self._blocks = [Block(self._tensors, shape, layer) for layer in range(shape.layers)]
        self._head = Head(self._tensors, shape)
        name = "rope_freqs.weight"
        self._factors = self._tensors.vector(name) if name in self._tensors else None
        self._tokens: list[int] = []
        self._states = self._nothing()
        self._answers: Sequence[list[int]] = ()

    def close(self) -> None:
        """Free the matrices."""
        with self._lock:
            self._tensors.close()
            self._states = self._nothing()

    def estimates(
        self,
        contexts: Sequence[list[int]],
        answers: Sequence[list[int]],
        signs: Sequence[float],
    ) -> NDArray[np.float64]:
        """First-order effect of each context on sum(sign * log p(answer)), shape (contexts,).

        The scale is that of the weight of a context, 1 being its full presence; it is not to be
        compared with margins.
        """
        with self._lock, lanes() as run:
            if answers != self._answers:  # numbers of a pair never depend on the pair before
                self._tokens, self._states, self._answers = [], self._nothing(), answers
            fan = self.lay(contexts, run)
            scales = np.full(len(fan.owner), -np.log(len(contexts)))
            bias = np.concatenate([np.zeros(fan.begin), scales]).astype(np.float32)

            def change(answer: list[int], sign: float) -> NDArray[np.float64]:
                return self.gradient(fan, answer[:_READ], sign, bias)

            gradient = sum(run(change, answers, signs), np.zeros(len(bias)))
        changes = np.bincount(fan.owner, gradient[fan.begin :], len(contexts))
        return np.asarray(changes * len(contexts), dtype=np.float64)

    def log_likelihood(self, context: list[int], answer: list[int]) -> float:
        """Log p(answer | context), nats: to see that this and llama.cpp compute the same."""
        with self._lock, lanes():
            tokens = [*context, *answer[:-1]]
            here = np.arange(len(tokens))
            sight = Sight(np.zeros_like(here), np.zeros_like(here), here)
            hidden, _ = self._forward(tokens, here, self._nothing(), sight)
            return self._head.log_likelihood(hidden[len(context) - 1 :], answer)[0]

    def _nothing(self) -> list[KeysValues]:
        empty = np.zeros((0, self._shape.groups, self._shape.size), np.float32)
        return [KeysValues(empty, empty)] * self._shape.layers

    # ---------------------------------------------------------------------- constant part

    def lay(self, contexts: Sequence[list[int]], run: Run) -> Fan:
        """Run the common beginning, as far as it is new, and all middles after it."""
        before, middles, after = split(contexts)
        before = shorten(before, self._window)
        self._begin(before)
        lengths = [len(middle) for middle in middles]

        def beside(part: Sequence[list[int]]) -> list[KeysValues]:
            """Middles that follow the beginning and do not see one another."""
            sizes = [len(middle) for middle in part]
            begins = len(before) + np.repeat(np.cumsum([0, *sizes[:-1]]), sizes)
            own = len(before) + np.arange(sum(sizes))
            sight = Sight(np.full_like(own, len(before)), begins, own)
            tokens = [token for middle in part for token in middle]
            return self._added(tokens, len(before) + own - begins, self._states, sight)

        parts = list(run(beside, halves(middles)))
        states = [
            layer.followed_by(*(own[number] for own in parts))
            for number, layer in enumerate(self._states)
        ]
        owner = np.repeat(np.arange(len(middles)), lengths)
        position = len(before) + round(float(np.mean(lengths)))
        return Fan(states, owner, len(before), after, position)

    def _begin(self, before: list[int]) -> None:
        """Bring the states of a beginning up to date.

        A long one goes chunk by chunk, so that memory does not grow with it.
        """
        known = common_length(before, self._tokens)
        self._tokens, self._states = before[:known], [s.part(0, known) for s in self._states]
        for start in range(known, len(before), _CHUNK):
            tokens = before[start : start + _CHUNK]
            here = np.arange(start, start + len(tokens))
            sight = Sight(np.zeros_like(here), np.zeros_like(here), here)
            added = self._added(tokens, here, self._states, sight)
            pairs = zip(self._states, added, strict=True)
            self._states = [seen.followed_by(own) for seen, own in pairs]
            self._tokens = before[: start + len(tokens)]

    def _added(
        self,
        tokens: list[int],
        positions: NDArray[np.int64],
        earlier: list[KeysValues],
        sight: Sight,
    ) -> list[KeysValues]:
        """Keys and values of these tokens, for each layer."""
        rope = Rope(self._shape, positions, self._factors)
        hidden = self._tensors.rows("token_embd.weight", tokens)
        found = []
        for block, seen in zip(self._blocks, earlier, strict=True):
            courtesy.step_aside()
            hidden, trace = block.forward(hidden, rope, seen, sight)
            found.append(trace.own)
        return found

    # ---------------------------------------------------------------- part with a gradient

    def gradient(
        self, fan: Fan, answer: list[int], sign: float, bias: Matrix32
    ) -> NDArray[np.float64]:
        """Gradient with regard to the bias of every earlier token, shape (len(bias),)."""
        tokens = [*fan.after, *answer[:-1]]
        here, earlier = np.arange(len(tokens)), len(bias)
        everything = np.full_like(here, earlier)
        sight = Sight(everything, everything, earlier + here, bias)
        hidden, traces = self._forward(tokens, fan.position + here, fan.earlier, sight)
        gradient = np.zeros_like(hidden)
        start = len(fan.after) - 1
        gradient[start:] = sign * self._head.log_likelihood(hidden[start:], answer)[1]
        rope = Rope(self._shape, fan.position + here, self._factors)
        total = np.zeros(earlier)
        layers = list(zip(self._blocks, fan.earlier, traces, strict=True))
        for block, seen, trace in reversed(layers):
            courtesy.step_aside()
            gradient, part_of_bias = block.backward(trace, gradient, rope, seen, sight)
            total += part_of_bias
        return total

    def _forward(
        self,
        tokens: list[int],
        positions: NDArray[np.int64],
        earlier: list[KeysValues],
        sight: Sight,
    ) -> tuple[Matrix32, list[Trace]]:
        rope = Rope(self._shape, positions, self._factors)
        hidden = self._tensors.rows("token_embd.weight", tokens)
        traces = []
        for block, seen in zip(self._blocks, earlier, strict=True):
            courtesy.step_aside()
            hidden, trace = block.forward(hidden, rope, seen, sight)
            traces.append(trace)
        return hidden, traces


@contextmanager
def lanes() -> Iterator[Run]:
    """Two lanes that do not wait for one another at every product of matrices.

    NumPy's BLAS shares each product out among threads that spin until the last has finished. Where
    other programs want the cores they spin most of the time: what took two seconds alone took up to
    forty, and three in this way. Meanwhile other threads of this process get fewer for their own
    products, too.
    """
    each = max(1, threads() // _LANES)
    with threadpool_limits(each, user_api="blas"), ThreadPoolExecutor(_LANES) as pool:
        yield pool.map


def halves(middles: Sequence[list[int]]) -> list[Sequence[list[int]]]:
    """Middles in two parts of about as many tokens, in order; none is empty."""
    ends = np.cumsum([len(middle) for middle in middles])
    half = int(np.searchsorted(ends, ends[-1] / 2)) + 1
    return [part for part in (middles[:half], middles[half:]) if part]


def split(
    contexts: Sequence[list[int]],
) -> tuple[list[int], list[list[int]], list[int]]:
    """Contexts as common beginning, what is each one's own, and common end (not empty)."""
    before = common_beginning(contexts)
    after = min(len(context) - before for context in contexts)
    for a, b in pairwise(contexts):
        after = min(after, common_length(a[::-1], b[::-1]))
    middles = [context[before : len(context) - after] for context in contexts]
    return contexts[0][:before], middles, contexts[0][len(contexts[0]) - after :]
