"""The evidence for a summary: which choices, the weight of each, and their two halves.

The rule for choosing, where there are more choices than are looked at:

1. A choice among answers that were given under a summary is left out: it shows what the summary
   led to, not what the person likes by themselves.
2. A choice is worth its recency times its clarity. Recency halves with every ``half_life`` of time
   between a choice and the newest one, so that later choices overrule earlier ones that contradict
   them, and a long pause makes nothing older. Clarity is how well attributes explain it.
3. Topics take turns, the worthiest choice of each first. Prompts are of one topic if the embedder
   calls them related.

Of more than 256 choices, the newest are read: reading takes time.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from pocketpref.protocols import Embedder
from pocketpref.records import Learned, Memory, Pair, RedactedRepr, Selection, Vector

ANSWERED_UNDER = "answered_under"
"""The entry of ``meta`` that marks a choice among replies given under a summary: its id."""

HALF_LIFE = timedelta(days=60)
"""Time after which a choice counts half as much as the newest."""

READ = 800
"""Characters of an answer that are read; style shows early, and time grows with length."""

_CONSIDERED = 256
"""Choices that are read, at most."""

_AT_ONCE = 8
"""Prompts that are embedded between two looks at the clock."""

_CLEAR = 8.0
"""Nats explained by attributes that count as a perfectly clear choice."""

_RELATED_TO_TOPIC = 0.3
"""Cosine between a prompt and a topic's description from which on the topic is named."""

TOPICS: Mapping[str, str] = {
    "programming": "computer programming, software and code",
    "mathematics": "mathematics, numbers, proofs and calculation",
    "science": "science, physics, chemistry, biology and nature",
    "technology": "technology, computers, phones and the internet",
    "health": "health, medicine, food and the body",
    "cooking": "cooking, recipes and eating",
    "travel": "travel, places and holidays",
    "work": "work, business, jobs and money",
    "school": "school, education and teaching",
    "writing": "writing texts, stories, letters and emails",
    "art and music": "art, music, films, books and games",
    "history": "history, wars and past times",
    "politics": "politics, law, government and society",
    "religion": "religion, faith and philosophy",
    "family": "family, children, marriage, love and friends",
    "sport": "sport, exercise and competition",
    "home": "house, garden, animals and daily life",
}
"""Names that a clause may be conditioned on. A fixed list: no word of the person's prompts gets
into a summary as a name of a topic."""


@dataclass(frozen=True, slots=True, repr=False)
class Signal(RedactedRepr):
    """One choice as evidence.

    Attributes:
        id: of its memory.
        pair: prompt and answers, the answers cut to ``READ`` characters.
        weight: how much it counts by its age, in (0, 1].
        prompt: which prompt it is about: choices on one prompt are never split up.
        subject: which cluster of related prompts it belongs to.
        topic: the name of its topic, or "".
        leanings: for each attribute how much it speaks for this choice, in standard deviations of
            all attributes; empty if the choice was not learned.
        reason: why the person chose so, in their own words, or "".
    """

    id: str
    pair: Pair
    weight: float
    prompt: str
    subject: int = 0
    topic: str = ""
    leanings: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    _open = ("id", "weight", "subject", "topic")


def is_evidence(memory: Memory) -> bool:
    """Whether a choice was made among answers that no summary had a part in."""
    return not memory.meta.get(ANSWERED_UNDER)


def gather(
    memories: Iterable[Memory],
    learned: Sequence[Learned],
    embedder: Embedder,
    *,
    most: int,
    half_life: timedelta = HALF_LIFE,
    on_part: Callable[[float], None] = lambda _: None,
) -> list[Signal]:
    """Return the choices that a summary is made from, by the rule above, the worthiest first.

    Args:
        memories: all memories.
        learned: what the index has of them.
        embedder: decides which prompts are related.
        most: how many are wanted at most.
        half_life: time after which a choice counts half as much.
        on_part: told how much of the reading is done, in [0, 1]; what it raises ends it.

    Raises:
        ModelError: the embedder failed.
    """
    usable = readable(memories, most)
    if not usable:
        return []
    known = {entry.memory_id: entry for entry in learned}
    fresh = [pair.prompt for memory, pair in usable if memory.id not in known]
    embedded = _embed(fresh, embedder, on_part)
    rows = [known[m.id].vector if m.id in known else embedded[pair.prompt] for m, pair in usable]
    vectors = np.stack(rows).astype(np.float32)
    topics = nearest_topics(vectors, embedder)
    subjects = clusters(vectors, embedder.relevance)
    newest = max(memory.created for memory, _ in usable)
    signals, clarity = [], {}
    for place, (memory, pair) in enumerate(usable):
        entry, reason = known.get(memory.id), memory.meta.get("reason")
        clarity[memory.id] = entry.objective if entry else 0.0
        signals.append(
            Signal(
                id=memory.id,
                pair=pair,
                weight=float(0.5 ** ((newest - memory.created) / half_life)),
                prompt=hashlib.sha256(pair.prompt.encode()).hexdigest()[:16],
                subject=subjects[place],
                topic=topics[place],
                leanings=leanings(entry.selection) if entry else {},
                reason=reason.strip() if isinstance(reason, str) else "",
            )
        )
    return balanced(signals, lambda s: s.weight * (1 + min(clarity[s.id] / _CLEAR, 1)), most)


