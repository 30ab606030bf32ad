"""Tokens of a map clustered to a smaller map, and the map rebuilt from what became of the clusters.

Liang et al., Expediting Large-Scale Vision Transformer for Dense Prediction without Fine-tuning, arXiv
2210.01035, section 3.2. Centres begin as means of equal cells and are moved some times: each token is shared
out among the centres near it, and a centre is the mean of its shares::

    q_ij = softmax over centres j near i of -|z_i - s_j|² / tau,   s_j = sum_i q_ij z_i / sum_i q_ij

Behind the layers that run on clusters, each token becomes the mean of its k nearest clusters' new states, by
the distances to their old ones. Shapes: B batch, N = S² tokens, M = s² clusters, W width, n = N / M tokens of
a cell, v centres near a cell.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.grids import side_of
from siliform.models.blocks.selection import rows_at

#: Temperature of squared distances, tau; an assumption: the paper tunes it for each backbone.
TEMPERATURE = 50.0


class TokenClustering(nn.Module):
    """x [B, N, W] -> centres [B, M, W].

    Parameters
    ----------
    cluster_side : s, a divisor of S.
    window : v = window², the centres around a token's cell that it may belong to; odd.
    iterations : how often centres move.
    """

    inside: torch.Tensor

    def __init__(
        self, cluster_side: int, window: int, iterations: int, temperature: float = TEMPERATURE
    ) -> None:
        super().__init__()
        self.side, self.window = cluster_side, window
        self.iterations, self.temperature = iterations, temperature
        on_map = functional.unfold(torch.ones(1, 1, cluster_side, cluster_side), window, padding=window // 2)
        outside = torch.where(on_map > 0, 0.0, float("-inf"))
        self.register_buffer("inside", outside.transpose(1, 2).unsqueeze(2), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        cells = self._cells(x)
        centres = cells.mean(dim=2)
        for _ in range(self.iterations):
            centres = self._moved(cells, centres)
        return centres

    def _moved(self, cells: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
        share = self.shares(cells, centres)
        summed = self._folded(share.transpose(2, 3) @ cells)
        return summed / self._folded(share.sum(dim=2).unsqueeze(-1))

    def shares(self, cells: torch.Tensor, centres: torch.Tensor) -> torch.Tensor:
        """q [B, M, n, v] of cells [B, M, n, W] and centres [B, M, W]; rows sum to one."""
        near = self._near(centres)
        closeness = 2 * cells @ near.transpose(2, 3) - near.square().sum(dim=-1).unsqueeze(2)
        return (closeness / self.temperature + self.inside.to(cells.dtype)).softmax(dim=-1)

    def _cells(self, x: torch.Tensor) -> torch.Tensor:
        """[B, N, W] -> [B, M, n, W]."""
        side, p = self.side, side_of(x.shape[1]) // self.side
        grid = x.unflatten(1, (side, p, side, p)).transpose(2, 3)
        return grid.reshape(x.shape[0], side * side, p * p, x.shape[2])

    def _near(self, centres: torch.Tensor) -> torch.Tensor:
        """The centres around each cell, nothing beyond the map: [B, M, W] -> [B, M, v, W]."""
        grid = centres.transpose(1, 2).unflatten(2, (self.side, self.side))
        taken = functional.unfold(grid, self.window, padding=self.window // 2)
        return taken.unflatten(1, (centres.shape[2], -1)).permute(0, 3, 2, 1)

    def _folded(self, parts: torch.Tensor) -> torch.Tensor:
        """What each cell gives the centres around it, added up: [B, M, v, W] -> [B, M, W]."""
        columns = parts.permute(0, 3, 2, 1).flatten(1, 2)
        summed = functional.fold(columns, (self.side, self.side), self.window, padding=self.window // 2)
        return summed.flatten(2).transpose(1, 2)


def reconstructed(
    x: torch.Tensor, before: torch.Tensor, after: torch.Tensor, neighbours: int, temperature: float
) -> torch.Tensor:
    """Tokens [B, N, W] from clusters [B, M, W] `before` and `after` the layers, k `neighbours`: [B, N, W]."""
    closeness = 2 * x @ before.transpose(1, 2) - before.square().sum(dim=-1).unsqueeze(1)
    value, index = closeness.topk(neighbours, dim=-1)
    weights = (value / temperature).softmax(dim=-1)
    return (weights.unsqueeze(2) @ rows_at(after, index, lead=1)).squeeze(2)
