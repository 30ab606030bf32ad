"""Attention in which a head can do nothing, so that activations need no outliers: Quantizable Transformers.

Bondarenko et al., arXiv 2306.12929. A head that wants to leave the stream alone must push softmax scores to
extremes, and outliers grow that no narrow integer holds. Two remedies, each by itself:

- clipped softmax (equation 4): ``clip((zeta - gamma) softmax(x) + gamma, 0, 1)`` with gamma <= 0 and zeta
  >= 1 reaches 0 and 1 at finite scores;
- gated attention (equation 5): ``sigmoid(G(x)) * attention(x)`` with one gate per head and token, G a linear
  layer from the head's own c numbers of x to one: H (c + 1) parameters.

Shapes: B batch, N tokens, W width of the stream, H heads, c width of a head.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from siliform.kernels import clipped_softmax
from siliform.models.blocks.chunks import ahead
from siliform.models.blocks.heads import HeadLinear, merge_heads, split_heads
from siliform.models.mixers.softmax import HeadMixer


class ClippedSoftmaxMixer(HeadMixer):
    """Self-attention with a clipped softmax: x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    gamma, zeta : where the softmax is stretched to; -0.025 and 1 are the authors' for BERT (their
        scripts/bert_base_clipped_softmax.sh). Others are those of `HeadMixer`; keys have as many heads as
        queries.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        gamma: float = -0.025,
        zeta: float = 1.0,
        causal: bool = False,
        bias: bool = False,
    ) -> None:
        super().__init__(width, heads, causal=causal, bias=bias)
        self.gamma, self.zeta = gamma, zeta

    def mixed(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        """q, k and v [B, H, N, c] -> [B, H, N, c]."""
        scores = q @ k.transpose(-1, -2) * self.head_width**-0.5
        if self.causal:
            scores = scores.masked_fill(ahead(scores), float("-inf"))
        weights: torch.Tensor = clipped_softmax(scores, gamma=self.gamma, zeta=self.zeta)
        return weights @ v


class GatedMixer(HeadMixer):
    """Self-attention with a gate on every head: x [B, N, W] -> [B, N, W].

    `opening` is the probability that gates begin with, which the biases hold; 0.5 is the authors' neutral one
    (arXiv 2306.12929, section 4.2). Other parameters are those of `HeadMixer`.
    """

    def __init__(
        self, width: int, heads: int, opening: float = 0.5, causal: bool = False, bias: bool = False
    ) -> None:
        super().__init__(width, heads, causal=causal, bias=bias)
        self.gate = HeadLinear(heads, self.head_width, 1)
        self.gate_bias = nn.Parameter(torch.full((heads, 1, 1), math.log(opening / (1 - opening))))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.gates(x) * self.mixed(*self.projected(x))
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def gates(self, x: torch.Tensor) -> torch.Tensor:
        """Between 0 and 1, [B, H, N, 1]."""
        return torch.sigmoid(self.gate(split_heads(x, self.query_heads)) + self.gate_bias)
