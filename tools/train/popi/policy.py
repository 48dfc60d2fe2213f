"""The summarizer's optimization: supervised by the best proposals, then by its own reward.

The policy gradient is REINFORCE with a leave-one-out baseline (RLOO, arXiv 2402.14740): of several
summaries of one case, each is compared with the mean of the others. The distance to the start
(Kullback-Leibler) is part of the reward. Summaries are drawn by llama.cpp from the adapter as it is
at that step, and judged by llama.cpp; torch computes gradients.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..base import Base
from ..export import Factors, gguf_bytes
from ..loop import Plan, Run
from ..lora import LoraShape, attach, factors, put_factors
from ..sampling import Drawing
from ..scoring import Row, batch, log_likelihoods
from .branches import BranchScorer, branches
from .cases import Case, Written, asked, begun, sound, write
from .reward import Array, Reward
from .warm import Target

ADAPTER = "adapter.gguf"
REWARDS = "rewards.jsonl"

_FAULTY = 1.0
"""Nats that a summary costs which the library would drop as a draft, whatever it explains."""

_USUAL = 24.0
"""Tokens of a usual summary: what losses are divided by, so that a long one counts as long."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a summarizer is trained.

    Attributes:
        dtype: of the base's weights while training.
        lora: shape of its adapter.
        supervised: plan of the warm start.
        reinforced: plan of the policy gradient; a step's batch is of cases.
        samples: summaries that are drawn for a case.
        distance: nats of reward that a nat of distance to the start costs.
        drawing: how summaries are drawn.
    """

    dtype: str = "bfloat16"
    lora: LoraShape = field(
        default_factory=lambda: LoraShape(16, 32.0, ("q_proj", "k_proj", "v_proj", "o_proj"))
    )
    supervised: Plan = field(
        default_factory=lambda: Plan(epochs=1, batch=4, micro=4, rate=1.5e-3, every=5)
    )
    reinforced: Plan = field(
        default_factory=lambda: Plan(batch=4, micro=1, rate=1e-4, warmup=0.0, every=1)
    )
    samples: int = 4
    distance: float = 0.1
    drawing: Drawing = field(
        default_factory=lambda: Drawing(tokens=48, temperature=0.7, top_k=50, side_by_side=8)
    )


def leave_one_out(rewards: torch.Tensor) -> torch.Tensor:
    """How much each reward lies above the mean of the others of its case.

    Args:
        rewards: shape (cases, samples), at least two samples.

    Returns:
        Advantages, the same shape; those of a case sum to 0.
    """
    count = rewards.shape[1]
    return (rewards - rewards.mean(1, keepdim=True)) * (count / (count - 1))


class Summarizer:
    """A base with an adapter that learns to write summaries."""

    def __init__(self, base: Base, recipe: Recipe, copy: Path, folder: Path) -> None:
        """Put an adapter on the base.

        Args:
            base: loaded in the recipe's type.
            recipe: for every stage.
            copy: a GGUF file of the base, to draw from.
            folder: each stage gets one of its own in it.
        """
        self.base = base
        self.recipe = recipe
        self.copy = copy
        self.folder = folder
        self.model = attach(base, recipe.lora, recipe.supervised.seed)
        self.scorer = BranchScorer(self.model)
        self.untrained = factors(self.model)

    def supervise(self, cases: Sequence[Case], targets: Sequence[Target]) -> Path:
        """Learn to write what was best for each case. Returns the adapter's file."""
        tokens = self.base.tokens
        rows = [
            Row(asked(case, tokens), tokens.answer(target.text))
            for case, target in zip(cases, targets, strict=True)
        ]

        def loss(module: Any, places: Sequence[int]) -> torch.Tensor:
            device = next(module.parameters()).device
            return -module(*batch([rows[i] for i in places], device)).sum() / _USUAL

        return self.fitted("warm", self.untrained, self.recipe.supervised, len(rows), loss)

    def reinforce(
        self, cases: Sequence[Case], reward: Reward, start: Factors, name: str, plan: Plan
    ) -> Path:
        """Learn from what its own summaries earn. Returns the adapter's file.

        Args:
            cases: to write summaries for.
            reward: what they earn.
            start: the adapter that it begins from, and is held to.
            name: of the stage.
            plan: how long.
        """
        stage = _Reinforcement(self, cases, reward, start, self.folder / name)
        return self.fitted(name, start, plan, len(cases), stage.loss)

    def fitted(self, name: str, start: Factors, plan: Plan, examples: int, loss: Any) -> Path:
        """Train from a start in a folder of its own, and write the adapter."""
        folder = self.folder / name
        put_factors(self.model, dict(start))
        Run(self.scorer, plan, folder).fit(examples, loss, title=name)
        return self.export(folder / ADAPTER, half=True)

    def export(self, path: Path, *, half: bool) -> Path:
        """Write the adapter as it is now."""
        now = factors(self.model)
        path.parent.mkdir(parents=True, exist_ok=True)
        name = path.parent.name
        path.write_bytes(gguf_bytes(now, self.recipe.lora, self.base.shape, name, half=half))
        return path

    def likelihoods(self, rows: Sequence[Row], values: Factors) -> torch.Tensor:
        """Log p(answer | context) with another adapter's factors, shape (rows,)."""
        with self.wearing(values):
            return log_likelihoods(self.scorer, rows, 4)

    @contextmanager
    def wearing(self, values: Factors) -> Iterator[None]:
        """Another adapter's factors, for as long as the block runs."""
        now = factors(self.model)
        put_factors(self.model, dict(values))
        yield
        put_factors(self.model, now)


