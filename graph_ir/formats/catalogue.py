"""Formats by name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

import ml_dtypes
import numpy as np

from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.formats.base import Format
from siliform.graph_ir.formats.floats import ScaleE8M0, SmallFloat, native
from siliform.graph_ir.formats.integers import Boolean, Integer
from siliform.graph_ir.formats.levels import Binary, Binary01, Log2, Ternary
from siliform.graph_ir.formats.logarithm import adalog_named
from siliform.graph_ir.formats.scaled import scaled

#: Every element format by name.
FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        f.name: f
        for f in (
            native("fp64", np.float64),
            native("fp32", np.float32),
            native("fp16", np.float16),
            native("bf16", ml_dtypes.bfloat16),
            native("fp8_e4m3", ml_dtypes.float8_e4m3fn, saturating=True),
            native("fp8_e5m2", ml_dtypes.float8_e5m2, saturating=True),
            native("fp4_e2m1", ml_dtypes.float4_e2m1fn, width=4, saturating=True),
            SmallFloat(exponent_bits=1, mantissa_bits=2, bias=1),  # fp4_e1m2: 0 to 1.75 in quarters
            SmallFloat(exponent_bits=3, mantissa_bits=0, bias=3),  # fp4_e3m0: 0 and 1/4 to 16
            ScaleE8M0(),
            Integer(64),
            Integer(32),
            Integer(20),  # AccelTran's fixed point: 4 bits before the point and 16 behind, scales aside
            Integer(16),
            Integer(8),
            Integer(5),
            Integer(4),
            Integer(3),
            Integer(8, signed=False),
            Boolean(),
            Ternary(),
            Binary(),
            Binary01(),
            *(Log2(width) for width in range(1, 9)),
        )
    }
)

#: The block-scaled formats of the OCP Microscaling Formats (MX) Specification 1.0 (2023), table 1, by its
#: names for them. Its two of 6 bits have no element format here. MXINT8 counts in 64ths there, in ones here:
#: scales differ by that power of two, values do not. Where it leaves the choice of fp8, it is E4M3.
ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "mxfp8": "fp8_e4m3@block32:e8m0",
        "mxfp8_e4m3": "fp8_e4m3@block32:e8m0",
        "mxfp8_e5m2": "fp8_e5m2@block32:e8m0",
        "mxfp4": "fp4_e2m1@block32:e8m0",
        "mxfp4_e2m1": "fp4_e2m1@block32:e8m0",
        "mxint8": "int8@block32:e8m0",
    }
)


@cache
def format_named(name: str) -> Format:
    """The format of that name: plain, scaled, in `ALIASES`, or a logarithm such as ``adalog20_4``.

    UserError with the nearest names otherwise.
    """
    if name in FORMATS:
        return FORMATS[name]
    if name.lower() in ALIASES:
        return format_named(ALIASES[name.lower()])
    element, at, rest = name.partition("@")
    where, _, scale = rest.partition(":")
    if not at and (logarithm := _logarithm(name)) is not None:
        return logarithm
    if not at:
        known = nearest(name, [*FORMATS, *ALIASES], all_of="siliform.graph_ir.formats.FORMATS holds all")
        raise _unknown(name, "no format of that name", f"use one of the nearest: {known}")
    try:
        return scaled(format_named(element), where, format_named(scale or "fp32"))
    except ValueError as error:
        example = f"{element}@tensor, {element}@channel0 or {element}@block32:e8m0"
        raise _unknown(name, str(error), f"write it as {example}") from error


def _logarithm(name: str) -> Format | None:
    try:
        return adalog_named(name)
    except ValueError as error:
        raise _unknown(name, str(error), "write it as adalog20_4, the base 2**(20/37) in 4 bits") from error


def _unknown(name: str, found: str, next_step: str) -> UserError:
    return UserError(
        asked=f"the number format {name!r}", found=found, where="graph_ir/formats", next_step=next_step
    )
