"""Sample cases of ops to and on integers: bits, requantisation, fixed point; judged by exact fractions."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from tests.conformance.op_data import integers
from tests.conformance.op_suite import Case


def _rounded(value: Fraction, bits: int) -> int:
    """The nearest integer, halves to even (Python's own rule for fractions), saturated."""
    return max(-(2 ** (bits - 1)), min(2 ** (bits - 1) - 1, round(value)))


def _requantised(
    x: np.ndarray, multiplier: np.ndarray, shift: np.ndarray, bias: np.ndarray | None = None
) -> np.ndarray:
    x = x if bias is None else x + bias
    m, s = (np.broadcast_to(o, x.shape).reshape(-1) for o in (multiplier, shift))
    found = [
        _rounded(Fraction(int(v) * int(a), 2 ** int(b)), 8)
        for v, a, b in zip(x.reshape(-1), m, s, strict=True)
    ]
    return np.array(found, np.int8).reshape(x.shape)


def _added(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    found = [
        _rounded(Fraction(3 * int(x) + 5 * int(y), 8), 8)
        for x, y in zip(a.reshape(-1), b.reshape(-1), strict=True)
    ]
    return np.array(found, np.int8).reshape(a.shape)


def _one_or_minus_one(x: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """BiT's sign, that of zero +1."""
    return np.array([1 if v >= t else -1 for v, t in _beside(x, threshold)], np.int8).reshape(x.shape)


def _one_or_zero(x: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    """BiT's ``clip(round((x - offset) / scale), 0, 1)`` with the scale 1: Python rounds halves to even."""
    offsets = ((Fraction(float(v)), Fraction(float(t)) - Fraction(1, 2)) for v, t in _beside(x, threshold))
    return np.array([min(max(round(v - o), 0), 1) for v, o in offsets], np.int8).reshape(x.shape)


def _beside(x: np.ndarray, threshold: np.ndarray) -> Iterator[tuple[float, float]]:
    return zip(x.reshape(-1), np.broadcast_to(threshold, x.shape).reshape(-1), strict=True)


def cases() -> dict[str, list[Case]]:
    """Cases by op name; ties and both ends of int8 are among the values."""
    sums = integers(3, 5, low=-900, high=900).astype(np.int32)
    sums[0] = [20, 28, -20, 10**9, -(10**9)]
    channels = (np.array([3, 1, 7, 2, 5], np.int32), np.array([3, 3, 4, 1, 62], np.int32))
    bias = np.array([-20, 7, 0, 100, -1], np.int32)
    one = (np.array(1, np.int32), np.array(3, np.int32))
    a, b = (integers(3, 5, low=-128, high=128, seed=s).astype(np.int8) for s in (1, 2))
    a[0], b[0] = [1, -1, 4, 127, -128], [1, -1, 0, 127, -128]
    work = {"mul": 15, "round": 15}
    eighths = integers(3, 5, low=-400, high=400).astype(np.int16)
    halves = (integers(3, 5, low=-3, high=4) / 2).astype(np.float32)
    thresholds = np.array([-1.0, -0.5, 0.0, 0.5, 1.0], np.float32)
    return {
        "binarise": [
            Case((halves, thresholds), {}, {"compare": 15}, _one_or_minus_one),
            Case((halves, thresholds), {"format": "binary01"}, {"compare": 15}, _one_or_zero),
            Case((sums, np.array(28, np.int32)), {}, {"compare": 15}, _one_or_minus_one),
        ],
        "requantise": [
            Case((sums, *channels), {}, work, _requantised),
            Case((sums, *one), {}, work, _requantised),
            Case((sums, *channels, bias), {}, {"add": 15, **work}, _requantised),
        ],
        "requantised_add": [
            Case(
                (a, b),
                {"multiplier_a": 3, "multiplier_b": 5, "shift": 3},
                {"mul": 30, "add": 15, "round": 15},
                _added,
            )
        ],
        "from_fixed": [Case((eighths,), {"fraction_bits": 3}, None, lambda x: (x / 8).astype(np.float32))],
        "to_fixed": [
            Case(
                ((eighths / 16).astype(np.float32),),
                {"fraction_bits": 3, "format": "int8"},
                None,
                lambda x: np.clip(np.rint(x.astype(np.float64) * 8), -128, 127).astype(np.int8),
            )
        ],
    }
