"""AdaLog: logarithmic codes whose base is searched, for data that is never negative.

A code q means ``scale * 2**-(q * q0 / r)``: the base is ``2**(q0 / r)``, r = 37 and q0 a whole number. Split
into its whole and its broken part, the exponent becomes a shift and one of a few factors, so hardware needs
two tables of 2**bits entries and no power.

What follows a GELU is negative down to -0.17: 0.17 is added before, and a linear layer behind it takes it off
its bias.

Source: Wu et al., "AdaLog: Post-Training Quantization for Vision Transformers with Adaptive Logarithm
Quantizer", ECCV 2024, sections 3.2 and 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from siliform.graph_ir.formats.logarithm import DENOMINATOR
from siliform.graph_ir.ops.log_codes import log_codes

#: Added to a GELU's output, whose least value is -0.16997 (at -0.7518).
GELU_SHIFT = 0.17

#: Values that a search looks at (assumption: their histogram is settled).
_SAMPLES = 1 << 13


@dataclass(frozen=True)
class AdaLog:
    """One quantiser.

    Attributes
    ----------
    scale : the value of code 0, the greatest.
    numerator : q0, from 1.
    bits : of a code.
    """

    scale: float
    numerator: int
    bits: int

    def __post_init__(self) -> None:
        if self.scale <= 0 or self.numerator < 1 or not 1 <= self.bits <= 8:
            raise ValueError(
                f"AdaLog of scale {self.scale}, base 2**({self.numerator}/{DENOMINATOR}), {self.bits} bits"
            )

    @cached_property
    def shifts(self) -> np.ndarray:
        """int64 [2**bits]: by how many bits each code shifts, ``floor(q * q0 / r)``."""
        return np.arange(2**self.bits) * self.numerator // DENOMINATOR

    @cached_property
    def factors(self) -> np.ndarray:
        """float64 [2**bits], above 1/2 and up to 1: what each code multiplies besides."""
        return np.exp2(-(np.arange(2**self.bits) * self.numerator % DENOMINATOR) / DENOMINATOR)

    @cached_property
    def values(self) -> np.ndarray:
        """float64 [2**bits]: what each code means, by the tables."""
        return self.scale * np.ldexp(self.factors, -self.shifts)

    def codes(self, x: np.ndarray) -> np.ndarray:
        """int64 codes of values >= 0: ``clamp(round(-log2(x / scale) * r / q0), 0, 2**bits - 1)``."""
        base = {"numerator": self.numerator, "denominator": DENOMINATOR, "scale": self.scale}
        return np.asarray(log_codes.reference(x, bits=self.bits, **base)).astype(np.int64)

    def quantise(self, x: torch.Tensor) -> torch.Tensor:
        """The values of the codes of `x` >= 0, float32, shape kept."""
        return self._rounding(x)

    @cached_property
    def _rounding(self) -> LogRounding:
        return LogRounding(self.scale, self.numerator / DENOMINATOR, 2**self.bits)


@dataclass(frozen=True)
class LogRounding:
    """Rounding of tensors >= 0 to ``scale * 2**-(q * step)``, q from 0 to `count` - 1, in the logarithm.

    In float32, so that a value next to the middle of two codes may get the other one, and what a code means
    is right to the last place. Zero gets the last code.
    """

    scale: float
    step: float
    count: int

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """float32, shape kept."""
        codes = torch.log2(x / self.scale).mul_(-1 / self.step).round_().clamp_(0, self.count - 1)
        return codes.mul_(-self.step).exp2_().mul_(self.scale)


def search_adalog(values: torch.Tensor, bits: int, shift: float = 0.0) -> AdaLog:
    """The quantiser of least squared error for samples of ``values + shift``, all of them >= 0.

    Every base from 2**(1/37) to 2**(74/37) is tried with every scale from a fifth of the greatest value to
    the whole in 41 steps. (The paper narrows down progressively instead: a candidate cost it a layer's
    output. Here one costs 2**bits look-ups, since values are sorted once and summed up.)
    """
    flat = values.detach().reshape(-1).double().numpy() + shift
    sample = np.sort(flat[:: max(1, flat.size // _SAMPLES)])
    greatest = max(float(flat.max(initial=0.0)), 1e-6)
    sums = np.concatenate([[0.0], np.cumsum(sample)])
    tried = [
        AdaLog(greatest * share, numerator, bits)
        for numerator in range(1, 2 * DENOMINATOR + 1)
        for share in np.linspace(0.2, 1.0, 41)
    ]
    means = np.stack([made.values for made in tried])
    half = np.arange(2**bits - 1) + 0.5
    bases = np.array([made.numerator for made in tried])[:, None] / DENOMINATOR
    middles = np.array([made.scale for made in tried])[:, None] * np.exp2(-half * bases)
    # Values in places[q + 1] to places[q] have the code q; the squares of the values themselves are left out.
    inner = np.searchsorted(sample, middles, side="right")
    places = np.concatenate([np.full((len(tried), 1), sample.size), inner, np.zeros((len(tried), 1), int)], 1)
    counts, totals = -np.diff(places, axis=1), -np.diff(sums[places], axis=1)
    return tried[int(np.argmin((counts * means**2 - 2 * means * totals).sum(axis=1)))]
