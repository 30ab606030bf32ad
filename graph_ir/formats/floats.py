"""Float formats: IEEE 754 and bfloat16, the OCP 8-bit ones, and 4-bit ones.

All of them round to nearest, ties to the even code, from the exact value handed in: a float64 is
never rounded twice.

Beyond the greatest finite value, fp64, fp32, fp16 and bf16 give infinity as IEEE 754 does. The
8- and 4-bit formats saturate (OCP 8-bit Floating Point Specification 1.0, saturating mode): a
finite value never becomes infinity or NaN. Infinity itself keeps its code where the format has
one (fp8_e5m2) and saturates elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import ml_dtypes
import numpy as np

from siliform.graph_ir.formats.base import Format, Kind, as_real, refuse_nan


@dataclass(frozen=True, eq=False, repr=False)
class NativeFloat(Format):
    """A float format that NumPy or ml_dtypes stores; `saturating` ones clip finite values first."""

    label: str
    dtype: np.dtype
    width: int
    saturating: bool

    @property
    def name(self) -> str:
        return self.label

    @property
    def bits(self) -> int:
        return self.width

    @property
    def kind(self) -> Kind:
        return "float"

    @property
    def min(self) -> float:
        return -self.max

    @cached_property
    def max(self) -> float:
        return float(ml_dtypes.finfo(self.dtype).max)

    @cached_property
    def step(self) -> float:
        return float(ml_dtypes.finfo(self.dtype).smallest_subnormal)

    @property
    def has_nan(self) -> bool:
        return self.width > 4

    @property
    def has_infinity(self) -> bool:
        return self.label != "fp8_e4m3" and self.width > 4

    def encode(self, values: np.ndarray) -> np.ndarray:
        return self._narrow(as_real(values)).view(self.code_dtype)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        stored = np.asarray(codes).astype(self.code_dtype)
        with np.errstate(invalid="ignore"):  # a signalling NaN stays a NaN
            return stored.view(self.dtype).astype(np.float64)

    def round(self, values: np.ndarray) -> np.ndarray:
        known = as_real(values)
        if known.dtype == self.dtype:
            return known
        return self._narrow(known).astype(np.asarray(values).dtype)

    def _narrow(self, values: np.ndarray) -> np.ndarray:
        if not self.has_nan:
            refuse_nan(values, self)
        if self.saturating:
            clipped = np.clip(values, self.min, self.max)
            values = np.where(np.isinf(values), values, clipped) if self.has_infinity else clipped
        with np.errstate(over="ignore"):
            if self.dtype.itemsize < 4 and self.dtype != np.dtype(np.float16):
                values = to_float32_odd(values)
            return np.ascontiguousarray(values.astype(self.dtype)).reshape(values.shape)


def to_float32_odd(values: np.ndarray) -> np.ndarray:
    """`values` in float32, rounded to odd, so that rounding once more to a narrower format is exact.

    ml_dtypes goes from float64 through float32; rounding to nearest there and again to the format
    would turn values just beyond a tie into ties. Rounding to odd keeps them off the tie.
    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums", IEEE TC 2008.
    """
    if values.dtype == np.dtype(np.float32):
        return values
    wide = values.astype(np.float64)
    nearest = wide.astype(np.float32)
    even = (nearest.view(np.uint32) & 1) == 0
    inexact = np.isfinite(wide) & (nearest.astype(np.float64) != wide)
    towards = np.where(nearest.astype(np.float64) < wide, np.float32(np.inf), np.float32(-np.inf))
    return np.where(inexact & even, np.nextafter(nearest, towards), nearest).astype(np.float32)


@dataclass(frozen=True, eq=False, repr=False)
class SmallFloat(Format):
    """Sign, `exponent_bits` and `mantissa_bits` with subnormals, and neither infinity nor NaN.

    The value is ``(-1)**s * 2**(max(e, 1) - bias) * (m / 2**mantissa_bits + (e > 0))``.
    """

    exponent_bits: int
    mantissa_bits: int
    bias: int

    @property
    def name(self) -> str:
        return f"fp{self.bits}_e{self.exponent_bits}m{self.mantissa_bits}"

    @property
    def bits(self) -> int:
        return 1 + self.exponent_bits + self.mantissa_bits

    @property
    def kind(self) -> Kind:
        return "float"

    @property
    def min(self) -> float:
        return -self.max

    @property
    def max(self) -> float:
        return float(self._magnitudes[-1])

    @property
    def step(self) -> float:
        return float(self._magnitudes[1]) if self.mantissa_bits else 2.0 ** (1 - self.bias)

    @cached_property
    def _magnitudes(self) -> np.ndarray:
        code = np.arange(2 ** (self.bits - 1))
        exponent, mantissa = code >> self.mantissa_bits, code & (2**self.mantissa_bits - 1)
        fraction = mantissa / 2.0**self.mantissa_bits + (exponent > 0)
        return fraction * 2.0 ** (np.maximum(exponent, 1) - self.bias)

    def encode(self, values: np.ndarray) -> np.ndarray:
        known = as_real(values)
        refuse_nan(known, self)
        size = np.abs(known.astype(np.float64))
        # Halves of sums of neighbours are exact in float64, so comparing with them rounds once.
        middle = (self._magnitudes[:-1] + self._magnitudes[1:]) / 2
        code = np.searchsorted(middle, size, side="left")
        tie = (code < middle.size) & (middle[np.minimum(code, middle.size - 1)] == size)
        code = code + (tie & (code % 2 == 1))
        sign = np.signbit(known).astype(np.int64) << (self.bits - 1)
        return (code | sign).astype(self.code_dtype)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        known = np.asarray(codes).astype(np.int64)
        half = 2 ** (self.bits - 1)
        size = self._magnitudes[known & (half - 1)]
        return np.where(known & half, -size, size)


@dataclass(frozen=True, eq=False, repr=False)
class ScaleE8M0(Format):
    """e8m0, the OCP MX scale: code c is ``2**(c - 127)``, code 255 is NaN; no zero and no sign.

    Values are rounded to the nearest power of two, ties to the even code; what lies below 2**-127,
    zero included, saturates there, and so does what lies above 2**127. A negative value raises.
    Source: OCP Microscaling Formats (MX) Specification 1.0, section 5.4.1.
    """

    @property
    def name(self) -> str:
        return "e8m0"

    @property
    def bits(self) -> int:
        return 8

    @property
    def kind(self) -> Kind:
        return "log2"

    @property
    def min(self) -> float:
        return 2.0**-127

    @property
    def max(self) -> float:
        return 2.0**127

    @property
    def step(self) -> float:
        return 2.0**-127

    @property
    def has_nan(self) -> bool:
        return True

    def encode(self, values: np.ndarray) -> np.ndarray:
        known = as_real(values).astype(np.float64)
        if (known < 0).any():
            raise ValueError(f"e8m0 has no negative values; the least given is {known.min()}")
        fraction, exponent = np.frexp(np.clip(known, self.min, self.max))
        # known = (2 * fraction) * 2**(exponent - 1) with 2 * fraction in [1, 2): a tie lies at 1.5.
        with np.errstate(invalid="ignore"):
            lower = np.where(np.isnan(known), 255, exponent - 1 + 127).astype(np.int64)
            up = (2 * fraction > 1.5) | ((2 * fraction == 1.5) & (lower % 2 == 1))
        return (lower + (up & ~np.isnan(known))).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        known = np.asarray(codes).astype(np.int64)
        return np.where(known == 255, np.nan, np.ldexp(1.0, np.minimum(known, 254) - 127))


def native(label: str, dtype: object, width: int = 0, saturating: bool = False) -> NativeFloat:
    """A float format of that name, stored in that NumPy or ml_dtypes dtype."""
    known = np.dtype(dtype)  # type: ignore[call-overload]
    return NativeFloat(label, known, width or known.itemsize * 8, saturating)
