"""Arithmetic shared by the references: contractions that are exact wherever the formats allow it.

What `contract` means, by its operands:

- **Integers** (arrays, or the levels of integer-like scaled formats): the sum is exact. It is taken
  in float64, by BLAS, where `accumulator` proves that float64 holds every partial sum, in int64
  otherwise; a sum that could leave int64 raises OverflowError.
- **Levels of other scaled formats** (fp4, fp8, log2, ...): whole multiples of a power of two, so
  again exact in float64 where `accumulator` says so. Wider ones are cut into slices by significance
  whose products are each exact; the slices' sums are added from the least significant pair on.
- **Scales that do not vary along the sum** are applied once, behind it, as an fp32 unit does:
  ``y = fp32(sum) * fp32(scale_a * scale_b)``, each of the three rounded to nearest even.
- **Block scales along the sum**: the exact sum of each block becomes ``fp32(sum) *
  fp32(scale_a * scale_b)``, and these are added in fp32 in ascending order of blocks. Where the two
  operands' blocks differ in length, the greatest common divisor of the lengths is the block.
- **Scales that vary along the sum otherwise** (a channel axis that is summed over) are multiplied
  into the levels in float64, and the operand counts as a float from there on.
- **Floats**: products and sums in float64, rounded once to float32 (float64 where an operand is).
  This is exact to the last bit of the result in practice, and independent of tiling within half a
  unit of the last place.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd, prod
from typing import Any

import numpy as np

from siliform.graph_ir.einsum import Labels, multiply, parse
from siliform.graph_ir.formats import Quantised, Range, Scaled, accumulator, format_named
from siliform.graph_ir.formats.scaled import real
from siliform.graph_ir.types import TensorType


def contract(subscripts: str, a: Any, b: Any) -> np.ndarray:
    """``einsum(subscripts, a, b)`` of two arrays or `Quantised`, as this module's text defines it.

    Every label is in the result or in both operands; an ellipsis broadcasts. Returns int64 for
    integer arrays, float32 otherwise (float64 where a float64 array takes part).
    """
    first, second = (x if isinstance(x, Quantised) else np.asarray(x) for x in (a, b))
    labels = parse(subscripts, first.shape, second.shape)
    first, second = _unscale(first, labels.a, labels), _unscale(second, labels.b, labels)
    if not isinstance(first, Quantised) and not isinstance(second, Quantised):
        return _plain(first, second, labels)
    if _block(first, labels.a, labels) or _block(second, labels.b, labels):
        return _blocked(first, second, labels)
    return _scaled_once(_sum(first, second, labels), _scale(first, second, labels))


def product_type(a: TensorType, b: TensorType) -> TensorType:
    """The type that a product of two operands has by default.

    Integer-like elements accumulate into int32, or int64 where one has more than 8 bits. Otherwise
    the wider of two float formats of 16 bits or more holds the result (fp32 for fp16 with bf16),
    and any other operand counts as fp32.
    """
    formats = [t.format for t in (a, b)]
    if all(f.element is f and f.kind in ("integer", "binary", "ternary") for f in formats):
        return a.with_format("int32" if max(f.bits for f in formats) <= 8 else "int64")
    wide = format_named("fp32")
    x, y = (f if f.element is f and f.kind == "float" and f.bits >= 16 else wide for f in formats)
    if x != y and x.bits == y.bits:
        return a.with_format(wide)
    return a.with_format(max(x, y, key=lambda f: f.bits))


def _plain(a: np.ndarray, b: np.ndarray, labels: Labels) -> np.ndarray:
    result = _sum(a, b, labels)
    if result.dtype == np.dtype(np.int64):
        return result
    wide = np.dtype(np.float64) in (a.dtype, b.dtype)
    return result if wide else _single(result)


def _sum(a: Quantised | np.ndarray, b: Quantised | np.ndarray, labels: Labels) -> np.ndarray:
    """The sum of products of arrays or of levels, scales left out: int64 for integers, or float64."""
    x, y = (q.levels if isinstance(q, Quantised) else q for q in (a, b))
    if x.dtype.kind in "iub" and y.dtype.kind in "iub":
        return _integers(x, y, labels, _range(a), _range(b))
    wide = x.astype(np.float64, copy=False), y.astype(np.float64, copy=False)
    known = [_range(q) if isinstance(q, Quantised) or q.dtype.kind in "iub" else None for q in (a, b)]
    if known[0] is not None and known[1] is not None:
        return _fixed_point(*wide, labels, known[0], known[1])
    return multiply(*wide, labels)


def _integers(a: np.ndarray, b: np.ndarray, labels: Labels, range_a: Range, range_b: Range) -> np.ndarray:
    width = accumulator(range_a, range_b, max(labels.terms, 1)).bits
    if width > 64:
        raise OverflowError(f"{labels.terms} products of these integers may take {width} bits; int64 has 64")
    dtype = np.float64 if width <= 54 else np.int64
    return multiply(a.astype(dtype), b.astype(dtype), labels).astype(np.int64)


def _fixed_point(a: np.ndarray, b: np.ndarray, labels: Labels, range_a: Range, range_b: Range) -> np.ndarray:
    terms = max(labels.terms, 1)
    if accumulator(range_a, range_b, terms).fits_float64:
        return multiply(a, b, labels)
    # Each slice has so few bits that `terms` products of two slices fit 53 bits: exact in any order.
    width = (53 - (terms - 1).bit_length()) // 2
    total: np.ndarray | None = None
    pairs = [(i + j, x, y) for i, x in _slices(a, range_a, width) for j, y in _slices(b, range_b, width)]
    for _, x, y in sorted(pairs, key=lambda pair: pair[0]):
        part = multiply(x, y, labels)
        total = part if total is None else total + part
    return multiply(a, b, labels) if total is None else total


def _slices(values: np.ndarray, bounds: Range, width: int) -> list[tuple[int, np.ndarray]]:
    """`values` as a sum of arrays of `width` significant bits each, with their place, zeros left out."""
    count = max(-bounds.low, bounds.high) / bounds.step
    rest, found = values, []
    for place in reversed(range(0, int(count).bit_length(), width)):
        weight = float(bounds.step * 2**place)
        part = np.trunc(rest / weight) * weight
        rest = rest - part
        if part.any():
            found.append((place, part))
    return found


def _range(operand: Quantised | np.ndarray) -> Range:
    """Bounds of levels: by their format, or by the data where the operand is an array of integers."""
    if isinstance(operand, Quantised):
        return Range.of(operand.format)
    low, high = (int(operand.min()), int(operand.max())) if operand.size else (0, 0)
    return Range(Fraction(low), Fraction(high), Fraction(1))


def _unscale(operand: Quantised | np.ndarray, own: str, labels: Labels) -> Quantised | np.ndarray:
    """The operand, with its scales multiplied in where they vary along the sum other than by blocks."""
    if not isinstance(operand, Quantised):
        return operand
    format = operand.format
    assert isinstance(format, Scaled)
    if format.granularity == "tensor":
        return operand
    if format.granularity == "channel":
        return real(operand) if own[format.size] not in labels.result else operand
    return operand if _block(operand, own, labels) else real(operand)


def _block(operand: Quantised | np.ndarray, own: str, labels: Labels) -> int:
    """Length of the operand's blocks along the sum; 0 where its scales do not vary along it."""
    format = operand.format if isinstance(operand, Quantised) else None
    if not isinstance(format, Scaled) or format.granularity != "block":
        return 0
    return format.size if labels.summed == own[-1] else 0


