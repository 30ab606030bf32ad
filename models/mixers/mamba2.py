"""The mixer of Mamba-2: short convolution, state-space duality in chunks, gated norm.

Dao and Gu, arXiv 2405.21060: section 7 for the block (x, b, c, the step and the gate from one projection,
heads as in multi-value attention, a norm behind the gate), section 6 for the chunks. A head's decay is
``a_t = exp(-exp(A) step_t)``, its drive ``step_t x_t``; the skip D x is added. Shapes: B batch, N tokens, W
width of the stream, D inner width, H heads of P, G groups of S states.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.causal_conv import CausalConv
from siliform.models.blocks.decoding import Advancing
from siliform.models.blocks.ssd import ssd


class Mamba2Mixer(Advancing):
    """x [B, N, W] -> [B, N, W], causal.

    Parameters
    ----------
    width, heads : W, and how many heads it is cut into; the inner width D = `expand` W has as wide ones.
    states, groups : S and G.
    expand : D / W.
    taps : of the short causal convolution.
    chunk : tokens of a chunk. All five are the defaults of the authors' code (state-spaces/mamba, mamba2.py).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        states: int = 128,
        groups: int = 1,
        expand: int = 2,
        taps: int = 4,
        chunk: int = 256,
    ) -> None:
        super().__init__()
        self.width, self.head_width, self.chunk = width, width // heads, chunk
        self.inner, self.heads = expand * width, expand * heads
        self.states, self.groups = states, groups
        mixed = self.inner + 2 * groups * states
        self.in_proj = nn.Linear(width, self.inner + mixed + self.heads, bias=False)
        self.conv = CausalConv(mixed, taps)
        self.log_rate = nn.Parameter(torch.zeros(self.heads))
        self.step_bias = nn.Parameter(torch.zeros(self.heads))
        self.skip = nn.Parameter(torch.ones(self.heads))
        self.norm_weight = nn.Parameter(torch.ones(self.inner))
        self.out_proj = nn.Linear(self.inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, mixed, step = self._projected(x)
        drive, b, c = self._parts(functional.silu(self.conv(mixed)))
        step, log_decay = self._steps(step)
        y = ssd(drive * step.unsqueeze(-1), log_decay, b, c, self.chunk)
        return self._out((y + drive * self.skip.unsqueeze(-1)).flatten(-2), gate)

    def state_shapes(self, context: int) -> tuple[tuple[int, ...], ...]:
        """Signals of the convolution [D + 2 G S, taps - 1] and the state [H, S, P], whatever the context."""
        return self.conv.window, (self.heads, self.states, self.head_width)

    def advance(
        self, x: torch.Tensor, window: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One token x [B, 1, W]; `window` and `state` as `state_shapes` tells.

        Returns the output [B, 1, W], and the window and the state after it.
        """
        x = x.squeeze(1)
        gate, mixed, step = self._projected(x)
        mixed, window = self.conv.advance(mixed, window)
        drive, b, c = self._parts(functional.silu(mixed))
        step, log_decay = self._steps(step)
        shared = self.heads // self.groups
        pushed = b.unsqueeze(-2).expand(-1, -1, shared, -1).flatten(1, 2).unsqueeze(-1)
        pushed = pushed * (drive * step.unsqueeze(-1)).unsqueeze(-2)
        state = log_decay.exp()[..., None, None] * state + pushed
        read = c.unsqueeze(-2).expand(-1, -1, shared, -1).flatten(1, 2).unsqueeze(-2)
        y = (read @ state).squeeze(-2) + drive * self.skip.unsqueeze(-1)
        return self._out(y.flatten(-2), gate).unsqueeze(1), window, state

    def _projected(self, x: torch.Tensor) -> list[torch.Tensor]:
        """Gate [..., D], signal of the convolution [..., D + 2 G S], steps [..., H] before their softplus."""
        mixed = self.inner + 2 * self.groups * self.states
        return list(self.in_proj(x).split([self.inner, mixed, self.heads], dim=-1))

    def _parts(self, mixed: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Drives [..., H, P], b and c [..., G, S]."""
        shared = self.groups * self.states
        drive, b, c = mixed.split([self.inner, shared, shared], dim=-1)
        by_group = (self.groups, self.states)
        return (
            drive.unflatten(-1, (self.heads, self.head_width)),
            b.unflatten(-1, by_group),
            c.unflatten(-1, by_group),
        )

    def _steps(self, step: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Steps and log decays [..., H]."""
        step = functional.softplus(step + self.step_bias)
        return step, -self.log_rate.exp() * step

    def _out(self, y: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        """Gated, normed within each group of heads, projected."""
        gated = (y * functional.silu(gate)).unflatten(-1, (self.groups, -1))
        normed = functional.rms_norm(gated, gated.shape[-1:], eps=1e-5).flatten(-2) * self.norm_weight
        projected: torch.Tensor = self.out_proj(normed)
        return projected
