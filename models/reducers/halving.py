"""Every second token merges into the one of its window that it resembles most.

The merging of MAELRE, Modality Agnostic Efficient Long Range Encoder (arXiv 2507.19409), in the form of
bipartite soft matching (arXiv 2210.09461) inside windows, so that its work grows with the length and not with
its square. Shapes: B batch, N tokens, W width, H heads, c width of a head, w tokens of a window.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.reducers.merging import Pairing


class Halving(nn.Module):
    """x [B, N, W], keys [B, H, N, c], sizes [B, N, 1] -> x [B, N / 2, W], sizes [B, N / 2, 1], in order.

    `window` is w, even and a divisor of N.
    """

    evidence = "keys"

    def __init__(self, window: int) -> None:
        super().__init__()
        self.window = window

    def forward(
        self, x: torch.Tensor, keys: torch.Tensor, size: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        x, size, metric = (part.unflatten(1, (-1, self.window)) for part in (x, size, keys.mean(dim=1)))
        batch = x.shape[0]
        merged, total = halved(metric.flatten(0, 1)).merged(x.flatten(0, 1), size.flatten(0, 1))
        return merged.unflatten(0, (batch, -1)).flatten(1, 2), total.unflatten(0, (batch, -1)).flatten(1, 2)


def halved(metric: torch.Tensor) -> Pairing:
    """The tokens at even places each go into the most similar at an odd one, by metric [B, N, c]."""
    unit = metric / metric.norm(dim=-1, keepdim=True)
    into = (unit[:, ::2] @ unit[:, 1::2].transpose(1, 2)).argmax(dim=-1)
    places = torch.arange(metric.shape[1], device=metric.device).expand(metric.shape[0], -1)
    return Pairing(places[:, 1::2], places[:, ::2], into)
