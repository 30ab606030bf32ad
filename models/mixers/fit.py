"""FIT's mixing: tokens attend within groups, a few latents per group attend to all latents.

Chen and Li, FIT: Far-reaching Interleaved Transformers (arXiv 2305.12689), section 3: one local layer, the
latents' reading of their group, one global layer of latents, and their writing to their group. A layer's
feed-forward part is the block's::

    y = x + local(x)           within groups of n tokens
    z = latents + read(y)      m latents attend to the tokens of their group
    z = z + global(z)          all latents of all groups
    out = local(x) + write(z)  tokens attend to the latents of their group

O(N n + (N m / n)²), which is O(N^(4/3)) where n grows with N^(1/3). With one group, whose latents are left
out, it is full attention. Shapes: B batch, N tokens, W width, H heads, c = W / H, n tokens a group, G groups,
m latents a group.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.graph_ir.errors import UserError


def balanced_group(tokens: int, latents: int) -> int:
    """n, the power of two at which local and global attention cost the least together.

    That is ``N n + (N m / n)²`` pairs, least at ``n³ = 2 m² N``: O(N^(4/3)) (arXiv 2305.12689, abstract).
    """
    sizes = [1 << power for power in range(tokens.bit_length()) if tokens % (1 << power) == 0]
    return min(sizes, key=lambda size: tokens * size + (tokens * latents // size) ** 2)


class CrossAttention(nn.Module):
    """Norms, projections and softmax attention: queries from x [B, ..., N, W], keys and values from y."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.x_norm, self.y_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        y = self.y_norm(y)
        q, k, v = (
            part.unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for part in (self.query(self.x_norm(x)), self.key(y), self.value(y))
        )
        mixed = functional.scaled_dot_product_attention(q, k, v)
        projected: torch.Tensor = self.out(mixed.transpose(-2, -3).flatten(-2))
        return projected


class SelfAttention(nn.Module):
    """Projections and softmax attention of x [B, ..., N, W], behind a norm where `normed`."""

    def __init__(self, width: int, heads: int, normed: bool) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width) if normed else None
        self.query, self.key, self.value, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x if self.norm is None else self.norm(x)
        q, k, v = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(-2, -3)
            for layer in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(q, k, v)
        projected: torch.Tensor = self.out(mixed.transpose(-2, -3).flatten(-2))
        return projected


class FITMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], N a multiple of n.

    Parameters
    ----------
    width, heads : W and H, of tokens and latents alike.
    latents : m, trained, the same in each group; 0 for local attention alone (assumption: 16, few beside a
        group of thousands of tokens of 512 numbers).
    group : n; `balanced_group` of the length where None.
    """

    def __init__(self, width: int, heads: int, latents: int = 16, group: int | None = None) -> None:
        super().__init__()
        self.group = group
        self.local = SelfAttention(width, heads, normed=False)  # x comes behind the block's norm
        self.latents = nn.Parameter(torch.randn(latents, width) * 0.02)
        if latents:
            self.read = CrossAttention(width, heads)
            self.everywhere = SelfAttention(width, heads, normed=True)
            self.write = CrossAttention(width, heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = self.latents.shape[0]
        group = self.group or balanced_group(x.shape[1], max(count, 1))
        if x.shape[1] % group:
            raise UserError(
                asked=f"FIT of {x.shape[1]} tokens in groups of {group}",
                found=f"{x.shape[1]} is no multiple of {group}",
                where="--seq",
                next_step=f"give a multiple of {group}",
            )
        grouped = x.unflatten(1, (-1, group))
        mixed: torch.Tensor = self.local(grouped)
        if count:
            tokens = grouped + mixed
            latents = self.latents.expand(*grouped.shape[:2], -1, -1)
            latents = (latents + self.read(latents, tokens)).flatten(1, 2)
            latents = (latents + self.everywhere(latents)).unflatten(1, (-1, count))
            mixed = mixed + self.write(tokens, latents)
        return mixed.flatten(1, 2)
