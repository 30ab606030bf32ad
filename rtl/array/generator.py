"""The family of cells as a PyRTL generator: one cell for each pair of formats, as `mac_plane` computes it.

Integers meet in a signed multiplier. Everywhere else signs go apart from magnitudes: significands of floats
are multiplied without a sign, weights that are powers of two need no multiplier at all, and the product is
added or subtracted in the end. Circuits differ from those written by hand; what they compute does not, and a
proof by Yosys holds one against the other (tests/rtl/test_array_pyrtl.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from siliform.rtl.array.grid import Grid
from siliform.rtl.array.operands import Operand
from siliform.rtl.common.combinational import combinational_verilog
from siliform.rtl.common.design import Design

if TYPE_CHECKING:
    import pyrtl

    Wire: TypeAlias = pyrtl.WireVector

CELL = "mac_cell"
REPLACED = ("cell_operands.sv", "mac_shifted.sv", "mac_plane.sv")  # what the generated cells stand in for

QUIET = "/* verilator lint_{} UNUSEDSIGNAL */"

# Ports and parameters of mac_plane, so that it takes that one's place. It refuses to be elaborated for
# formats other than those that its cell was generated for.
PLANE = """\
// A cell made by PyRTL at every place of the array.
module mac_plane #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned Columns        = 4,
  parameter int unsigned ActWidth       = {ActWidth},
  parameter int unsigned ActExponent    = {ActExponent},
  parameter int unsigned WeightWidth    = {WeightWidth},
  parameter int unsigned WeightExponent = {WeightExponent},
  parameter bit          LogWeight      = {LogWeight},
  parameter int unsigned SumWidth       = {SumWidth}
) (
  input  logic [Rows-1:0][Columns-1:0][   ActWidth-1:0] act_i,
  input  logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight_i,
  input  logic [Rows-1:0][Columns-1:0][   SumWidth-1:0] sum_i,
  output logic [Rows-1:0][Columns-1:0][   SumWidth-1:0] sum_o
);

  if (ActExponent != {ActExponent} || WeightExponent != {WeightExponent} || LogWeight != {LogWeight})
  begin : gen_refused
    $error("this cell was generated for other formats");
  end

  for (genvar r = 0; r < Rows; r++) begin : gen_row
    for (genvar c = 0; c < Columns; c++) begin : gen_column
      {CELL} u_cell (
        .act_i(act_i[r][c]), .weight_i(weight_i[r][c]), .sum_i(sum_i[r][c]), .sum_o(sum_o[r][c])
      );
    end
  end

endmodule
"""


@dataclass(frozen=True)
class _Number:
    """Plus or minus `magnitude` shifted left by `shift`; None is a magnitude of one, or no shift."""

    negative: Wire
    magnitude: Wire | None
    shift: Wire | None


def cell_block(activation: Operand, weight: Operand, sum_bits: int) -> pyrtl.Block:
    """A block of its own: inputs ``act_i``, ``weight_i`` and ``sum_i``, output ``sum_o``, no registers."""
    import pyrtl

    block = pyrtl.Block()
    with pyrtl.set_working_block(block):
        act = pyrtl.Input(activation.bits, "act_i")
        factor = pyrtl.Input(weight.bits, "weight_i")
        before = pyrtl.Input(sum_bits, "sum_i")
        after = pyrtl.Output(sum_bits, "sum_o")
        if not (activation.is_float or weight.is_float or weight.is_shift):
            # Not signed_tree_multiplier: it is wrong in PyRTL 1.0.3, 7 * -8 is 0 there.
            product = pyrtl.signed_mult(act, factor)
            after <<= (before + _named("product", product.sign_extended(sum_bits)))[:sum_bits]
        else:
            numbers = _number("act", activation, act), _number("weight", weight, factor)
            after <<= _added(before, *numbers)
    return block


def _named(name: str, value: Wire) -> Wire:
    """The value under a name, which PyRTL then writes as a statement of its own, its width beside it."""
    import pyrtl

    wire = pyrtl.WireVector(len(value), name)
    wire <<= value
    return wire


def _number(name: str, form: Operand, code: Wire) -> _Number:
    """What a code means, in steps of its format."""
    import pyrtl

    negative, rest = code[-1], code[:-1]
    if form.is_shift:
        return _Number(negative, None, _named(f"{name}_shift", ~rest))
    if not form.is_float:
        opposite = (~code + 1)[: form.bits]
        return _Number(negative, _named(f"{name}_magnitude", pyrtl.select(negative, opposite, code)), None)
    mantissa_bits = form.bits - 1 - form.exponent_bits
    exponent = rest[mantissa_bits:]
    is_normal = _named(f"{name}_is_normal", pyrtl.or_all_bits(exponent))
    magnitude = pyrtl.concat(is_normal, rest[:mantissa_bits]) if mantissa_bits else is_normal
    shift = (exponent - is_normal)[: form.exponent_bits]
    return _Number(negative, _named(f"{name}_magnitude", magnitude), _named(f"{name}_shift", shift))


def _added(before: Wire, first: _Number, second: _Number) -> Wire:
    """The sum and a product, modulo 2 to the power of the sum's width."""
    import pyrtl

    bits = len(before)
    product = _either_or(first.magnitude, second.magnitude, lambda one, other: one * other)
    shift = _either_or(first.shift, second.shift, lambda one, other: one + other)
    wide = product.zero_extended(bits) if len(product) < bits else product[:bits]
    shifted = _named("shifted", pyrtl.shift_left_logical(wide, shift))
    negative = _named("negative", first.negative ^ second.negative)
    # Minus x is the complement of x and one.
    signed = _named("signed_product", shifted ^ negative.sign_extended(bits))
    return (before + signed + negative)[:bits]


def _either_or(first: Wire | None, second: Wire | None, both: Callable[[Wire, Wire], Wire]) -> Wire:
    if first is None or second is None:
        return second if first is None else first
    return both(first, second)


def cell_verilog(activation: Operand, weight: Operand, sum_bits: int) -> str:
    """The Verilog of `cell_block`, a module `mac_cell`."""
    text = combinational_verilog(cell_block(activation, weight, sum_bits), CELL)
    reason = "// Sums in PyRTL have a carry, which sums modulo a power of two leave unused."
    return f"{reason}\n{QUIET.format('off')}\n{text}{QUIET.format('on')}\n"


def generated(unit: Grid) -> Design:
    """The unit's design with generated cells in place of those written by hand."""
    written = unit.design()
    activation, weight = unit.operands
    plane = PLANE.format(CELL=CELL, **dict(written.parameters))
    return replace(
        written,
        sources=tuple(p for p in written.sources if p.name not in REPLACED),
        generated=((f"{CELL}.v", cell_verilog(activation, weight, unit.sum_bits)), ("mac_plane.sv", plane)),
    )
