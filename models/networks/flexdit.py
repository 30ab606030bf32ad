"""FlexDiT: a diffusion transformer most of whose blocks see a few pooled tokens.

Arxiv 2412.06028, FlexDiT: Dynamic Token Density Control for Diffusion Transformer, section 3. Of L blocks the
first two average over all tokens instead of attending; groups of six follow, and two blocks of DiT end it::

    merge   : queries from the map pooled to s x s sparse tokens, keys and values from all tokens
    3 blocks: on the sparse tokens alone
    recover : a linear layer joins each token with its sparse one; queries from these, keys from the sparse
    1 block : on all tokens

Every block keeps DiT's modulation by the condition and its MLP. Shapes: B batch, T tokens on a square map,
S = s² sparse tokens, W width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.cross_attention import CrossAttention
from siliform.models.blocks.dit import Block, DiT, modulated
from siliform.models.blocks.grids import as_map, as_tokens, side_of

#: Blocks at either end (arXiv 2412.06028, section 3.2), and those of a group: merge, sparse, recover, dense.
ENDS, SPARSE_BLOCKS, GROUP = 2, 3, 6


class PoolingAttention(nn.Module):
    """Uniform attention: x [B, T, W] -> [B, T, W], each token the mean of all values, projected.

    Queries and keys have no say and are left out; the projections run over every token, as in attention.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed: torch.Tensor = self.out(self.value(x).mean(dim=1, keepdim=True).expand_as(x))
        return mixed


class PoolingBlock(Block):
    """A block of DiT with uniform attention."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.attention = PoolingAttention(width)


class CrossBlock(Block):
    """A block of DiT whose tokens attend to others: x [B, Q, W], seen [B, K, W] -> [B, Q, W]."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__(width, heads)
        self.attention = CrossAttention(width, heads)

    def forward(self, x: torch.Tensor, condition: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:  # type: ignore[override]
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = self.modulation(condition).chunk(6, dim=1)
        own, other = (modulated(self.attention_norm(part), shift_a, scale_a) for part in (x, seen))
        x = x + gate_a.unsqueeze(1) * self.attention(own, other)
        return x + gate_m.unsqueeze(1) * self.mlp(modulated(self.mlp_norm(x), shift_m, scale_m))


class SparseDenseGroup(nn.Module):
    """The six blocks of a group: x [B, T, W], condition [B, W] -> [B, T, W]."""

    def __init__(self, width: int, heads: int, sparse_side: int) -> None:
        super().__init__()
        self.sparse_side = sparse_side
        self.merge = CrossBlock(width, heads)
        self.sparse = nn.ModuleList(Block(width, heads) for _ in range(SPARSE_BLOCKS))
        self.join = nn.Linear(2 * width, width)
        self.recover = CrossBlock(width, heads)
        self.dense = Block(width, heads)

    def forward(self, x: torch.Tensor, condition: torch.Tensor) -> torch.Tensor:
        few = self.merge(pooled(x, self.sparse_side), condition, x)
        for block in self.sparse:
            few = block(few, condition)
        x = self.join(torch.cat((x, spread(few, x.shape[1])), dim=-1))
        restored: torch.Tensor = self.dense(self.recover(x, condition, few), condition)
        return restored


def pooled(x: torch.Tensor, side: int) -> torch.Tensor:
    """Tokens [B, T, W] of a square map averaged to [B, side², W]."""
    return as_tokens(functional.adaptive_avg_pool2d(as_map(x), side))


def spread(few: torch.Tensor, tokens: int) -> torch.Tensor:
    """Sparse tokens [B, S, W] each in all the places [B, T, W] that it was pooled from."""
    across = side_of(tokens)
    return as_tokens(functional.interpolate(as_map(few), (across, across), mode="nearest"))


class FlexDiT(DiT):
    """``forward(latent [B, C, S, S], steps [B], labels [B]) -> [B, 2C, S, S]``.

    `layers` is 4 and a multiple of 6; `sparse_side` the side of the map of sparse tokens, 8 x 8 in arXiv
    2412.06028.
    """

    def __init__(
        self,
        image_pixels: int,
        patch: int,
        channels: int,
        width: int,
        layers: int,
        heads: int,
        classes: int,
        sparse_side: int = 8,
    ) -> None:
        super().__init__(image_pixels, patch, channels, width, 0, heads, classes)
        self.blocks = nn.ModuleList(
            (
                *(PoolingBlock(width, heads) for _ in range(ENDS)),
                *(SparseDenseGroup(width, heads, sparse_side) for _ in range((layers - 2 * ENDS) // GROUP)),
                *(Block(width, heads) for _ in range(ENDS)),
            )
        )
