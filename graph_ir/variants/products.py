"""Products in narrow formats, for linear and matmul: operands are plain floats, and so is the result.

Each form quantises its operands by the rules of `siliform.graph_ir.formats.scaled`, works in
integers (or in fp4 levels, which are integers times a quarter), and scales behind the sum; an
operand that is `Quantised` in the form's own format already is taken as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from siliform.graph_ir.arithmetic import contract
from siliform.graph_ir.formats import Quantised, Scaled, format_named, quantise
from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.requantise import fixed_multiplier, requantise

#: A product of rows: a [..., M, K], b [..., N, K] -> [..., M, N], bias [N] or None.
Rows = Callable[[Any, Any, "np.ndarray | None"], np.ndarray]

_EQUATION = "...mk,...nk->...mn"
_DOMAIN = "normally distributed operands, 64 to 1024 terms"


def mxfp4_rows(a: Any, b: Any, bias: np.ndarray | None = None) -> np.ndarray:
    """Both operands in fp4_e2m1 with a power-of-two scale per 32 terms; block sums added in fp32."""
    format = "fp4_e2m1@block32:e8m0"
    result = contract(_EQUATION, as_quantised(a, format), as_quantised(b, format))
    return result if bias is None else result + bias


SHIFT_BITS = 4  # bits of a shift: weights are plus or minus 2**0 to 2**-15


def log2_rows(a: Any, b: Any, bias: np.ndarray | None = None) -> np.ndarray:
    """`a` in int8 per tensor, `b` as signs and powers of two, per tensor: products are shifts.

    The int8 level is shifted left by ``15 - q`` for a factor ``2**-q``, its sign flipped where the
    factor is negative, and the sum is exact in int64. A zero in `b` is the least power, positive.
    """
    if isinstance(b, Quantised):
        raise ValueError(
            f"factors in {b.format.name} where this product takes floats, to make shifts of them"
        )
    x = as_quantised(a, "int8@tensor")
    magnitude = quantise(np.abs(b), format_named(f"log2_{SHIFT_BITS}@tensor"))
    factor = shift_factors(np.asarray(b) < 0, magnitude.format.encode(magnitude.levels))
    total = contract(_EQUATION, x.levels, factor)
    scale = np.float32(np.float32(x.scale) * np.float32(magnitude.scale))
    result = np.ldexp(total.astype(np.float32), 1 - 2**SHIFT_BITS) * scale
    return result if bias is None else result + bias


def shift_factors(negative: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Factors ``2**-q``, negative where `negative` says so, as counts of the least one, ``2**-15``: int64."""
    return np.where(negative, -1, 1) << (2**SHIFT_BITS - 1 - np.asarray(q).astype(np.int64))


def requantised(first: str, second: str) -> Rows:
    """A product with no float between its operands and its result: integer sums, and an int8 result.

    `a` is in the element format `first`, one scale for all of it, `b` in `second`, one scale per row. The
    bias is an integer at the scale of the sums. Each sum is multiplied by a 31-bit integer and shifted right,
    rounded half to even and saturated; the result's scale puts the greatest exact magnitude on 127.

    Of elements of one and two bits the sums are counts, P being the number of ones:

    ================  =====================  =================================================
    binary, binary    {-1, +1} x {-1, +1}    ``2 P(a xnor b) - K``
    binary01, binary  {0, 1} x {-1, +1}      ``2 P(a and b) - P(a)``
    ternary, ternary  {-1, 0, +1} for both   ``P(products of +1) - P(products of -1)``
    ================  =====================  =================================================
    """

    def rows(a: Any, b: Any, bias: np.ndarray | None = None) -> np.ndarray:
        """a [..., M, K], b [..., N, K], bias [N] -> [..., M, N]."""
        x = as_quantised(a, f"{first}@tensor")
        w = as_quantised(b, f"{second}@channel{len(b.shape) - 2}")
        total = contract(_EQUATION, x.levels, w.levels)
        scale = x.scale * w.scale
        if bias is not None:
            total = total + np.rint(np.asarray(bias).astype(np.float64) / scale).astype(np.int64)
        peak = (np.abs(total) * scale).max(initial=0.0)
        result_scale = float(np.float32(peak / 127)) or 1.0
        multiplier, shift = fixed_multiplier(scale / result_scale)
        return (requantise(total, multiplier, shift, "int8") * result_scale).astype(np.float32)

    return rows


