"""Log-likelihoods of several answers to one prompt, which is computed once.

A summarizer's prompt is ten times as long as its answer. Several samples of one case then cost
little more than one, forwards and backwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from ..scoring import Scorer, parts


class BranchScorer(Scorer):
    """A ``Scorer`` that can also score the answers to one prompt together."""

    def forward(
        self,
        ids: torch.Tensor,
        lengths: torch.Tensor,
        begins: torch.Tensor,
        prompt: torch.Tensor | None = None,
    ) -> Any:
        """Log-likelihoods, nats, shape (rows,).

        Args:
            ids: padded rows; with ``prompt`` the last token of it and an answer.
            lengths: tokens of each row without padding.
            begins: where each answer begins.
            prompt: what stands before all rows, shape (tokens,); None for nothing.
        """
        if prompt is None:
            return super().forward(ids, lengths, begins)
        core, head = parts(self.model)
        cache = core(input_ids=prompt[None], use_cache=True).past_key_values
        cache.batch_repeat_interleave(len(ids))
        inputs, targets = ids[:, :-1], ids[:, 1:]
        real = torch.arange(ids.shape[1], device=ids.device) < lengths[:, None]
        before = real.new_ones(len(ids), len(prompt))
        seen = torch.cat([before, real[:, :-1]], 1).long()
        hidden = core(input_ids=inputs, attention_mask=seen, past_key_values=cache)
        chances = torch.log_softmax(head(hidden.last_hidden_state).float(), -1)
        said = chances.gather(-1, targets[:, :, None])[:, :, 0]
        return (said * real[:, 1:]).sum(1)


def branches(
    prompt: Sequence[int], answers: Sequence[Sequence[int]], device: Any
) -> tuple[torch.Tensor, ...]:
    """A prompt and its answers as the tensors that ``BranchScorer.forward`` takes."""
    ids = torch.zeros(len(answers), max(map(len, answers)) + 1, dtype=torch.long)
    for row, answer in zip(ids, answers, strict=True):
        row[: len(answer) + 1] = torch.tensor([prompt[-1], *answer])
    lengths = torch.tensor([len(answer) + 1 for answer in answers])
    begins = torch.ones(len(answers), dtype=torch.long)
    whole = (ids, lengths, begins, torch.tensor(list(prompt[:-1])))
    return tuple(tensor.to(device) for tensor in whole)
