"""A mixture of experts as channel mixer: each token goes through a few of many MLPs.

Lepikhin et al., GShard, arXiv 2006.16668, without a limit on tokens for an expert (Gale et al.,
MegaBlocks, arXiv 2211.15841): rows are sorted by expert and each expert multiplies its own. Shapes: B batch,
N tokens, W width, E experts of inner width I, k of them for a token.
"""

from __future__ import annotations

import torch
from torch import nn

from siliform.kernels import grouped_matmul


class RoutedExperts(nn.Module):
    """``sum_e g_e(x) down_e(activation(up_e(x)))`` over the k experts of greatest g: [B, N, W] -> [B, N, W].

    The gates of the k chosen are a softmax over their logits, and so sum to one.
    """

    def __init__(self, width: int, inner: int, experts: int, active: int) -> None:
        super().__init__()
        self.experts, self.active = experts, active
        self.router = nn.Linear(width, experts, bias=False)
        self.up = nn.Parameter(torch.randn(experts, inner, width) * width**-0.5)
        self.activation = nn.GELU()
        self.down = nn.Parameter(torch.randn(experts, width, inner) * inner**-0.5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten(0, -2)
        logits, chosen = self.router(flat).topk(self.active, dim=-1)
        expert = chosen.flatten()
        order = expert.argsort()
        # Row r of the sorted ones belongs to token order[r] // k: each token is there k times.
        rows = flat[order // self.active]
        numbers = torch.arange(self.experts, device=x.device)
        ends = (expert[:, None] == numbers).sum(0).cumsum(0)
        hidden = self.activation(grouped_matmul(rows, self.up, ends))
        made = grouped_matmul(hidden, self.down, ends)
        back = made[order.argsort()].view(flat.shape[0], self.active, -1)
        mixed: torch.Tensor = (back * logits.softmax(-1)[..., None]).sum(1)
        return mixed.view(x.shape)


def one_by_one(experts: RoutedExperts, x: torch.Tensor) -> torch.Tensor:
    """What `RoutedExperts` computes with every expert on every token, for comparison."""
    logits = experts.router(x)
    kept, chosen = logits.topk(experts.active, dim=-1)
    gates = torch.zeros_like(logits).scatter(-1, chosen, kept.softmax(-1))
    hidden = experts.activation(torch.einsum("bnw,eiw->bnei", x, experts.up))
    return torch.einsum("bnei,ewi,bne->bnw", hidden, experts.down, gates)
