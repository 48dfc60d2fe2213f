"""Whether generated adapters know their person, on people, prompts and wordings never trained on.

Matched ones are compared with everything that could explain the same gain. Each control is a row:
no adapter, the mean of many people's adapters, the adapter of the mean profile, somebody else's
profile, a random one, half of the profile, the profile's words in the prompt instead, and LoRA
trained on the person's own history (OPPU).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from pocketpref.backends.onnx.hypernetwork import OnnxHypernetwork
from pocketpref.evaluation.runner import interval
from pocketpref.methods.profile_to_peft import adapter
from pocketpref.protocols import Embedder
from pocketpref.summary.wording import block

from ..base import Shape, Tokens
from ..export import read_gguf
from ..people import Person
from ..scoring import Row, batch
from .hypernetwork import Generated, Personalized
from .profiles import profile, random_profiles, summary_of

Values = NDArray[np.float64]
Profiles = NDArray[np.float32]

_AT_ONCE = 16  # rows of a batch without gradients
_MEAN_OF = 32  # people trained on whose adapters make the mean one
_SHIFTS = (1, 7)  # whose profile somebody gets instead of their own


@dataclass(frozen=True, slots=True)
class Judged:
    """What a condition makes of the choices to predict.

    Attributes:
        liked: log-likelihood of the preferred answers, nats, shape (people, choices).
        other: of the others.
        tokens: of the preferred answers, the same shape.
        other_tokens: of the others.
    """

    liked: Values
    other: Values
    tokens: Values
    other_tokens: Values

    @property
    def surprise(self) -> Values:
        """Negative log-likelihood of preferred answers, nats for each token, by person."""
        return np.asarray(-self.liked.sum(axis=1) / self.tokens.sum(axis=1))

    @property
    def right(self) -> Values:
        """How often the preferred answer is the likelier for each token, by person."""
        likely, unlikely = self.liked / self.tokens, self.other / self.other_tokens
        return np.asarray((likely > unlikely).mean(axis=1))

    def anchored(self, plain: Judged) -> Values:
        """How often the preferred answer gains more than the other one, by person."""
        margins = (self.liked - plain.liked) - (self.other - plain.other)
        return np.asarray((margins > 0).mean(axis=1))


class Bench:
    """The people who are judged on, and what their choices are likely under."""

    def __init__(self, module: Personalized, tokens: Tokens, people: Sequence[Person]) -> None:
        """Prepare the rows.

        Args:
            module: a base, steered by the hypernetwork.
            tokens: of the base.
            people: all with the same number of later choices.
        """
        self.module = module
        self.tokens = tokens
        self.people = people

    def plain(self) -> Judged:
        """Without an adapter."""
        self.module.steering.wear(None)
        return self._judged(self._rows(), None)

    def under(self, profiles: Profiles) -> Judged:
        """Each person under the adapter that a profile is made into, shape (people, dimensions)."""
        return self._judged(self._rows(), torch.from_numpy(profiles))

    def prompted(self, texts: Sequence[str]) -> Judged:
        """Without an adapter, with a text for each person after their prompts."""
        self.module.steering.wear(None)
        return self._judged(self._rows([block(text) for text in texts]), None)

    def wearing(self, factors: Generated) -> Judged:
        """Everybody under one adapter, given with a first dimension of 1."""
        self.module.steering.wear(factors)
        return self._judged(self._rows(), None)

    def row(self, prompt: str, answer: str) -> Row:
        """A prompt and an answer as tokens."""
        return Row(self.tokens.prompt(prompt), self.tokens.answer(answer))

    def _rows(self, said: Sequence[str] | None = None) -> list[tuple[int, Row]]:
        """Both answers of every choice, with their person's place."""
        return [
            (place, self.row(pair.prompt + (f"\n{said[place]}" if said else ""), answer))
            for place, person in enumerate(self.people)
            for pair in person.later
            for answer in (pair.chosen, pair.rejected)
        ]

    def _judged(self, rows: Sequence[tuple[int, Row]], profiles: torch.Tensor | None) -> Judged:
        found = np.zeros(len(rows))
        order = sorted(range(len(rows)), key=lambda i: -len(rows[i][1].context + rows[i][1].answer))
        with torch.inference_mode():
            for start in range(0, len(order), _AT_ONCE):
                places = order[start : start + _AT_ONCE]
                if profiles is not None:
                    owners = [rows[i][0] for i in places]
                    self.module.steering.wear(self.module.network(profiles[owners]))
                likely = self.module.scorer(*batch([rows[i][1] for i in places]))
                found[places] = likely.float().numpy()
        values = found.reshape(len(self.people), -1, 2)
        lengths = np.array([len(row.answer) for _, row in rows], float).reshape(values.shape)
        return Judged(values[..., 0], values[..., 1], lengths[..., 0], lengths[..., 1])


def judge(
    bench: Bench, embedder: Embedder, trained: Sequence[Person], network: Any
) -> Iterator[tuple[str, Judged]]:
    """Every row but OPPU's, one after the other.

    Args:
        bench: the people who are judged on.
        embedder: reads profiles.
        trained: people trained on, for the means.
        network: the hypernetwork.
    """
    people = bench.people
    profiles = {
        parts: np.stack([profile(person, embedder, parts=parts) for person in people])
        for parts in ("both", "summary", "items")
    }
    own = profiles["both"]
    yield "no adapter", bench.plain()
    yield "matched", bench.under(own)
    for place, shift in enumerate(_SHIFTS):
        yield f"shuffled {place + 1}", bench.under(np.roll(own, shift, axis=0))
    if trained:
        crowd = np.stack([profile(person, embedder) for person in trained[:_MEAN_OF]])
        yield "mean of adapters", bench.wearing(mean_adapter(network, crowd))
        yield "mean profile", bench.under(np.repeat(crowd.mean(axis=0)[None], len(own), axis=0))
    yield "random profile", bench.under(random_profiles(own, len(own), 0))
    yield "summary only", bench.under(profiles["summary"])
    yield "choices only", bench.under(profiles["items"])
    texts = [summary_of(person.signals, unheard=True) for person in people]
    yield "in the prompt", bench.prompted(texts)
    yield "another's in the prompt", bench.prompted(texts[_SHIFTS[0] :] + texts[: _SHIFTS[0]])


