"""Linear layers of fewer weights, put in the place of those of a trained network.

Shapes: [..., I] -> [..., O], r the rank.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import torch
from torch import nn


class LowRankLinear(nn.Module):
    """``W ~ U V``: I r + r O weights and multiplications a row instead of I O.

    Guo et al., PELA: Learning Parameter-Efficient Models with Low-Rank Approximation, arXiv 2310.10700.
    `of` is its start, the closest product of that rank (Eckart and Young); the paper trains on
    from there, which changes no count.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, bias: bool = True) -> None:
        super().__init__()
        self.v = nn.Linear(inputs, rank, bias=False)
        self.u = nn.Linear(rank, outputs, bias=bias)

    @classmethod
    def of(cls, linear: nn.Linear, rank: int) -> Self:
        """The closest layer of that rank: singular values beyond the first `rank` are dropped."""
        made = cls(linear.in_features, linear.out_features, rank, linear.bias is not None)
        left, values, right = torch.linalg.svd(linear.weight.detach(), full_matrices=False)
        root = values[:rank].sqrt()
        made.v.weight = nn.Parameter(root[:, None] * right[:rank])
        made.u.weight = nn.Parameter(left[:, :rank] * root)
        if linear.bias is not None:
            made.u.bias = nn.Parameter(linear.bias.detach().clone())
        return made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.u(self.v(x))
        return made


class SparselyTunedLinear(nn.Module):
    """``x (S1 * W + S2)ᵀ + (x Vᵀ) Uᵀ + b``: sparse weights beside an update of low rank.

    Chen et al., DSEE: Dually Sparsity-embedded Efficient Tuning of Pre-trained Language Models,
    arXiv 2111.00160. S1 keeps a share of the trained weights and S2 is a few numbers at fixed
    places, so that their sum is as sparse as S1 and one matrix; U V is kept apart, since it would fill it.
    What zeros save is the hardware's affair: arrays that skip zeros take
    ``--set array.weight_density_percent=50``.
    """

    def __init__(self, inputs: int, outputs: int, rank: int, bias: bool = True) -> None:
        super().__init__()
        self.sparse = nn.Linear(inputs, outputs, bias=bias)
        self.v = nn.Linear(inputs, rank, bias=False)
        self.u = nn.Linear(rank, outputs, bias=False)

    @classmethod
    def of(cls, linear: nn.Linear, rank: int, kept: float) -> Self:
        """The layer before tuning: the `kept` share of weights of greatest magnitude, and an update of 0."""
        made = cls(linear.in_features, linear.out_features, rank, linear.bias is not None)
        weight = linear.weight.detach()
        dropped = round((1 - kept) * weight.numel())
        magnitudes = weight.abs().flatten()
        mask = torch.ones_like(magnitudes)
        mask[magnitudes.argsort()[:dropped]] = 0
        made.sparse.weight = nn.Parameter(weight * mask.view_as(weight))
        made.v.weight = nn.Parameter(made.v.weight.detach().to(weight))
        made.u.weight = nn.Parameter(torch.zeros_like(made.u.weight).to(weight))
        if linear.bias is not None:
            made.sparse.bias = nn.Parameter(linear.bias.detach().clone())
        return made

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.sparse(x) + self.u(self.v(x))
        return made


def replace_linears(module: nn.Module, make: Callable[[nn.Linear], nn.Module]) -> nn.Module:
    """Put ``make(linear)`` in the place of every `nn.Linear` below a module, and return the module."""
    for name, part in list(module.named_children()):
        if isinstance(part, nn.Linear):
            setattr(module, name, make(part))
        else:
            replace_linears(part, make)
    return module


def low_rank_shape(linear: nn.Linear, share: float) -> LowRankLinear:
    """A layer of the rank that leaves `share` of the weights of `linear`, its values as they come."""
    inputs, outputs = linear.in_features, linear.out_features
    rank = max(1, int(share * inputs * outputs / (inputs + outputs)))
    return LowRankLinear(inputs, outputs, rank, linear.bias is not None)
