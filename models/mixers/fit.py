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

from siliform.models.blocks.chunks import check_multiple
from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.mixers.softmax import HeadMixer


def balanced_group(tokens: int, latents: int) -> int:
    """n, the power of two at which local and global attention cost the least together.

    That is ``N n + (N m / n)²`` pairs, least at ``n³ = 2 m² N``: O(N^(4/3)) (arXiv 2305.12689, abstract).
    """
    sizes = [1 << power for power in range(tokens.bit_length()) if tokens % (1 << power) == 0]
    return min(sizes, key=lambda size: tokens * size + (tokens * latents // size) ** 2)


class Reading(HeadMixer):
    """Attention of x [B, ..., N, W] to y [B, ..., M, W], each behind a norm of its own."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads, bias=True)
        self.x_norm, self.y_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        x, y = self.x_norm(x), self.y_norm(y)
        parts = (self.query(x), self.key(y), self.value(y))
        q, k, v = (split_heads(part, self.query_heads) for part in parts)
        projected: torch.Tensor = self.out(merge_heads(self.mixed(q, k, v)))
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
        self.local = HeadMixer(width, heads, bias=True)  # x comes behind the block's norm
        self.latents = nn.Parameter(torch.randn(latents, width) * 0.02)
        if latents:
            self.read = Reading(width, heads)
            self.everywhere_norm, self.everywhere = nn.LayerNorm(width), HeadMixer(width, heads, bias=True)
            self.write = Reading(width, heads)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        count = self.latents.shape[0]
        group = self.group or balanced_group(x.shape[1], max(count, 1))
        check_multiple(x.shape[1], group, f"FIT of {x.shape[1]} tokens in groups of {group}")
        grouped = x.unflatten(1, (-1, group))
        mixed: torch.Tensor = self.local(grouped)
        if count:
            tokens = grouped + mixed
            latents = self.latents.expand(*grouped.shape[:2], -1, -1)
            latents = (latents + self.read(latents, tokens)).flatten(1, 2)
            latents = latents + self.everywhere(self.everywhere_norm(latents))
            latents = latents.unflatten(1, (-1, count))
            mixed = mixed + self.write(tokens, latents)
        return mixed.flatten(1, 2)
