"""PiToMe: tokens that many others resemble may be merged, informative ones never.

Tran et al., Accelerating Transformers with Spectrum-Preserving Token Merging, arXiv 2405.16148, algorithm 1.
The energy of a token is high where many others resemble it::

    E_i = mean_j elu(cos(k_i, k_j) - m),   m = 0.9 (1 - layer / layers)

The 2k of greatest energy, in that order, belong in turn to two sets; each of the first goes into its most
similar of the second. A share of the tokens is kept in each layer, so k = N - floor(share N). Shapes: B
batch, N tokens, W width, H heads, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.selection import rows_at
from siliform.models.reducers.merging import Pairing

#: The margin m of the first layer (arXiv 2405.16148, section 3.2).
FIRST_MARGIN = 0.9


class PiToMe(nn.Module):
    """x [B, N, W], keys [B, H, N, c], sizes [B, N, 1] -> x [B, N - k, W], sizes [B, N - k, 1].

    Parameters
    ----------
    kept : share of the tokens that are kept.
    margin : m.
    """

    evidence = "keys"

    def __init__(self, kept: float, margin: float) -> None:
        super().__init__()
        self.kept, self.margin = kept, margin

    def forward(
        self, x: torch.Tensor, keys: torch.Tensor, size: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        tokens = x.shape[1]
        merged = min(tokens - int(tokens * self.kept), (tokens - 1) // 2)
        return energetic(keys.mean(dim=1), merged, self.margin).merged(x, size)


def energies(similarity: torch.Tensor, margin: float) -> torch.Tensor:
    """E [B, N] of the cosines [B, N, N] between tokens."""
    return functional.elu(similarity - margin).mean(dim=-1)


def energetic(metric: torch.Tensor, merged: int, margin: float) -> Pairing:
    """The pairs of algorithm 1 among metric [B, N, c]; the first token, the class token, is in none."""
    unit = metric / metric.norm(dim=-1, keepdim=True)
    similarity = unit @ unit.transpose(1, 2)
    order = energies(similarity, margin)[:, 1:].argsort(dim=-1, descending=True) + 1
    redundant, informative = order[:, : 2 * merged], order[:, 2 * merged :]
    gone, partners = redundant[:, ::2], redundant[:, 1::2]
    between = rows_at(similarity, gone, lead=1).transpose(1, 2)
    place = rows_at(between, partners, lead=1).argmax(dim=1)
    kept = torch.cat((torch.zeros_like(order[:, :1]), informative, partners), dim=1)
    return Pairing(kept, gone, place + 1 + informative.shape[1])
