"""AxFormer: BERT without the parts that hurt a task, and with hard attention in chosen layers.

Nagarajan et al., AxFormer (arXiv 2010.03688): of each layer the whole attention, some of
its heads, the whole feed-forward part or some of its width is pruned, as a search on a task decides;
attention that stays is full or hard. What is left is a description here. Shapes: B batch, N tokens, V
vocabulary, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.hard_attention import HardAttentionMixer
from siliform.models.mixers.softmax import SoftmaxMixer


class AxFormer(nn.Module):
    """``forward(tokens [B, N]) -> [B, N, W]``.

    Parameters
    ----------
    vocabulary, width, heads, positions : of the network before it was pruned.
    layers : of each layer that is left: "heads" and "inner", what is left of attention and of the
        feed-forward part, 0 for none; "kept", how many keys a query of hard attention keeps, 0 for full
        attention.
    selector_bits : of `HardAttentionMixer`.
    """

    def __init__(
        self,
        vocabulary: int,
        width: int,
        heads: int,
        positions: int,
        layers: Sequence[Mapping[str, int]],
        selector_bits: int | None = None,
    ) -> None:
        super().__init__()
        norm = partial(nn.LayerNorm, eps=1e-12)  # the released configurations of arXiv 1810.04805

        def mixer(layer: Mapping[str, int]) -> nn.Module:
            if layer["kept"]:
                return HardAttentionMixer(width, heads, layer["heads"], layer["kept"], selector_bits)
            return SoftmaxMixer(width, heads, query_heads=layer["heads"], bias=True)

        def block(layer: Mapping[str, int]) -> nn.Module:
            parts = [mixer(layer)] if layer["heads"] else []
            parts += [MLP(width, layer["inner"])] if layer["inner"] else []
            first, *second = parts
            return TransformerBlock(width, first, second[0] if second else None, norm, order="post")

        self.words = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(positions, width) * 0.02)
        self.norm = norm(width)
        self.blocks = nn.ModuleList(block(layer) for layer in layers if layer["heads"] or layer["inner"])

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x: torch.Tensor = self.norm(self.words(tokens) + self.positions[: tokens.shape[1]])
        for each in self.blocks:
            x = each(x)
        return x
