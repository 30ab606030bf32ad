"""Hard attention: a query keeps its k largest scores and mixes the values of those keys alone.

Nagarajan et al., AxFormer: Accuracy-driven Approximation of Transformers (arXiv 2010.03688): in
chosen layers a token aggregates only the words that matter to it. All scores are computed; the softmax goes
over k of them, and k values are gathered for each query. With k = N it is full attention. Shapes: B batch, N
tokens, W width, H heads, c = W / H.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.selection import best, rows_at


class HardAttentionMixer(nn.Module):
    """x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads : W, and how many heads W is cut into: c = W / heads.
    query_heads : H, those of them that are there; all where None.
    kept : k, or all where there are fewer tokens (assumption: 16; the paper tunes it for each task).
    selector_bits : 8 or 16 where scores are compared in fixed point, as a selector does.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        query_heads: int | None = None,
        kept: int = 16,
        selector_bits: int | None = None,
    ) -> None:
        super().__init__()
        self.selector_bits = selector_bits
        self.heads, self.kept = query_heads or heads, kept
        inner = self.heads * (width // heads)
        self.query, self.key, self.value = (nn.Linear(width, inner) for _ in range(3))
        self.out = nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
        index = best(scores, min(self.kept, x.shape[1]), self.selector_bits)
        weights = scores.gather(-1, index).softmax(dim=-1)
        values = rows_at(v, index, lead=2)
        mixed = (weights.unsqueeze(-2) @ values).squeeze(-2)
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected
