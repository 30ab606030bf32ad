"""Synthesizer: attention weights that no token's comparison with another makes.

Tay et al., Synthesizer: Rethinking Self-Attention in Transformer Models, ICML 2021 (arXiv 2005.00743),
section 3::

    dense       softmax(W2 relu(W1 x_i)): a row of N scores from each token by itself
    random      softmax(R), R [N, N] for each head, trained and the same for all inputs
    factorized  softmax(R1 R2ᵀ), R1 and R2 [N, k], the random form in fewer parameters

W2, R, R1 and R2 hold numbers for each position, so that a layer is made for one length. Dense and
factorized scores are products, so that a trace shows the op `attention`, with W2 or R2 for its keys.
Shapes: B batch, N tokens, W width of the stream, H heads, c width of a head.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

from siliform.models.blocks.heads import merge_heads, split_heads

RANK = 8  # k of arXiv 2005.00743, section 4: their factorized models


class SynthesizerMixer(nn.Module):
    """Self-attention: x [B, N, W] -> [B, N, W], N tokens being `sequence`."""

    def __init__(
        self,
        width: int,
        heads: int,
        sequence: int = 1024,
        form: Literal["dense", "random", "factorized"] = "dense",
        rank: int = RANK,
        bias: bool = False,
    ) -> None:
        super().__init__()
        self.heads, self.form = heads, form
        self.value = nn.Linear(width, width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)
        head_width = width // heads
        if form == "dense":
            self.rows = nn.Linear(width, width, bias=bias)
            self.columns = nn.Parameter(torch.randn(heads, sequence, head_width) * head_width**-0.5)
        elif form == "random":
            self.scores = nn.Parameter(torch.randn(heads, sequence, sequence))
        else:
            self.left = nn.Parameter(torch.randn(heads, sequence, rank))
            self.columns = nn.Parameter(torch.randn(heads, sequence, rank) * rank**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        v = split_heads(self.value(x), self.heads)
        mixed: torch.Tensor = self.out(merge_heads(self.weights(x) @ v))
        return mixed

    def weights(self, x: torch.Tensor) -> torch.Tensor:
        """[B, H, N, N], a row of each token."""
        if self.form == "random":
            return torch.softmax(self.scores, dim=-1).expand(x.shape[0], -1, -1, -1)
        if self.form == "dense":
            left = split_heads(torch.relu(self.rows(x)), self.heads)
        else:
            left = self.left.expand(x.shape[0], -1, -1, -1)
        columns = self.columns.expand(x.shape[0], -1, -1, -1)
        return torch.softmax(left @ columns.transpose(-1, -2), dim=-1)
