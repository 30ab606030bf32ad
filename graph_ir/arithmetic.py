"""Arithmetic shared by the references: contractions that are exact wherever the formats allow it.

Integer codes are accumulated in int64, so a result never depends on tiling or order; scales are
applied once, after the sum. Floats are accumulated in float64 and rounded once to float32, which
for products of formats up to 16 bits is exact to the last bit of the result in practice and, for
float32, independent of tiling within half a unit of the last place.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.types import TensorType


def contract(subscripts: str, a: Any, b: Any) -> np.ndarray:
    """``einsum(subscripts, a, b)`` accumulated exactly for integers, in float64 for floats."""
    wide = np.int64 if np.asarray(a).dtype.kind in "iub" and np.asarray(b).dtype.kind in "iub" else np.float64
    result = np.einsum(subscripts, np.asarray(a).astype(wide), np.asarray(b).astype(wide), optimize=True)
    return result if wide is np.int64 else result.astype(np.float32)


def product_type(a: TensorType, b: TensorType) -> TensorType:
    """The type that a product of two operands has by default.

    Two integer-like elements accumulate into int32; otherwise the wider float of the two holds
    the result, and a scaled operand counts as fp32.
    """
    formats = [t.format for t in (a, b)]
    if all(f.element is f and f.kind in ("integer", "binary", "ternary") for f in formats):
        return a.with_format(format_named("int32"))
    plain = [f if f.element is f and f.kind == "float" else format_named("fp32") for f in formats]
    return a.with_format(max(plain, key=lambda f: f.bits))
