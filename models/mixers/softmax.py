"""Softmax attention with as many query heads and key heads as one likes.

Vaswani et al., arXiv 1706.03762, section 3.2; with fewer heads of keys and values than of queries it is
grouped-query attention (Ainslie et al., arXiv 2305.13245) and with one, multi-query attention (Shazeer,
arXiv 1911.02150); with fewer heads of queries it is sparse query attention (Filipek, arXiv 2510.01817), whose
products between tokens cost as many times less as there are fewer. Shapes: B batch, N tokens, n cached
tokens, W width of the stream, H query heads, G heads of keys and values, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.chunks import ahead
from siliform.models.blocks.decoding import Advancing
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.rotary import angles, frequencies, turned_part


class HeadMixer(nn.Module):
    """Attention between projections, x [B, N, W] -> [B, N, W]: what every form of softmax attention shares.

    A form overrides `projected`, which makes queries, keys and values, or `mixed`, which attends.

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
        self.width, self.head_width = width, width // heads
        self.query_heads = query_heads or heads
        self.kv_heads = kv_heads or self.query_heads
        self.causal = causal
        self.query = nn.Linear(width, self.query_heads * self.head_width, bias=bias)
        self.key = nn.Linear(width, self.kv_heads * self.head_width, bias=bias)
        self.value = nn.Linear(width, self.kv_heads * self.head_width, bias=bias)
        self.out = nn.Linear(self.query_heads * self.head_width, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = self.out(merge_heads(self.mixed(*self.projected(x))))
        return projected

    def mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """q [B, H, N, c], k and v [B, G, M, c] -> [B, H, N, c]; where M > N the last query sees all keys."""
        causal = self.causal and q.shape[-2] == k.shape[-2]
        return functional.scaled_dot_product_attention(
            q, k, v, is_causal=causal, enable_gqa=self.kv_heads != self.query_heads
        )

    def projected(self, x: torch.Tensor, first: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries [B, H, N, c], keys and values [B, G, N, c] of tokens from position `first` on."""
        q = split_heads(self.query(x), self.query_heads)
        k, v = (split_heads(layer(x), self.kv_heads) for layer in (self.key, self.value))
        return q, k, v


class SoftmaxMixer(HeadMixer, Advancing):
    """Self-attention: x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads, query_heads, kv_heads, causal, bias : as of `HeadMixer`.
    query_share, kv_share : H and G as one in so many of `heads`, where the numbers are not given.
    rotary_base : base of rotary positions, such as 10,000; no positions where None.
    rotary_share : share of a head's numbers that turn, its first ones.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        query_heads: int | None = None,
        kv_heads: int | None = None,
        query_share: int = 1,
        kv_share: int | None = None,
        causal: bool = False,
        bias: bool = False,
        rotary_base: float | None = None,
        rotary_share: float = 1.0,
    ) -> None:
        query_heads = query_heads or heads // query_share
        kv_heads = kv_heads or (query_heads if kv_share is None else heads // kv_share)
        super().__init__(width, heads, query_heads, kv_heads, causal, bias)
        self.rotary_base = rotary_base
        self.turning = int(rotary_share * self.head_width)

    def projected(self, x: torch.Tensor, first: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """As of `HeadMixer`, turned by their positions where there is a base."""
        q, k, v = super().projected(x, first)
        rates = self.rates(x)
        if rates is not None:
            angle = angles(x.shape[1], rates, first)
            q, k = turned_part(q, angle), turned_part(k, angle)
        return q, k, v

    def rates(self, like: torch.Tensor) -> torch.Tensor | None:
        """Radians a token of each pair of a head that turns, [c/2] or fewer; None where none does."""
        return None if self.rotary_base is None else frequencies(self.turning, self.rotary_base, like)

    def with_keys(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `forward` gives, and the keys [B, G, N, c]."""
        q, k, v = self.projected(x)
        return self.out(merge_heads(self.mixed(q, k, v))), k

    def with_weights(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `forward` gives, and the attention weights [B, H, N, N], whose rows sum to one."""
        q, k, v = self.projected(x)
        k, v = (part.repeat_interleave(self.query_heads // self.kv_heads, dim=1) for part in (k, v))
        scores = q @ k.transpose(-1, -2) * self.head_width**-0.5
        if self.causal:
            scores = scores.masked_fill(ahead(scores), float("-inf"))
        weights = scores.softmax(dim=-1)
        mixed: torch.Tensor = self.out(merge_heads(weights @ v))
        return mixed, weights

    def advance(
        self, x: torch.Tensor, keys: torch.Tensor, values: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One token x [B, 1, W] behind keys and values [B, G, n, c] -> [B, 1, W] and both caches with it."""
        q, k, v = self.projected(x, keys.shape[2])
        keys, values = torch.cat([keys, k], dim=2), torch.cat([values, v], dim=2)
        return self.out(merge_heads(self.mixed(q, keys, values))), keys, values

    def state_shapes(self, context: int) -> tuple[tuple[int, ...], ...]:
        """Keys and values [G, n, c]."""
        return ((self.kv_heads, context, self.head_width),) * 2