def as_quantised(operand: Any, format: str) -> Quantised:
    """Floats quantised to `format`; what is quantised in it already as it is. ValueError otherwise."""
    if not isinstance(operand, Quantised):
        return quantise(operand, format_named(format))
    if operand.format.name != format:
        raise ValueError(f"an operand in {operand.format.name} where this product takes {format} or floats")
    return operand


def _linear(rows: Rows) -> Callable[..., np.ndarray]:
    def reference(x: Any, weight: Any, bias: np.ndarray | None = None) -> np.ndarray:
        """x [..., K], weight [N, K], bias [N] -> [..., N]."""
        flat = x if len(x.shape) > 1 else x.reshape(1, -1)
        result = rows(flat, weight, bias)
        return result if len(x.shape) > 1 else result.reshape(-1)

    return reference


def _matmul(rows: Rows) -> Callable[..., np.ndarray]:
    def reference(a: Any, b: Any) -> np.ndarray:
        """a [..., M, K], b [..., K, N] -> [..., M, N]."""
        return rows(a, _turned(b), None)

    return reference


def _turned(b: Any) -> Any:
    """b with its last two axes exchanged, and the axis of its scales with them."""
    if not isinstance(b, Quantised):
        return np.swapaxes(b, -1, -2)
    format = b.format
    assert isinstance(format, Scaled)
    if format.granularity == "block":
        raise ValueError(f"b in {format.name}: its blocks lie along rows, and b is read by columns")
    if format.granularity == "channel":
        places = {b.ndim - 1: b.ndim - 2, b.ndim - 2: b.ndim - 1}
        format = replace(format, size=places.get(format.size, format.size))
    return Quantised(np.swapaxes(b.levels, -1, -2), b.scale, format)


def _variants(wrap: Callable[[Rows], Callable[..., np.ndarray]]) -> tuple[Variant, ...]:
    return (
        Variant("mxfp4", wrap(mxfp4_rows), 0.35, _DOMAIN, "OCP Microscaling Formats (MX) Specification 1.0"),
        Variant(
            "log2_shift",
            wrap(log2_rows),
            0.45,
            _DOMAIN,
            "Miyashita et al., arXiv 1603.01025, section 3.3; quantiser of RepQ-ViT, ICCV 2023, equation 6",
        ),
        Variant(
            "int8_requantised",
            wrap(requantised("int8", "int8")),
            0.03,
            _DOMAIN,
            "Jacob et al., Quantization and Training of Neural Networks, CVPR 2018, section 2.2",
        ),
        Variant(
            "binary_requantised",
            wrap(requantised("binary", "binary")),
            1.4,
            _DOMAIN,
            "Rastegari et al., XNOR-Net, ECCV 2016; scales by row: Xing et al., BiPFT, arXiv 2312.08937",
        ),
        Variant(
            "binary01_requantised",
            wrap(requantised("binary01", "binary")),
            1.3,
            "activations that are zero or one positive number, as behind a step; else as the others",
            "Liu et al., BiT, arXiv 2205.13016, section 3.1",
        ),
        Variant(
            "ternary_requantised",
            wrap(requantised("ternary", "ternary")),
            1.2,
            _DOMAIN,
            "Li and Liu, Ternary Weight Networks, arXiv 1605.04711; scales: Ma et al., BitNet b1.58, 2024",
        ),
    )


LINEAR_VARIANTS = _variants(_linear)
MATMUL_VARIANTS = _variants(_matmul)
