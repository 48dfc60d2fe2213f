"""EXACT (arXiv 2602.17695): explain each choice by a few named attributes, recall them by prompt.

Algorithm 1 adds, one at a time, the attribute that most raises the anchored margin of the pair.
Algorithm 2 takes the attributes of the past prompt most like the new one. Three things are ours:

* Only attributes that add more than the model's own noise are taken (the paper takes exactly k; its
  theory asks for positive gains), so a set may be smaller than k, or empty.
* Where no past prompt is related enough, nothing is injected.
* A round evaluates attributes in the order of first-order estimates (``estimates`` of a
  ``LanguageModel``), and only until the next one is unlikely to be the best, unless the search is
  exhaustive. What that loses is measured, not assumed: docs/performance.md.

``LearnRun`` indexes new choices one after the other and keeps each as soon as it is done.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from pocketpref.attributes import AttributeBank, Wording
from pocketpref.errors import NotFoundError
from pocketpref.protocols import EmbedderLoader, Lesson, MemoryStore
from pocketpref.records import Condition, Effort, Learned, Selection, Source, Vector
from pocketpref.results import LearnReport, Progress
from pocketpref.scoring import PairScorer, ScoringModels

LEAST = (4, 3)
"""Attributes that are evaluated at least: in the first round, in every later one."""

MOST = (10, 8)
"""Attributes that are evaluated at most: in the first round, in every later one."""

ENTRANTS = 20
"""Attributes that later rounds look at: those with the highest estimates in the first."""

DOUBT = 1.5
"""A round is settled when the next attribute is expected to fall behind the best by this many
standard deviations of the estimates' errors."""

_CHUNK = 14
"""Conditions that are evaluated between two reports of progress."""

_STEP = 2
"""Attributes that are evaluated before it is asked again whether the round is settled."""

_FLOOR = 0.3
"""Estimates are never taken to be closer than this, nats: a few points may lie on a line."""

PartCallback = Callable[[float], bool]
"""Told before each step how much is done, in [0, 1]; returns False to stop."""

ProgressCallback = Callable[[Progress], None]
"""Told of every step of a ``LearnRun``."""


@dataclass(frozen=True, slots=True)
class ExactSettings:
    """How EXACT searches.

    Attributes:
        k: most attributes of one set (the paper's default is 3).
        wording: inject descriptions ("text") or the paper's bare names ("names").
        exhaustive: evaluate every attribute in every round, as the paper does.
    """

    k: int = 3
    wording: Wording = "text"
    exhaustive: bool = False


class PromptIndex:
    """The distinct past prompts of one person, with what each taught.

    Of several pairs with the same prompt the one with the largest objective stands for it (EXACT,
    Section 4.1); on a tie the newest.
    """

    def __init__(self, lessons: Sequence[Lesson]) -> None:
        """Build the index.

        Args:
            lessons: newest first, all embedded by one embedder.
        """
        self.lessons = lessons
        best: dict[bytes, Lesson] = {}
        for entry in lessons:
            held = best.get(entry.prompt_digest)
            if held is None or entry.objective > held.objective:
                best[entry.prompt_digest] = entry
        self.entries = tuple(best.values())
        self._vectors: Vector = (
            np.concatenate([e.vector for e in self.entries]).reshape(len(self.entries), -1)
            if self.entries
            else np.empty((0, 0), dtype=np.float32)
        )

    def __len__(self) -> int:
        return len(self.entries)

    def nearest(self, query: Vector, threshold: float) -> tuple[Lesson, Source] | None:
        """The entry whose prompt has the largest cosine to the query (EXACT, Algorithm 2).

        Args:
            query: unit length, shape (dimensions,).
            threshold: the least cosine that counts as related.

        Returns:
            None if no past prompt is related enough: then nothing is to be injected.
        """
        if not self.entries:
            return None
        # Not @: its threads cost more than they gain on such short rows, and they wait for one
        # another while the processor has other work, such as a model that replies.
        similarities = np.vecdot(self._vectors, query)
        best = int(np.argmax(similarities))
        similarity = float(similarities[best])
        if similarity < threshold:
            return None
        entry = self.entries[best]
        return entry, Source(id=entry.memory_id, similarity=similarity)


