"""MAELRE: a long sequence is halved stage by stage, attention cheap while it is long and exact when short.

Modality Agnostic Efficient Long Range Encoder, arXiv 2507.19409: token merging together with an approximation
of attention. In the form built here the approximation is linear attention with ``elu + 1`` (arXiv
2006.16236); both kinds count a token as often as it stands for one of the input. Shapes: B batch, N tokens, W
width, H heads, c = W / H.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from siliform.graph_ir.errors import UserError
from siliform.models.blocks.linear_attention import TINY, features
from siliform.models.blocks.merging import MergingBlock, ProportionalAttention
from siliform.models.networks.plain_vit import layer_norm
from siliform.models.reducers.halving import Halving


class CheapThenExact(ProportionalAttention):
    """Proportional attention of at most `exact_up_to` tokens; of more, its linear form of the same layers."""

    def __init__(self, width: int, heads: int, exact_up_to: int) -> None:
        super().__init__(width, heads)
        self.exact_up_to = exact_up_to

    def mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, size: torch.Tensor) -> torch.Tensor:
        if q.shape[2] <= self.exact_up_to:
            return super().mixed(q, k, v, size)
        q, k = features(q), features(k) * size.unsqueeze(1)
        total = q @ k.sum(dim=2).unsqueeze(-1)
        return q @ (k.transpose(2, 3) @ v) / (total + TINY)


class Maelre(nn.Module):
    """x [B, N, W] -> [B, N / 2^(stages - 1), W].

    Parameters
    ----------
    stages : blocks of each; between two the length is halved.
    window : of the halving.
    exact_up_to : tokens up to which attention is exact.
    """

    def __init__(self, width: int, heads: int, stages: Sequence[int], window: int, exact_up_to: int) -> None:
        super().__init__()
        self.unit = window * 2 ** (len(stages) - 2)
        ends = {sum(stages[: i + 1]) - 1 for i in range(len(stages) - 1)}
        self.blocks = nn.ModuleList(
            MergingBlock(
                width,
                CheapThenExact(width, heads, exact_up_to),
                4 * width,
                Halving(window) if layer in ends else None,
                layer_norm,
            )
            for layer in range(sum(stages))
        )
        self.norm = layer_norm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if x.shape[1] % self.unit:
            raise UserError(
                asked=f"a sequence of {x.shape[1]} tokens",
                found=f"windows that are halved together need a multiple of {self.unit}",
                where="--seq",
                next_step=f"give {max(x.shape[1] // self.unit, 1) * self.unit}",
            )
        size = torch.ones_like(x[..., :1])
        for block in self.blocks:
            x, size = block(x, size)
        normed: torch.Tensor = self.norm(x)
        return normed
