"""Zero-TPrune: tokens are ranked by attention as a graph ranks its nodes, and similar ones go first.

Wang, Dedhia and Jha, Zero-TPrune, arXiv 2305.17328, algorithms 1 and 2, in the order I'-S-I: importance by
the weighted page rank of each head's attention, similar tokens pruned among the less important half, then the
least important. Heads are joined by their root mean square (section 3.2.2); the filter of heads by variance
is left out. Shapes: B batch, N tokens, W width, H heads, c width of a head.
"""

from __future__ import annotations

from math import ceil

import torch
from torch import nn

from siliform.models.blocks.heads import merge_heads
from siliform.models.blocks.selection import rows_at
from siliform.models.mixers.softmax import SoftmaxMixer


class ObservedAttention(SoftmaxMixer):
    """Softmax attention that shows its keys and its weights."""

    def with_keys_and_weights(
        self, x: torch.Tensor
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, torch.Tensor]]:
        """What `forward` gives, keys [B, H, N, c] and attention weights [B, H, N, N]."""
        q, k, v = self.projected(x)
        weights = (q @ k.transpose(-1, -2) * self.head_width**-0.5).softmax(dim=-1)
        return self.out(merge_heads(weights @ v)), (k, weights)


class ZeroTPrune(nn.Module):
    """x [B, N, W] -> [B, M, W]; M is the share `kept` of N, rounded up, the class token first.

    Parameters
    ----------
    kept : M / N.
    iterations : of the page rank.
    similar : which share of the tokens that go, goes by similarity (assumption: half of them).
    """

    evidence = "keys_and_weights"

    def __init__(self, kept: float, iterations: int, similar: float = 0.5) -> None:
        super().__init__()
        self.kept, self.iterations, self.similar = kept, iterations, similar

    def forward(self, x: torch.Tensor, evidence: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        keys, weights = evidence
        tokens = x.shape[1]
        gone = tokens - ceil(tokens * self.kept)
        alike = min(round(gone * self.similar), (tokens - 1) // 2)
        ranked = importance(weights, self.iterations)[:, 1:].argsort(dim=-1, descending=True) + 1
        chosen = survivors(keys.mean(dim=1), ranked, alike, gone - alike)
        return rows_at(x, torch.cat((torch.zeros_like(chosen[:, :1]), chosen), dim=1), lead=1)


def importance(weights: torch.Tensor, iterations: int) -> torch.Tensor:
    """The weighted page rank [B, N] of attention weights [B, H, N, N], root mean square over heads.

    A token is important where important tokens attend to it: ``s_j <- sum_i s_i A_ij`` from equal shares.
    """
    rank = torch.full_like(weights[:, :, :1], 1 / weights.shape[-1])
    for _ in range(iterations):
        rank = rank @ weights
    return rank.squeeze(2).square().mean(dim=1).sqrt()


def survivors(metric: torch.Tensor, ranked: torch.Tensor, alike: int, least: int) -> torch.Tensor:
    """Places [B, N - 1 - alike - least] of those of `ranked` [B, N - 1], most important first, that stay.

    Of the less important half the `alike` go that most resemble one of the other half, by metric [B, N, c];
    then the `least` go that are the least important.
    """
    half = ranked.shape[1] - ranked.shape[1] // 2
    unit = rows_at(metric / metric.norm(dim=-1, keepdim=True), ranked, lead=1)
    closeness = (unit[:, half:] @ unit[:, :half].transpose(1, 2)).amax(dim=-1)
    distinct = closeness.argsort(dim=-1)[:, : closeness.shape[1] - alike].sort(dim=-1).values
    order = torch.cat((ranked[:, :half], rows_at(ranked[:, half:], distinct, lead=1)), dim=1)
    return order[:, : order.shape[1] - least]
