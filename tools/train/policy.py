"""One policy for one weighting of traits: an adapter by weighted preference optimization."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pocketpref.methods.traits import rewards

from .base import Base, Tokens
from .data import Answer, Candidates
from .export import Factors, gguf_bytes
from .loop import Plan, Run
from .lora import LoraShape, attach, factors, put_factors
from .losses import advantages, modpo, preference, weighted_labels
from .scoring import Row, Scorer, batch, log_likelihoods

ADAPTER = "adapter.gguf"

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a policy is trained.

    Attributes:
        objective: "modpo" or "weighted" (DPO); see ``losses``.
        beta: how closely a policy is held to the base.
        scale: a reward is this many logits.
        anchor: weight of the better answer's negative log-likelihood per token, which keeps what is
            preferred likely and not only likelier than the other.
        dtype: of the base's weights while training.
    """

    objective: Literal["modpo", "weighted"] = "modpo"
    beta: float = 0.1
    scale: float = 12.0
    anchor: float = 0.2
    dtype: str = "bfloat16"
    lora: LoraShape = field(default_factory=LoraShape)
    plan: Plan = field(default_factory=lambda: Plan(batch=4, micro=4, rate=1e-3))


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to a prompt.

    Attributes:
        rows: both, as tokens.
        gains: rewards of the first less those of the second, one for each trait.
    """

    rows: tuple[Row, Row]
    gains: tuple[float, ...]


def comparisons(
    sets: Sequence[Candidates], traits: Sequence[str], tokens: Tokens, most: int, seed: int
) -> list[Comparison]:
    """For each prompt and trait the two answers that are farthest apart in it.

    The same for every weighting, so that the reference is computed once.

    Args:
        sets: candidates.
        traits: names of rewards.
        tokens: of the base.
        most: how many comparisons are kept, drawn at random.
        seed: of that.
    """
    found = []
    for one in sets:
        values = np.array([rewards(answer.text, traits) for answer in one.answers])
        ends = {(int(column.argmax()), int(column.argmin())) for column in values.T}
        for first, second in sorted(ends):
            context = tokens.prompt(one.prompt.text)
            best, worst = one.answers[first], one.answers[second]
            rows = (_row(context, best, tokens), _row(context, worst, tokens))
            found.append(Comparison(rows, tuple((values[first] - values[second]).tolist())))
    kept = np.random.default_rng(seed).permutation(len(found))[:most]
    return [found[i] for i in sorted(kept)]


def _row(context: list[int], answer: Answer, tokens: Tokens) -> Row:
    return Row(context, tokens.answer(answer.text, ended=answer.ended))


class Trainer:
    """Trains policies one after the other over one base and the same comparisons."""

    def __init__(
        self, base: Base, compared: Sequence[Comparison], recipe: Recipe, folder: Path
    ) -> None:
        """Put an adapter on the base and compute the reference, unless it lies in the folder.

        Args:
            base: loaded in the recipe's type.
            compared: at least one comparison.
            recipe: the same for all policies.
            folder: each policy gets one of its own in it.
        """
        self._base = base
        self._compared = compared
        self._recipe = recipe
        self._folder = folder
        self._model = attach(base, recipe.lora, recipe.plan.seed)
        self._start = factors(self._model)
        self._scorer = Scorer(self._model)
        self._gains = torch.tensor([one.gains for one in compared])
        lengths = [[len(row.answer) for row in one.rows] for one in compared]
        self._lengths = torch.tensor(lengths)
        self._reference = self._referenced()

    def train(self, weights: Matrix, name: str) -> Path:
        """Train the policy for a weighting, or go on where a killed run stopped.

        Args:
            weights: of the traits, sum 1.
            name: of its folder.

        Returns:
            Its adapter file.
        """
        folder = self._folder / name
        put_factors(self._model, self._start)
        run = Run(self._scorer, self._recipe.plan, folder)
        run.fit(len(self._compared), self._loss(torch.tensor(weights).float()), title=name)
        path = folder / ADAPTER
        path.write_bytes(self.exported(name))
        return path

    def exported(self, name: str) -> bytes:
        """The adapter as it is now, as GGUF in F16."""
        now: Factors = factors(self._model)
        return gguf_bytes(now, self._recipe.lora, self._base.shape, name)

    def _loss(self, weights: torch.Tensor) -> Any:
        recipe = self._recipe

        def loss(module: Any, places: Sequence[int]) -> torch.Tensor:
            rows = [row for place in places for row in self._compared[place].rows]
            device = next(module.parameters()).device
            policy = module(*batch(rows, device)).view(-1, 2).cpu()
            gains = self._gains[places]
            advantage = advantages(policy, self._reference[places])
            labels = weighted_labels(gains, weights, recipe.scale)
            if recipe.objective == "modpo":
                losses = modpo(advantage, gains, weights, recipe.beta, recipe.scale)
            else:
                losses = preference(advantage, labels, recipe.beta)
            better = (labels < 0.5).long()[:, None]
            likely = (policy / self._lengths[places]).gather(1, better)[:, 0]
            return (losses - recipe.anchor * likely).sum()

        return loss

    def _referenced(self) -> torch.Tensor:
        """Log-likelihoods under the base, shape (comparisons, 2); B is zero at this point."""
        rows = [row for one in self._compared for row in one.rows]
        said = repr((self._base.identity.sha256, self._recipe.dtype, rows)).encode()
        path = self._folder / f"reference-{hashlib.sha256(said).hexdigest()[:16]}.npy"
        if not path.is_file():
            self._folder.mkdir(parents=True, exist_ok=True)
            np.save(path, log_likelihoods(self._scorer, rows).numpy())
        return torch.from_numpy(np.load(path)).view(-1, 2)
