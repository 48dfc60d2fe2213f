"""A network that writes adapters: from a profile to LoRA factors for every layer of a base.

After Text-to-LoRA's published design, which Profile-to-PEFT (arXiv 2510.16282) builds on: profile,
module and depth are each made a short vector; an MLP with residual blocks mixes them; a head for
each kind of module gives A and B. The heads begin as an ordinary LoRA, A random and B zero, so that
at first nobody's adapter does anything, and everybody's is the same.

The base is steered by row: in one batch every row wears its own adapter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from ..base import Base
from ..lora import LoraShape
from ..scoring import Scorer

_HEAD_SCALE = 1 / 16
"""What heads give is multiplied by this. A step of Adam moves every weight by the rate; a factor is
the sum of hundreds of them, and would be thrown about by a rate that the trunk needs."""

_LEAST_SPREAD = 0.01
"""Share of the median spread that every number of a profile is taken to have at least."""

Generated = Mapping[str, tuple[torch.Tensor, torch.Tensor]]
"""For each module A of shape (rows, layers, rank, in) and B of shape (rows, layers, out, rank)."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """What a hypernetwork must fit.

    Attributes:
        profile: dimensions of a profile.
        layers: of the base.
        modules: (inputs, outputs) of each kind of module, by peft's name.
        lora: rank, alpha and targets of what it writes.
        width: of the trunk's short vectors, and of its hidden layers.
    """

    profile: int
    layers: int
    modules: Mapping[str, tuple[int, int]]
    lora: LoraShape = field(default_factory=LoraShape)
    width: tuple[int, int] = (128, 512)


def sizes(base: Base, profile: int, lora: LoraShape) -> Sizes:
    """The sizes for a base.

    Args:
        base: what adapters are for.
        profile: dimensions of a profile.
        lora: of the adapters.
    """
    layer = base.model.model.layers[0]
    shapes = {}
    for name in lora.targets:
        linear = _find(layer, name)
        shapes[name] = (linear.in_features, linear.out_features)
    return Sizes(profile, base.shape.layers, shapes, lora)


def _find(layer: nn.Module, name: str) -> Any:
    return next(module for path, module in layer.named_modules() if path.endswith(name))


class Hypernetwork(nn.Module):
    """Profile to factors."""

    def __init__(self, of: Sizes, seed: int) -> None:
        """With fresh weights.

        Args:
            of: what it must fit.
            seed: of its weights.
        """
        super().__init__()
        torch.manual_seed(seed)
        self.of = of
        short, hidden = of.width
        self.register_buffer("middle", torch.zeros(of.profile), persistent=False)
        self.register_buffer("spread", torch.ones(of.profile), persistent=False)
        self.encode = nn.Sequential(nn.Linear(of.profile, short // 2), nn.LayerNorm(short // 2))
        self.depth = nn.Embedding(of.layers, short // 4)
        self.module = nn.Embedding(len(of.modules), short // 4)
        self.mixer = nn.Sequential(
            nn.Linear(short, hidden), nn.SiLU(), nn.Linear(hidden, short), nn.SiLU()
        )
        self.blocks = nn.ModuleList(_Residual(short, hidden) for _ in range(2))
        self.last = nn.Sequential(nn.LayerNorm(short), nn.Linear(short, hidden), nn.SiLU())
        self.heads = nn.ModuleDict(
            {name: _Head(hidden, of.lora.rank, *shape) for name, shape in of.modules.items()}
        )

    def scale(self, middle: torch.Tensor, spread: torch.Tensor) -> None:
        """What profiles are like, so that the network sees in what they differ.

        Embeddings of summaries resemble one another: every one is a sentence about preferences.

        Args:
            middle: mean of profiles, shape (dimensions,).
            spread: their standard deviation.
        """
        self.middle.copy_(middle)
        # A number that is the same in all profiles says nothing, and must not once it is not.
        self.spread.copy_(spread.clamp(min=_LEAST_SPREAD * float(spread.median())))

    def scaled(self, profiles: torch.Tensor) -> torch.Tensor:
        """Profiles in standard deviations from the mean one; a half that is missing is zero."""
        halves = profiles.unflatten(-1, (2, -1))
        there = halves.abs().sum(dim=-1, keepdim=True) > 0
        scaled = ((profiles - self.middle) / self.spread).unflatten(-1, (2, -1))
        return (scaled * there).flatten(-2)

    def forward(self, profiles: torch.Tensor) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
        """Factors for some profiles.

        Args:
            profiles: shape (rows, dimensions).

        Returns:
            See ``Generated``.
        """
        rows, layers = len(profiles), self.of.layers
        person = self.encode(self.scaled(profiles))[:, None].expand(-1, layers, -1)
        depth = self.depth.weight[None].expand(rows, -1, -1)
        found = {}
        for place, (name, head) in enumerate(self.heads.items()):
            which = self.module.weight[place].expand(rows, layers, -1)
            mixed = self.mixer(torch.cat([person, depth, which], dim=-1))
            for block in self.blocks:
                mixed = block(mixed)
            found[name] = head(self.last(mixed))
        return found


class _Residual(nn.Module):
    def __init__(self, short: int, hidden: int) -> None:
        super().__init__()
        self.inner = nn.Sequential(
            nn.LayerNorm(short), nn.Linear(short, hidden), nn.SiLU(), nn.Linear(hidden, short)
        )

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values + self.inner(values)


class _Head(nn.Module):
    """A and B of one kind of module."""

    def __init__(self, hidden: int, rank: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.shapes = ((rank, inputs), (outputs, rank))
        self.out = nn.Linear(hidden, rank * (inputs + outputs))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        start = torch.empty(rank, inputs)
        nn.init.kaiming_uniform_(start, a=math.sqrt(5))  # as peft begins
        self.start = nn.Parameter(start)

    def forward(self, mixed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        moved = self.out(mixed) * _HEAD_SCALE
        (rank, inputs), (outputs, _) = self.shapes
        a, b = moved.split([rank * inputs, outputs * rank], dim=-1)
        return (
            self.start + a.unflatten(-1, (rank, inputs)),
            b.unflatten(-1, (outputs, rank)),
        )


class _Steered(nn.Module):
    """A linear layer to whose output each row's own adapter adds."""

    def __init__(self, linear: nn.Module, scale: float) -> None:
        super().__init__()
        self.linear = linear
        self.scale = scale
        self.factors: tuple[torch.Tensor, torch.Tensor] | None = None

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        plain: torch.Tensor = self.linear(values)
        if self.factors is None:
            return plain
        a, b = (factor.to(values.dtype) for factor in self.factors)
        return plain + self.scale * ((values @ a.mT) @ b.mT)