class Exact:
    """Attribute selection (Algorithm 1) and recall (Algorithm 2)."""

    name = "exact"

    def __init__(self, bank: AttributeBank, settings: ExactSettings | None = None) -> None:
        self.bank = bank
        self.settings = settings or ExactSettings()

    @property
    def recipe(self) -> str:
        """Fingerprint of what a selection means: the bank, k and the wording.

        How thorough the search was is left out, and so is the noise, which belongs to the machine:
        a better search refines an index, it does not make it stale.
        """
        text = f"exact/1 {self.bank.fingerprint} k={self.settings.k} {self.settings.wording}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    @property
    def effort(self) -> Effort:
        """How thorough a search is that is not stopped."""
        return Effort.EXHAUSTIVE if self.settings.exhaustive else Effort.DEFAULT

    def select(self, scorer: PairScorer, on_part: PartCallback | None = None) -> Selection:
        """Algorithm 1 for one pair.

        Args:
            scorer: the pair to explain.
            on_part: told before each step how much of the work is done, in [0, 1]; False ends the
                search with what was found so far.

        Raises:
            ModelError: the model failed.
        """
        search = _Search(scorer, self.bank, self.settings, on_part or (lambda _: True))
        return search.run()

    def condition(self, query: Vector, index: PromptIndex, relevance: float) -> Condition:
        """Algorithm 2: the attributes of the nearest past prompt, if one is near enough."""
        found = index.nearest(query, relevance)
        if found is None:
            return Condition()
        entry, source = found
        # An attribute that has left the bank since is left out rather than guessed.
        names = tuple(n for n in entry.attributes if n in self.bank)
        if not names:
            return Condition()
        block = self.bank.block(names, self.settings.wording)
        return Condition(names, block, (source,), self.name)


class _Search:
    """One run of Algorithm 1."""

    def __init__(
        self,
        scorer: PairScorer,
        bank: AttributeBank,
        settings: ExactSettings,
        on_part: PartCallback,
    ) -> None:
        self._scorer = scorer
        self._bank = bank
        self._settings = settings
        self._on_part = on_part
        self._turns = min(settings.k, len(bank))
        self._turn = 0
        self._chosen: list[str] = []
        self._gains: list[float] = []
        self._singles: dict[str, float] = {}
        self._screened: dict[str, float] = {}
        self._forecast = _Forecast()
        self._effort = Effort.EXHAUSTIVE

    def run(self) -> Selection:
        try:
            while self._turn < self._turns and self._add():
                self._turn += 1
        except _SearchStoppedError:
            self._effort = Effort.PARTIAL
        else:
            self._on_part(1.0)
        return Selection(
            tuple(self._chosen),
            tuple(self._gains),
            self._singles,
            self._screened,
            self._scorer.evaluations,
            self._effort,
        )

    def _add(self) -> bool:
        """Add the best attribute; False if none adds more than noise."""
        left = [name for name in self._bank.names if name not in self._chosen]
        if self._screened:
            entrants = sorted(left, key=lambda name: -self._screened[name])[:ENTRANTS]
            left = [name for name in left if name in entrants]
        margins = self._compare(left)
        if self._turn == 0:
            self._singles = margins
        best, gain, floor = self._best(margins)
        if gain <= floor:
            return False
        self._chosen.append(best)
        self._gains.append(gain)
        return True

    def _best(self, margins: dict[str, float]) -> tuple[str, float, float]:
        """Return the best attribute, its gain, and the least gain that counts, nats.

        The judge decides between attributes that the fast weights cannot tell apart: greedy search
        builds on its first choice, so a wrong one may cost more than the noise it came from.
        """
        judge, noise = self._scorer.judge, self._scorer.noise
        best = max(margins, key=lambda name: margins[name])
        gain = margins[best] - sum(self._gains)
        rivals = [name for name in margins if margins[best] - margins[name] <= noise]
        doubtful = len(rivals) > 1 or abs(gain - noise) <= noise
        if judge is None or not doubtful or gain < -noise:
            return best, gain, noise
        blocks = [self._block(name) for name in rivals]
        before = [self._bank.block(self._chosen, self._settings.wording)] if self._chosen else []
        found = judge.margins([*blocks, *before]).tolist()
        judged = dict(zip(rivals, found, strict=False))
        margins |= judged
        best = max(judged, key=lambda name: judged[name])
        return best, judged[best] - (found[-1] if before else 0.0), judge.noise

    def _compare(self, candidates: list[str]) -> dict[str, float]:
        """Anchored margins of the candidates that are worth an evaluation, nats."""
        estimates = self._estimates(candidates)
        if estimates is None:
            return self._margins(candidates, of=len(candidates))
        later = min(self._turn, 1)
        order = sorted(candidates, key=lambda name: -estimates[name])[: MOST[later]]
        margins: dict[str, float] = {}
        self._forecast.begin_round()
        while len(margins) < len(order):
            step = _STEP if margins else LEAST[later]
            fresh = order[len(margins) : len(margins) + step]
            margins |= self._margins(fresh, done=len(margins), of=len(order))
            self._forecast.learn([(estimates[name], margins[name]) for name in fresh])
            left = order[len(margins) :]
            if left and self._forecast.settled(estimates[left[0]]):
                break
        return margins

    def _estimates(self, candidates: list[str]) -> dict[str, float] | None:
        """First-order estimates; None where all candidates are to be evaluated."""
        if self._settings.exhaustive or len(candidates) <= MOST[min(self._turn, 1)]:
            return None
        self._report(0.0)
        found = self._scorer.estimates([self._block(name) for name in candidates])
        if found is None:  # this model has none
            return None
        self._effort = Effort.DEFAULT
        estimates = dict(zip(candidates, found.tolist(), strict=True))
        if self._turn == 0:
            self._screened = estimates
        return estimates

    def _margins(self, names: Sequence[str], *, done: int = 0, of: int) -> dict[str, float]:
        margins: dict[str, float] = {}
        for start in range(0, len(names), _CHUNK):
            self._report((1 + done + start) / (1 + of))
            chunk = names[start : start + _CHUNK]
            found = self._scorer.margins([self._block(name) for name in chunk])
            margins |= dict(zip(chunk, found.tolist(), strict=True))
        return margins

    def _block(self, name: str) -> str:
        return self._bank.block((*self._chosen, name), self._settings.wording)

    def _report(self, part_of_turn: float) -> None:
        """Report progress; stop the search if the callback says so."""
        if not self._on_part(min(1.0, (self._turn + part_of_turn) / self._turns)):
            raise _SearchStoppedError


