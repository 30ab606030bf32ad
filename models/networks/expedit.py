"""Expedit: the later layers of a large vision transformer run on clusters of tokens.

Liang et al., arXiv 2210.01035, figure 2: layers on all tokens, clustering, layers on the clusters, the map of
tokens rebuilt for a dense prediction. No parameter is added. Shapes: B batch, P pixels on a side, N tokens, W
width.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.transformer import TransformerBlock
from siliform.models.mixers.softmax import SoftmaxMixer
from siliform.models.networks.plain_vit import PatchTokens, layer_norm
from siliform.models.reducers.clustering import TEMPERATURE, TokenClustering, reconstructed


class Expedit(nn.Module):
    """An image [B, 3, P, P] -> dense features [B, N, W].

    Parameters
    ----------
    dense_layers : layers in front of the clustering, of all `layers`.
    cluster_side : side of the map of clusters, a divisor of P / patch.
    window, iterations : of the clustering.
    neighbours : clusters that a token is rebuilt from. 5, 5 and 20 are those of the authors' Expedit-SAM.
    """

    def __init__(
        self,
        image_pixels: int,
        patch: int,
        width: int,
        layers: int,
        heads: int,
        dense_layers: int,
        cluster_side: int,
        window: int = 5,
        iterations: int = 5,
        neighbours: int = 20,
    ) -> None:
        super().__init__()
        self.embed = PatchTokens(patch, width)
        self.positions = nn.Parameter(torch.randn(1, (image_pixels // patch) ** 2, width) * 0.02)
        blocks = [
            TransformerBlock(
                width, SoftmaxMixer(width, heads, bias=True), MLP(width, 4 * width), norm=layer_norm
            )
            for _ in range(layers)
        ]
        self.before, self.after = nn.Sequential(*blocks[:dense_layers]), nn.Sequential(*blocks[dense_layers:])
        self.clustering = TokenClustering(cluster_side, window, iterations)
        self.neighbours = neighbours
        self.norm = layer_norm(width)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        x = self.before(self.embed(image) + self.positions)
        centres = self.clustering(x)
        rebuilt = reconstructed(x, centres, self.after(centres), self.neighbours, TEMPERATURE)
        dense: torch.Tensor = self.norm(rebuilt)
        return dense
