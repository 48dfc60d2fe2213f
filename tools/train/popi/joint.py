"""Summarizer and generator by turns, under one objective.

    loss = -log sigma(beta [log-ratio of y_w - log-ratio of y_l]),  z drawn from the summarizer,

with ratios of the generator under z to the base without it. The generator takes the gradient of
this loss (DPO), the summarizer the policy gradient of its negative (``policy.py``). What one has
learned is the other's world in the next round.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from pocketpref.backends.llama import LlamaModel
from pocketpref.lora import Adapter, Blend

from ..export import Factors, Made, manifest, read_gguf
from ..loop import Plan
from ..lora import put_factors
from ..losses import advantages, preference
from ..scoring import Row, batch
from .cases import Case, write
from .policy import Summarizer
from .reward import PLAIN, Frame, Reward, remembering


@dataclass(frozen=True, slots=True)
class Turns:
    """How both are trained by turns.

    Attributes:
        rounds: turns of each.
        generator: plan of one turn of the generator; its examples are choices.
        summarizer: plan of one turn of the summarizer; its examples are cases.
        beta: how closely the generator is held to the base.
    """

    rounds: int = 2
    generator: Plan = field(default_factory=lambda: Plan(micro=4, rate=3e-4, every=2))
    summarizer: Plan = field(
        default_factory=lambda: Plan(batch=4, micro=1, rate=1e-4, warmup=0.0, every=1)
    )
    beta: float = 0.1


@dataclass(frozen=True, slots=True)
class Joint:
    """What came of it.

    Attributes:
        summarizer: adapter file after the last round.
        generator: the same.
    """

    summarizer: Path
    generator: Path


def train_by_turns(
    both: Summarizer,
    cases: Sequence[Case],
    start: Factors,
    turns: Turns,
    *,
    cache: Path,
    on_round: Callable[[str], None] = lambda name: None,
) -> Joint:
    """Train generator and summarizer by turns; every finished turn of a killed run is kept.

    Args:
        both: holds the base; adapters of both have one shape.
        cases: to write summaries for, and to answer under them.
        start: the summarizer's adapter before.
        turns: how long.
        cache: a folder for likelihoods.
        on_round: told what is being trained.
    """
    writer: Factors = start
    speaker: Factors = both.untrained
    found: list[Path] = []
    for number in range(turns.rounds):
        on_round(f"generator, round {number}")
        path = _generator_turn(both, cases, writer, speaker, turns, number=number)
        speaker = _factors(both, path)
        on_round(f"summarizer, round {number}")
        with closing(LlamaModel(both.copy, sha256=both.base.identity.sha256)) as model:
            reward = _reward(both, model, path, cache, turns.beta)
            name = f"joint/{number}-summarizer"
            plan = replace(turns.summarizer, seed=number)
            written = both.reinforce(cases, reward, writer, name, plan)
        writer = _factors(both, written)
        found = [written, path]
    return Joint(*found)


def _generator_turn(
    both: Summarizer,
    cases: Sequence[Case],
    writer: Factors,
    speaker: Factors,
    turns: Turns,
    *,
    number: int,
) -> Path:
    """DPO of the generator under summaries that the summarizer writes now."""
    name = f"joint/{number}-generator"
    texts = _summaries(both, cases, writer, number)
    rows, plain = [], []
    for case, text in zip(cases, texts, strict=True):
        for pair in case.judged:
            for answer in (pair.chosen, pair.rejected):
                said = both.base.tokens.answer(answer, ended=False)
                rows.append(Row(_context(both, pair.prompt, Frame(text)), said))
                plain.append(Row(_context(both, pair.prompt, PLAIN), said))
    reference = both.likelihoods(plain, both.untrained).view(-1, 2)

    def loss(module: Any, places: Sequence[int]) -> torch.Tensor:
        device = next(module.parameters()).device
        own = [rows[2 * place + i] for place in places for i in (0, 1)]
        policy = module(*batch(own, device)).view(-1, 2).cpu()
        labels = torch.ones(len(places))
        return preference(advantages(policy, reference[list(places)]), labels, turns.beta).sum()

    plan = replace(turns.generator, seed=number)
    return both.fitted(name, speaker, plan, len(rows) // 2, loss)


def _summaries(both: Summarizer, cases: Sequence[Case], writer: Factors, number: int) -> list[str]:
    put_factors(both.model, dict(writer))
    path = both.export(both.folder / f"joint/{number}-generator" / "writer.gguf", half=False)
    how = replace(both.recipe.drawing, seed=number)
    drawn = write(both.copy, cases, both.base.tokens, how, [(path, 1.0)])
    return [one.text for one in drawn]


def _context(both: Summarizer, prompt: str, frame: Frame) -> list[int]:
    return both.base.tokens.conversation(list(frame.messages(prompt)))


def _factors(both: Summarizer, path: Path) -> Factors:
    return read_gguf(path.read_bytes(), both.base.shape)[0]


def adapter(both: Summarizer, path: Path, made: Made) -> Adapter:
    """An adapter file as the library wears it."""
    data = path.read_bytes()
    name = path.parent.name
    return Adapter(
        manifest(name, data, both.base.identity, both.recipe.lora, made, held_out={}), data
    )


def _reward(both: Summarizer, model: LlamaModel, path: Path, cache: Path, beta: float) -> Reward:
    """What a summary earns under a generator that is being trained."""
    made = Made("a generator on the way", "tools.train.popi", 0, "people of tools.train.people")
    worn = model.adapted(Blend(((adapter(both, path, made), 1.0),)))
    generator = remembering(worn, cache, f"generator-{worn.fingerprint[:16]}")
    return Reward(generator, remembering(model, cache, "base"), beta)
