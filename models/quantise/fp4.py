"""LLM-FP4: floats of four bits whose exponent bias is a real number, and biases per channel in the weights.

A float of e exponent and m mantissa bits with the bias b means ``2**(exponent - b) * significand``. A bias
that is no whole number is a scale: of the format's own levels, ``2**(own bias - b)``. Both the format
(E2M1, E1M2, E3M0) and the bias are searched. An activation whose channels differ by orders of magnitude
wants a bias for each; it gets ``rho + b_j`` with one real rho and whole numbers b_j, and since ``x_j w_j =
(2**b_j x_j) (2**-b_j w_j)``, a b_j goes into the weights of its channel once and for all: what is
multiplied has one bias.

Source: Liu et al., "LLM-FP4: 4-Bit Floating-Point Quantized Transformers", arXiv 2310.16836, sections 3 and
4.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import log2

import numpy as np
import torch
from torch import nn

from siliform.graph_ir.formats import format_named
from siliform.models.quantise.levels import round_levels

#: The formats of four bits that a search tries.
FP4 = ("fp4_e2m1", "fp4_e1m2", "fp4_e3m0")

#: The greatest value of a quantiser as a share of the data's, in a search (assumption: no end is ever best).
_SHARES = np.linspace(0.3, 1.2, 91)

#: Values that a search looks at (assumption: their histogram is settled).
_SAMPLES = 1 << 14

_BITS = re.compile(r"fp\d_e(\d)m(\d)")


def float_bits(element: str) -> tuple[int, int]:
    """Bits of exponent and mantissa of a format such as ``fp4_e2m1``; ValueError for another."""
    match = _BITS.fullmatch(element)
    if match is None:
        raise ValueError(f"{element} is no float such as fp4_e2m1")
    return int(match[1]), int(match[2])


def own_bias(element: str) -> int:
    """The exponent bias that the format itself has: 1 for E2M1 and E1M2, 3 for E3M0."""
    exponent, mantissa = float_bits(element)
    return round(2**exponent - 1 - log2(format_named(element).max / (2 - 2.0**-mantissa)))


@dataclass(frozen=True)
class BiasedFloat:
    """A float format with an exponent bias of its own.

    Attributes
    ----------
    element : by its name in `graph_ir.formats`.
    bias : a real number.
    """

    element: str
    bias: float

    def __post_init__(self) -> None:
        float_bits(self.element)

    @classmethod
    def reaching(cls, greatest: float, element: str) -> BiasedFloat:
        """The bias with which the format's greatest value is `greatest`, positive (equation 7)."""
        return cls(element, own_bias(element) - log2(greatest / format_named(element).max))

    @property
    def scale(self) -> float:
        """What the format's own levels are multiplied by."""
        return float(2.0 ** (own_bias(self.element) - self.bias))

    def quantise(self, x: torch.Tensor) -> torch.Tensor:
        """The nearest values of the format, float32, shape kept."""
        return round_levels(x.float() / self.scale, self.element) * self.scale


def search_float(values: torch.Tensor, elements: Sequence[str] = FP4) -> BiasedFloat:
    """The format and bias of least squared error, of `elements` and of 91 greatest values.

    (The paper measures the error of a layer's output, and searches it again a few times over.)
    """
    flat = values.detach().reshape(-1).float()
    sample = flat[:: max(1, flat.numel() // _SAMPLES)]
    greatest = max(float(flat.abs().max()) if flat.numel() else 0.0, 1e-8)  # 1e-8: zeros have some scale
    tried = [BiasedFloat.reaching(greatest * share, element) for element in elements for share in _SHARES]
    errors = [float((made.quantise(sample) - sample).square().sum()) for made in tried]
    return tried[int(np.argmin(errors))]


def channel_biases(greatest: torch.Tensor, element: str) -> tuple[BiasedFloat, torch.Tensor]:
    """The one bias of an activation, and the whole number b_j >= 0 that each channel has besides.

    Parameters
    ----------
    greatest : magnitude of each channel, [channels].

    A channel's own bias is the one that reaches its greatest value; rho is the least of them, that of the
    greatest channel, and b_j is what a channel lacks, rounded down so that nothing saturates, and at most
    ``2**exponent bits - 1``, which an exponent field can add (equation 12).
    """
    known = greatest.double().clamp(min=1e-8)
    shared = BiasedFloat.reaching(float(known.max()), element)
    most = 2 ** float_bits(element)[0] - 1
    return shared, torch.floor(torch.log2(known.max() / known)).clamp(0, most)


@torch.no_grad()
def pre_shift(readers: Sequence[nn.Linear], biases: torch.Tensor) -> None:
    """Take ``2**b_j`` off the weights of channel j, in place, for inputs that are multiplied by it."""
    for reader in readers:
        reader.weight *= torch.exp2(-biases).to(reader.weight)
