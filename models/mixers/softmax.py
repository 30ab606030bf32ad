"""Softmax attention with as many query heads and key heads as one likes.

Vaswani et al., arXiv 1706.03762, section 3.2; with fewer heads of keys and values than of queries it is
grouped-query attention (Ainslie et al., arXiv 2305.13245) and with one, multi-query attention (Shazeer,
arXiv 1911.02150); with fewer heads of queries it is sparse query attention (Filipek, arXiv 2510.01817), whose
products between tokens cost as many times less as there are fewer. Shapes: B batch, N tokens, W width of the
stream, H query heads, G heads of keys and values, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import merge_heads, split_heads


class SoftmaxMixer(nn.Module):
    """Self-attention: x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads : W, and how many heads W is cut into: c = width / heads.
    query_heads : H; all of them where None.
    kv_heads : G, a divisor of H; as many as H where None.
    causal : whether a token sees none behind it.
    bias : of the projections.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        query_heads: int | None = None,
        kv_heads: int | None = None,
        causal: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.head_width = width // heads
        self.query_heads = query_heads or heads
        self.kv_heads = kv_heads or self.query_heads
        self.causal = causal
        self.query = nn.Linear(width, self.query_heads * self.head_width, bias=bias)
        self.key = nn.Linear(width, self.kv_heads * self.head_width, bias=bias)
        self.value = nn.Linear(width, self.kv_heads * self.head_width, bias=bias)
        self.out = nn.Linear(self.query_heads * self.head_width, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.projected(x)
        mixed = functional.scaled_dot_product_attention(
            q, k, v, is_causal=self.causal, enable_gqa=self.kv_heads != self.query_heads
        )
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def with_keys(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `forward` gives, and the keys [B, G, N, c]."""
        return self.forward(x), split_heads(self.key(x), self.kv_heads)

    def with_weights(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `forward` gives, and the attention weights [B, H, N, N], whose rows sum to one."""
        q, k, v = self.projected(x)
        k, v = (part.repeat_interleave(self.query_heads // self.kv_heads, dim=1) for part in (k, v))
        scores = q @ k.transpose(-1, -2) * self.head_width**-0.5
        if self.causal:
            ahead = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(ahead, float("-inf"))
        weights = scores.softmax(dim=-1)
        mixed: torch.Tensor = self.out(merge_heads(weights @ v))
        return mixed, weights

    def projected(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries [B, H, N, c], keys and values [B, G, N, c]."""
        return (
            split_heads(self.query(x), self.query_heads),
            split_heads(self.key(x), self.kv_heads),
            split_heads(self.value(x), self.kv_heads),
        )
