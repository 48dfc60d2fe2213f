"""Log-likelihoods of answers in torch, in padded batches, with gradients where they are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import nn


class Row(NamedTuple):
    """The tokens of a context and of an answer to it."""

    context: list[int]
    answer: list[int]


class Scorer(nn.Module):
    """Log p(answer | context) under a causal model. Logits are made where an answer is, only.

    A module, so that accelerate can put it on a device and wrap it for several.
    """

    def __init__(self, model: Any) -> None:
        """Wrap a model.

        Args:
            model: of transformers, with or without an adapter of peft.
        """
        super().__init__()
        self.model = model

    def forward(self, ids: torch.Tensor, lengths: torch.Tensor, begins: torch.Tensor) -> Any:
        """Log-likelihoods, nats.

        Args:
            ids: contexts and answers, padded on the right, shape (rows, tokens).
            lengths: tokens of each row without padding, shape (rows,).
            begins: where each answer begins, shape (rows,).

        Returns:
            Sums over each answer's tokens, float32, shape (rows,).
        """
        places = torch.arange(ids.shape[1], device=ids.device)
        whole = (places < lengths[:, None]).long()
        core, head = parts(self.model)
        hidden = core(input_ids=ids, attention_mask=whole, use_cache=False).last_hidden_state
        # The token at place t is predicted at place t - 1.
        answers = (places >= begins[:, None] - 1) & (places < lengths[:, None] - 1)
        logits = head(hidden[answers]).float()
        targets = ids[:, 1:][answers[:, :-1]]
        chances = torch.log_softmax(logits, -1).gather(-1, targets[:, None])[:, 0]
        rows = torch.arange(len(ids), device=ids.device)[:, None].expand_as(answers)[answers]
        return torch.zeros(len(ids), device=ids.device).index_add(0, rows, chances)


def parts(model: Any) -> tuple[Any, Any]:
    """The transformer and its output head, below whatever peft put around them."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    return inner.model, inner.lm_head


def batch(rows: Sequence[Row], device: Any = "cpu") -> tuple[torch.Tensor, ...]:
    """Rows as the tensors that ``Scorer.forward`` takes."""
    lengths = [len(row.context) + len(row.answer) for row in rows]
    ids = torch.zeros(len(rows), max(lengths), dtype=torch.long)
    for i, row in enumerate(rows):
        ids[i, : lengths[i]] = torch.tensor([*row.context, *row.answer])
    begins = torch.tensor([len(row.context) for row in rows])
    return ids.to(device), torch.tensor(lengths).to(device), begins.to(device)


def log_likelihoods(scorer: Any, rows: Sequence[Row], size: int = 16) -> torch.Tensor:
    """Log p(answer | context) of many rows without gradients, nats, shape (rows,).

    Args:
        scorer: a ``Scorer``.
        rows: in any order; they are put into batches by length.
        size: rows of a batch.
    """
    device = next(scorer.parameters()).device
    found = torch.zeros(len(rows))
    order = sorted(range(len(rows)), key=lambda i: -len(rows[i].context + rows[i].answer))
    with torch.inference_mode():
        for start in range(0, len(order), size):
            places = order[start : start + size]
            values = scorer(*batch([rows[i] for i in places], device))
            found[places] = values.cpu()
    return found.clone()  # one that may take part in a computation with gradients
