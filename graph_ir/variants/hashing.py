"""Hashing in integers: kernel hash codes, sums by codes, and weighted rows of hashed tables.

Operands of 8 bits are taken as levels: an array of integers is its own levels with the scale 1, a `Quantised`
one in int8@tensor brings its scale, and floats are quantised to int8@tensor first. The functions on levels
are what hardware computes bit for bit; they take and give int64. Sums are exact, so that no result depends
on tiling or order.
"""

from __future__ import annotations

from math import log
from typing import Any

import numpy as np

from siliform.graph_ir.formats import Quantised, format_named, quantise
from siliform.graph_ir.formats.integers import round_to_integers
from siliform.graph_ir.opspec import Variant
from siliform.graph_ir.variants.fixed_point import (
    constant,
    divide_nearest,
    from_fixed,
    shift_right_even,
    to_fixed,
)
from siliform.graph_ir.variants.requantise import fixed_multiplier

EXPONENT_BITS = 12  # fraction bits of an exponent of 2
EXPONENT_WIDTH = 17  # bits of an exponent, which saturates: 2**-16 in Q.16 is one step, what is less is 0
KERNEL_BITS = 16  # fraction bits of a kernel, a mean and a weight: 1 is 2**16
RATE_BITS = 16  # bits of the multiplier that makes an exponent of a squared distance
MEAN_WIDTH = 18  # bits of a mean, which saturates at -2 and 2
RESULT_BITS = 8  # fraction bits of a mixed or looked-up value, in steps of the values' or tables' scale
MAGNITUDES = 128  # of an int8 level: -128 counts as 127
MOST_CHUNKS = 255  # whose sum of weights times rows fits int32: 255 * 2**16 * 128 < 2**31

SEGMENT_BITS = 7  # a chord spans 2**7 steps of an exponent, a 32nd
#: 2**-f at f = 0, 1/32, ..., 1 in Q.16.
HALF_POWERS = tuple(constant(2.0 ** (-i / 32), KERNEL_BITS) for i in range(33))


def half_power(exponent: np.ndarray) -> np.ndarray:
    """``2**-exponent``, exponent Q.12 from 0 up, in Q.16: whole powers by shifts, fractions by 32 chords.

    The chord's product and the shift round down.
    """
    whole, fraction = exponent >> EXPONENT_BITS, exponent & (2**EXPONENT_BITS - 1)
    segment, rest = fraction >> SEGMENT_BITS, fraction & (2**SEGMENT_BITS - 1)
    powers = np.array(HALF_POWERS, np.int64)
    grown = powers[segment] - ((powers[segment] - powers[segment + 1]) * rest >> SEGMENT_BITS)
    return grown >> np.minimum(whole, KERNEL_BITS + 1)


def hash_levels(
    x: np.ndarray,
    anchors: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    means: np.ndarray,
    weight: np.ndarray,
) -> np.ndarray:
    """Codes of int8 levels: x [..., N, D], anchors [..., M, D], means [..., M] and weight [..., bits, M].

    The exponent of anchor m is ``squared distance * multiplier >> shift``, Q.12, saturated at 17 bits;
    multiplier (16 bits) and shift (1 to 62) are one number, or one for each set of anchors. A bit's score is
    the sum over anchors of (2**-exponent - mean) * weight; the code is 1 where it is 0 or more, else -1.
    """
    columns = []
    for m in range(anchors.shape[-2]):
        difference = x - anchors[..., m : m + 1, :]
        columns.append((difference * difference).sum(axis=-1))
    distance = np.stack(columns, axis=-1)
    grown = distance * np.asarray(multiplier)[..., None, None] >> np.asarray(shift)[..., None, None]
    kernel = half_power(np.minimum(grown, 2**EXPONENT_WIDTH - 1))
    score = (kernel - means[..., None, :]) @ np.swapaxes(weight, -1, -2)
    return np.where(score >= 0, np.int64(1), np.int64(-1))


