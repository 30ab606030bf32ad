"""Powers of a half in fixed point, made with PyRTL: the exponential of hash codes and of look-up weights."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from siliform.graph_ir.variants.hashing import (
    EXPONENT_BITS,
    EXPONENT_WIDTH,
    HALF_POWERS,
    KERNEL_BITS,
    SEGMENT_BITS,
)
from siliform.rtl.common.combinational import combinational_verilog

if TYPE_CHECKING:
    import pyrtl

#: The module that units instantiate, and its file.
MODULE, FILE = "half_power", "half_power.v"
_FALLS = tuple(above - below for above, below in pairwise(HALF_POWERS))


def half_power_block() -> pyrtl.Block:
    """A block with ``exponent_i`` (17 bits, Q.12) and ``power_o`` (17 bits, Q.16), which is 2**-exponent.

    As `siliform.graph_ir.variants.hashing.half_power`: the five bits below the point choose the start of a
    chord and its fall, the seven below those the share of the fall, and the bits above shift.
    """
    import pyrtl

    block = pyrtl.Block()
    with pyrtl.set_working_block(block):
        exponent = pyrtl.Input(EXPONENT_WIDTH, "exponent_i")
        power = pyrtl.Output(KERNEL_BITS + 1, "power_o")
        rest, segment = exponent[:SEGMENT_BITS], exponent[SEGMENT_BITS:EXPONENT_BITS]
        start = _chosen(segment, HALF_POWERS[:-1], "start")
        share = _times(_chosen(segment, _FALLS, "fall"), rest)
        grown = start - share[SEGMENT_BITS:]  # never below 2**15, so that no borrow comes out
        power <<= _shifted(grown[: KERNEL_BITS + 1], exponent[EXPONENT_BITS:])
        unused = pyrtl.WireVector(1, "unused")
        unused <<= pyrtl.xor_all_bits(pyrtl.concat(grown[-1], share[:SEGMENT_BITS]))
    return block


def _chosen(choice: pyrtl.WireVector, values: tuple[int, ...], name: str) -> pyrtl.WireVector:
    """The value that `choice` chooses, on a wire of that name."""
    import pyrtl

    width = max(values).bit_length()
    made = pyrtl.WireVector(width, name)
    made <<= pyrtl.mux(choice, *(pyrtl.Const(value, width) for value in values))
    return made


def _times(value: pyrtl.WireVector, factor: pyrtl.WireVector) -> pyrtl.WireVector:
    """The product as a sum of shifted values, each partial sum as wide as it can get and no wider."""
    import pyrtl

    total = value & factor[0].sign_extended(len(value))
    for place in range(1, len(factor)):
        kept = value & factor[place].sign_extended(len(value))
        total = total + pyrtl.concat(kept, pyrtl.Const(0, place))
    return total


def _shifted(value: pyrtl.WireVector, places: pyrtl.WireVector) -> pyrtl.WireVector:
    """The value shifted right by a number of places, a power of two after the other."""
    import pyrtl

    for place in range(len(places)):
        value = pyrtl.select(places[place], value[2**place :].zero_extended(len(value)), value)
    return value


def half_power_verilog() -> str:
    """The Verilog of `half_power_block` as the module `half_power`."""
    return combinational_verilog(half_power_block(), MODULE)
