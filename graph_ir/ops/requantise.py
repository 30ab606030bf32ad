"""Integers to integers at another scale, as integer hardware does it: a multiplier and a shift.

What leaves an int8 product is an int32 sum at the scale of its operands; what the next product takes is
int8 at a scale of its own. The quotient of the two scales is ``multiplier / 2**shift``, found beforehand
(`siliform.graph_ir.variants.requantise.fixed_multiplier`), so that no float is met on the way.
"""

from __future__ import annotations

import numpy as np

from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.integers import Integer
from siliform.graph_ir.opspec import OpSpec
from siliform.graph_ir.space import Space
from siliform.graph_ir.types import TensorType
from siliform.graph_ir.variants.requantise import requantise as rescaled
from siliform.graph_ir.variants.requantise import requantised_sum

_SOURCE = (
    "Jacob et al., Quantization and Training of Neural Networks, CVPR 2018, section 2.2 and appendix A.2"
)


def _requantise(
    x: np.ndarray,
    multiplier: np.ndarray,
    shift: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    format: str = "int8",
) -> np.ndarray:
    """``(x + bias) * multiplier / 2**shift`` rounded half to even, saturated to `format`.

    x [..., N] of integers that fit int32, as their sums with the bias [N] do; multiplier and shift [N] or [],
    one for each channel or one for all; shifts from 1 to 62.
    """
    levels = np.asarray(x).astype(np.int64)
    if bias is not None:
        levels = levels + np.asarray(bias, np.int64)
    return rescaled(levels, np.asarray(multiplier, np.int64), np.asarray(shift, np.int64), format)


def _requantise_shape(
    x: TensorType,
    multiplier: TensorType,
    shift: TensorType,
    bias: TensorType | None = None,
    *,
    format: str = "int8",
) -> TensorType:
    for name, operand in (("x", x), ("multiplier", multiplier), ("shift", shift), ("bias", bias)):
        if operand is not None and not isinstance(operand.format, Integer):
            raise ValueError(f"{name} is {operand.format.name}; requantise takes integers")
    if multiplier.shape != shift.shape or multiplier.shape not in ((), x.shape[-1:]):
        raise ValueError(
            f"multiplier {list(multiplier.shape)} and shift {list(shift.shape)} for x {list(x.shape)}; "
            "they are scalars, or have one element for each channel of the last axis"
        )
    if bias is not None and bias.shape != x.shape[-1:]:
        raise ValueError(f"bias {list(bias.shape)} for x {list(x.shape)}; it has an element for each channel")
    return TensorType(x.shape, _integer(format))


def _requantise_spaces(
    x: TensorType,
    multiplier: TensorType,
    shift: TensorType,
    bias: TensorType | None = None,
    *,
    format: str = "int8",
) -> list[Space]:
    body = {"mul": 1, "round": 1} if bias is None else {"add": 1, "mul": 1, "round": 1}
    factors = "c, c" if multiplier.shape else ", "
    biases = "" if bias is None else ", c"
    channels = x.shape[-1] if x.shape else 1
    rows = x.elements // max(channels, 1)
    return [Space.over(f"i c, {factors}{biases} -> i c", body, i=rows, c=channels)]


def _requantised_add(
    a: np.ndarray,
    b: np.ndarray,
    *,
    multiplier_a: int,
    multiplier_b: int,
    shift: int,
    format: str = "int8",
) -> np.ndarray:
    """``(a * multiplier_a + b * multiplier_b) / 2**shift`` rounded half to even, saturated to `format`.

    a and b of one shape, integers of at most 16 bits; multipliers from 0 to 2**31 - 1; shift from 1 to 62.
    """
    first, second = (np.asarray(x).astype(np.int64) for x in (a, b))
    return requantised_sum(first, second, multiplier_a, multiplier_b, shift, format)


def _requantised_add_shape(
    a: TensorType,
    b: TensorType,
    *,
    multiplier_a: int,
    multiplier_b: int,
    shift: int,
    format: str = "int8",
) -> TensorType:
    for name, operand in (("a", a), ("b", b)):
        if not isinstance(operand.format, Integer) or operand.format.bits > 16:
            raise ValueError(f"{name} is {operand.format.name}; integers of at most 16 bits are added")
    if a.shape != b.shape:
        raise ValueError(f"a is {list(a.shape)} and b {list(b.shape)}; requantised_add does not broadcast")
    if not (0 <= multiplier_a < 2**31 and 0 <= multiplier_b < 2**31 and 1 <= shift <= 62):
        raise ValueError(
            f"multipliers {multiplier_a} and {multiplier_b}, shift {shift}; they are 31 bits, and 1 to 62"
        )
    return TensorType(a.shape, _integer(format))


def _requantised_add_spaces(a: TensorType, b: TensorType, **attributes: object) -> list[Space]:
    return [Space.over("i, i -> i", {"mul": 2, "add": 1, "round": 1}, i=a.elements)]


def _integer(format: str) -> Integer:
    known = format_named(format)
    if not isinstance(known, Integer):
        raise ValueError(f"{format} is no integer format")
    return known


requantise = OpSpec(
    "requantise",
    "quantisation",
    _requantise,
    _requantise_shape,
    _requantise_spaces,
    tolerance=0.0,
    source=_SOURCE,
)

requantised_add = OpSpec(
    "requantised_add",
    "quantisation",
    _requantised_add,
    _requantised_add_shape,
    _requantised_add_spaces,
    tolerance=0.0,
    source=_SOURCE,
)
