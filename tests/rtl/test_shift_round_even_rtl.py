"""The rounding shift in hardware against the fixed-point helpers, over every value of small widths."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.integers import round_to_integers
from siliform.graph_ir.variants.fixed_point import shift_right_even
from siliform.rtl import common
from siliform.rtl.common.build import build
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator

IN_WIDTH, PLACES_WIDTH = 8, 4
OUT_WIDTHS = (4, 8, 16)  # narrower, as wide, wider

# The shift is combinational: one instance of each width beside the others, a beat in and out in one cycle.
TOP = (
    f"""\
module shifts (
  input  logic clk_i, rst_ni, x_valid_i, y_ready_i,
  output logic x_ready_o, y_valid_o,
  input  logic [{IN_WIDTH - 1}:0] x_i,
  input  logic [{PLACES_WIDTH - 1}:0] places_i,
  output logic [3:0] y4_o, output logic [7:0] y8_o, output logic [15:0] y16_o
);
  logic unused;
  assign unused = &{{1'b0, clk_i, rst_ni}};
  assign x_ready_o = y_ready_i;
  assign y_valid_o = x_valid_i;
"""
    + "".join(
        f"  shift_round_even #(.InWidth({IN_WIDTH}), .OutWidth({w}), .PlacesWidth({PLACES_WIDTH})) u_{w} (\n"
        f"    .value_i(x_i), .places_i(places_i), .value_o(y{w}_o));\n"
        for w in OUT_WIDTHS
    )
    + "endmodule\n"
)

DESIGN = Design(
    "shifts",
    (Path(common.__file__).parent / "shift_round_even.sv",),
    (),
    (
        Stream("x", "in", (Field("x", 1, IN_WIDTH), Field("places", 1, PLACES_WIDTH, signed=False))),
        Stream("y", "out", tuple(Field(f"y{w}", 1, w) for w in OUT_WIDTHS)),
    ),
    generated=(("shifts.sv", TOP),),
)


def _every_case() -> tuple[np.ndarray, np.ndarray]:
    value, places = np.meshgrid(np.arange(-(2 ** (IN_WIDTH - 1)), 2 ** (IN_WIDTH - 1)), np.arange(16))
    return value.reshape(-1, 1), places.reshape(-1, 1)


def test_every_value_and_number_of_places() -> None:
    try:
        find_verilator(), find_compiler()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    value, places = _every_case()
    # The helper takes one place or more: one more of a doubled value is the same quotient.
    wanted = shift_right_even(2 * value, places + 1)
    with Model(DESIGN, build(DESIGN)) as model:
        inputs = {"x": beats(DESIGN.streams[0], {"x": value, "places": places})}
        made = model.run(inputs, {"y": len(value)}, limit_cycles=2 * len(value))
    found = values(DESIGN.streams[1], made.outputs["y"])
    for width in OUT_WIDTHS:
        np.testing.assert_array_equal(
            found[f"y{width}"], round_to_integers(wanted, format_named(f"int{width}")), err_msg=f"int{width}"
        )


def test_it_is_clean_under_every_warning() -> None:
    try:
        verilator = find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    assert DESIGN.lint(verilator) == ""
