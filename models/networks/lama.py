"""LAMA: a text classifier whose heads all read one global query through a matrix of rank one each.

Mehta, Rangwala and Ramakrishnan, Low Rank Factorization for Compact Multi-Head Self-Attention, arXiv
1912.00835. The affinity of a global context c and a token h in head j is bilinear, ``cᵀ U_j h``; with ``U_j
= p_j q_jᵀ`` all heads are ``(P c) * (Q h)``, two projections to H numbers, and no pair of tokens is ever
compared. The softmax runs over tokens, each head sums the tokens, and the sums are classified. The authors
put a recurrent encoder in front; here tokens carry trained positions instead. Shapes: B batch, N tokens, V
vocabulary, W width, H heads.
"""

from __future__ import annotations

import torch
from torch import nn


class LowRankPooling(nn.Module):
    """x [B, N, W] -> [B, H, W], a sum over tokens for each head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.context = nn.Parameter(torch.randn(width))
        self.of_context = nn.Linear(width, heads, bias=False)
        self.of_tokens = nn.Linear(width, heads, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        affinity = self.of_tokens(x) * self.of_context(self.context)
        return affinity.softmax(dim=1).transpose(1, 2) @ x


class LAMA(nn.Module):
    """``forward(tokens [B, N]) -> scores [B, classes]``; `sequence` is the greatest N."""

    def __init__(self, vocabulary: int, width: int, heads: int, sequence: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width)
        self.positions = nn.Parameter(torch.randn(sequence, width))
        self.pooling = LowRankPooling(width, heads)
        self.head = nn.Linear(heads * width, classes)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = self.embedding(tokens) + self.positions[: tokens.shape[1]]
        scores: torch.Tensor = self.head(self.pooling(x).flatten(1))
        return scores
