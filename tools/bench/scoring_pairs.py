"""Which pairs ``bench_scoring`` measures on: half short, half long, spread over people and prompts.

All pairs of the given files are ordered by the tokens of prompt and answers together. Short pairs
come from the lower half of this order, long ones from the upper half. Each half is cut into as many
equal strata as pairs are wanted from it; of each stratum one pair is taken: one whose prompt was
not taken yet, of the person with the fewest pairs taken, the first such in an order that the seed
gives. Pairs with an answer of under 8 tokens, or longer than what is scored, are left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from pocketpref.errors import FileError
from pocketpref.importers import BadEntry, read
from pocketpref.records import Feedback, Pair, RedactedRepr
from pocketpref.samples import sample_pairs

LEAST_ANSWER = 8
"""Tokens of an answer below which a pair is left out: there is nothing to choose by."""

MOST_TOKENS = 4000
"""Tokens of a pair above which it is left out: scoring shortens what passes its window of 4,096,
and the contenders would not do the same work."""

Half = Literal["short", "long"]


@dataclass(frozen=True, slots=True, repr=False)
class Candidate(RedactedRepr):
    """A pair that may be measured.

    Attributes:
        file: the name of its file.
        place: which pair of its file it is, from 0.
        tokens: of prompt, chosen and rejected answer.
    """

    file: str
    place: int
    user: str
    pair: Pair
    tokens: tuple[int, int, int]
    _open = ("file", "place", "tokens")

    @property
    def length(self) -> int:
        """Tokens of prompt and answers together."""
        return sum(self.tokens)


def candidates(files: Sequence[Path], count_tokens: Callable[[str], int]) -> list[Candidate]:
    """All usable pairs of the files, or of the bundled samples if there are none.

    Raises:
        FileError: a file cannot be read.
    """
    found = []
    for name, feedback in _sources(files):
        for place, entry in enumerate(feedback):
            pair = entry.pair
            prompt, chosen, rejected = map(count_tokens, (pair.prompt, pair.chosen, pair.rejected))
            if min(chosen, rejected) < LEAST_ANSWER or prompt + chosen + rejected > MOST_TOKENS:
                continue
            counts = (prompt, chosen, rejected)
            found.append(Candidate(name, place, f"{name}/{entry.user}", pair, counts))
    return found


def _sources(files: Sequence[Path]) -> list[tuple[str, list[Feedback]]]:
    if not files:
        return [(f"sample {name}", sample_pairs(name)) for name in ("ukp", "mtbench")]
    return [(path.name, [e for e in read(path) if not isinstance(e, BadEntry)]) for path in files]


def choose(usable: Sequence[Candidate], count: int, seed: int = 0) -> list[tuple[Half, Candidate]]:
    """The pairs to measure, short and long in turn, each half from its shortest to its longest.

    Args:
        usable: pairs in any order.
        count: how many, an even number.
        seed: another seed gives other pairs.

    Raises:
        FileError: there are fewer pairs.
    """
    if len(usable) < count:
        raise FileError(
            f"{len(usable)} usable pairs are fewer than the {count} that were asked for",
            hint="give more files, or ask for fewer pairs",
        )
    ordered = sorted(usable, key=lambda c: (c.length, c.file, c.place))
    middle = len(ordered) // 2
    random = np.random.default_rng(seed)
    prompts: set[str] = set()
    users: Counter[str] = Counter()

    def draw(stratum: Sequence[Candidate]) -> Candidate:
        shuffled = [stratum[i] for i in random.permutation(len(stratum))]
        taken: Candidate = min(shuffled, key=lambda c: (c.pair.prompt in prompts, users[c.user]))
        prompts.add(taken.pair.prompt)
        users[taken.user] += 1
        return taken

    chosen: list[tuple[Half, Candidate]] = []
    short, long = _strata(ordered[:middle], count // 2), _strata(ordered[middle:], count // 2)
    for low, high in zip(short, long, strict=True):
        chosen += [("short", draw(low)), ("long", draw(high))]
    return chosen


def _strata(half: Sequence[Candidate], count: int) -> list[Sequence[Candidate]]:
    """Equal parts of a half, in order."""
    edges = [round(i * len(half) / count) for i in range(count + 1)]
    return [half[a:b] for a, b in pairwise(edges)]
