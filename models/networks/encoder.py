"""A text encoder in the shape of BERT whose layers are alike, around any mixer of the catalogue.

Devlin et al., BERT, arXiv 1810.04805, section 3: embeddings of words and learned positions, a norm, blocks
with the norm behind each sum. Shapes: B batch, N tokens, V vocabulary, W width.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.ours import class_of
from siliform.models.blocks.transformer import TransformerBlock


class UniformEncoder(nn.Module):
    """``forward(tokens [B, N]) -> [B, N, W]``.

    Parameters
    ----------
    vocabulary, width, heads, layers, inner : V, W, heads of each mixer, blocks, width inside each MLP.
    positions : learned ones, at least N.
    mixer : "module:Class" under ``siliform.models``, made as ``Class(width, heads, **choices)``.
    choices : of the mixer.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        inner: int,
        positions: int,
        mixer: str,
        choices: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=1e-12)  # the released configurations of arXiv 1810.04805
        made = class_of(mixer)
        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(positions, width) * 0.02)
        self.norm = norm(width)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width, made(width, heads, **(choices or {})), MLP(width, inner), norm, order="post"
            )
            for _ in range(layers)
        )

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.norm(self.words(tokens) + self.positions[: tokens.shape[1]])
        for block in self.blocks:
            x = block(x)
        return x
