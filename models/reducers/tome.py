"""ToMe: the most similar tokens become one after every attention.

Bolya et al., Token Merging: Your ViT But Faster, arXiv 2210.09461, section 3: bipartite soft matching of the
keys' mean over heads, r tokens fewer behind each attention and before each MLP. Attention counts a token as
often as it stands for one of the input, by the logarithm of its size added to the scores (equation 1).
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.reducers.merging import bipartite


class ToMe(nn.Module):
    """x [B, N, W], keys [B, H, N, c], sizes [B, N, 1] -> x [B, N - r, W], sizes [B, N - r, 1].

    `merged` is r; where less than 2 r + 1 tokens are left, as many as can be are merged.
    """

    evidence = "keys"

    def __init__(self, merged: int) -> None:
        super().__init__()
        self.merged = merged

    def forward(
        self, x: torch.Tensor, keys: torch.Tensor, size: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        return bipartite(keys.mean(dim=1), self.merged).merged(x, size)
