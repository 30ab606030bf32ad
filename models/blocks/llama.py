"""A layer of Llama whose tokens stand at given places, so that some may be missing or begin anew.

Touvron et al., LLaMA, arXiv 2302.13971, section 2.2: RMS norm in front of each branch, rotary positions,
SwiGLU. Shapes: B batch, N tokens, K tokens that are seen, W width, H heads, G heads of keys and values, c = W
/ H.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import GatedMLP
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.rotary import ROTARY_BASE, frequencies, turned

NORM_EPSILON = 1e-5  # arXiv 2307.09288, the checkpoint's params.json


def angles_at(places: torch.Tensor, head_width: int, like: torch.Tensor) -> torch.Tensor:
    """Rotary angles [B, 1, N, c / 2] of tokens at places [B, N], in the format of `like`."""
    rates = frequencies(head_width, ROTARY_BASE, like)
    return (places.to(like.dtype).unsqueeze(-1) * rates).unsqueeze(1)


class PlacedAttention(nn.Module):
    """Softmax attention with rotary positions; keys and values also as rows [B, N, G c], one a token."""

    def __init__(self, width: int, heads: int, kv_heads: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head_width = heads, kv_heads, width // heads
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, kv_heads * self.head_width, bias=False)
        self.value = nn.Linear(width, kv_heads * self.head_width, bias=False)
        self.out = nn.Linear(width, width, bias=False)

    def projected(
        self, x: torch.Tensor, angle: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries [B, H, N, c], rows of keys and of values [B, N, G c] of x [B, N, W]; first two turned."""
        q = turned(split_heads(self.query(x), self.heads), angle)
        k = turned(split_heads(self.key(x), self.kv_heads), angle)
        return q, merge_heads(k), self.value(x)

    def mixed(
        self,
        q: torch.Tensor,
        keys: torch.Tensor,
        values: torch.Tensor,
        mask: torch.Tensor | None = None,
        causal: bool = False,
    ) -> torch.Tensor:
        """Rows [B, N, W] of queries [B, H, N, c] over rows of keys and values [B, K, G c]."""
        k, v = split_heads(keys, self.kv_heads), split_heads(values, self.kv_heads)
        grouped = self.heads != self.kv_heads
        made = functional.scaled_dot_product_attention(q, k, v, mask, is_causal=causal, enable_gqa=grouped)
        projected: torch.Tensor = self.out(merge_heads(made))
        return projected

    def last_weights(self, q: torch.Tensor, keys: torch.Tensor) -> torch.Tensor:
        """Attention of the last query to each of the keys, a mean over heads: [B, K]."""
        grouped = q[:, :, -1].unflatten(1, (self.kv_heads, -1))
        scores = grouped @ split_heads(keys, self.kv_heads).transpose(-1, -2) * self.head_width**-0.5
        return scores.softmax(dim=-1).mean(dim=(1, 2))


class LlamaBlock(nn.Module):
    """x [B, N, W] with angles [B, 1, N, c / 2] -> [B, N, W]."""

    def __init__(self, width: int, heads: int, kv_heads: int, inner: int) -> None:
        super().__init__()
        self.attention_norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.attention = PlacedAttention(width, heads, kv_heads)
        self.mlp_norm = nn.RMSNorm(width, eps=NORM_EPSILON)
        self.mlp = GatedMLP(width, inner)

    def forward(self, x: torch.Tensor, angle: torch.Tensor) -> torch.Tensor:
        """Every token sees itself and those before it."""
        q, keys, values = self.seen(x, angle)
        return self.behind(x, self.attention.mixed(q, keys, values, causal=True))

    def seen(self, x: torch.Tensor, angle: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, and rows of keys and values, of x."""
        return self.attention.projected(self.attention_norm(x), angle)

    def behind(self, x: torch.Tensor, mixed: torch.Tensor) -> torch.Tensor:
        """The layer behind its attention, whose rows are `mixed` [B, N, W]."""
        x = x + mixed
        after: torch.Tensor = x + self.mlp(self.mlp_norm(x))
        return after
