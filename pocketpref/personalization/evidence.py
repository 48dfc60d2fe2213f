"""What a person showed of their taste, and how much each piece of it counts.

- A choice, an edit and a regeneration each say that one answer is better than another.
- A thumb judges one answer without a counterpart. It is compared with the mean of the answers that
  got the opposite thumb, so thumbs of one direction alone teach nothing: who only ever praises has
  not said what is better than what.
- A statement is in the person's own words. It is kept, and counts elsewhere; no text measure can be
  read from it.

Newer evidence counts more, and repeated evidence less each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pocketpref.errors import InputError
from pocketpref.personalization.measures import measures
from pocketpref.personalization.prior import FEATURES, Prior, shipped_prior
from pocketpref.records import Matrix64, Memory, RedactedRepr

Kind = Literal["choice", "edit", "regeneration", "thumb up", "thumb down", "statement"]

WEIGHTS: Final[dict[Kind, float]] = {
    "choice": 1.0,
    "edit": 1.0,
    # A reply is also regenerated because it was wrong, which says nothing of taste.
    "regeneration": 0.5,
    # The counterpart is a mean of answers to other prompts.
    "thumb up": 0.5,
    "thumb down": 0.5,
    "statement": 0.0,
}
"""How much each kind counts for prediction, in choices."""

HALF_LIFE: Final = 60.0
"""Newer choices after which one counts half. A taste that turned is followed in about as many
choices as it took to learn; people whose taste stays lose nothing (docs/log.md)."""


@dataclass(frozen=True, slots=True, repr=False)
class Evidence(RedactedRepr):
    """One thing that a person showed.

    Attributes:
        kind: what they did.
        prompt: what was asked; may be empty for a statement.
        better: the answer that was preferred, edited into, kept or praised; for a statement its
            text; None for a thumb down.
        worse: the answer rejected, edited, regenerated or disliked; None for a thumb up and
            a statement.
        created: when (UTC).
        id: of the memory it was read from; "" where there is none.

    Raises:
        InputError: the kind is unknown, or a text that it needs is missing.
    """

    kind: Kind
    prompt: str
    better: str | None
    worse: str | None
    created: datetime
    id: str = ""
    _open = ("kind", "id")

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError("unknown kind of evidence", hint=f"one of {', '.join(WEIGHTS)}")
        wanted = (self.kind != "thumb down", self.kind not in {"thumb up", "statement"})
        if wanted != (self.better is not None, self.worse is not None):
            raise InputError(
                f"a {self.kind} has other texts than these",
                hint="pairs have a better and a worse answer, a thumb has the one it judges",
            )

    @classmethod
    def of_memory(cls, memory: Memory) -> Evidence:
        """Read a stored pair: edited, regenerated (``meta["kind"]``), or chosen."""
        kind: Kind = "choice"
        if memory.origin == "edit":
            kind = "edit"
        elif memory.meta.get("kind") == "regeneration":
            kind = "regeneration"
        pair = memory.pair
        return cls(kind, pair.prompt, pair.chosen, pair.rejected, memory.created, memory.id)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Differences(RedactedRepr):
    """Evidence as numbers, oldest first.

    Attributes:
        features: of the better answer minus those of the worse one, 0 where a feature is unknown,
            shape (n, len(FEATURES)).
        counts: how much each row counts, in choices, shape (n,).
        places: where each row's evidence was in what was given, shape (n,).
    """

    features: Matrix64
    counts: Matrix64
    places: NDArray[np.int64]


def differences_of(
    evidence: Sequence[Evidence],
    prior: Prior | None = None,
    *,
    half_life: float = HALF_LIFE,
    measured: dict[str, Matrix64] | None = None,
) -> Differences:
    """Return evidence as numbers.

    Args:
        evidence: in any order; statements are passed over.
        prior: whose units the features have; None for the one that comes with the library.
        half_life: newer pieces of evidence after which one counts half.
        measured: measures of texts, by text; read and added to, so that a text is measured once.
            It holds texts: keep it no longer than the evidence itself.
    """
    prior = prior or shipped_prior()
    order = sorted(
        (place for place, one in enumerate(evidence) if WEIGHTS[one.kind]),
        key=lambda place: evidence[place].created,
    )
    cache = {} if measured is None else measured

    def features(texts: Iterable[str]) -> Matrix64:
        rows = []
        for text in texts:
            if text not in cache:
                cache[text] = measures(text)
            rows.append(cache[text])
        return prior.features(np.array(rows).reshape(-1, len(prior.scale)))

    rows = np.zeros((len(order), len(FEATURES)))
    pairs = [(row, evidence[place]) for row, place in enumerate(order)]
    whole = [(row, one) for row, one in pairs if not one.kind.startswith("thumb")]
    places = [row for row, _ in whole]
    rows[places] = features(str(e.better) for _, e in whole) - features(
        str(e.worse) for _, e in whole
    )
    up = [row for row, one in pairs if one.kind == "thumb up"]
    down = [row for row, one in pairs if one.kind == "thumb down"]
    if up and down:
        liked = features(str(evidence[order[row]].better) for row in up)
        disliked = features(str(evidence[order[row]].worse) for row in down)
        rows[up] = liked - np.nanmean(np.nan_to_num(disliked), axis=0)
        rows[down] = np.nanmean(np.nan_to_num(liked), axis=0) - disliked
    counts = np.array([WEIGHTS[evidence[place].kind] for place in order], dtype=np.float64)
    counts /= _repeats([evidence[place] for place in order])
    if not (up and down):
        counts[up + down] = 0.0
    # Age in what newer evidence counts, so that ten thousand equal choices age others as ten do.
    newer = counts[::-1].cumsum()[::-1] - counts
    counts *= 0.5 ** (newer / half_life)
    return Differences(np.nan_to_num(rows), counts, np.array(order, dtype=np.int64))


def _repeats(evidence: Sequence[Evidence]) -> Matrix64:
    """Number each piece among its equals, the newest first: 1, 2, 3, ...

    A choice made k times counts 1 + 1/2 + ... + 1/k: ten thousand equal ones about as ten.
    """
    seen: dict[tuple[str, str | None, str | None], int] = {}
    numbers = []
    for one in reversed(evidence):
        key = (one.prompt, one.better, one.worse)
        seen[key] = seen.get(key, 0) + 1
        numbers.append(seen[key])
    return np.array(numbers[::-1], dtype=np.float64)