def readable(memories: Iterable[Memory], most: int) -> list[tuple[Memory, Pair]]:
    """Return the newest evidence with its answers cut, in the order of the memories.

    A choice whose answers differ only after the cut is left out.

    Args:
        memories: all memories.
        most: how many a summary may be made from; no fewer than 256 are kept, to choose among.
    """
    usable = []
    for memory in filter(is_evidence, memories):
        chosen, rejected = _beginning(memory.pair.chosen), _beginning(memory.pair.rejected)
        if chosen.strip() != rejected.strip():
            usable.append((memory, Pair(memory.pair.prompt, chosen, rejected)))
    order = sorted(range(len(usable)), key=lambda n: usable[n][0].created, reverse=True)
    return [usable[n] for n in sorted(order[: max(_CONSIDERED, most)])]


def balanced(
    signals: Iterable[Signal], worth: Callable[[Signal], float], most: int
) -> list[Signal]:
    """Subjects take turns, the worthiest signal of each first; ties go to the smaller id."""
    by_subject: dict[int, list[Signal]] = defaultdict(list)
    for signal in sorted(signals, key=lambda s: (-worth(s), s.id)):
        by_subject[signal.subject].append(signal)
    turns = zip_longest(*by_subject.values())
    return [signal for turn in turns for signal in turn if signal is not None][:most]


def clusters(vectors: Vector, related: float) -> list[int]:
    """Return the cluster of each vector, shape (n, dimensions) to n numbers from 0.

    The first of a cluster leads it: a vector joins the nearest leader that it is related to, or
    leads a new one.
    """
    leaders: list[int] = []
    found = []
    for place, vector in enumerate(vectors):
        near = vectors[leaders] @ vector if leaders else np.empty(0)
        if near.size and near.max() >= related:
            found.append(int(near.argmax()))
        else:
            leaders.append(place)
            found.append(len(leaders) - 1)
    return found


def nearest_topics(vectors: Vector, embedder: Embedder) -> list[str]:
    """Return the topic that each vector is nearest to, or "" where none is near.

    Args:
        vectors: embeddings of prompts, shape (n, dimensions).
        embedder: embeds the descriptions of the topics.

    Raises:
        ModelError: the embedder failed.
    """
    names = list(TOPICS)
    near: NDArray[np.float32] = vectors @ embedder.embed(list(TOPICS.values())).T
    best = near.argmax(axis=1)
    return [
        names[place] if near[row, place] >= _RELATED_TO_TOPIC else ""
        for row, place in enumerate(best)
    ]


def leanings(selection: Selection) -> dict[str, float]:
    """Return how much each attribute speaks for a choice, in standard deviations of all of them.

    From exact margins where a search had (nearly) all of them, else from first-order estimates.
    """
    many = selection.singles if len(selection.singles) >= len(selection.screened) else None
    values = selection.screened if many is None else many
    if len(values) < 2:
        return {}
    spread = float(np.std(list(values.values())))
    middle = float(np.mean(list(values.values())))
    return {name: (value - middle) / spread for name, value in values.items()} if spread else {}


def halves(signals: Sequence[Signal]) -> tuple[list[Signal], list[Signal]]:
    """Split choices into two halves of about the same weight, for cross-fitting.

    Choices on one prompt stay together, unless all are on one.
    """
    groups: dict[str, list[Signal]] = defaultdict(list)
    for signal in signals:
        groups[signal.prompt].append(signal)
    if len(groups) < 2:
        groups = {signal.id: [signal] for signal in signals}
    sides: dict[str, int] = {}
    weights = [0.0, 0.0]
    for group in sorted(groups.values(), key=lambda g: (-_weight(g), g[0].subject, g[0].id)):
        lighter = int(weights[1] < weights[0])
        sides |= {signal.id: lighter for signal in group}
        weights[lighter] += _weight(group)
    # In their own order: the first few are of every subject.
    first, second = ([s for s in signals if sides[s.id] == side] for side in (0, 1))
    return first, second


def _weight(signals: Iterable[Signal]) -> float:
    return sum(signal.weight for signal in signals)


def _beginning(answer: str) -> str:
    """The first ``READ`` characters of an answer, up to a whole word where there are words."""
    if len(answer.strip()) <= READ:
        return answer
    start = answer.lstrip()[: READ + 1]
    head = start.rpartition(" ")[0]
    return head if len(head) > READ // 2 else start[:READ]


def _embed(
    prompts: Sequence[str], embedder: Embedder, on_part: Callable[[float], None]
) -> dict[str, Vector]:
    """Prompt to embedding, a few at a time, so that the work can be seen and stopped."""
    todo = list(dict.fromkeys(prompts))
    found: dict[str, Vector] = {}
    for start in range(0, len(todo), _AT_ONCE):
        on_part(start / len(todo))
        part = todo[start : start + _AT_ONCE]
        found |= dict(zip(part, embedder.embed(part), strict=True))
    return found