def _scale(a: Quantised | np.ndarray, b: Quantised | np.ndarray, labels: Labels) -> np.ndarray:
    """``fp32(scale_a * scale_b)``, shaped to broadcast against the result."""
    factors = [
        labels.along_result(q.format.spread(q.scale, q.shape), own)
        for q, own in ((a, labels.a), (b, labels.b))
        if isinstance(q, Quantised) and isinstance(q.format, Scaled)
    ]
    return _single(prod(factors[1:], start=factors[0]))


def _scaled_once(total: np.ndarray, scale: np.ndarray) -> np.ndarray:
    return np.asarray(_single(total) * scale, dtype=np.float32)


def _blocked(a: Quantised | np.ndarray, b: Quantised | np.ndarray, labels: Labels) -> np.ndarray:
    length = gcd(_block(a, labels.a, labels), _block(b, labels.b, labels))
    result = np.zeros([labels.extents[label] for label in labels.result], dtype=np.float32)
    for start in range(0, labels.terms, length):
        x, y = (_segment(q, own, labels, start, length) for q, own in ((a, labels.a), (b, labels.b)))
        short = labels.over(min(length, labels.terms - start))
        result = result + _scaled_once(_sum(x, y, short), _scale(x, y, short))
    return result


def _segment(
    operand: Quantised | np.ndarray, own: str, labels: Labels, start: int, length: int
) -> Quantised | np.ndarray:
    """The part of an operand from `start` on, `length` long, of the only summed label."""
    cut = tuple(slice(start, start + length) if label == labels.summed else slice(None) for label in own)
    if not isinstance(operand, Quantised):
        return operand[cut]
    size = _block(operand, own, labels)
    scale = operand.scale[..., start // size : start // size + 1] if size else operand.scale
    return Quantised(operand.levels[cut], scale, operand.format)


def _single(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(values).astype(np.float32)
