"""The mixer of Phi-Mamba: Mamba-2 in the shape of the attention that it replaces.

Bick et al., Transformers to SSMs: Distilling Quadratic Knowledge to Subquadratic Models (MOHAWK), arXiv
2408.10189, section 4.1 and the authors' code: as many heads of b and c as of x, no expansion, decays
``exp(-softplus(a_t))`` straight from the input without a step that scales the drive, no activation behind the
convolution and no norm behind the gate. Shapes as in `siliform.models.mixers.mamba2`.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.causal_conv import CausalConv
from siliform.models.blocks.decoding import Advancing
from siliform.models.blocks.ssd import ssd


class PhiMambaMixer(Advancing):
    """x [B, N, W] -> [B, N, W], causal.

    Parameters
    ----------
    width, heads : W and H; a head is W / H wide.
    states : S, of every head.
    taps : of the short causal convolution.
    chunk : tokens of a chunk. All three are Phi-Mamba-1.5B's in the authors' code (goombalab/phi-mamba).
    """

    def __init__(self, width: int, heads: int, states: int = 64, taps: int = 4, chunk: int = 128) -> None:
        super().__init__()
        self.width, self.heads, self.states, self.chunk = width, heads, states, chunk
        mixed = width + 2 * heads * states
        self.in_proj = nn.Linear(width, mixed + width + heads, bias=False)
        self.gate_bias = nn.Parameter(torch.zeros(width))
        self.conv = CausalConv(mixed, taps)
        self.skip = nn.Parameter(torch.ones(heads))
        self.out_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed, gate, decay = self._projected(x)
        drive, b, c = self._parts(self.conv(mixed))
        y = ssd(drive, -functional.softplus(decay), b, c, self.chunk)
        return self._out(y + drive * self.skip.unsqueeze(-1), gate)

    def state_shapes(self, context: int) -> tuple[tuple[int, ...], ...]:
        """Signals of the convolution and the state, as in Mamba-2."""
        return self.conv.window, (self.heads, self.states, self.width // self.heads)

    def advance(
        self, x: torch.Tensor, window: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One token x [B, 1, W]: its output, and the window and the state after it."""
        mixed, gate, decay = self._projected(x.squeeze(1))
        mixed, window = self.conv.advance(mixed, window)
        drive, b, c = self._parts(mixed)
        passed = (-functional.softplus(decay)).exp()[..., None, None]
        state = passed * state + b.unsqueeze(-1) * drive.unsqueeze(-2)
        y = (c.unsqueeze(-2) @ state).squeeze(-2) + drive * self.skip.unsqueeze(-1)
        return self._out(y, gate).unsqueeze(1), window, state

    def _projected(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Signal of the convolution [..., W + 2 H S], gate [..., W], decays [..., H] before softplus."""
        mixed = self.width + 2 * self.heads * self.states
        return list(self.in_proj(x).split([mixed, self.width, self.heads], dim=-1))

    def _parts(self, mixed: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Drives [..., H, P], b and c [..., H, S]."""
        shared = self.heads * self.states
        parts = mixed.split([self.width, shared, shared], dim=-1)
        return tuple(part.unflatten(-1, (self.heads, -1)) for part in parts)

    def _out(self, y: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = self.out_proj(y.flatten(-2) * functional.silu(gate + self.gate_bias))
        return projected
