"""A looped transformer: the same few layers, run again and again with the input added each time.

Yang et al., Looped Transformers are Better at Learning Learning Algorithms, arXiv 2311.12424:
``y_0 = 0, y_{t+1} = M(y_t + x)``. Weights are those of M alone. Shapes: B batch, N tokens, W width.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.softmax import SoftmaxMixer


class LoopedTransformer(nn.Module):
    """``forward(x [B, N, W]) -> [B, N, W]``.

    Parameters
    ----------
    width, heads : of each layer; the feed-forward layer is four times as wide.
    layers, loops : layers of M, and how often M runs.
    causal : whether a token sees none behind it.
    """

    def __init__(self, width: int, heads: int, layers: int, loops: int, causal: bool) -> None:
        super().__init__()
        self.loops = loops
        self.blocks = nn.ModuleList(
            TransformerBlock(
                width, SoftmaxMixer(width, heads, causal=causal, bias=True), MLP(width, 4 * width)
            )
            for _ in range(layers)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.once(x)
        for _ in range(self.loops - 1):
            y = self.once(y + x)
        return y

    def once(self, x: torch.Tensor) -> torch.Tensor:
        """M: [B, N, W] -> [B, N, W]."""
        for block in self.blocks:
            x = block(x)
        return x
