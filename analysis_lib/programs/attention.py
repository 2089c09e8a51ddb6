"""Attention that programs share."""

import torch
from torch import Tensor, nn

from analysis_lib.programs.design import Design

__all__ = ["Attention"]


class Attention(nn.Module):
    """Self-attention of several heads, which share the width.

    ``forward(x, seen)``: ``x`` has shape (n, steps, width); ``seen``, of a shape that fits
    (n, 1, steps, steps), is true where a step may look at another; without it, everywhere.
    """

    def __init__(self, d: Design, name: str, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = d.dense(f"{name}_query", width, width, fixed=True)
        self.key = d.dense(f"{name}_key", width, width, fixed=True)
        self.value = d.dense(f"{name}_value", width, width, fixed=True)
        self.out = d.dense(f"{name}_out", width, width, fixed=True)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        q, k, v = (
            part(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for part in (self.query, self.key, self.value)
        )
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        if seen is not None:
            scores = scores.masked_fill(~seen, -1e9)
        weights = torch.softmax(scores, dim=-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))
