"""People as a hypernetwork sees them: profiles in the encoding of the device.

What a summary says of somebody is noticed in their choices, never taken from what they were made to
be, and said in several wordings, so that words are not learned by heart. Whoever is judged on is
described in wordings that nobody trained on was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from pocketpref.methods.profile_to_peft import ITEMS, encode
from pocketpref.protocols import Embedder
from pocketpref.records import Pair

from ..people import Person
from ..styles import described, noticed

WORDINGS = 4
"""In how many ways the summary of somebody trained on is said."""

SHOWN = 4
"""From how many of their signals the items of somebody trained on are drawn."""

_SILENT = 0.15
"""How often a training profile lacks its summary, and how often its items: either must do alone."""

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Material:
    """What profiles of people are drawn from while training.

    Attributes:
        summaries: embeddings, shape (people, wordings, dimensions).
        said: whether there is a summary of somebody, shape (people,).
        items: differences of answers' embeddings, shape (people, signals, dimensions).
    """

    summaries: torch.Tensor
    said: torch.Tensor
    items: torch.Tensor

    def scale(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and standard deviation of what profiles hold, each of shape (2 x dimensions,)."""
        summaries = self.summaries[self.said].flatten(0, 1)
        items = self.items.flatten(0, 1)
        middle = torch.cat([summaries.mean(dim=0), items.mean(dim=0)])
        # A profile's half is the mean of some items, which varies less than one of them.
        spread = torch.cat([summaries.std(dim=0), items.std(dim=0) / ITEMS**0.5])
        return middle, spread

    def drawn(self, people: Sequence[int]) -> torch.Tensor:
        """A profile for each of some people, shape (n, 2 x dimensions).

        A wording, two items, and at times one half only, by torch's random numbers.
        """
        rows = torch.tensor(people)
        count = len(rows)
        wording = torch.randint(self.summaries.shape[1], (count,))
        said = self.summaries[rows, wording] * self.said[rows, None]
        shown = torch.rand(count, self.items.shape[1]).topk(ITEMS, dim=1).indices
        items = self.items[rows[:, None], shown].mean(dim=1)
        silent = torch.rand(count)
        said = said * (silent >= _SILENT)[:, None]
        items = items * (silent < 1 - _SILENT)[:, None]
        return torch.cat([said, items], dim=1)


def summary_of(pairs: Sequence[Pair], draw: int = 0, *, unheard: bool = False) -> str:
    """What a summary says of somebody with these choices; "" if nothing was noticed."""
    style = noticed([(pair.chosen, pair.rejected) for pair in pairs])
    return described(style, draw, unheard=unheard)


def material(people: Sequence[Person], embedder: Embedder) -> Material:
    """Read the people trained on.

    Args:
        people: all with the same number of signals.
        embedder: the library's own.
    """
    texts = [summary_of(p.signals, place) for p in people for place in range(WORDINGS)]
    read = torch.from_numpy(embedder.embed(texts)).view(len(people), WORDINGS, -1)
    said = torch.tensor([bool(texts[place * WORDINGS]) for place in range(len(people))])
    shown = [signal for person in people for signal in person.signals[:SHOWN]]
    answers = [text for signal in shown for text in (signal.chosen, signal.rejected)]
    pairs = torch.from_numpy(embedder.embed(answers)).view(len(people), -1, 2, read.shape[-1])
    return Material(read, said, pairs[:, :, 0] - pairs[:, :, 1])


def profile(person: Person, embedder: Embedder, *, parts: str = "both") -> Matrix:
    """The profile of somebody who is judged on, as the device would make it.

    Args:
        person: their signals are used, the last ones are the newest.
        embedder: the library's own.
        parts: "both", "summary" or "items".
    """
    text = "" if parts == "items" else summary_of(person.signals, unheard=True)
    items = [] if parts == "summary" else person.signals[::-1]
    return encode(text, items, embedder)


def random_profiles(like: Matrix, count: int, seed: int) -> Matrix:
    """Profiles of nobody: every number as it may be in somebody's, and none that goes with another.

    Args:
        like: real ones, shape (people, dimensions).
        count: how many.
        seed: of them.
    """
    rng = np.random.default_rng(seed)
    drawn = rng.normal(like.mean(axis=0), like.std(axis=0), (count, like.shape[1]))
    return drawn.astype(np.float32)
