"""log_codes and log_values: non-negative values as codes in a logarithm of any base, and back.

A code q means ``scale * 2**-(q * numerator / denominator)``. With 1 / 1 that is log2 (RepQ-ViT), with 1 / 2
the logarithm to the root of two (RepQuant), with q0 / 37 AdaLog, whose base is searched for each tensor. A
product with a code is a shift and, but for log2, a factor from a table.

Sources: Li et al., "RepQ-ViT", ICCV 2023, equation 6; Wu et al., "AdaLog: Post-Training Quantization for
Vision Transformers with Adaptive Logarithm Quantizer", ECCV 2024, section 3.2.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Value
from siliform.graph_ir.ops.binary import cast, maximum, minimum, mul
from siliform.graph_ir.ops.common import plain, pointwise
from siliform.graph_ir.ops.creation import scalar
from siliform.graph_ir.ops.unary import exp2, log2
from siliform.graph_ir.ops.unary import round as nearest
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants import LOG_CODES

_SOURCE = "Wu et al., AdaLog, ECCV 2024, section 3.2; Li et al., RepQ-ViT, ICCV 2023, equation 6"


def _codes(
    x: np.ndarray, *, bits: int, numerator: int = 1, denominator: int = 1, scale: float = 1.0
) -> np.ndarray:
    """x [...] >= 0 -> uint8 ``clamp(round(-log2(x / scale) * denominator / numerator), 0, 2**bits - 1)``."""
    known = np.asarray(x).astype(np.float64)
    if (known < 0).any():
        raise UserError(
            asked=f"{known.size} values in logarithmic codes",
            found=f"{int((known < 0).sum())} of them are negative, the least is {known.min():g}",
            where="log_codes",
            next_step="use it for non-negative data such as probabilities, or add a shift before",
        )
    with np.errstate(divide="ignore"):
        exact = -np.log2(known / scale) * (denominator / numerator)
    return np.clip(np.rint(exact), 0, 2**bits - 1).astype(np.uint8)


def _check(bits: int, numerator: int, denominator: int, scale: float) -> None:
    if not 1 <= bits <= 8:
        raise ValueError(f"codes of {bits} bits; they have 1 to 8")
    if numerator < 1 or denominator < 1:
        raise ValueError(f"the base 2**({numerator}/{denominator}); both are 1 or more")
    if not scale > 0:
        raise ValueError(f"the scale {scale}; it is positive")


def _codes_shape(
    x: TensorType, *, bits: int, numerator: int = 1, denominator: int = 1, scale: float = 1.0
) -> TensorType:
    _check(bits, numerator, denominator, scale)
    return x.with_format("uint8")


def _codes_spaces(x: TensorType, **attributes: Any) -> list[Space]:
    return [pointwise(x.with_format("uint8"), [x], {"log": 1, "mul": 1, "round": 1, "compare": 2})]


def _codes_expansion(
    b: Builder, x: Value, *, bits: int, numerator: int = 1, denominator: int = 1, scale: float = 1.0
) -> Any:
    known = x if plain(x.type.format).kind == "float" else b(cast, x, format="fp32")
    exponent = b(log2, b(mul, known, scalar(b, 1 / scale, known)))
    code = b(nearest, b(mul, exponent, scalar(b, -denominator / numerator, known)))
    top = b(minimum, code, scalar(b, 2.0**bits - 1, known))
    return b(cast, b(maximum, top, scalar(b, 0.0, known)), format="uint8")


def _values(codes: np.ndarray, *, numerator: int = 1, denominator: int = 1, scale: float = 1.0) -> np.ndarray:
    """codes [...] -> fp32 ``scale * 2**-(code * numerator / denominator)``."""
    exponent = np.asarray(codes).astype(np.float64) * (-numerator / denominator)
    return (scale * np.exp2(exponent)).astype(np.float32)


def _values_shape(
    codes: TensorType, *, numerator: int = 1, denominator: int = 1, scale: float = 1.0
) -> TensorType:
    _check(1, numerator, denominator, scale)
    if codes.format.kind != "integer":
        raise ValueError(f"codes are {codes.format.name}; log_values takes integers")
    return codes.with_format("fp32")


def _values_spaces(codes: TensorType, **attributes: Any) -> list[Space]:
    return [pointwise(codes.with_format("fp32"), [codes], {"mul": 2, "exp": 1})]


def _values_expansion(
    b: Builder, codes: Value, *, numerator: int = 1, denominator: int = 1, scale: float = 1.0
) -> Any:
    known = b(cast, codes, format="fp32")
    power = b(exp2, b(mul, known, scalar(b, -numerator / denominator, known)))
    return b(mul, power, scalar(b, scale, known))


log_codes = OpSpec(
    "log_codes",
    "quantisation",
    _codes,
    _codes_shape,
    _codes_spaces,
    _codes_expansion,
    variants=LOG_CODES,
    tolerance=0.0,
    source=_SOURCE,
)

log_values = OpSpec(
    "log_values",
    "quantisation",
    _values,
    _values_shape,
    _values_spaces,
    _values_expansion,
    source=_SOURCE,
)
