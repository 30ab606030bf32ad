"""The mixer of Mamba: a selective state space, with the scan as one operator.

Gu and Dao, Mamba: Linear-Time Sequence Modeling with Selective State Spaces, arXiv 2312.00752. Shapes:
B batch, T tokens, W width of the stream, D inner width, N states per channel, R rank of the step
size.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.kernels import selective_scan
from siliform.models.blocks.causal_conv import CausalConv
from siliform.models.blocks.decoding import Advancing


class Mixer(Advancing):
    """Short causal convolution, selective scan, gate.

    The state of a channel follows ``h = exp(step * a) h + step * b * x`` and is read as
    ``y = c . h``; step, b and c depend on the token, a does not (section 3.2).
    """

    def __init__(self, width: int, inner: int, states: int, taps: int, step_rank: int) -> None:
        super().__init__()
        self.width, self.states, self.step_rank = width, states, step_rank
        self.in_proj = nn.Linear(width, 2 * inner, bias=False)
        self.conv = CausalConv(inner, taps)
        self.select = nn.Linear(inner, step_rank + 2 * states, bias=False)
        self.step = nn.Linear(step_rank, inner)
        # Real S4D start (section 3.6): a = -(1, 2, ..., N) in every channel.
        start = torch.arange(1, states + 1, dtype=torch.float32).log().repeat(inner, 1)
        self.log_decay = nn.Parameter(start)
        self.skip = nn.Parameter(torch.ones(inner))
        self.out_proj = nn.Linear(inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """x [B, T, W] -> [B, T, W]."""
        signal, gate = self.in_proj(x).chunk(2, dim=-1)
        signal = functional.silu(self.conv(signal))
        parts = (signal, *self._selected(signal))  # [B, T, D], as the step; b and c [B, T, N]
        signal, step, b, c = (part.transpose(1, 2) for part in parts)
        scanned = selective_scan(signal, step, -torch.exp(self.log_decay), b, c, self.skip)
        return self.out_proj(scanned.transpose(1, 2) * functional.silu(gate))

    def state_shapes(self, context: int) -> tuple[tuple[int, ...], ...]:
        """Earlier signals [D, taps - 1] and the state [D, N], whatever the context."""
        return self.conv.window, (self.conv.in_channels, self.states)

    def advance(
        self, x: torch.Tensor, window: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One token: x [B, 1, W], window [B, D, taps - 1] of earlier signals, state [B, D, N].

        Returns the output [B, 1, W], and the window and the state after it.
        """
        signal, gate = self.in_proj(x.squeeze(1)).chunk(2, dim=-1)
        signal, window = self.conv.advance(signal, window)
        signal = functional.silu(signal)
        step, b, c = self._selected(signal)
        kept = torch.exp(step.unsqueeze(-1) * -torch.exp(self.log_decay))
        state = kept * state + (step * signal).unsqueeze(-1) * b.unsqueeze(1)
        scanned = (state * c.unsqueeze(1)).sum(dim=-1) + signal * self.skip
        return self.out_proj(scanned * functional.silu(gate)).unsqueeze(1), window, state

    def _selected(self, signal: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Step sizes [..., D], b and c [..., N] of signals [..., D]."""
        rank, b, c = self.select(signal).split([self.step_rank, self.states, self.states], dim=-1)
        return functional.softplus(self.step(rank)), b, c
