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
            Integer(16),
            Integer(8),
            Integer(4),
            Integer(8, signed=False),
            Boolean(),
            Ternary(),
            Binary(),
            Binary01(),
            *(Log2(width) for width in range(1, 9)),
        )
    }
)


@cache
def format_named(name: str) -> Format:
    """The format of that name, scaled ones included; UserError with the nearest names otherwise."""
    if name in FORMATS:
        return FORMATS[name]
    element, at, rest = name.partition("@")
    where, _, scale = rest.partition(":")
    if not at:
        raise _unknown(name, "no format of that name", f"use one of the nearest: {nearest(name, FORMATS)}")
    try:
        return scaled(format_named(element), where, format_named(scale or "fp32"))
    except ValueError as error:
        example = f"{element}@tensor, {element}@channel0 or {element}@block32:e8m0"
        raise _unknown(name, str(error), f"write it as {example}") from error


def _unknown(name: str, found: str, next_step: str) -> UserError:
    return UserError(
        asked=f"the number format {name!r}", found=found, where="graph_ir/formats", next_step=next_step
    )
