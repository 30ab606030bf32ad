"""TokenFormer: a language model without a linear layer but its head, which shares the embedding's weights.

Wang et al., TokenFormer, arXiv 2410.23168, section 3.2 and the authors' configurations. Norms inside have no
parameters. Shapes: B batch, N tokens, V vocabulary, W width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.pattention import Pattention
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.tokenformer import TokenFormerMixer


def bare_norm(width: int) -> nn.Module:
    """A layer norm without parameters."""
    return nn.LayerNorm(width, elementwise_affine=False)


class TokenFormer(nn.Module):
    """``forward(tokens [B, N]) -> logits [B, N, V]``.

    Parameters
    ----------
    vocabulary, width, heads, layers : V, W, heads of each mixer, number of blocks.
    projection_tokens, channel_tokens : parameter tokens of each projection and of each channel mixer.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        projection_tokens: int,
        channel_tokens: int,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width,
                TokenFormerMixer(width, heads, projection_tokens, causal=True),
                Pattention(width, width, channel_tokens),
                norm=bare_norm,
            )
            for _ in range(layers)
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x)
        return functional.linear(self.norm(x), self.embedding.weight)
