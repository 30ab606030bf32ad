"""An encoder of text in the shape of BERT whose layers may differ from each other.

Devlin et al., BERT, arXiv 1810.04805: norms behind each branch, learnt positions; token types are left out.
Shapes: B batch, N tokens, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from siliform.models.blocks.layered import layer_block
from siliform.models.blocks.low_rank import SparselyTunedLinear, replace_linears


class TextEncoder(nn.Module):
    """``forward(tokens [B, N]) -> [B, N, W]``.

    Parameters
    ----------
    vocabulary, positions : rows of the two tables.
    width, head_width : W, and the width of every head.
    layers : one description a layer, see `siliform.models.blocks.layered.layer_block`.
    """

    def __init__(
        self,
        vocabulary: int,
        positions: int,
        width: int,
        head_width: int,
        layers: Sequence[Mapping[str, Any]],
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(positions, width) * 0.02)
        self.norm = nn.LayerNorm(width)
        self.blocks = nn.ModuleList(layer_block(width, head_width, layer, "post") for layer in layers)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.embedding(tokens) + self.positions[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x)
        return x


class SparselyTunedEncoder(TextEncoder):
    """The same with the linear layers of DSEE (arXiv 2111.00160): sparse weights, updates of rank `rank`."""

    def __init__(self, rank: int, **encoder: Any) -> None:
        super().__init__(**encoder)
        replace_linears(self.blocks, lambda old: SparselyTunedLinear(old.in_features, old.out_features, rank))
