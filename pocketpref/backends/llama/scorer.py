"""Compute log-likelihoods of a few answers under many contexts with shared prefixes.

    contexts   |-- common beginning --|-- own ending --|-- answer 1 --
                                                       |-- answer 2 --

The common beginning is prefilled once and shared by all sequences (they share its cells, nothing
is copied); the own ending of a context is computed once for all answers, as tokens that belong to
several sequences; logits are asked for at answer positions only.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pocketpref.backends.llama.adapters import AdapterPool, Wearing
from pocketpref.backends.llama.bindings import Context, Slot, Weights
from pocketpref.backends.scheduling import courtesy
from pocketpref.lora import Blend
from pocketpref.records import Likelihoods

BARE = Blend()
"""The model as it is."""

_BATCH = 512
"""Tokens of one decode. A few short branches at a time: in one cache every token looks at every
cell, so that larger batches spend their time on masked attention."""

_SEQUENCES = 33
"""Sequences of the cache: the common beginning and 32 branches."""

_LOGITS_BYTES = 128 * 2**20
"""Ceiling of the logits buffer; a row of a 262,144-token vocabulary takes a megabyte."""

_WINDOW = 4096
"""Longest context and answer together that is scored, in tokens; longer ones are shortened."""

_SLACK = 256
"""Cells kept for endings that grow from call to call (a second and a third attribute)."""


@dataclass(frozen=True, slots=True)
class BranchToken:
    """A token of a branch and the targets that its logits predict.

    Attributes:
        targets: (context, answer, token) triples, each of which adds to one total.
    """

    slot: Slot
    targets: tuple[tuple[int, int, int], ...] = ()


class Scorer:
    """Scores answers with a context of its own over shared weights. Safe for threads.

    Attributes:
        window: longest context and answer together that is scored, in tokens.
    """

    def __init__(self, weights: Weights, rack: AdapterPool, window: int | None) -> None:
        self._weights = weights
        self._wearing = Wearing(rack)
        self._lock = threading.Lock()
        self._context: Context | None = None
        self.window = min(weights.trained_context, window or _WINDOW)
        self._outputs = max(8, min(_BATCH, _LOGITS_BYTES // (4 * weights.vocabulary_size)))
        self._prefix: list[int] = []
        self._answers: list[list[int]] = []

    def close(self) -> None:
        """Free the context."""
        with self._lock:
            self._drop()

    def take_off(self, blend: Blend) -> None:
        """Wear this blend no longer, unless something is being scored: then with the next one."""
        if self._lock.acquire(blocking=False):
            try:
                if self._wearing.key == blend.key:
                    self._wearing.take_off()
                    self._prefix = []
            finally:
                self._lock.release()

    def score(
        self,
        contexts: Sequence[list[int]],
        answers: Sequence[list[int]],
        blend: Blend = BARE,
    ) -> Likelihoods:
        """Log-likelihoods by the model wearing ``blend``, shape (contexts, answers).

        See ``LanguageModel.likelihoods``.

        Contexts and answers that are too long for the window are shortened: an answer keeps its
        first tokens, at most half of the window; a context loses the middle of what it has in
        common with the others.
        """
        kept = [answer[: self.window // 2] for answer in answers]
        common = common_beginning(contexts)
        endings = [tokens[common:] for tokens in contexts]
        longest = max(map(len, endings))
        room = self.window - max(map(len, kept)) - longest
        prefix = shorten(contexts[0][:common], max(room, 0))
        # What a cache must hold: the pair, a batch of branches, and of the endings what goes beyond
        # the slack (a whole history, for example). Few sizes, so that most calls fit the last one.
        tokens = len(prefix) + sum(map(len, kept)) + max(_SLACK, longest) + _BATCH
        cells = max(2048, 1 << (tokens - 1).bit_length())
        totals = np.zeros((len(contexts), len(answers)))
        with self._lock:
            context = self._load(prefix, kept, blend, cells)
            for rows in self._groups(endings, kept):
                self._run(context, [(row, endings[row]) for row in rows], kept, totals)
        return Likelihoods(totals, np.array([len(a) for a in kept], dtype=np.int64))

    def _load(
        self, prefix: list[int], answers: list[list[int]], blend: Blend, cells: int
    ) -> Context:
        """Bring the common beginning into sequence 0 of a cache that has so many cells at least.

        It is kept from call to call for one pair only. So what a pair scores never depends on what
        was scored before it, and an interrupted run gives the same numbers as an undisturbed one.
        """
        context = self._context
        if context is None or answers != self._answers or context.cells < cells:
            context = self._open(cells)
            self._prefix, self._answers = [], answers
        if self._wearing.change(context, blend):
            self._prefix = []
        shared = common_length(prefix, self._prefix)
        context.cut(0, shared)
        self._prefix = prefix[:shared]
        slots = [Slot(prefix[i], i, (0,), output=False) for i in range(shared, len(prefix))]
        for start in range(0, len(slots), _BATCH):
            _decode(context, slots[start : start + _BATCH])
        self._prefix = prefix
        return context

    def _open(self, cells: int) -> Context:
        """An empty context of this size."""
        if self._context is not None and self._context.cells == cells:
            self._context.clear()
            return self._context
        self._drop()
        self._context = Context(
            self._weights,
            cells=cells,
            batch=_BATCH,
            sequences=_SEQUENCES,
            outputs=self._outputs,
            gives_way=courtesy.wanted,
        )
        return self._context

    def _drop(self) -> None:
        if self._context is not None:
            self._wearing.take_off()
            self._context.close()
            self._context = None

    @staticmethod
    def _groups(endings: Sequence[list[int]], answers: Sequence[list[int]]) -> Iterator[list[int]]:
        """Which contexts are worked on together: those that fill a batch, and at least one."""
        own = sum(map(len, answers))
        most = (_SEQUENCES - 1) // len(answers)
        group: list[int] = []
        tokens = 0
        for row, ending in enumerate(endings):
            size = len(ending) + own
            if group and (tokens + size > _BATCH or len(group) == most):
                yield group
                group, tokens = [], 0
            group.append(row)
            tokens += size
        yield group

    def _run(
        self,
        context: Context,
        group: Sequence[tuple[int, list[int]]],
        answers: Sequence[list[int]],
        totals: NDArray[np.float64],
    ) -> None:
        """Decode a group of contexts and add its log-probabilities to ``totals``."""
        tokens: list[BranchToken] = []
        used = range(1, 1 + len(group) * len(answers))
        for place, (row, ending) in enumerate(group):
            sequences = used[place * len(answers) : (place + 1) * len(answers)]
            tokens += branch(row, ending, answers, tuple(sequences), len(self._prefix))
        for sequence in used:
            context.share(0, sequence)
        for part in self._batches(tokens):
            _decode(context, [token.slot for token in part])
            collect(context, [token.targets for token in part if token.targets], totals)
        for sequence in used:
            context.cut(sequence, 0)

    def _batches(self, tokens: Sequence[BranchToken]) -> Iterator[list[BranchToken]]:
        """Tokens in order, as many at a time as one decode takes."""
        part: list[BranchToken] = []
        outputs = 0
        for token in tokens:
            wanted = bool(token.targets)
            if len(part) == _BATCH or outputs + wanted > self._outputs:
                yield part
                part, outputs = [], 0
            part.append(token)
            outputs += wanted
        if part:
            yield part


def _decode(context: Context, slots: Sequence[Slot]) -> None:
    """Decode when no reply is being written; begin again if one began meanwhile."""
    courtesy.step_aside()
    while not context.decode(slots):
        courtesy.step_aside()


def branch(
    row: int,
    ending: Sequence[int],
    answers: Sequence[list[int]],
    sequences: tuple[int, ...],
    start: int,
) -> Iterator[BranchToken]:
    """The tokens of one context's branch: its ending, then each answer after it."""
    firsts = tuple((row, i, answer[0]) for i, answer in enumerate(answers) if answer)
    last = len(ending) - 1
    for place, token in enumerate(ending):
        targets = firsts if place == last else ()
        yield BranchToken(Slot(token, start + place, sequences, bool(targets)), targets)
    for i, answer in enumerate(answers):
        for place, (token, following) in enumerate(pairwise(answer)):
            slot = Slot(token, start + len(ending) + place, (sequences[i],), output=True)
            yield BranchToken(slot, ((row, i, following),))


