"""Hydra: a state-space mixer that reads in both directions, as one quasiseparable matrix.

Hwang et al., Hydra: Bidirectional State Space Models Through Generalized Matrix Mixers, arXiv 2407.09941,
section 3: ``QS(x) = shift(SS(x)) + flip(shift(SS(flip(x)))) + D x`` (equation 10), where SS is the
semiseparable product of Mamba-2, both directions share projections, convolution and decay rates, and D
depends on the token. The matrix of the whole has rank S in every block above and below its diagonal, and a
free diagonal. Shapes: B batch, N tokens, W width of the stream, D inner width, H heads of P, G groups of S
states.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.ssd import ssd, ssd_matrix


class HydraMixer(nn.Module):
    """x [B, N, W] -> [B, N, W], in both directions.

    Parameters
    ----------
    width, heads : W, and how many heads it is cut into; the inner width D = `expand` W has as wide ones.
    states, groups : S and G.
    expand : D / W.
    taps : of the short convolution, which looks to both sides; odd.
    chunk : tokens of a chunk. All five are the defaults of the authors' code (goombalab/hydra, hydra.py).
    """

    def __init__(
        self,
        width: int,
        heads: int,
        states: int = 64,
        groups: int = 1,
        expand: int = 2,
        taps: int = 7,
        chunk: int = 256,
    ) -> None:
        super().__init__()
        self.chunk, self.inner, self.heads = chunk, expand * width, expand * heads
        self.states, self.groups = states, groups
        mixed = self.inner + 4 * groups * states
        self.in_proj = nn.Linear(width, self.inner + mixed + 2 * self.heads, bias=False)
        self.conv = nn.Conv1d(mixed, mixed, taps, groups=mixed, padding=taps // 2)
        self.log_rate = nn.Parameter(torch.zeros(self.heads))
        self.step_bias = nn.Parameter(torch.zeros(self.heads))
        self.diagonal = nn.Linear(self.inner, self.heads)
        self.norm = nn.RMSNorm(self.inner, eps=1e-5)
        self.out_proj = nn.Linear(self.inner, width, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, drive, log_decay, b, c, diagonal = self.parts(x)
        both = torch.cat([drive, drive.flip(1)])
        step = -log_decay / self.log_rate.exp()
        y = ssd(both * step.unsqueeze(-1), log_decay, b, c, self.chunk)
        y = functional.pad(y[:, :-1], (0, 0, 0, 0, 1, 0))  # a token reads what lies strictly before it
        ahead, back = y.chunk(2)
        return self._out(ahead + back.flip(1) + drive * diagonal.unsqueeze(-1), gate)

    def explicit(self, x: torch.Tensor) -> torch.Tensor:
        """What `forward` gives, by the matrix [B, H, N, N] of every head."""
        gate, drive, log_decay, b, c, diagonal = self.parts(x)
        step = (-log_decay / self.log_rate.exp()).transpose(1, 2).unsqueeze(-2)
        matrix = functional.pad((ssd_matrix(log_decay, b, c) * step)[..., :-1, :], (0, 0, 1, 0))
        ahead, back = matrix.chunk(2)
        whole = ahead + back.flip((-2, -1)) + torch.diag_embed(diagonal.transpose(1, 2))
        return self._out(torch.einsum("bhij,bjhp->bihp", whole, drive), gate)

    def parts(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Gate [B, N, D], drive [B, N, H, P], log decays [2B, N, H], b, c [2B, N, G, S], diagonal [B, N, H].

        Where the batch is double, its second half is the direction from the end, in that order.
        """
        shared = 2 * self.groups * self.states
        gate, mixed, step = self.in_proj(x).split(
            [self.inner, self.inner + 2 * shared, 2 * self.heads], dim=-1
        )
        step = functional.softplus(_directions(step) + self.step_bias)
        mixed = functional.silu(self.conv(mixed.transpose(1, 2))).transpose(1, 2)
        drive, rest = mixed.split([self.inner, 2 * shared], dim=-1)
        b, c = (part.unflatten(-1, (self.groups, -1)) for part in _directions(rest).chunk(2, dim=-1))
        by_head = drive.unflatten(-1, (self.heads, -1))
        return gate, by_head, -self.log_rate.exp() * step, b, c, self.diagonal(drive)

    def _out(self, y: torch.Tensor, gate: torch.Tensor) -> torch.Tensor:
        projected: torch.Tensor = self.out_proj(self.norm(y.flatten(-2)) * functional.silu(gate))
        return projected


def _directions(x: torch.Tensor) -> torch.Tensor:
    """[B, N, 2k] -> [2B, N, k]: the first half of the channels, then the second from the end."""
    ahead, back = x.chunk(2, dim=-1)
    return torch.cat([ahead, back.flip(1)])
