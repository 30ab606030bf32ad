"""Layers made of several trained ones: fused into one of the same sizes.

`InjectedLinear` is FuseGPT's (Pei et al., arXiv 2411.14507), which removes a block and puts its
weights into those of its neighbours; `fused_mlp` is that of transformer fusion by optimal transport (Imfeld
et al., arXiv 2310.05719), which makes one network of two, here for the feed-forward layer: neurons
of one are matched with those of the other before weights are averaged.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import MLP


class InjectedLinear(nn.Module):
    """``x (W + sum_i (A_i B_i) * W_i)ᵀ + b``: trained coefficients of low rank on weights that stay.

    Parameters
    ----------
    linear : W and b.
    injected : the layers of removed blocks, of the same sizes.
    rank : of the coefficients; they begin at 0.
    """

    def __init__(self, linear: nn.Linear, injected: Sequence[nn.Linear], rank: int) -> None:
        super().__init__()
        self.linear = linear
        self.injected = nn.ModuleList(injected)
        outputs, inputs = linear.weight.shape
        like = linear.weight.detach()
        self.a = nn.ParameterList(like.new_zeros(outputs, rank) for _ in injected)
        self.b = nn.ParameterList(torch.randn(rank, inputs).to(like) for _ in injected)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return functional.linear(x, self.weight(), self.linear.bias)

    def weight(self) -> torch.Tensor:
        """The sum [O, I]."""
        total: torch.Tensor = self.linear.weight
        for old, a, b in zip(self.injected, self.a, self.b, strict=True):
            total = total + (a @ b) * old.weight
        return total

    def merged(self) -> nn.Linear:
        """The same function as a plain layer: what is deployed."""
        outputs, inputs = self.linear.weight.shape
        made = nn.Linear(inputs, outputs, bias=self.linear.bias is not None).to(self.linear.weight)
        made.weight = nn.Parameter(self.weight().detach())
        if self.linear.bias is not None:
            made.bias = nn.Parameter(self.linear.bias.detach().clone())
        return made


def transport(cost: torch.Tensor, sharpness: float = 200.0, rounds: int = 200) -> torch.Tensor:
    """The plan [n, n] between n and n things of least cost, with rows and columns that sum to one.

    Sinkhorn's algorithm on ``exp(-sharpness * cost / mean cost)``, in logarithms (Cuturi, arXiv 1306.0895);
    the sharper, the nearer to a permutation.
    """
    logarithms = -sharpness * cost / cost.mean()
    for _ in range(rounds):
        logarithms = logarithms - logarithms.logsumexp(1, keepdim=True)
        logarithms = logarithms - logarithms.logsumexp(0, keepdim=True)
    return logarithms.exp()


def fused_mlp(first: MLP, second: MLP) -> MLP:
    """The mean of both, the neurons of the second carried to those of the first that are like them."""
    described = [
        torch.cat((m.up.weight, m.up.bias[:, None], m.down.weight.T), dim=1) for m in (first, second)
    ]
    plan = transport(torch.cdist(described[0], described[1]) ** 2).detach()
    width, inner = first.up.in_features, first.up.out_features
    made = MLP(width, inner).to(first.up.weight)
    made.activation = first.activation
    with torch.no_grad():
        made.up.weight.copy_((first.up.weight + plan @ second.up.weight) / 2)
        made.up.bias.copy_((first.up.bias + plan @ second.up.bias) / 2)
        made.down.weight.copy_((first.down.weight + second.down.weight @ plan.T) / 2)
        made.down.bias.copy_((first.down.bias + second.down.bias) / 2)
    return made
