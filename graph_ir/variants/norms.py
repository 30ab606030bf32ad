"""Integer layer and RMS norm: operand in int24 Q.14, weight and bias in int32 Q.12, result in Q.12.

Sums and squares are exact in int64, the root is the exact integer root, and every quotient is
rounded to nearest, so a result depends on neither tiling nor order.
"""

from __future__ import annotations

from math import prod

import numpy as np

from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.fixed_point import (
    divide_nearest,
    from_fixed,
    shift_right_even,
    square_root,
    to_fixed,
)

VALUE_BITS = 14  # fraction bits of the operand
WEIGHT_BITS = 12  # fraction bits of weight, bias and result
ROOT_BITS = 16  # fraction bits of the deviation
NORMAL_BITS = 14  # fraction bits of the normalised value, before weight and bias

_DOMAIN = "rows of 8 or more values from -256 to 256 whose deviation is at least 1/16; |weight|, |bias| <= 8"


def integer_layer_norm(
    x: np.ndarray,
    weight: np.ndarray | None = None,
    bias: np.ndarray | None = None,
    *,
    dims: int = 1,
    eps: float = 1e-5,
) -> np.ndarray:
    """x [..., last `dims` axes], weight and bias of the last `dims` axes -> the shape of x."""
    value = _rows(x, dims)
    mean = divide_nearest(value.sum(axis=-1, keepdims=True), value.shape[-1])
    return _finished(value - mean, weight, bias, eps).reshape(np.shape(x))


def integer_rms_norm(
    x: np.ndarray, weight: np.ndarray | None = None, *, dims: int = 1, eps: float = 1e-5
) -> np.ndarray:
    """x [..., last `dims` axes], weight of the last `dims` axes -> the shape of x."""
    return _finished(_rows(x, dims), weight, None, eps).reshape(np.shape(x))


def _rows(x: np.ndarray, dims: int) -> np.ndarray:
    """x as rows in Q.14, saturated to 24 bits (512), so that squares and quotients stay within int64."""
    known = np.asarray(x)
    length = prod(known.shape[-dims:])
    return np.clip(to_fixed(known.reshape(-1, length), VALUE_BITS, "int32"), -(2**23), 2**23 - 1)


def _finished(
    centred: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, eps: float
) -> np.ndarray:
    squares = (centred * centred).sum(axis=-1, keepdims=True)
    variance = divide_nearest(squares, centred.shape[-1]) + round(eps * 2 ** (2 * VALUE_BITS))
    # Q.28 becomes Q.32, whose root is Q.16; the root of zero divides as one step.
    deviation = np.maximum(square_root(variance << 2 * (ROOT_BITS - VALUE_BITS)), 1)
    normal = divide_nearest(centred << (ROOT_BITS + NORMAL_BITS - VALUE_BITS), deviation)
    grown = normal * _factor(weight, 1.0)
    if bias is not None:
        grown = grown + (_factor(bias, 0.0) << NORMAL_BITS)
    return from_fixed(shift_right_even(grown, NORMAL_BITS), WEIGHT_BITS)


def _factor(given: np.ndarray | None, default: float) -> np.ndarray:
    return to_fixed(default if given is None else np.ravel(given), WEIGHT_BITS, "int32")


LAYER_NORM_VARIANTS = (
    Variant(
        "integer",
        integer_layer_norm,
        tolerance=2e-3,
        domain=_DOMAIN,
        source="Kim et al., I-BERT: Integer-only BERT Quantization, ICML 2021, section 3.6 and algorithm 4",
    ),
)

RMS_NORM_VARIANTS = (
    Variant(
        "integer",
        integer_rms_norm,
        tolerance=2e-3,
        domain=_DOMAIN,
        source="as layer norm without the mean: Zhang and Sennrich, arXiv 1910.07467, equation 4",
    ),
)