def exponent_rate(rate: Any) -> tuple[np.ndarray, np.ndarray]:
    """Multiplier and shift of `hash_levels` for ``exp(-rate * squared distance)`` in levels; rate above 0."""
    return fixed_multiplier(np.asarray(rate) / log(2) * 2**EXPONENT_BITS, RATE_BITS)


def integer_hash_codes(x: Any, anchors: Any, rate: Any, means: Any, weight: Any) -> np.ndarray:
    """x [..., N, D] in int8; anchors at its scale; means Q.16; weight in int8, a scale for each bit.

    Weights that are integers already are taken as they are: a positive factor changes no sign.
    """
    levels, scale = _levels(x, "x")
    grid = round_to_integers(_real(anchors) / scale, format_named("int8"))
    multiplier, shift = exponent_rate(_real(rate) * scale * scale)
    edge = 2 ** (MEAN_WIDTH - 1)
    centre = np.clip(to_fixed(_real(means), KERNEL_BITS, "int32"), -edge, edge - 1)
    return hash_levels(levels, grid, multiplier, shift, centre, _rows(weight))


def code_sums(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numerator [..., Nq, c] and denominator [..., Nq] of attention by codes of 1 and -1, by sums alone.

    q [..., Nq, bits], k [..., N, bits], v [..., N, c] of integers. Equal to the sums over keys of
    ``(q . k + bits + 1) v`` and of ``q . k + bits + 1``, which is at least 1: no denominator is below N.
    """
    least = q.shape[-1] + 1
    context = np.swapaxes(k, -1, -2) @ v
    numerator = q @ context + least * v.sum(axis=-2, keepdims=True)
    denominator = (q * k.sum(axis=-2, keepdims=True)).sum(axis=-1) + k.shape[-2] * least
    return numerator, denominator


def mixed_levels(q: np.ndarray, k: np.ndarray, v: np.ndarray) -> np.ndarray:
    """The quotients of `code_sums` in Q.8 of the levels of v, to nearest, halves upwards."""
    numerator, denominator = code_sums(q, k, v)
    return divide_nearest(numerator << RESULT_BITS, denominator[..., None])


def integer_hash_attention(q: Any, k: Any, v: Any) -> np.ndarray:
    """q [..., Nq, bits] and k [..., N, bits] of 1 and -1, v [..., N, c] in int8 -> [..., Nq, c]."""
    levels, scale = _levels(v, "v")
    made = mixed_levels(_codes(q, "q"), _codes(k, "k"), levels)
    return from_fixed(made, RESULT_BITS) * np.float32(scale)


def weight_curve(step: float) -> np.ndarray:
    """``log2(1 + exp(-step * level))`` for levels 0 to 127 in Q.12 [128]: a look-up weight's exponents."""
    return to_fixed(np.log2(1 + np.exp(-step * np.arange(MAGNITUDES))), EXPONENT_BITS, "int16")


def lookup_addresses(x: np.ndarray, chunks: int) -> np.ndarray:
    """Rows that levels x [..., chunks * tau] choose: bit i is 1 where element i of its chunk is 0 or more."""
    parts = x.reshape(*x.shape[:-1], chunks, -1)
    return ((parts >= 0) << np.arange(parts.shape[-1])).sum(axis=-1)


def lookup_weights(x: np.ndarray, curve: np.ndarray, chunks: int) -> np.ndarray:
    """Weights Q.16 of the chosen rows: 2 to minus the sum of the curve at a chunk's magnitudes."""
    parts = np.minimum(np.abs(x), MAGNITUDES - 1).reshape(*x.shape[:-1], chunks, -1)
    return half_power(curve[parts].sum(axis=-1))


def lookup_levels(x: np.ndarray, tables: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """x [..., K * tau] and tables [K, 2**tau, N] of int8 levels -> [..., N] in Q.8 of the tables' levels.

    The sum over chunks of weight times row, Q.16 in 32 bits, loses eight bits by rounding half to even.
    """
    chunks = tables.shape[0]
    if chunks > MOST_CHUNKS:
        raise ValueError(f"{chunks} chunks, whose sum may not fit int32; integer look-up takes {MOST_CHUNKS}")
    rows = tables[np.arange(chunks), lookup_addresses(x, chunks)]
    total = (lookup_weights(x, curve, chunks)[..., None] * rows).sum(axis=-2)
    return shift_right_even(total, KERNEL_BITS - RESULT_BITS)


def integer_hash_lookup(x: Any, tables: Any, *, temperature: float = 1.0) -> np.ndarray:
    """x [..., K * tau] and tables [K, 2**tau, N], both in int8 -> [..., N]."""
    (levels, scale), (rows, step) = _levels(x, "x"), _levels(tables, "tables")
    made = lookup_levels(levels, rows, weight_curve(2 * scale / temperature))
    return from_fixed(made, RESULT_BITS) * np.float32(step)


def _real(operand: Any) -> np.ndarray:
    known = operand.dequantise() if isinstance(operand, Quantised) else np.asarray(operand)
    return known.astype(np.float64)


def _levels(operand: Any, name: str) -> tuple[np.ndarray, float]:
    """int8 levels and their scale."""
    if isinstance(operand, Quantised):
        if operand.format.name != "int8@tensor":
            raise ValueError(f"{name} in {operand.format.name} where this form takes int8@tensor or floats")
        return operand.levels.astype(np.int64), float(operand.scale)
    known = np.asarray(operand)
    if known.dtype.kind in "iu":
        return _narrow(known, name), 1.0
    made = quantise(known, format_named("int8@tensor"))
    return made.levels.astype(np.int64), float(made.scale)


def _narrow(levels: np.ndarray, name: str) -> np.ndarray:
    if levels.size and (levels.min() < -128 or levels.max() > 127):
        raise ValueError(f"{name} holds {levels.min()} to {levels.max()}; this form takes integers of 8 bits")
    return levels.astype(np.int64)


def _rows(weight: Any) -> np.ndarray:
    """int8 levels of weight [..., bits, M], a scale for each of its rows."""
    known = np.asarray(weight) if not isinstance(weight, Quantised) else weight.dequantise()
    if known.dtype.kind in "iu":
        return _narrow(known, "weight")
    flat = known.reshape(-1, known.shape[-1])
    made = quantise(flat, format_named("int8@channel0")).levels.astype(np.int64)
    return made.reshape(known.shape)


def _codes(operand: Any, name: str) -> np.ndarray:
    """Codes as integers; ValueError where one is neither 1 nor -1."""
    known = _real(operand)
    if not np.isin(known, (-1.0, 1.0)).all():
        raise ValueError(f"{name} holds other numbers than 1 and -1, which codes are made of")
    return known.astype(np.int64)


HASH_CODES_VARIANTS = (
    Variant(
        "integer",
        integer_hash_codes,
        tolerance=0.0,
        domain="tokens whose every score is at least 1/512 of the sum of its |weight| away from 0",
        source="Liu et al., EcoFormer, arXiv 2209.09004; powers as Stevens et al., Softermax, DAC 2021",
    ),
)

HASH_ATTENTION_VARIANTS = (
    Variant(
        "integer",
        integer_hash_attention,
        tolerance=1e-2,
        domain="any codes of 8 or 16 bits, up to 512 keys, normally distributed values of mean 1",
        source="Liu et al., EcoFormer, arXiv 2209.09004",
    ),
)

HASH_LOOKUP_VARIANTS = (
    Variant(
        "integer",
        integer_hash_lookup,
        tolerance=3e-2,
        domain="normally distributed operands, deviation 0.3 to 3 times the temperature; elements of x are 0 "
        "or at least half a level from it, so that no sign is lost",
        source="Ding et al., MemoryFormer, arXiv 2411.12992",
    ),
)
