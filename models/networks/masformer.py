"""MASFormer: full attention in a few layers, attention within blocks in the others.

Zhang et al., Efficient Long-Range Transformers: You Need to Attend More, but Not Necessarily at Every Layer
(arXiv 2310.12442): a decoder of GPT-Neo's shape whose first `full_layers` layers attend
to everything and whose other layers attend within blocks of `window` tokens. Shapes: B batch, N tokens, V
vocabulary, W width.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.mixers.window import WindowMixer


class MASFormer(nn.Module):
    """``forward(tokens [B, N]) -> logits [B, N, V]``; embedding and head share weights.

    Parameters
    ----------
    vocabulary, width, heads, layers, inner : of a decoder: V, W, heads, blocks, width inside each MLP.
    positions : learned ones, at least N.
    full_layers : how many of the layers, the first ones, attend to everything.
    window : tokens of a block in the others.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        layers: int,
        inner: int,
        positions: int,
        full_layers: int,
        window: int,
    ) -> None:
        super().__init__()

        def mixer(layer: int) -> nn.Module:
            if layer < full_layers:
                return SoftmaxMixer(width, heads, causal=True)
            return WindowMixer(width, heads, window, causal=True, blocked=True, bias=False)

        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(positions, width) * 0.02)
        self.blocks = nn.ModuleList(
            TransformerBlock(width, mixer(layer), MLP(width, inner)) for layer in range(layers)
        )
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        for block in self.blocks:
            x = block(x)
        logits: torch.Tensor = self.head(self.norm(x))
        return logits
