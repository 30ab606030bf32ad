"""Polynomial composition activations: PolyReLU and PolyNorm, of degree three.

Zhuo et al., Polynomial Composition Activations, arXiv 2411.03884, equations 4 and 5: a polynomial with
learned coefficients of something bounded enough that powers of it do not explode. Both are elementwise but
for PolyNorm's norms, which run over the last axis; both begin with coefficients 1/3 and no constant (the
authors' code).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from siliform.models.blocks.channels import MLP

DEGREE = 3  # arXiv 2411.03884, section 4.1: of 2 to 8 it is the cheapest that helps as much

#: Added to the mean square (the authors' code, PolyNorm, eps).
EPSILON = 1e-6


class PolyReLU(nn.Module):
    """``a_0 + sum over i = 1..3 of a_i ReLU(x)^i``, x [...] -> [...]."""

    def __init__(self) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.full((DEGREE,), 1 / DEGREE))
        self.constant = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, kept = self.coefficients, functional.relu(x)
        # Horner's rule: a product and an addition a degree.
        polynomial: torch.Tensor = self.constant + kept * (a[0] + kept * (a[1] + kept * a[2]))
        return polynomial


class PolyNorm(nn.Module):
    """``b + sum over i = 1..3 of a_i x^i / rms(x^i)``, x [..., W] -> [..., W]."""

    def __init__(self) -> None:
        super().__init__()
        self.coefficients = nn.Parameter(torch.full((DEGREE,), 1 / DEGREE))
        self.constant = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        square = x * x
        powers = (x, square, square * x)
        made: torch.Tensor = self.constant
        for coefficient, power in zip(self.coefficients.unbind(), powers, strict=True):
            made = made + coefficient * functional.rms_norm(power, x.shape[-1:], eps=EPSILON)
        return made


class PolyNormMLP(MLP):
    """Two linear layers without biases about a PolyNorm: x [B, N, W] -> [B, N, W].

    To have as many parameters as a SwiGLU it is half as wide again inside (arXiv 2411.03884, section 4.1).
    """

    def __init__(self, width: int, inner: int) -> None:
        super().__init__(width, inner, PolyNorm, bias=False)


class PolyReLUMLP(MLP):
    """The same about a PolyReLU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__(width, inner, PolyReLU, bias=False)
