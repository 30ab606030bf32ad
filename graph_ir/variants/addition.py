"""Sums of two tensors in narrow integers: operands are plain floats, and so is the result."""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.products import as_quantised
from siliform.graph_ir.variants.requantise import common_multipliers, requantised_sum


def requantised_addition(a: Any, b: Any) -> np.ndarray:
    """int8 operands at a scale each, and an int8 result at a third: two multipliers and one shift.

    a and b broadcast; either may be `Quantised` in int8@tensor. The result's scale puts the greatest exact
    magnitude on 127.
    """
    x, y = as_quantised(a, "int8@tensor"), as_quantised(b, "int8@tensor")
    first, second = float(x.scale), float(y.scale)
    left, right = x.levels.astype(np.int64), y.levels.astype(np.int64)
    peak = np.abs(left * first + right * second).max(initial=0.0)
    scale = float(np.float32(peak / 127)) or 1.0
    levels = requantised_sum(left, right, *common_multipliers(first / scale, second / scale), "int8")
    return (levels * scale).astype(np.float32)


ADD_VARIANTS = (
    Variant(
        "int8_requantised",
        requantised_addition,
        tolerance=0.02,
        domain="normally distributed operands, the wider at most 64 times the narrower",
        source="Jacob et al., Quantization and Training of Neural Networks, CVPR 2018, appendix A.2",
    ),
)
