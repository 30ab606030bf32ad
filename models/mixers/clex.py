"""Continuous length extrapolation: rotary frequencies that follow a differential equation in the length.

Chen et al., CLEX: Continuous Length Extrapolation for Large Language Models, arXiv 2310.16450, section 3. The
logarithms z of a head's frequencies move with t, how many times longer a sequence is than those trained on::

    dz_i / dt = (W_down silu(W_up z))_i - 2 i / ((c - 2) t)

The second term is the path of "NTK-aware" scaling, ``theta_i = (base t^(c / (c - 2)))^(-2 i / c)``, which the
solution is as long as W_down is zero, its first value. Solved by the classical Runge-Kutta method in a fixed
number of steps, once for all tokens. Shapes: N tokens, c width of a head.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.rotary import ROTARY_BASE
from siliform.models.mixers.softmax import SoftmaxMixer


class CLEXMixer(SoftmaxMixer):
    """Self-attention, x [B, N, W] -> [B, N, W].

    Parameters
    ----------
    scale : t, how many times longer the sequence is than in training; 4 is the first length past training of
        the authors' tables (arXiv 2310.16450, abstract: over 4 times).
    amplification : width inside the equation's layer over c (assumption: 1, the smallest; the authors' code
        calls it `param_factor`).
    steps : of the solver, by Runge and Kutta as the authors' (assumption: 4, which are within 0.1 % of the
        closed form at 4 times the length).
    rotary_base : of training.
    """

    def __init__(
        self,
        width: int,
        heads: int,
        scale: float = 4.0,
        amplification: int = 1,
        steps: int = 4,
        causal: bool = False,
        rotary_base: float = ROTARY_BASE,
    ) -> None:
        super().__init__(width, heads, causal=causal, rotary_base=rotary_base)
        self.scale, self.steps = scale, steps
        self.up = nn.Linear(self.head_width // 2, amplification * self.head_width, bias=False)
        self.down = nn.Linear(amplification * self.head_width, self.head_width // 2, bias=False)
        nn.init.zeros_(self.down.weight)

    def rates(self, like: torch.Tensor) -> torch.Tensor | None:
        trained = super().rates(like)
        return trained if trained is None else self.at_scale(trained)

    def at_scale(self, trained: torch.Tensor) -> torch.Tensor:
        """Frequencies [c/2] at `scale` of those of training, [c/2]."""
        z, t, step = trained.log(), 1.0, (self.scale - 1) / self.steps
        for _ in range(self.steps):
            k1 = self._slope(z, t)
            k2 = self._slope(z + step / 2 * k1, t + step / 2)
            k3 = self._slope(z + step / 2 * k2, t + step / 2)
            k4 = self._slope(z + step * k3, t + step)
            z = z + step / 6 * (k1 + 2 * (k2 + k3) + k4)
            t += step
        return z.exp()

    def _slope(self, z: torch.Tensor, t: float) -> torch.Tensor:
        pairs = torch.arange(len(z), dtype=z.dtype, device=z.device)
        learnt: torch.Tensor = self.down(functional.silu(self.up(z)))
        return learnt - pairs * (2 / (self.head_width - 2) / t)


def scaled_as_ntk(head_width: int, base: float, scale: float) -> torch.Tensor:
    """The frequencies of "NTK-aware" scaling in closed form, [c/2] in float64."""
    wider = base * scale ** (head_width / (head_width - 2))
    return wider ** (torch.arange(head_width // 2, dtype=torch.float64) * (-2 / head_width))