def as_shipped(
    bench: Bench, embedder: Embedder, network: OnnxHypernetwork, shape: Shape
) -> tuple[Judged, list[float]]:
    """Each person under what the device would write for them, graph in eight bits and all.

    Args:
        bench: the people who are judged on.
        embedder: reads profiles.
        network: the graph that is shipped.
        shape: of the base, for its order of rows.

    Returns:
        What it makes of their choices, and seconds from a profile to the adapter's bytes.
    """
    found, seconds = [], []
    for person in bench.people:
        begun = time.perf_counter()
        written = adapter(network.write(profile(person, embedder)), network.manifest, "00")
        seconds.append(time.perf_counter() - begun)
        values, _ = read_gguf(written.data, shape)
        found.append(Bench(bench.module, bench.tokens, [person]).wearing(_stacked(values)))
    return _together(found), seconds


def _stacked(values: Mapping[tuple[int, str, str], NDArray[np.float32]]) -> Generated:
    """Factors by layer as one array for each module, with a first dimension."""
    layers = 1 + max(layer for layer, _, _ in values)
    return {
        name: (
            torch.from_numpy(np.stack([values[i, name, "A"] for i in range(layers)]))[None],
            torch.from_numpy(np.stack([values[i, name, "B"] for i in range(layers)]))[None],
        )
        for name in sorted({name for _, name, _ in values})
    }


def mean_adapter(network: Any, profiles: Profiles) -> Generated:
    """One adapter whose effect is the mean of those of several profiles, with a first dimension.

    Products are averaged, not factors: A stand below, B beside one another.
    """
    with torch.no_grad():
        made = network(torch.from_numpy(profiles))
    return {
        name: (
            a.permute(1, 0, 2, 3).flatten(1, 2)[None],
            b.permute(1, 2, 0, 3).flatten(2, 3)[None] / len(profiles),
        )
        for name, (a, b) in made.items()
    }


def trained_alone(
    bench: Bench, network: Any, *, count: int, epochs: int = 3, rate: float = 1e-3
) -> tuple[Judged, list[float]]:
    """OPPU: an adapter trained on each person's own history, for the first few people.

    Args:
        bench: the people who are judged on.
        network: for the sizes of adapters.
        count: people that are trained for.
        epochs: how often each signal is seen.
        rate: learning rate.

    Returns:
        What it makes of their choices, and seconds of training for each person.
    """
    found, seconds = [], []
    for person in bench.people[:count]:
        begun = time.perf_counter()
        factors = _fitted(bench, person, network, epochs, rate)
        seconds.append(time.perf_counter() - begun)
        alone = Bench(bench.module, bench.tokens, [person])
        found.append(alone.wearing(factors))
    return _together(found), seconds


def _together(found: Sequence[Judged]) -> Judged:
    """Several people's, one after the other."""
    return Judged(*(np.concatenate([getattr(one, name) for one in found]) for name in _FIELDS))


_FIELDS = ("liked", "other", "tokens", "other_tokens")


def _fitted(bench: Bench, person: Person, network: Any, epochs: int, rate: float) -> Generated:
    """An adapter on somebody's own signals; begins as an ordinary LoRA."""
    module = bench.module
    start = {
        name: (
            head.start.detach()[None, None].repeat(1, network.of.layers, 1, 1).requires_grad_(),
            torch.zeros(1, network.of.layers, *head.shapes[1], requires_grad=True),
        )
        for name, head in network.heads.items()
    }
    optimizer = torch.optim.AdamW([f for pair in start.values() for f in pair], rate)
    rows = [bench.row(pair.prompt, pair.chosen) for pair in person.signals]
    random = np.random.default_rng(0)
    for _ in range(epochs):
        order = random.permutation(len(rows))
        for places in np.array_split(order, max(1, len(rows) // 4)):
            some = [rows[int(place)] for place in places]
            module.steering.wear(start)
            likely = module.scorer(*batch(some))
            lengths = torch.tensor([len(row.answer) for row in some])
            optimizer.zero_grad()
            (-(likely / lengths).mean()).backward()
            optimizer.step()
    return {name: (a.detach(), b.detach()) for name, (a, b) in start.items()}


def table(found: Mapping[str, Judged]) -> dict[str, dict[str, Any]]:
    """Means with intervals over people: surprise, its difference to no adapter and to matched.

    Args:
        found: every row by name; those of fewer people are compared on these.
    """
    plain, matched = found["no adapter"], found["matched"]
    told = {}
    for name, one in found.items():
        count = len(one.surprise)
        told[name] = {
            "people": count,
            "surprise": interval(one.surprise).to_dict(),
            "less_than_none": interval(plain.surprise[:count] - one.surprise).to_dict(),
            "more_than_matched": interval(one.surprise - matched.surprise[:count]).to_dict(),
            "right": interval(one.right).to_dict(),
            "anchored": interval(one.anchored(_first(plain, count))).to_dict(),
        }
    return told


def _first(one: Judged, count: int) -> Judged:
    return Judged(*(getattr(one, name)[:count] for name in _FIELDS))