class _Reinforcement:
    """The loss of one stage: draws, judges, and weighs what was drawn."""

    def __init__(
        self,
        whole: Summarizer,
        cases: Sequence[Case],
        reward: Reward,
        start: Factors,
        folder: Path,
    ) -> None:
        self._whole = whole
        self._cases = cases
        self._reward = reward
        self._start = start
        self._folder = folder

    def loss(self, module: Any, places: Sequence[int]) -> torch.Tensor:
        """Of the summaries that are drawn now for some cases."""
        recipe = self._whole.recipe
        device = next(module.parameters()).device
        cases = [self._cases[place] for place in places]
        said = [self._drawn(case) for case in cases]
        given = [
            branches(self._prompt(case), self._answers(drawn), device)
            for case, (drawn, _) in zip(cases, said, strict=True)
        ]
        with self._whole.wearing(self._start), torch.no_grad():
            references = [module(*one).cpu() for one in given]
        total = torch.zeros(())
        for case, (drawn, state), one, reference in zip(
            cases, said, given, references, strict=True
        ):
            policy = module(*one).cpu()
            apart = policy.detach() - reference
            gains = self._gains(case, drawn)
            self._note(state, case, drawn, gains, apart)
            earned = torch.tensor(gains, dtype=torch.float32) - recipe.distance * apart
            total = total - (leave_one_out(earned[None])[0] * policy).sum()
        return total / (recipe.samples * _USUAL)

    def _prompt(self, case: Case) -> list[int]:
        tokens = self._whole.base.tokens
        return [*asked(case, tokens), *begun(tokens)]

    def _answers(self, drawn: Sequence[Written]) -> list[list[int]]:
        end = self._whole.base.tokens.end
        return [[*one.tokens, *([end] if one.ended else [])] or [end] for one in drawn]

    def _gains(self, case: Case, drawn: Sequence[Written]) -> Array:
        """What each summary earns; one that the library would drop costs something."""
        lengths = [len(one.tokens) for one in drawn]
        gains = self._reward.gains([one.text for one in drawn], case.judged, lengths)
        return np.where([sound(one.text, case) for one in drawn], gains, -_FAULTY)

    def _drawn(self, case: Case) -> tuple[list[Written], str]:
        """Summaries by the adapter as it is, and a name of that state."""
        whole, recipe = self._whole, self._whole.recipe
        path = whole.export(self._folder / "now.gguf", half=False)
        state = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
        how = replace(recipe.drawing, seed=int(state[:8], 16), side_by_side=recipe.samples)
        cases = [case] * recipe.samples
        return write(whole.copy, cases, whole.base.tokens, how, [(path, 1.0)]), state

    def _note(
        self, state: str, case: Case, drawn: Sequence[Written], gains: Array, apart: torch.Tensor
    ) -> None:
        """Append what was earned: the curve, and what there is to read in it."""
        entry = {
            "state": state,
            "case": case.key,
            "gain": float(gains.mean()),
            "best": float(gains.max()),
            "apart": float(apart.mean()),
            "tokens": sum(len(one.tokens) for one in drawn) / len(drawn),
            "texts": [one.text for one in drawn],
        }
        with (self._folder / REWARDS).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(entry) + "\n")
