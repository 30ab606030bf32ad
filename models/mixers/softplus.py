"""Softplus attention with re-weighting: a stable positive function, its l1 norm, and a power that sharpens.

Gao and Spratling, Softplus Attention with Re-weighting Boosts Length Extrapolation in Large Language Models
(arXiv 2501.13428). Weights in two stages, with a scale that grows with the number N_i of keys that query i
sees::

    a_ij = softplus(log(c) log(N_i) / sqrt(c) q_i . k_j),  over their sum of each row
    w_ij = a_ij^p,                                         over their sum of each row

Dividing a row before it is raised to a power changes nothing behind the second division. Hence both stages
are one: softplus to the power of p over its sum, which needs a row's scores no longer than softmax does,
and no maximum. It is built so, as the op `attention` with softplus weights (which has no gradient);
`two_stages` is the form above. The power is the textbook one; a shift of the weights before it, which some
versions of the paper have, is left out.
"""

from __future__ import annotations

from math import log

import torch
from torch import nn
from torch.nn import functional

from siliform.kernels import attention
from siliform.models.blocks.heads import merge_heads, split_heads

POWER = 3  # "assumption": a small whole power; each further one is a multiplication a pair


class SoftplusMixer(nn.Module):
    """Self-attention: x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    width, heads : W, and H heads of width c = W / H.
    power : p.
    causal : whether a token sees none behind it: N_i is i + 1 then, else N.
    bias : of the projections.
    """

    def __init__(
        self, width: int, heads: int, power: int = POWER, causal: bool = False, bias: bool = False
    ) -> None:
        super().__init__()
        self.heads, self.power, self.causal = heads, power, causal
        head_width = width // heads
        self.scale = log(head_width) * head_width**-0.5
        self.query = nn.Linear(width, width, bias=bias)
        self.key = nn.Linear(width, width, bias=bias)
        self.value = nn.Linear(width, width, bias=bias)
        self.out = nn.Linear(width, width, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.projected(x)
        mixed = attention(
            q,
            k,
            v,
            pattern="causal" if self.causal else "full",
            scale=self.scale,
            weights="softplus",
            power=self.power,
        )
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def projected(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, times the logarithm of their number of keys, keys and values [B, H, N, c]."""
        q, k, v = (split_heads(layer(x), self.heads) for layer in (self.query, self.key, self.value))
        if not self.causal:
            return q * log(x.shape[1]), k, v
        seen = torch.arange(1, x.shape[1] + 1, dtype=x.dtype, device=x.device)
        return q * torch.log(seen).unsqueeze(-1), k, v

    def two_stages(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """What `forward` gives by the paper's two stages, and the weights [B, H, N, N]."""
        q, k, v = self.projected(x)
        first = functional.softplus(q @ k.transpose(-1, -2) * self.scale)
        first = first.tril() if self.causal else first
        first = first / first.sum(-1, keepdim=True)
        raised = first**self.power
        weights = raised / raised.sum(-1, keepdim=True)
        mixed: torch.Tensor = self.out(merge_heads(weights @ v))
        return mixed, weights
