"""One policy for one weighting of traits: an adapter by weighted preference optimization."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from pocketpref.methods.palm.traits import rewards
from pocketpref.protocols import Embedder

from ..base import Base, Tokens
from ..data import Answer, Candidates
from ..export import Factors, gguf_bytes
from ..loop import Plan, Run
from ..lora import LoraShape, attach, factors, put_factors
from ..losses import advantages, modpo, preference, weighted_labels
from ..scoring import Row, Scorer, batch, log_likelihoods

ADAPTER = "adapter.gguf"
RECIPE = "recipe.txt"

Matrix = NDArray[np.float64]


RELEVANT = 0.5
"""Cosine of a prompt and an answer that may be the better one of two. Rewards can be earned by
saying something else that is brief and plain; such an answer must not be learned."""


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
    beta: float = 0.3
    scale: float = 12.0
    anchor: float = 1.0
    dtype: str = "bfloat16"
    lora: LoraShape = field(default_factory=LoraShape)
    plan: Plan = field(default_factory=lambda: Plan(batch=4, micro=4, rate=1e-3))

    def words(self) -> str:
        """What is optimized, for an adapter's manifest."""
        plan = self.plan
        return (
            f"{self.objective}, the answer to the point that earns most against the one that earns "
            f"least and the plain one, beta {self.beta}, scale {self.scale}, anchor {self.anchor}, "
            f"learning rate {plan.rate}, batch {plan.batch}, epochs {plan.epochs}"
        )


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two answers to a prompt, the better one first.

    Attributes:
        rows: both, as tokens.
        gains: rewards of the first less those of the second, one for each trait.
    """

    rows: tuple[Row, Row]
    gains: tuple[float, ...]


class Comparer:
    """Finds what a policy is to learn from: comparisons for a weighting of the traits."""

    def __init__(
        self,
        sets: Sequence[Candidates],
        traits: Sequence[str],
        tokens: Tokens,
        embedder: Embedder,
    ) -> None:
        """Measure every candidate.

        Args:
            sets: candidates; of each the base's own plain answer is the first.
            traits: names of rewards.
            tokens: of the base.
            embedder: tells whether an answer is about its prompt.
        """
        self._sets = sets
        self._tokens = tokens
        self._rewards = [np.array([rewards(a.text, traits) for a in one.answers]) for one in sets]
        self._relevant = [_relevant(one, embedder) for one in sets]

    def compare(self, weights: Matrix, most: int, seed: int) -> list[Comparison]:
        """For each prompt the relevant answer that earns most, against two others.

        These are the one that earns least and the base's own: what is far from the better answer,
        and what the policy would say before it has learned anything.

        Args:
            weights: of the traits, sum 1.
            most: how many comparisons are kept, drawn at random.
            seed: of that.
        """
        found = [one for place in range(len(self._sets)) for one in self._of_prompt(place, weights)]
        kept = np.random.default_rng(seed).permutation(len(found))[:most]
        return [found[i] for i in sorted(kept)]

    def _of_prompt(self, place: int, weights: Matrix) -> list[Comparison]:
        values = self._rewards[place] @ weights
        able = np.flatnonzero(self._relevant[place])
        if not len(able):
            return []
        best = int(able[values[able].argmax()])
        others = dict.fromkeys((int(values.argmin()), 0))
        return [self._pair(place, best, o) for o in others if values[o] < values[best]]

    def _pair(self, place: int, best: int, other: int) -> Comparison:
        one, earned = self._sets[place], self._rewards[place]
        context = self._tokens.prompt(one.prompt.text)
        rows = [_row(context, one.answers[i], self._tokens) for i in (best, other)]
        return Comparison((rows[0], rows[1]), tuple((earned[best] - earned[other]).tolist()))


def _relevant(one: Candidates, embedder: Embedder) -> NDArray[np.bool_]:
    vectors = embedder.embed([one.prompt.text, *(answer.text for answer in one.answers)])
    return np.asarray(vectors[1:] @ vectors[0] >= RELEVANT)


def _row(context: list[int], answer: Answer, tokens: Tokens) -> Row:
    return Row(context, tokens.answer(answer.text, ended=answer.ended))


Compare = Callable[[Matrix], Sequence[Comparison]]
"""The comparisons that the policy for a weighting learns from, at least one."""


class Trainer:
    """Trains policies one after the other over one base."""

    def __init__(self, base: Base, compare: Compare, recipe: Recipe, folder: Path) -> None:
        """Put an adapter on the base.

        Args:
            base: loaded in the recipe's type.
            compare: finds comparisons for a weighting.
            recipe: the same for all policies.
            folder: each policy gets one of its own in it.
        """
        self._base = base
        self._compare = compare
        self._recipe = recipe
        self._folder = folder
        self._model = attach(base, recipe.lora, recipe.plan.seed)
        self._start = factors(self._model)
        self._scorer = Scorer(self._model)

    def train(self, weights: Matrix, name: str) -> Path:
        """Train the policy for a weighting, or go on where a killed run stopped.

        Args:
            weights: of the traits, sum 1.
            name: of its folder.

        Returns:
            Its adapter file.
        """
        folder = self._folder / name
        compared = self._compare(weights)
        put_factors(self._model, self._start)
        loss = self._loss(compared, self._referenced(compared, folder), weights)
        run = Run(self._scorer, self._recipe.plan, folder)
        run.fit(len(compared), loss, title=name)
        path = folder / ADAPTER
        path.write_bytes(self.exported(name))
        (folder / RECIPE).write_text(self._recipe.words(), "utf-8")
        return path

    def exported(self, name: str) -> bytes:
        """The adapter as it is now, as GGUF in F16."""
        now: Factors = factors(self._model)
        return gguf_bytes(now, self._recipe.lora, self._base.shape, name)

    def _loss(
        self, compared: Sequence[Comparison], reference: torch.Tensor, weights: Matrix
    ) -> Any:
        recipe = self._recipe
        wanted = torch.tensor(weights).float()
        every = torch.tensor([one.gains for one in compared])
        lengths = torch.tensor([len(one.rows[0].answer) for one in compared])

        def loss(module: Any, places: Sequence[int]) -> torch.Tensor:
            rows = [row for place in places for row in compared[place].rows]
            device = next(module.parameters()).device
            policy = module(*batch(rows, device)).view(-1, 2).cpu()
            gains = every[places]
            advantage = advantages(policy, reference[places])
            if recipe.objective == "modpo":
                losses = modpo(advantage, gains, wanted, recipe.beta, recipe.scale)
            else:
                labels = weighted_labels(gains, wanted, recipe.scale)
                losses = preference(advantage, labels, recipe.beta)
            likely = policy[:, 0] / lengths[places]  # the better answer's, for each token
            return (losses - recipe.anchor * likely).sum()

        return loss

    def _referenced(self, compared: Sequence[Comparison], folder: Path) -> torch.Tensor:
        """Log-likelihoods under the base, shape (comparisons, 2); B is zero at this point.

        Kept, so that a run that goes on need not compute them again.
        """
        rows = [row for one in compared for row in one.rows]
        said = repr((self._base.identity.sha256, self._recipe.dtype, rows)).encode()
        path = folder / f"reference-{hashlib.sha256(said).hexdigest()[:16]}.npy"
        if not path.is_file():
            folder.mkdir(parents=True, exist_ok=True)
            np.save(path, log_likelihoods(self._scorer, rows).numpy())
        return torch.from_numpy(np.load(path)).view(-1, 2)