class Steering:
    """Lets every row of a batch wear its own adapter. The base's layers are wrapped in place."""

    def __init__(self, base: Base, lora: LoraShape) -> None:
        """Wrap the base's target layers; without factors they compute what they did.

        Args:
            base: loaded; only its model's layers change.
            lora: scale and targets of the adapters.
        """
        self._layers: dict[tuple[int, str], _Steered] = {}
        for place, layer in enumerate(base.model.model.layers):
            for name in lora.targets:
                parent = layer.self_attn if hasattr(layer.self_attn, name) else layer.mlp
                steered = _Steered(getattr(parent, name), lora.alpha / lora.rank)
                setattr(parent, name, steered)
                self._layers[place, name] = steered

    def wear(self, factors: Generated | None) -> None:
        """What the rows of the next batches wear; None for nothing."""
        for (place, name), layer in self._layers.items():
            if factors is None:
                layer.factors = None
            else:
                a, b = factors[name]
                layer.factors = (a[:, place], b[:, place])


class Personalized(nn.Module):
    """Log-likelihoods of answers, each under the adapter that its profile is made into."""

    def __init__(self, base: Base, network: Hypernetwork) -> None:
        """Steer a base by a hypernetwork, which alone takes gradients.

        Args:
            base: frozen.
            network: what writes the adapters.
        """
        super().__init__()
        self.network = network
        self.steering = Steering(base, network.of.lora)
        self.scorer = Scorer(base.model)

    def forward(
        self, profiles: torch.Tensor | None, rows: Sequence[torch.Tensor]
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log-likelihoods of some rows, nats, and the mean square of what was generated.

        Args:
            profiles: one for each row, shape (rows, dimensions); None for no adapters.
            rows: what ``scoring.batch`` gives.
        """
        if profiles is None:
            self.steering.wear(None)
            return self.scorer(*rows), torch.zeros(())
        made = self.network(profiles)
        self.steering.wear(made)
        return self.scorer(*rows), magnitude(made, self.network)

    def worn(self, factors: Generated, rows: Sequence[torch.Tensor]) -> torch.Tensor:
        """Log-likelihoods under factors from elsewhere, nats."""
        self.steering.wear(factors)
        found: torch.Tensor = self.scorer(*rows)
        return found


def magnitude(made: Generated, network: Hypernetwork) -> torch.Tensor:
    """Mean square of generated weights, A counted from where it began."""
    squares = [
        part.square().mean()
        for name, (a, b) in made.items()
        for part in (a - network.heads[name].start, b)
    ]
    return torch.stack(squares).mean()
