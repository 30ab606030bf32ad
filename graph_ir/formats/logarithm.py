"""Logarithms of a base between powers of two, as AdaLog searches them for each tensor.

Names are ``adalog<numerator>_<bits>``: ``adalog20_4`` has 4 bits and the base ``2**(20 / 37)``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats.base import Format, Kind, as_real, refuse_nan

#: Denominator of the exponents: a prime, so that no base is met twice (Wu et al., AdaLog, section 3.2).
DENOMINATOR = 37

#: Fraction bits of the factors in a decoder's table (assumption: as wide as an int8 multiplier takes them).
FACTOR_BITS = 7

_NAME = re.compile(r"adalog(\d{1,3})_(\d)")


@dataclass(frozen=True, eq=False, repr=False)
class AdaLog(Format):
    """Code q of `width` bits is ``2**-t1[q] * t2[q]``, which is ``2**-(q * numerator / 37)``.

    The whole part of the exponent, ``t1 = floor(q * numerator / 37)``, is a shift; its broken part selects
    a factor t2 above 1/2 and up to 1, kept with `FACTOR_BITS` bits behind the point. Codes are
    ``clamp(round(-log2(x) * 37 / numerator), 0, 2**width - 1)``. There is no zero, and a negative value
    raises UserError. Source: Wu et al., "AdaLog: Post-Training Quantization for Vision Transformers with
    Adaptive Logarithm Quantizer", ECCV 2024, section 3.2.
    """

    numerator: int
    width: int

    def __post_init__(self) -> None:
        if not 1 <= self.numerator <= 4 * DENOMINATOR or not 1 <= self.width <= 8:
            raise ValueError(
                f"adalog{self.numerator}_{self.width}; numerators are 1 to {4 * DENOMINATOR}, bits 1 to 8"
            )

    @property
    def name(self) -> str:
        return f"adalog{self.numerator}_{self.width}"

    @property
    def bits(self) -> int:
        return self.width

    @property
    def kind(self) -> Kind:
        return "log2"

    @property
    def min(self) -> float:
        return float(self.values.min())

    @property
    def max(self) -> float:
        return 1.0

    @property
    def step(self) -> float:
        return 2.0 ** -(int(self.shifts[-1]) + FACTOR_BITS)

    @cached_property
    def shifts(self) -> np.ndarray:
        """int64 [2**width], t1."""
        return np.arange(2**self.width) * self.numerator // DENOMINATOR

    @cached_property
    def factors(self) -> np.ndarray:
        """float64 [2**width], t2, multiples of ``2**-FACTOR_BITS``."""
        exact = np.exp2(-(np.arange(2**self.width) * self.numerator % DENOMINATOR) / DENOMINATOR)
        return np.rint(exact * 2**FACTOR_BITS) / 2**FACTOR_BITS

    @cached_property
    def values(self) -> np.ndarray:
        """float64 [2**width]: what each code means."""
        return np.ldexp(self.factors, -self.shifts)

    def encode(self, values: np.ndarray) -> np.ndarray:
        known = as_real(values).astype(np.float64)
        refuse_nan(known, self)
        if (known < 0).any():
            raise UserError(
                asked=f"{known.size} values in the number format {self.name}",
                found=f"{int((known < 0).sum())} of them are negative, the least is {known.min():g}",
                where=f"the number format {self.name}",
                next_step="use adalog for non-negative data such as probabilities, or add a shift before",
            )
        with np.errstate(divide="ignore"):
            exact = -np.log2(known) * (DENOMINATOR / self.numerator)
        return np.clip(np.rint(exact), 0, 2**self.width - 1).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return self.values[np.asarray(codes).astype(np.int64)]


def adalog_named(name: str) -> AdaLog | None:
    """The format of a name such as ``adalog20_4``; None for another name; ValueError for sizes it has not."""
    match = _NAME.fullmatch(name)
    return None if match is None else AdaLog(int(match[1]), int(match[2]))
