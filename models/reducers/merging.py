"""Merging tokens in pairs so that weighted sums are kept, and taking merged tokens apart again.

A token stands for `size` tokens of the input. Where tokens are merged, their mean weighted by size stands for
all of them, so that ``sum_i size_i x_i`` and ``sum_i size_i`` stay what they were (Bolya et al., ToMe, arXiv
2210.09461, section 3). Shapes: B batch, N tokens, W width, r merged tokens.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from siliform.models.blocks.selection import rows_at


@dataclass(frozen=True)
class Pairing:
    """Which tokens go, and into which; the others stay. Positions among the N tokens.

    Attributes
    ----------
    kept : [B, N - r], those that stay, in the order in which they come out.
    gone : [B, r].
    into : [B, r], where each of `gone` goes, as a place in `kept`.
    """

    kept: torch.Tensor
    gone: torch.Tensor
    into: torch.Tensor

    def summed(self, x: torch.Tensor) -> torch.Tensor:
        """x [B, N, W] -> [B, N - r, W], those that go added to those into which they go."""
        kept, gone = rows_at(x, self.kept, lead=1), rows_at(x, self.gone, lead=1)
        return rows_added(kept, self.into, gone)

    def merged(self, x: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Means weighted by size [B, N, 1], and the new sizes: [B, N - r, W] and [B, N - r, 1]."""
        total = self.summed(size)
        return self.summed(x * size) / total, total

    def unmerged(self, x: torch.Tensor) -> torch.Tensor:
        """x [B, N - r, W] -> [B, N, W], each token of before in the state of that into which it went."""
        both = torch.cat((x, rows_at(x, self.into, lead=1)), dim=1)
        places = torch.cat((self.kept, self.gone), dim=1).argsort(dim=1)
        return rows_at(both, places, lead=1)


def rows_added(x: torch.Tensor, index: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """x [B, M, W] with rows [B, r, W] added at index [B, r]."""
    batch = torch.arange(x.shape[0], device=x.device).unsqueeze(1)
    return x.index_put((batch, index), rows, accumulate=True)


def bipartite(metric: torch.Tensor, merged: int) -> Pairing:
    """Bipartite soft matching (arXiv 2210.09461, section 3): tokens [B, N, c] by their similarity.

    Tokens in turn belong to two sets. Each of the first knows its most similar of the second; the `merged`
    pairs of greatest similarity are joined, at most (N - 1) / 2 of them. The first token, the class token,
    goes into none, and none goes into it.
    """
    tokens = metric.shape[1]
    merged = min(merged, (tokens - 1) // 2)
    unit = metric / metric.norm(dim=-1, keepdim=True)
    similarity = unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)
    value, partner = similarity[:, 1:].max(dim=-1)
    order = value.argsort(dim=-1, descending=True) + 1
    gone, alone = order[:, :merged], order[:, merged:]
    first = torch.zeros_like(order[:, :1])
    second = torch.arange(1, tokens, 2, device=metric.device).expand(metric.shape[0], -1)
    kept = torch.cat((first, 2 * alone, second), dim=1)
    place = rows_at(partner, gone - 1, lead=1) + 1 + alone.shape[1]
    return Pairing(kept, 2 * gone, place)
