"""Integer layer and RMS norm: operand in int24 Q.14, weight and bias in int32 Q.12, result in int32 Q.12.

Sums and squares are exact in int64, the root is the exact integer root, and every quotient is rounded to
nearest, so a result depends on neither tiling nor order. The result saturates.
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
    return _of_reals(x, weight, bias, dims, eps, centred=True)


def integer_rms_norm(
    x: np.ndarray, weight: np.ndarray | None = None, *, dims: int = 1, eps: float = 1e-5
) -> np.ndarray:
    """x [..., last `dims` axes], weight of the last `dims` axes -> the shape of x."""
    return _of_reals(x, weight, None, dims, eps, centred=False)


def norm_levels(
    value: np.ndarray, weight: np.ndarray, bias: np.ndarray, eps: int, *, centred: bool
) -> np.ndarray:
    """The norms in integers: value [rows, N] in int24 Q.14, weight and bias [N] in int32 Q.12, eps in Q.28.

    A layer norm where `centred`, else an RMS norm. Results are int32 in Q.12, saturated.
    """
    length = value.shape[-1]
    mean = divide_nearest(value.sum(axis=-1, keepdims=True), length) if centred else 0
    rest = value - mean
    variance = divide_nearest((rest * rest).sum(axis=-1, keepdims=True), length) + eps
    # Q.28 becomes Q.32, whose root is Q.16; the root of zero divides as one step.
    deviation = np.maximum(square_root(variance << 2 * (ROOT_BITS - VALUE_BITS)), 1)
    normal = divide_nearest(rest << (ROOT_BITS + NORMAL_BITS - VALUE_BITS), deviation)
    grown = normal * weight + (bias << NORMAL_BITS)
    return np.clip(shift_right_even(grown, NORMAL_BITS), -(2**31), 2**31 - 1)


def eps_level(eps: float) -> int:
    """What is added to a variance, in Q.28."""
    return round(eps * 2 ** (2 * VALUE_BITS))


def _of_reals(
    x: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    dims: int,
    eps: float,
    *,
    centred: bool,
) -> np.ndarray:
    known = np.asarray(x)
    length = prod(known.shape[-dims:])
    # Saturated to 24 bits (512), so that squares and quotients stay within int64.
    value = np.clip(to_fixed(known.reshape(-1, length), VALUE_BITS, "int32"), -(2**23), 2**23 - 1)
    weights, biases = _affine(weight, 1.0, length), _affine(bias, 0.0, length)
    made = norm_levels(value, weights, biases, eps_level(eps), centred=centred)
    return from_fixed(made, WEIGHT_BITS).reshape(known.shape)


def _affine(given: np.ndarray | None, default: float, length: int) -> np.ndarray:
    return to_fixed(np.full(length, default) if given is None else np.ravel(given), WEIGHT_BITS, "int32")


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
