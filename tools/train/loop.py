"""The optimization loop of every recipe: seeds, checkpoints, resuming, one device or many.

Devices are accelerate's business: `accelerate launch -m tools.train.NAME ...` spreads each step's
examples over processes. A run is a function of its plan and its data: the order of examples comes
from the seed and the epoch, and a run that was killed and resumed ends where one ends that was
not. Nothing is reported to anybody; the curve is a file in the run's folder.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

CHECKPOINT = "checkpoint.pt"
CURVE = "curve.jsonl"

Loss = Callable[[Any, Sequence[int]], Any]
"""(the module, places of examples) -> the sum of their losses, a scalar tensor."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how fast.

    Attributes:
        epochs: how often each example is seen.
        batch: examples of a step.
        micro: examples computed at a time; bounds memory, changes nothing else.
        rate: learning rate at its peak; it rises over ``warmup`` and falls to 0 along a cosine.
        warmup: share of the steps.
        decay: weight decay of AdamW.
        clip: largest norm of the gradient.
        seed: of the order of examples.
        every: steps between checkpoints.
    """

    epochs: int = 1
    batch: int = 8
    micro: int = 4
    rate: float = 5e-4
    warmup: float = 0.1
    decay: float = 0.0
    clip: float = 1.0
    seed: int = 0
    every: int = 5


def batches(examples: int, plan: Plan) -> list[list[int]]:
    """Which examples each step sees, a function of the plan alone."""
    found = []
    for epoch in range(plan.epochs):
        order = np.random.default_rng([plan.seed, epoch]).permutation(examples).tolist()
        found += [order[i : i + plan.batch] for i in range(0, examples, plan.batch)]
    return found


def rate(step: int, steps: int, plan: Plan) -> float:
    """The learning rate of a step (counted from 0)."""
    rising = max(1, round(plan.warmup * steps))
    if step < rising:
        return plan.rate * (step + 1) / rising
    return plan.rate * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, steps - rising)))


class Run:
    """One optimization, in a folder of its own."""

    def __init__(self, module: Any, plan: Plan, folder: Path) -> None:
        """Prepare a module for the devices there are.

        Args:
            module: a torch module; its parameters that take gradients are trained.
            plan: how long and how fast.
            folder: for the checkpoint and the curve; made if it is not there.
        """
        import torch
        from accelerate import Accelerator

        folder.mkdir(parents=True, exist_ok=True)
        self._torch = torch
        self._folder = folder
        self._plan = plan
        self.accelerator = Accelerator()
        self._trained = {n: p for n, p in module.named_parameters() if p.requires_grad}
        optimizer = torch.optim.AdamW(self._trained.values(), lr=plan.rate, weight_decay=plan.decay)
        self.module, self._optimizer = self.accelerator.prepare(module, optimizer)
        self._curve: list[dict[str, float]] = []

    def fit(self, examples: int, loss: Loss, *, title: str = "") -> list[dict[str, float]]:
        """Train, from the last checkpoint on if there is one.

        Args:
            examples: how many there are.
            loss: of some of them; called with the prepared module.
            title: shown beside the progress.

        Returns:
            The curve: step, loss and norm of the gradient, one entry for each step.

        Raises:
            ValueError: the checkpoint belongs to another plan.
            FloatingPointError: the loss is not finite.
        """
        order = batches(examples, self._plan)
        begin = self._resume(examples)
        for step in self._shown(range(begin, len(order)), len(order), title):
            self._curve.append(self._step(step, len(order), order[step], loss))
            if (step + 1) % self._plan.every == 0 or step + 1 == len(order):
                self._save(step + 1, examples)
        return self._curve

    def _step(self, step: int, steps: int, places: list[int], loss: Loss) -> dict[str, float]:
        for group in self._optimizer.param_groups:
            group["lr"] = rate(step, steps, self._plan)
        total = 0.0
        self.module.train()
        with self.accelerator.split_between_processes(places) as own:
            for start in range(0, len(own), self._plan.micro):
                value = loss(self.module, own[start : start + self._plan.micro])
                # Gradients are averaged over processes, so that each counts its share as a whole.
                share = self.accelerator.num_processes / len(places)
                self.accelerator.backward(value * share)
                total += float(value.detach()) * share
        if not math.isfinite(total):
            raise FloatingPointError(f"the loss of step {step} is not finite")
        norm = self.accelerator.clip_grad_norm_(self._trained.values(), self._plan.clip)
        self._optimizer.step()
        self._optimizer.zero_grad()
        return {"step": step, "loss": round(total, 6), "norm": round(float(norm), 6)}

    def _shown(self, steps: range, whole: int, title: str) -> Iterator[int]:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        quiet = not self.accelerator.is_main_process
        with Progress(*columns, console=Console(stderr=True), disable=quiet) as progress:
            task = progress.add_task(title, total=whole, completed=steps.start)
            for step in steps:
                yield step
                loss = self._curve[-1]["loss"]
                progress.update(task, advance=1, description=f"{title} loss {loss:.3f}")

    def _save(self, step: int, examples: int) -> None:
        """Write what is needed to go on, whole or not at all."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "step": step,
            "examples": examples,
            "plan": asdict(self._plan),
            "trained": {name: p.detach().cpu() for name, p in self._trained.items()},
            "optimizer": self._optimizer.state_dict(),
            "random": self._torch.get_rng_state(),
            "curve": self._curve,
        }
        lines = (json.dumps(entry) + "\n" for entry in self._curve)
        (self._folder / CURVE).write_text("".join(lines), encoding="utf-8", newline="\n")
        unfinished = self._folder / f".{CHECKPOINT}.{os.getpid()}"
        self._torch.save(state, unfinished)
        unfinished.replace(self._folder / CHECKPOINT)

    def _resume(self, examples: int) -> int:
        """Take up the last checkpoint; the step to begin with."""
        path = self._folder / CHECKPOINT
        if not path.is_file():
            return 0
        state = self._torch.load(path, map_location="cpu", weights_only=True)
        if state["plan"] != asdict(self._plan) or state["examples"] != examples:
            raise ValueError(f"{path} is of another plan; remove it, or use another folder")
        with self._torch.no_grad():
            for name, parameter in self._trained.items():
                parameter.copy_(state["trained"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self._torch.set_rng_state(state["random"])
        self._curve = state["curve"]
        return int(state["step"])
