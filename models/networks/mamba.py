"""Mamba: a language model of selective state spaces alone.

Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752, section 3.4.
"""

from __future__ import annotations

from torch import nn

from siliform.models.blocks.mamba import Mixer
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.networks.token_model import TokenModel


class Mamba(TokenModel):
    """``forward(tokens [B, N]) -> logits [B, N, vocabulary]``; embedding and head share weights."""

    def __init__(
        self, vocabulary: int, width: int, layers: int, inner: int, states: int, taps: int, step_rank: int
    ) -> None:
        def normed(size: int) -> nn.Module:
            return nn.RMSNorm(size, eps=1e-5)

        blocks = (
            TransformerBlock(width, Mixer(width, inner, states, taps, step_rank), None, normed)
            for _ in range(layers)
        )
        super().__init__(vocabulary, width, blocks, normed(width), tied=True)
