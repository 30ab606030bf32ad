"""DeltaNet: linear attention whose state is corrected by the delta rule.

Yang et al., arXiv 2406.06484, section 3.3: short causal convolutions and SiLU over queries, keys and values,
queries and keys of unit length, a writing strength ``beta = sigmoid(x w)`` per head, a norm of each head's
output. Shapes: B batch, N tokens, W width of the stream, H heads of width c.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.causal_conv import CausalConv
from siliform.models.blocks.delta import delta_rule
from siliform.models.blocks.heads import merge_heads, split_heads


class DeltaNetMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], causal.

    Parameters
    ----------
    width, heads : W and H.
    taps : of the three convolutions; 4 is `conv_size` of the authors' layer (flash-linear-attention).
    chunk : tokens of a chunk; 64 as there. The function is the same for every chunk.
    """

    def __init__(self, width: int, heads: int, taps: int = 4, chunk: int = 64) -> None:
        super().__init__()
        self.heads, self.chunk = heads, chunk
        for name in ("query", "key", "value"):
            self.add_module(name, nn.Linear(width, width, bias=False))
            self.add_module(f"{name}_conv", CausalConv(width, taps, bias=False))
        self.beta = nn.Linear(width, heads, bias=False)
        self.norm = nn.RMSNorm(width // heads, eps=1e-5)
        self.out = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.norm(delta_rule(*self.parts(x), self.chunk))
        projected: torch.Tensor = self.out(merge_heads(mixed))
        return projected

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Queries, keys and values [B, H, N, c], writing strengths [B, H, N]."""
        q, k, v = (split_heads(self._convolved(n, x), self.heads) for n in ("query", "key", "value"))
        q, k = functional.normalize(q, dim=-1), functional.normalize(k, dim=-1)
        return q, k, v, self.beta(x).sigmoid().transpose(1, 2)

    def _convolved(self, name: str, x: torch.Tensor) -> torch.Tensor:
        """A projection of x [B, N, W] behind its convolution and SiLU."""
        return functional.silu(getattr(self, f"{name}_conv")(getattr(self, name)(x)))
