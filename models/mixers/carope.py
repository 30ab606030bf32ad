"""Context-aware rotary positions: the angle by which a token turns a head follows from the tokens before it.

Veisi et al., Context-aware Rotary Position Embedding (CARoPE), arXiv 2507.23083, section 2. Rotary positions
turn pair i of a token at position m by ``m theta^i``. Here theta is a number of each token t and head,
``f(x_t) = 1 / (1 + softplus(x_t W))`` between 0 and 1, and the angle is the sum over the tokens up to m::

    angle_i(m) = sum over t <= m of f(x_t)^i        i = 0 .. c/2 - 1

Where W is zero this is rotary position of one base. Shapes: B batch, N tokens, H heads, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.rotary import turned
from siliform.models.mixers.softmax import HeadMixer


class CARoPEMixer(HeadMixer):
    """Self-attention, x [B, N, W] -> [B, N, W]."""

    def __init__(self, width: int, heads: int, causal: bool = False) -> None:
        super().__init__(width, heads, causal=causal)
        self.rate = nn.Linear(width, heads, bias=False)

    def projected(self, x: torch.Tensor, first: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        q, k, v = super().projected(x, first)
        angle = self.accumulated(x)
        return turned(q, angle), turned(k, angle), v

    def accumulated(self, x: torch.Tensor) -> torch.Tensor:
        """Angles [B, H, N, c/2] of tokens x [B, N, W]."""
        log_rate = -torch.log1p(functional.softplus(self.rate(x))).transpose(1, 2)
        powers = torch.arange(self.head_width // 2, dtype=x.dtype, device=x.device)
        return torch.exp(log_rate.unsqueeze(-1) * powers).cumsum(dim=2)
