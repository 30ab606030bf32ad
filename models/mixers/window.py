"""Attention in a window, and Longformer's: the same with tokens that see all and are seen by all.

Beltagy et al., Longformer: The Long-Document Transformer (arXiv 2004.05150), sections 3.1 and 3.2. Local
tokens see a window around their own and the global tokens, in one softmax; global tokens see every token, by
projections of their own. O(N w + N g) where full attention is O(N²), and equal to it where the window covers
everything and both sets of projections are the same. Shapes: B batch, N tokens, W width, H heads, c = W / H,
g global tokens, which stand first.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.windows import Extra, block_attention, window_attention


class WindowMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], without global tokens.

    Parameters
    ----------
    width, heads : W and H.
    window : tokens that a query sees: ``window / 2`` on each side of its own, or with `causal` the last
        `window` with its own among them; with `blocked`, its block of `window` tokens. 512 as Longformer's.
    causal : whether a token sees none behind it.
    blocked : blocks that do not overlap, in place of a window that slides.
    bias : of the projections.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        window: int = 512,
        causal: bool = False,
        blocked: bool = False,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.heads, self.window, self.causal, self.blocked = heads, window, causal, blocked
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        projected: torch.Tensor = self.out(merge_heads(self._mixed(q, k, v)))
        return projected

    def _mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        if self.blocked:
            return block_attention(q, k, v, self.window, self.causal)
        reach = self.window - 1 if self.causal else self.window // 2
        return window_attention(q, k, v, reach, self.causal)


class LongformerMixer(nn.Module):
    """x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads : W and H.
    window : tokens that a local token sees, half of them on each side; 512 of arXiv 2004.05150, section 5.
    global_tokens : g, the first tokens of the sequence; 1, the class token, as section 3.1 has it.
    """

    def __init__(self, width: int, heads: int, window: int = 512, global_tokens: int = 1) -> None:
        super().__init__()
        self.heads, self.window, self.global_tokens = heads, window, global_tokens
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.global_query, self.global_key, self.global_value = (nn.Linear(width, width) for _ in range(3))
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = x[:, : self.global_tokens]
        q = split_heads(self.query(x[:, self.global_tokens :]), self.heads)
        k, v = (split_heads(layer(x), self.heads) for layer in (self.key, self.value))
        seen = Extra(k[:, :, : self.global_tokens], v[:, :, : self.global_tokens])
        k, v = k[:, :, self.global_tokens :], v[:, :, self.global_tokens :]
        local = window_attention(q, k, v, self.window // 2, extra=seen)
        q = split_heads(self.global_query(first), self.heads)
        k, v = (split_heads(layer(x), self.heads) for layer in (self.global_key, self.global_value))
        everywhere = functional.scaled_dot_product_attention(q, k, v)
        projected: torch.Tensor = self.out(merge_heads(torch.cat([everywhere, local], dim=2)))
        return projected
