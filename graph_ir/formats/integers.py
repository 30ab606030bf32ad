"""Integer formats in two's complement, and booleans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from siliform.graph_ir.formats.base import Format, Kind, as_real, refuse_nan


@dataclass(frozen=True, eq=False, repr=False)
class Integer(Format):
    """`width` bits, two's complement where signed. Rounds half to even, saturates at both ends."""

    width: int
    signed: bool = True

    @property
    def name(self) -> str:
        return f"{'' if self.signed else 'u'}int{self.width}"

    @property
    def bits(self) -> int:
        return self.width

    @property
    def kind(self) -> Kind:
        return "integer"

    @property
    def min(self) -> int:
        return -(2 ** (self.width - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        return 2 ** (self.width - int(self.signed)) - 1

    @property
    def step(self) -> float:
        return 1.0

    def encode(self, values: np.ndarray) -> np.ndarray:
        level = round_to_integers(as_real(values), self)
        return (level & np.int64(2**self.width - 1 if self.width < 64 else -1)).astype(self.code_dtype)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        code = np.asarray(codes).astype(self.code_dtype).astype(np.int64)
        if not self.signed or self.width == 64:
            return code
        half = 1 << (self.width - 1)
        return (code ^ half) - half

    def round(self, values: np.ndarray) -> np.ndarray:
        return round_to_integers(as_real(values), self).astype(np.asarray(values).dtype)


@dataclass(frozen=True, eq=False, repr=False)
class Boolean(Format):
    """One bit: everything but zero is true, as in NumPy."""

    @property
    def name(self) -> str:
        return "bool"

    @property
    def bits(self) -> int:
        return 1

    @property
    def kind(self) -> Kind:
        return "boolean"

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
        return (known != 0).astype(np.uint8)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        return (np.asarray(codes) != 0).astype(np.int64)


def round_to_integers(values: np.ndarray, format: Format) -> np.ndarray:
    """`values` rounded half to even and clipped to the range of an integer format, as int64.

    Integers never pass through a float, so that none of up to 64 bits is changed on the way.
    """
    if values.dtype.kind in "iub":
        limits = np.iinfo(values.dtype) if values.dtype.kind in "iu" else None
        low = int(format.min) if limits is None else max(int(format.min), int(limits.min))
        high = int(format.max) if limits is None else min(int(format.max), int(limits.max))
        whole = values if limits is not None else values.astype(np.int64)
        return np.asarray(np.clip(whole, low, high)).astype(np.int64)
    refuse_nan(values, format)
    nearest = np.rint(values.astype(np.float64))
    inside = np.clip(nearest, float(format.min), np.nextafter(float(format.max) + 1.0, 0.0))
    return np.where(nearest > inside, int(format.max), np.trunc(inside).astype(np.int64))
