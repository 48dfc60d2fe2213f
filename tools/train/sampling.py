"""Answers drawn by llama.cpp, many at a time: what the device would say, and faster than torch.

On two cores torch draws about 25 tokens a second for each core, whatever the batch; llama.cpp with
sixteen answers side by side several times as many (docs/training.md).
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama.bindings import Context, Slot, Weights, library

_PREFILL = 512  # tokens of a prompt that are decoded at a time


@dataclass(frozen=True, slots=True)
class Drawing:
    """How answers are drawn.

    Attributes:
        tokens: most tokens of an answer.
        temperature: of the softmax.
        top_k: how many of the likeliest tokens are drawn from.
        side_by_side: answers that are drawn at a time.
        seed: of all of them; an answer depends on its place, not on how many are drawn at a time.
    """

    tokens: int = 128
    temperature: float = 0.7
    top_k: int = 40
    side_by_side: int = 16
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Drawn:
    """An answer as token ids, and whether the model ended it itself."""

    tokens: list[int]
    ended: bool


Parts = Sequence[tuple[Path, float]]
"""Adapter files and their scales; several are a blend, none is the base."""


def activate(weights: Weights, context: Context, parts: Parts) -> None:
    """Put adapter files on a fresh context; they are freed with the weights.

    llama.cpp is called directly, not through the library, so that a mistake in how that loads
    adapters would show in what is measured here.

    Raises:
        ValueError: llama.cpp does not load one of them.
    """
    lib = library()
    loaded = []
    for path, _ in parts:
        loaded.append(lib.llama_adapter_lora_init(weights.pointer, str(path).encode()))
        if not loaded[-1]:
            raise ValueError(f"llama.cpp does not load {path.name}")
    pointers = (lib.llama_adapter_lora_p_ctypes * len(parts))(*loaded)
    scales = (ctypes.c_float * len(parts))(*(scale for _, scale in parts))
    lib.llama_set_adapters_lora(context.pointer, pointers, len(parts), scales)


def draw(
    path: Path,
    contexts: Sequence[list[int]],
    how: Drawing,
    *,
    parts: Parts = (),
    on_progress: Callable[[int], None] = lambda done: None,
) -> list[Drawn]:
    """One answer for each context, in their order.

    Args:
        path: a GGUF file.
        contexts: token ids up to where the answer begins, at least one.
        how: the sampling.
        parts: the adapters it wears.
        on_progress: told how many answers are done.
    """
    room = max(map(len, contexts)) + how.tokens
    with closing(Weights(path)) as weights:
        context = Context(
            weights,
            cells=room * how.side_by_side,
            batch=_PREFILL,
            sequences=how.side_by_side,
            outputs=how.side_by_side,
        )
        with closing(context):
            activate(weights, context, parts)
            return _Table(weights, context, how).serve(contexts, on_progress)


class _Table:
    """Seats for answers that are drawn side by side: whoever is done makes room for the next."""

    def __init__(self, weights: Weights, context: Context, how: Drawing) -> None:
        self._weights = weights
        self._context = context
        self._how = how

    def serve(
        self, contexts: Sequence[list[int]], on_progress: Callable[[int], None]
    ) -> list[Drawn]:
        found: dict[int, Drawn] = {}
        waiting = list(range(len(contexts)))[::-1]
        seated: dict[int, _Guest] = {}  # by seat, which is the sequence's number
        while waiting or seated:
            for seat in range(self._how.side_by_side):
                if seat not in seated and waiting:
                    seated[seat] = self._seat(seat, waiting.pop(), contexts)
            self._step(seated)
            for seat in [s for s, guest in seated.items() if guest.done(self._how)]:
                guest = seated.pop(seat)
                found[guest.place] = Drawn(guest.said, guest.ended)
                on_progress(len(found))
        return [found[place] for place in range(len(contexts))]

    def _seat(self, seat: int, place: int, contexts: Sequence[list[int]]) -> _Guest:
        tokens = contexts[place]
        self._context.cut(seat, 0)
        last = len(tokens) - 1
        for start in range(0, len(tokens), _PREFILL):
            part = range(start, min(start + _PREFILL, len(tokens)))
            self._context.decode([Slot(tokens[i], i, (seat,), output=i == last) for i in part])
        guest = _Guest(place, len(tokens), np.random.default_rng([self._how.seed, place]))
        guest.take(self._weights, self._context.logits(1)[0], self._how)
        return guest

    def _step(self, seated: dict[int, _Guest]) -> None:
        """The next token of everybody who has not ended."""
        speaking = [(s, g) for s, g in seated.items() if not g.done(self._how)]
        if not speaking:
            return
        self._context.decode([Slot(g.said[-1], g.position, (s,), output=True) for s, g in speaking])
        for row, (_, guest) in zip(self._context.logits(len(speaking)), speaking, strict=True):
            guest.position += 1
            guest.take(self._weights, row, self._how)


@dataclass
class _Guest:
    """One answer while it is drawn."""

    place: int
    position: int
    random: np.random.Generator

    def __post_init__(self) -> None:
        self.said: list[int] = []
        self.ended = False

    def done(self, how: Drawing) -> bool:
        return self.ended or len(self.said) >= how.tokens

    def take(self, weights: Weights, logits: NDArray[np.float32], how: Drawing) -> None:
        token = choose(logits, how, self.random)
        if weights.ends(token):
            self.ended = True
        else:
            self.said.append(token)


def choose(logits: NDArray[np.float32], how: Drawing, random: np.random.Generator) -> int:
    """A token drawn from the likeliest ones."""
    best = np.sort(np.argpartition(logits, -how.top_k)[-how.top_k :])
    scaled = (logits[best] - logits[best].max()).astype(np.float64) / how.temperature
    chances = np.exp(scaled)
    return int(random.choice(best, p=chances / chances.sum()))