class _Forecast:
    """Predicts margins from estimates, by those of the attributes already evaluated.

    A line through the points of all rounds, each round about its own middle: the slope and the
    spread are properties of the pair, the level changes with every attribute chosen.
    """

    def __init__(self) -> None:
        self._rounds: list[list[tuple[float, float]]] = []

    def begin_round(self) -> None:
        self._rounds.append([])

    def learn(self, points: list[tuple[float, float]]) -> None:
        """Take (estimate, margin) points of the present round into account."""
        self._rounds[-1] += points

    def settled(self, estimate: float) -> bool:
        """Whether an attribute with this estimate is unlikely to beat the best of the round."""
        apart = np.concatenate([np.array(r) - np.mean(r, axis=0) for r in self._rounds])
        x, y = apart.T
        slope = max(0.0, float(x @ y / (x @ x + 1e-12)))
        spread = math.sqrt(float(((y - slope * x) ** 2).sum()) / max(1, len(x) - 2) + _FLOOR**2)
        middle = np.mean(self._rounds[-1], axis=0)
        expected = middle[1] + slope * (estimate - middle[0])
        best = max(margin for _, margin in self._rounds[-1])
        return bool(best - expected > DOUBT * spread)


class _SearchStoppedError(Exception):
    """Ends a search whose time is up."""


class LearnRun:
    """One call of ``learn``."""

    def __init__(
        self,
        store: MemoryStore,
        method: Exact,
        scoring: ScoringModels,
        embedder: EmbedderLoader,
        recipe: Callable[[], str],
        *,
        budget: float | None = None,
        on_progress: ProgressCallback = lambda _: None,
    ) -> None:
        """Build the run.

        Args:
            store: the person's part of the vault.
            method: selects attributes.
            scoring: the models that score.
            embedder: loads what embeds prompts.
            recipe: fingerprint of what decides the index.
            budget: seconds after which to stop.
            on_progress: told of every step; what it raises ends the run.
        """
        self._store = store
        self._method = method
        self._scoring = scoring
        self._embedder = embedder
        self._recipe = recipe
        self._budget = float("inf") if budget is None else budget
        self._tell = on_progress
        self._began = time.monotonic()
        self._done = 0
        self._total = 0

    def all(self) -> LearnReport:
        """Index what is pending, the newest first, until the budget ends."""
        pending = self._pending()
        self._total = len(pending)
        if pending:
            self._report(0.0, note="loading the model")
            self._scoring.scorer()
            self._report(0.0, note="measuring the model's noise")  # the first time of a model
            self._scoring.noise()
            self._scoring.arbiter()
        for memory_id in pending:
            if self._over() or not self._index(memory_id):
                break
            self._done += 1
        return LearnReport(self._done, len(self._pending()), self._elapsed())

    def _pending(self) -> list[str]:
        return self._store.pending(self._recipe(), self._method.effort)

    def _index(self, memory_id: str) -> bool:
        """Index one memory; return False if the budget ended first.

        A partial result is kept if it says something and there was none: a later call refines it.
        """
        try:
            memory = self._store.get(memory_id)
        except NotFoundError:
            return True  # forgotten while it waited for its turn

        def on_part(part: float) -> bool:
            if self._over():
                return False
            self._report(part)
            return True

        selection = self._method.select(self._scoring.pair_scorer(memory.pair), on_part)
        whole = selection.effort > Effort.PARTIAL
        if whole or (
            selection.attributes
            and all(known.memory_id != memory_id for known in self._store.lessons(self._recipe()))
        ):
            prompt = memory.pair.prompt
            self._store.put_learned(
                Learned(
                    memory_id=memory.id,
                    vector=self._embedder().embed([prompt])[0],
                    prompt_digest=hashlib.sha256(prompt.encode()).digest(),
                    selection=selection,
                    recipe=self._recipe(),
                )
            )
        if whole:
            self._report(1.0, found=selection.attributes, done=self._done + 1)
        return whole

    def _over(self) -> bool:
        return self._elapsed() >= self._budget

    def _report(
        self,
        part: float,
        *,
        found: tuple[str, ...] = (),
        done: int | None = None,
        note: str = "",
    ) -> None:
        done = self._done if done is None else done
        self._tell(Progress(done, self._total, part, self._elapsed(), found, note))

    def _elapsed(self) -> float:
        return time.monotonic() - self._began
