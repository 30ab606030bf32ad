"""HyperFormer: which entity completes a fact with qualifiers, by encoders with experts.

Hu et al., HyperFormer: Enhancing Entity and Relation Interaction for Hyper-Relational Knowledge Graph
Completion, arXiv 2308.06512, section 3.2. Three parts: an encoder over the entity and its neighbours, an
encoder over the relation and its qualifiers, and convolutions over pairs of the three vectors found. This is
their structure in its plain form: both encoders are Transformers with a mixture of experts, a pair is laid
out as an image of two squares, convolved, and added to both its members. Shapes: B batch, N tokens, W width,
E entities.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.layered import layer_block


class PairInteraction(nn.Module):
    """Two vectors [B, W] as an image of 2 rows x W / rows, convolved 3 x 3, and back to one [B, W]."""

    def __init__(self, width: int, rows: int, channels: int) -> None:
        super().__init__()
        self.rows, self.columns = rows, width // rows
        self.conv = nn.Conv2d(1, channels, 3, padding=1)
        self.out = nn.Linear(channels * 2 * width, width)

    def forward(self, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        image = torch.cat((a, b), dim=-1).view(-1, 1, 2 * self.rows, self.columns)
        made: torch.Tensor = self.out(self.conv(image).relu().flatten(1))
        return made


class HyperFormer(nn.Module):
    """Embedded tokens [B, N, W] -> a score for each entity [B, E].

    Tokens are the entity, `neighbours` of it, the relation, and its qualifiers.

    Parameters
    ----------
    entities : E.
    neighbours : entities around the first one; what is behind the relation is a qualifier.
    width, heads, layers, inner : of both encoders.
    experts, active : of their feed-forward layers.
    rows, channels : of the convolutions: an image of 2 rows x width / rows for a pair, and its maps.
    """

    def __init__(
        self,
        entities: int,
        neighbours: int,
        width: int,
        heads: int,
        layers: int,
        inner: int,
        experts: int,
        active: int,
        rows: int,
        channels: int,
    ) -> None:
        super().__init__()
        self.neighbours = neighbours
        layer = {"heads": heads, "inner": inner, "experts": experts, "active": active}

        def encoder() -> nn.Sequential:
            return nn.Sequential(*(layer_block(width, width // heads, layer, "post") for _ in range(layers)))

        self.around, self.qualified = encoder(), encoder()
        self.interactions = nn.ModuleList(PairInteraction(width, rows, channels) for _ in range(3))
        self.entities = nn.Linear(width, entities)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        place = 1 + self.neighbours
        entity = self.around(x[:, :place])[:, 0]
        seen = self.qualified(x[:, place:])
        relation, qualifier = seen[:, 0], seen[:, 1:].mean(1)
        pairs = ((entity, relation), (entity, qualifier), (relation, qualifier))
        first, second, third = (mix(a, b) for mix, (a, b) in zip(self.interactions, pairs, strict=True))
        # Both members of a pair are told: the entity of the first two, relation and qualifier of the third.
        whole = (entity + first + second) + (relation + first + third) + (qualifier + second + third)
        scores: torch.Tensor = self.entities(whole)
        return scores
