"""Hiformer: attention among the features of a recommender, each feature with weights of its own.

Gui et al., Hiformer: Heterogeneous Feature Interactions Learning with Transformers for Recommender Systems,
arXiv 2311.05884. A heterogeneous layer projects feature i by its own matrix; Hiformer's composite
projection makes each query, key and value from all features at once, by one matrix [F W, F W] of low rank.
The last layer computes the task's token alone. Shapes: B batch, F features with the task's token last, W
width, H heads, c = W / H.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.heads import merge_heads, split_heads
from siliform.models.blocks.low_rank import LowRankLinear


class FeatureLinear(nn.Module):
    """A linear layer for each feature: [B, F, I] -> [B, F, O]."""

    def __init__(self, features: int, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features, inputs, outputs) * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(features, outputs))

    def forward(self, x: torch.Tensor, first: int = 0) -> torch.Tensor:
        """For x of the features from `first` on."""
        made = (x.transpose(0, 1) @ self.weight[first:]).transpose(0, 1)
        return made + self.bias[first:]


class CompositeProjection(nn.Module):
    """Each feature's vector from those of all: [B, F, W] -> [B, F, W], through `rank` numbers."""

    def __init__(self, features: int, width: int, rank: int) -> None:
        super().__init__()
        self.factors = LowRankLinear(features * width, features * width, rank, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.factors(x.flatten(1)).view(x.shape)
        return made


class HeterogeneousLayer(nn.Module):
    """Attention and feed-forward layer, both heterogeneous, each with its norm behind it: [B, F, W] -> [B, G,
    W].

    Parameters
    ----------
    features, width, heads, inner : F, W, H, and the width inside the feed-forward layer.
    rank : of the composite projections; None for those of a feature alone.
    last : G, how many of the last features are computed.
    """

    def __init__(
        self, features: int, width: int, heads: int, inner: int, rank: int | None, last: int
    ) -> None:
        super().__init__()
        self.heads, self.first = heads, features - last

        def project() -> nn.Module:
            return (
                FeatureLinear(features, width, width)
                if rank is None
                else CompositeProjection(features, width, rank)
            )

        self.query, self.key, self.value = project(), project(), project()
        self.out = FeatureLinear(features, width, width)
        self.up, self.down = FeatureLinear(features, width, inner), FeatureLinear(features, inner, width)
        self.mixer_norm, self.channel_norm = nn.LayerNorm(width), nn.LayerNorm(width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (split_heads(p(x), self.heads) for p in (self.query, self.key, self.value))
        mixed = functional.scaled_dot_product_attention(q[:, :, self.first :], k, v)
        x = self.mixer_norm(x[:, self.first :] + self.out(merge_heads(mixed), self.first))
        hidden = functional.gelu(self.up(x, self.first))
        made: torch.Tensor = self.channel_norm(x + self.down(hidden, self.first))
        return made


class Hiformer(nn.Module):
    """Embedded features [B, F, W], the task's token last -> a score [B].

    Parameters
    ----------
    sequence : F.
    width, heads, inner, rank : of each layer.
    layers : of which the last computes the task's token alone.
    """

    def __init__(self, sequence: int, width: int, heads: int, layers: int, inner: int, rank: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            HeterogeneousLayer(sequence, width, heads, inner, rank, sequence if i < layers - 1 else 1)
            for i in range(layers)
        )
        self.score = nn.Linear(width, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers:
            x = layer(x)
        scored: torch.Tensor = self.score(x[:, -1]).squeeze(-1)
        return scored
