"""A short convolution along the tokens, channel by channel, whose tokens see none behind them.

What recurrences and linear attention put in front of their states (Gu and Dao, Mamba, arXiv 2312.00752,
section 3.4; Fu et al., H3, arXiv 2212.14052). Shapes: B batch, N tokens, C channels.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class CausalConv(nn.Conv1d):
    """x [B, N, C] -> [B, N, C]: each token is a sum of itself and of the `taps` - 1 tokens before it."""

    def __init__(self, channels: int, taps: int, bias: bool = True) -> None:
        super().__init__(channels, channels, taps, groups=channels, bias=bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        before = functional.pad(x.transpose(1, 2), (self.kernel_size[0] - 1, 0))
        return super().forward(before).transpose(1, 2)

    @property
    def window(self) -> tuple[int, int]:
        """Shape [C, taps - 1] of what is kept from one token to the next."""
        return self.in_channels, self.kernel_size[0] - 1

    def advance(self, x: torch.Tensor, window: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One token x [B, C] behind the window [B, C, taps - 1]: its sum, and the window after it."""
        seen = torch.cat([window, x.unsqueeze(-1)], dim=-1)
        made = (seen * self.weight.squeeze(1)).sum(dim=-1)
        return made if self.bias is None else made + self.bias, seen[..., 1:]
