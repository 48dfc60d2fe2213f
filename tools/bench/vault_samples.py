"""Made-up memories for ``bench_vault``, and what recall must answer about them.

Every pair is about 1 kB of plain words. Every learned entry has the 42 estimates and the few
evaluated margins that a default search leaves, and a vector of 384 numbers. Vectors stand in
topics, so that near misses are common; every 50th memory repeats the prompt before it, so that two
entries compete for one prompt. The same size and seed always give the same memories.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from random import Random

import numpy as np
from numpy.typing import NDArray

from pocketpref.attributes import AttributeBank
from pocketpref.records import Effort, Feedback, Learned, Pair, Selection, Vector
from pocketpref.vault.storage.serialization import derived_id

DIMENSIONS = 384
"""Of the bundled embedder."""

RELEVANCE = 0.5
"""The least cosine of the queries that counts as related."""

RECIPE = "5a8df1c27b90e364"

TIE = 1e-6
"""Cosines that lie closer than this are equal in float32."""

Answer = tuple[str, float] | None
"""A memory's id and its cosine to the query, or None where nothing is related enough."""

_FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
_REPEATED = 50  # every so many memories, a prompt is asked again
_TOPIC = 20  # memories of one topic
_SPREAD = 0.9  # of a topic: cosines within it are about 1 / (1 + 0.9 ** 2)
_EVALUATED = 8  # attributes that a default search evaluates of those it estimates
_CHUNK = 8192  # rows that the reference holds in float64 at a time
_TEXT = (
    "the river runs past old houses and under a stone bridge where people wait for evening to "
    "write letters about weather work money bread journeys health and what they would rather "
    "have been told in fewer words by someone who knew them well enough not to explain it all"
)
_WORDS = _TEXT.split()


@dataclass(frozen=True)
class Expected:
    """What may be answered to one query.

    Attributes:
        similarities: cosines in float64 of the memories that may be named, by id.
        nothing: whether "nothing related" is right.
    """

    similarities: dict[str, float]
    nothing: bool

    def agrees(self, answer: Answer) -> bool:
        """Whether an answer is right."""
        if answer is None:
            return self.nothing
        found = self.similarities.get(answer[0])
        return found is not None and abs(found - answer[1]) <= TIE


@dataclass(frozen=True)
class Samples:
    """So many memories, numbered from 0, the oldest."""

    size: int
    seed: int = 0

    def name(self, number: int) -> str:
        """The id of a memory."""
        return derived_id(b"bench_vault %d" % self.seed, str(number))

    def feedback(self, number: int) -> Feedback:
        """A pair; of two with one prompt, the answers differ."""
        answers = self._random("answers", number)
        pair = Pair(self._prompt(number), _text(answers, 70), _text(answers, 70))
        return Feedback(pair, created=_FIRST_DAY + timedelta(minutes=number), origin="chat")

    def learned(self, number: int) -> Learned:
        """What it taught."""
        names = self._names
        numbers = self._random("learned", number)
        estimates = {name: numbers.gauss(0.0, 4.0) for name in names}
        tried = sorted(names, key=lambda name: -estimates[name])[:_EVALUATED]
        selection = Selection(
            attributes=tuple(tried[: len(self.gains(number))]),
            gains=self.gains(number),
            singles={name: estimates[name] + numbers.gauss(0.0, 1.0) for name in tried},
            screened=estimates,
            evaluations=2 * (1 + _EVALUATED),
            effort=Effort.DEFAULT,
        )
        digest = hashlib.sha256(self._prompt(number).encode()).digest()
        return Learned(self.name(number), self.vectors[number], digest, selection, RECIPE)

    def gains(self, number: int) -> tuple[float, ...]:
        """What the attributes of its set added, nats."""
        numbers = self._random("gains", number)
        return tuple(numbers.uniform(0.5, 6.0) for _ in range(numbers.randint(1, 3)))

    @cached_property
    def vectors(self) -> Vector:
        """Embeddings of the prompts, shape (size, 384)."""
        source = np.random.default_rng(self.seed)
        topics = source.standard_normal((self.size // _TOPIC + 1, DIMENSIONS), dtype=np.float32)
        vectors = source.standard_normal((self.size, DIMENSIONS), dtype=np.float32)
        vectors *= _SPREAD
        vectors += topics[source.integers(len(topics), size=self.size)]
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        asked = [self._asked(number) for number in range(self.size)]
        return np.asarray(vectors[asked], dtype=np.float32)

    def queries(self, count: int, turn: int) -> Vector:
        """Prompts to recall for, shape (count, 384); another turn gives others.

        Half are past prompts in other words, a quarter past prompts as they were, and a quarter
        are like nothing that was asked before.
        """
        source = np.random.default_rng((self.seed, turn))
        noise = source.standard_normal((count, DIMENSIONS), dtype=np.float32)
        noise /= np.linalg.norm(noise, axis=1, keepdims=True)
        past = self.vectors[source.integers(self.size, size=count)]
        kind = np.arange(count)[:, None] % 4
        found = np.where(kind < 2, past + 0.8 * noise, np.where(kind == 2, past, noise))
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)

    def expected(self, queries: Vector, gone: Collection[int] = ()) -> list[Expected]:
        """Brute force in float64 over the prompts that are left.

        Args:
            queries: shape (count, 384).
            gone: numbers of memories that were forgotten.
        """
        standing = np.array(self._standing(gone), dtype=np.int64)
        cosines = np.empty((len(queries), len(standing)))
        for begin in range(0, len(standing), _CHUNK):
            rows = self.vectors[standing[begin : begin + _CHUNK]].astype(np.float64)
            cosines[:, begin : begin + _CHUNK] = queries.astype(np.float64) @ rows.T
        return [self._answers(standing, row) for row in cosines]

    def _answers(self, standing: NDArray[np.int64], cosines: NDArray[np.float64]) -> Expected:
        best = float(cosines.max(initial=-1.0))
        near = np.flatnonzero((cosines >= best - TIE) & (cosines >= RELEVANCE - TIE))
        names = {self.name(int(standing[i])): float(cosines[i]) for i in near}
        return Expected(names, nothing=best < RELEVANCE + TIE)

    def _standing(self, gone: Collection[int]) -> list[int]:
        """For each prompt the memory with the largest objective, on a tie the newest."""
        best: dict[int, int] = {}
        for number in range(self.size):
            if number in gone:
                continue
            held = best.setdefault(self._asked(number), number)
            if sum(self.gains(number)) >= sum(self.gains(held)):
                best[self._asked(number)] = number
        return list(best.values())

    def _prompt(self, number: int) -> str:
        return _text(self._random("prompt", self._asked(number)), 30)

    def _asked(self, number: int) -> int:
        """The memory whose prompt it repeats: mostly itself."""
        return number - 1 if number % _REPEATED == _REPEATED - 1 else number

    def _random(self, what: str, number: int) -> Random:
        return Random(f"{self.seed} {what} {number}")  # noqa: S311  # guards nothing

    @cached_property
    def _names(self) -> Sequence[str]:
        return AttributeBank.standard().names


def _text(source: Random, words: int) -> str:
    # Words of real texts vary in length; so do these texts.
    return " ".join(source.choices(_WORDS, k=max(3, round(source.gauss(words, words / 4)))))
