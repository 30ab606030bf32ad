"""Token Transforming: X' = W X, every token spread over the informative ones by its similarity to them.

Arxiv 2506.05709, Token Transforming: A Unified and Training-Free Token Compression Framework for Vision
Transformer Acceleration, section 3. Pruning and merging are matrices W of zeros and one entry a column; here
columns are soft. In the form built here the M tokens to which the class token attends most are informative,
and with sizes s, as in ToMe, ::

    A_ij = softmax over i of cos(k_i, k_j) / tau,   i informative, j any
    s'   = A s,   x' = A (s x) / s'

The columns of A sum to one, so weighted sums are kept, and with tau -> 0 each token merges into the one that
it resembles most. Shapes: B batch, N tokens, W width, H heads, c width of a head, M tokens that stay.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import nn

from siliform.models.blocks.selection import best, rows_at

#: tau, a temperature of cosines; an assumption: the paper tunes it for each model.
TEMPERATURE = 0.1


class TokenTransforming(nn.Module):
    """x [B, N, W], sizes [B, N, 1] -> x [B, M, W], sizes [B, M, 1]; M is the share `kept`, rounded up.

    The evidence is (keys [B, H, N, c], attention of the class token [B, N]). The class token comes first.
    """

    evidence = "keys_and_class_attention"

    def __init__(self, kept: float, temperature: float = TEMPERATURE) -> None:
        super().__init__()
        self.kept, self.temperature = kept, temperature

    def forward(
        self, x: torch.Tensor, evidence: tuple[torch.Tensor, torch.Tensor], size: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        keys, attention = evidence
        chosen = best(attention[:, 1:], ceil(x.shape[1] * self.kept) - 1) + 1
        chosen = torch.cat((torch.zeros_like(chosen[:, :1]), chosen), dim=1)
        spread = assignment(keys.mean(dim=1), chosen, self.temperature)
        total = spread @ size
        return spread @ (x * size) / total, total


def assignment(metric: torch.Tensor, chosen: torch.Tensor, temperature: float) -> torch.Tensor:
    """A [B, M, N] of metric [B, N, c] and the places of the informative tokens, chosen [B, M]."""
    unit = metric / metric.norm(dim=-1, keepdim=True)
    similarity = rows_at(unit, chosen, lead=1) @ unit.transpose(1, 2)
    return (similarity / temperature).softmax(dim=1)
