"""Formats of a few levels: ternary, binary, and powers of two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats.base import Format, Kind, as_real, refuse_nan


@dataclass(frozen=True, eq=False, repr=False)
class Ternary(Format):
    """{-1, 0, +1} in two bits of two's complement (code 0b10 means nothing).

    Rounds half to even and saturates: what lies within [-0.5, 0.5] is zero.
    """

    @property
    def name(self) -> str:
        return "ternary"

    @property
    def bits(self) -> int:
        return 2

    @property
    def kind(self) -> Kind:
        return "ternary"

    @property
    def min(self) -> int:
        return -1

    @property
    def max(self) -> int:
        return 1

    @property
    def step(self) -> float:
        return 1.0

    def codes(self) -> np.ndarray:
        return np.array([0b00, 0b01, 0b11], dtype=np.uint8)

    def encode(self, values: np.ndarray) -> np.ndarray:
        known = as_real(values)
        refuse_nan(known, self)
        return (np.rint(np.clip(known, -1, 1)).astype(np.int64) & 0b11).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        known = np.asarray(codes)
        if (known == 0b10).any():
            raise UserError(
                asked=f"{known.size} ternary codes as values",
                found=f"{int((known == 0b10).sum())} of them are 0b10",
                where="the number format ternary",
                next_step="use the codes 0b11 for -1, 0b00 for 0 and 0b01 for +1",
            )
        return known.astype(np.int64) - 4 * (known == 0b11)


@dataclass(frozen=True, eq=False, repr=False)
class Binary(Format):
    """{-1, +1} in one bit, set for +1. The sign of zero, of either sign, is +1."""

    @property
    def name(self) -> str:
        return "binary"

    @property
    def bits(self) -> int:
        return 1

    @property
    def kind(self) -> Kind:
        return "binary"

    @property
    def min(self) -> int:
        return -1

    @property
    def max(self) -> int:
        return 1

    @property
    def step(self) -> float:
        return 1.0

    def encode(self, values: np.ndarray) -> np.ndarray:
        known = as_real(values)
        refuse_nan(known, self)
        return (known >= 0).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return 2 * (np.asarray(codes) & 1).astype(np.int64) - 1


@dataclass(frozen=True, eq=False, repr=False)
class Binary01(Format):
    """{0, 1} in one bit. Rounds half to even: above 0.5 is one, 0.5 and below is zero."""

    @property
    def name(self) -> str:
        return "binary01"

    @property
    def bits(self) -> int:
        return 1

    @property
    def kind(self) -> Kind:
        return "binary"

    @property
    def min(self) -> int:
        return 0

    @property
    def max(self) -> int:
        return 1

    @property
    def step(self) -> float:
        return 1.0

    def encode(self, values: np.ndarray) -> np.ndarray:
        known = as_real(values)
        refuse_nan(known, self)
        return (known > 0.5).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return (np.asarray(codes) & 1).astype(np.int64)


@dataclass(frozen=True, eq=False, repr=False)
class Log2(Format):
    """Code q of `width` bits is ``2**-q``: ``q = clamp(round(-log2(x)), 0, 2**width - 1)``.

    Rounding is in the logarithm, to nearest; its ties are irrational and so never met. There is no
    zero: zero and whatever lies below the range become the least value, ``2**-(2**width - 1)``.
    A negative value raises UserError: the format is for probabilities and other non-negative data.
    Source: Li et al., "RepQ-ViT", ICCV 2023, equation 6.
    """

    width: int

    def __post_init__(self) -> None:
        if not 1 <= self.width <= 8:
            raise ValueError(f"a log2 format has 1 to 8 bits, not {self.width}")

    @property
    def name(self) -> str:
        return f"log2_{self.width}"

    @property
    def bits(self) -> int:
        return self.width

    @property
    def kind(self) -> Kind:
        return "log2"

    @property
    def min(self) -> float:
        return 2.0 ** -(2**self.width - 1)

    @property
    def max(self) -> float:
        return 1.0

    @property
    def step(self) -> float:
        return self.min

    def encode(self, values: np.ndarray) -> np.ndarray:
        known = as_real(values).astype(np.float64)
        refuse_nan(known, self)
        if (known < 0).any():
            raise UserError(
                asked=f"{known.size} values in the number format {self.name}",
                found=f"{int((known < 0).sum())} of them are negative, the least is {known.min():g}",
                where=f"the number format {self.name}",
                next_step="use log2 for non-negative data such as probabilities, or a signed format",
            )
        fraction, exponent = np.frexp(np.clip(known, self.min, self.max))
        # x = fraction * 2**exponent, fraction in [0.5, 1). The rounded logarithm of the fraction is
        # 0 above sqrt(1/2) and -1 below; no float64 equals that root, and the comparison is exact
        # because the constant is the least float64 above it.
        above = fraction >= 0.70710678118654757  # sqrt(1/2), rounded up
        return (-exponent + ~above).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return np.ldexp(1.0, -np.asarray(codes).astype(np.int64))
