"""Layers of hashed tables in place of linear ones.

Ding et al., MemoryFormer, arXiv 2411.12992. Shapes: B batch, N tokens, W width of the stream, K tables of
2^tau rows, one for each chunk of tau elements.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.kernels import hash_lookup
from siliform.models.blocks.heads import merge_heads, split_heads


def all_rows(x: torch.Tensor, tables: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """A memory layer by its definition, for comparison: x [..., K tau], tables [K, 2^tau, n] -> [..., n].

    Every sign vector s of a chunk z gets the share softmax(<s, z> / temperature), and the likeliest alone is
    kept: its row, by its share.
    """
    count, height, _ = tables.shape
    tau = height.bit_length() - 1
    bits = torch.arange(height, device=x.device).unsqueeze(-1) >> torch.arange(tau, device=x.device) & 1
    signs = 2 * bits.to(x.dtype) - 1
    shares = (x.unflatten(-1, (count, tau)) @ signs.T / temperature).softmax(dim=-1)
    best = shares.max(dim=-1, keepdim=True).values
    return torch.einsum("...kr,krn->...n", torch.where(shares == best, shares, 0.0), tables)


class MemoryLayer(nn.Module):
    """``sum_k p(z_k) T_k[h(z_k)]`` and a bias: x [..., K tau] -> [..., outputs]; the op `hash_lookup`."""

    def __init__(self, inputs: int, outputs: int, tau: int, temperature: float = 1.0) -> None:
        super().__init__()
        self.temperature = temperature
        self.tables = nn.Parameter(0.02 * torch.randn(inputs // tau, 2**tau, outputs))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = hash_lookup(x, self.tables, temperature=self.temperature)
        return found + self.bias


class MemoryAttention(nn.Module):
    """Softmax attention whose queries, keys and values are looked up: x [B, N, W] -> [B, N, W].

    The three tables share each chunk's address and weight, and so are one table of rows 3 W long. There is no
    layer behind the heads.
    """

    def __init__(self, width: int, heads: int, tau: int, causal: bool = True) -> None:
        super().__init__()
        self.heads, self.causal = heads, causal
        self.project = MemoryLayer(width, 3 * width, tau)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(part, self.heads) for part in self.project(x).chunk(3, dim=-1))
        return merge_heads(functional.scaled_dot_product_attention(q, k, v, is_causal=self.causal))


class MemoryMLP(nn.Module):
    """Two memory layers about a norm, without an activation: x [B, N, W] -> [B, N, W].

    The inner width gives every one of the K = W / tau chunks two elements more, so that the second layer has
    K tables of 2^(tau + 2) rows.
    """

    def __init__(self, width: int, tau: int, more: int = 2) -> None:
        super().__init__()
        inner = width // tau * (tau + more)
        self.up = MemoryLayer(width, inner, tau)
        self.norm = nn.LayerNorm(inner)
        self.down = MemoryLayer(inner, width, tau + more)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.down(self.norm(self.up(x)))
        return mixed
