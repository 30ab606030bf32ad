"""Structured pruning of a block: heads and neurons behind a mask of zeros are cut away, and nothing changes.

What VTrans (Dutta et al., arXiv 2406.05276) and others rely on when they train masks and deploy what is left.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.models.blocks.channels import MLP
from siliform.models.blocks.heads import ProjectedAttention


def cut_heads(attention: ProjectedAttention, kept: torch.Tensor) -> ProjectedAttention:
    """Attention with the heads of the mask `kept`, bool [H], alone."""
    width = attention.query.in_features
    head_width = attention.query.out_features // attention.heads
    made = ProjectedAttention(width, int(kept.sum()), head_width, attention.mix).to(attention.query.weight)
    channels = kept.repeat_interleave(head_width)
    for name in ("query", "key", "value"):
        _take(getattr(made, name), getattr(attention, name), rows=channels)
    _take(made.out, attention.out, columns=channels)
    return made


def cut_neurons(mlp: MLP, kept: torch.Tensor) -> MLP:
    """The feed-forward layer with the neurons of the mask `kept`, bool [I], alone."""
    made = MLP(mlp.up.in_features, int(kept.sum())).to(mlp.up.weight)
    made.activation = mlp.activation
    _take(made.up, mlp.up, rows=kept)
    _take(made.down, mlp.down, columns=kept)
    return made


def _take(
    into: nn.Linear, old: nn.Linear, rows: torch.Tensor | None = None, columns: torch.Tensor | None = None
) -> None:
    weight, bias = old.weight.detach(), old.bias.detach()
    if rows is not None:
        weight, bias = weight[rows], bias[rows]
    if columns is not None:
        weight = weight[:, columns]
    into.weight, into.bias = nn.Parameter(weight.clone()), nn.Parameter(bias.clone())
