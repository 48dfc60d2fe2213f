"""A LoRA adapter on a base, by peft: made, read, put back."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base import Base

Factor = NDArray[np.float32]

# peft's names, and llama.cpp's names of the same matrices.
MODULES = {
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}
_PLACE = re.compile(r"layers\.(\d+)\.\w+\.(\w+)\.lora_([AB])\.")


@dataclass(frozen=True, slots=True)
class LoraShape:
    """The size of an adapter.

    Attributes:
        rank: of each factor.
        alpha: the product is scaled by alpha / rank.
        targets: peft's names of the matrices it changes.
    """

    rank: int = 8
    alpha: float = 16.0
    targets: tuple[str, ...] = ("q_proj", "v_proj")


def attach(base: Base, shape: LoraShape, seed: int) -> Any:
    """Put a new adapter on a base: A random, B zero, so that it changes nothing yet.

    The base's own matrices are exchanged in place; only factors take gradients, in float32.

    Args:
        base: whose model is wrapped.
        shape: of the adapter.
        seed: of A.

    Returns:
        The model with its adapter.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    torch.manual_seed(seed)
    config = LoraConfig(
        r=shape.rank,
        lora_alpha=shape.alpha,
        target_modules=list(shape.targets),
        lora_dropout=0.0,  # a resumed run then equals one that was never interrupted
        bias="none",
        task_type="CAUSAL_LM",
    )
    return get_peft_model(base.model, config)


@contextmanager
def without_adapter(model: Any) -> Iterator[None]:
    """The base alone, for as long as the block runs: the reference of preference losses."""
    with model.disable_adapter():
        yield


def factors(model: Any) -> dict[tuple[int, str, str], Factor]:
    """The factors of an adapter.

    Returns:
        For (layer, peft's name of the matrix, "A" or "B"): A of shape (rank, inputs), B of shape
        (outputs, rank).
    """
    found: dict[tuple[int, str, str], Factor] = {}
    for name, parameter in model.named_parameters():
        if (place := _PLACE.search(name)) is not None:
            layer, module, which = place.groups()
            found[int(layer), module, which] = parameter.detach().float().cpu().numpy().copy()
    return found


def put_factors(model: Any, values: dict[tuple[int, str, str], Factor]) -> None:
    """Overwrite an adapter's factors with those of another of the same shape."""
    import torch

    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if (place := _PLACE.search(name)) is not None:
                layer, module, which = place.groups()
                parameter.copy_(torch.from_numpy(values[int(layer), module, which]))
