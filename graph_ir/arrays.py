"""How values are held at run time, by format.

=============================  =====================================================
fp64                           float64
fp32                           float32
a narrower float, log2         float32, already rounded to the format (float64 for log2_8, whose
                               least value, 2^-255, float32 does not have)
integers                       the smallest NumPy integer with the format's range
binary, ternary                int8, the exact levels
bool                           bool
a scaled format                `Quantised`: exact levels beside their scales
=============================  =====================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.formats import Format, Quantised

_LEVELS = ("binary", "ternary")


def is_scaled(format: Format) -> bool:
    """Whether a tensor in this format carries scales beside its elements."""
    return format.element is not format


def held_dtype(format: Format) -> np.dtype:
    """The dtype in which values of an unscaled format are held."""
    if format.kind == "boolean":
        return np.dtype(np.bool_)
    if format.kind == "integer":
        sign = "u" if _is_unsigned(format) else ""
        return np.dtype(f"{sign}int{next(b for b in (8, 16, 32, 64) if b >= format.bits)}")
    if format.kind in _LEVELS:
        return np.dtype(np.int8)
    is_wide = format.bits > 32 or 0 < format.min < np.finfo(np.float32).smallest_subnormal
    return np.dtype(np.float64 if is_wide else np.float32)


def same_values(one: Any, other: Any) -> bool:
    """Whether two arrays, as `hold` returns them, hold the same values; a NaN is the same as a NaN."""
    if isinstance(one, Quantised) or isinstance(other, Quantised):
        return (
            isinstance(one, Quantised)
            and isinstance(other, Quantised)
            and same_values(one.levels, other.levels)
            and same_values(one.scale, other.scale)
        )
    return np.array_equal(one, other, equal_nan=np.asarray(one).dtype.kind == "f")


def hold(values: Any, format: Format) -> Any:
    """`values` as the interpreter holds them in `format`.

    Floats are rounded to the format; integers, booleans and levels are never changed: a value that
    the format does not have raises OverflowError (out of range) or ValueError (between two values).
    """
    if is_scaled(format) or isinstance(values, Quantised):
        return _hold_quantised(values, format)
    array = np.asarray(values)
    dtype = held_dtype(format)
    if dtype.kind == "f":
        wide = array.astype(dtype, copy=False)
        return wide if format.bits >= 32 or wide.size == 0 else format.round(wide)
    if array.dtype == dtype and format.kind not in _LEVELS and format.bits in (1, dtype.itemsize * 8):
        return array
    return _hold_exactly(array, format, dtype)


def _hold_exactly(array: np.ndarray, format: Format, dtype: np.dtype) -> np.ndarray:
    if format.kind == "integer" and array.size:
        low, high = _range(format)
        least, most = array.min(), array.max()
        if not (least >= low and most <= high):
            raise OverflowError(f"values from {least} to {most} do not fit {format.name} ({low} to {high})")
    result = array.astype(dtype)
    same = format.round(result) if format.kind in _LEVELS and array.size else result
    if not np.array_equal(same, array):
        raise ValueError(f"{array.dtype.name} values that {format.name} does not have")
    return result


def _hold_quantised(values: Any, format: Format) -> Quantised:
    if not isinstance(values, Quantised):
        raise ValueError(f"a plain {np.asarray(values).dtype.name} array where {format.name} carries scales")
    if values.format != format:
        raise ValueError(f"a tensor in {values.format.name} where {format.name} is expected")
    return values


def _is_unsigned(format: Format) -> bool:
    return format.name.startswith("u")


def _range(format: Format) -> tuple[int, int]:
    if _is_unsigned(format):
        return 0, 2**format.bits - 1
    return -(2 ** (format.bits - 1)), 2 ** (format.bits - 1) - 1