def collect(
    context: Context,
    targets: Sequence[tuple[tuple[int, int, int], ...]],
    totals: NDArray[np.float64],
) -> None:
    """Add log-softmax(logits)[target] of the last decode, 32 rows at a time to stay in cache."""
    if not targets:
        return
    logits = context.logits(len(targets))
    for start in range(0, len(targets), 32):
        rows = logits[start : start + 32]
        # Float32 exponentials, float64 sums.
        peaks = rows.max(axis=1, keepdims=True)
        sums = np.exp(rows - peaks).sum(axis=1, dtype=np.float64)
        normalizers = np.log(sums) + peaks[:, 0]
        for place, wanted in enumerate(targets[start : start + 32]):
            for row, answer, token in wanted:
                totals[row, answer] += float(rows[place, token]) - normalizers[place]


def common_beginning(contexts: Sequence[Sequence[int]]) -> int:
    """How many tokens all contexts begin with; each has one more at least, to predict from."""
    common = min(map(len, contexts)) - 1
    for a, b in pairwise(contexts):
        common = min(common, common_length(a, b))
    return common


def common_length(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens two sequences begin with in common."""
    limit = min(len(a), len(b))
    for place in range(limit):
        if a[place] != b[place]:
            return place
    return limit


def shorten(tokens: list[int], room: int) -> list[int]:
    """Cut the middle out so that at most ``room`` tokens are left.

    The beginning holds the system prompt and what is asked, the end what was said last; so the
    middle is what can best be missed.
    """
    if len(tokens) <= room:
        return tokens
    head = room - room // 2
    return tokens[:head] + (tokens[-(room // 2) :] if room // 2 else [])
