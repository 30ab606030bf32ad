"""Fixed point to fp32 in hardware against NumPy's conversion: ties, carries into the exponent, extremes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl import common
from siliform.rtl.common.build import build
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator

WIDTHS = {8: 0, 25: -2, 54: -18, 64: -25}  # bits, and the step's power of two

# The conversion is combinational: one instance of each width, a beat in and out in one cycle.
TOP = (
    "module floats (\n"
    "  input  logic clk_i, rst_ni, x_valid_i, y_ready_i,\n"
    "  output logic x_ready_o, y_valid_o,\n"
    + ",\n".join(f"  input logic [{w - 1}:0] x{w}_i, output logic [31:0] y{w}_o" for w in WIDTHS)
    + "\n);\n  logic unused;\n"
    "  assign unused = &{1'b0, clk_i, rst_ni};\n"
    "  assign x_ready_o = y_ready_i;\n"
    "  assign y_valid_o = x_valid_i;\n"
    + "".join(
        f"  fixed_to_float #(.Lanes(1), .Width({w}), .Step({step})) u_{w} (\n"
        f"    .fixed_i(x{w}_i), .float_o(y{w}_o));\n"
        for w, step in WIDTHS.items()
    )
    + "endmodule\n"
)
DESIGN = Design(
    "floats",
    (Path(common.__file__).parent / "fixed_to_float.sv",),
    (),
    (
        Stream("x", "in", tuple(Field(f"x{w}", 1, w) for w in WIDTHS)),
        Stream("y", "out", tuple(Field(f"y{w}", 1, 32, signed=False) for w in WIDTHS)),
    ),
    generated=(("floats.sv", TOP),),
)


def drawn(bits: int, count: int) -> np.ndarray:
    """Integers of that width: of every magnitude, among them halfway between two floats and beside it."""
    rng = np.random.default_rng(bits)
    head = rng.integers(0, 2**25, count) | 2**24 | 1  # 25 bits, the lowest set: a tie where zeros follow
    head[::7] = 2**25 - 1  # and rounds up to the next power of two
    found = head << np.maximum(rng.integers(0, max(bits - 25, 1), count), 0)
    found = found + rng.integers(-1, 2, count)
    found = np.where(
        rng.random(count) < 0.5, found, rng.integers(0, 2**62, count) >> rng.integers(0, 62, count)
    )
    found &= 2 ** (bits - 1) - 1
    found[:4] = [0, 1, 2 ** (bits - 1) - 1, 2 ** (bits - 2)]
    found = np.where(rng.random(count) < 0.5, found, -found)
    found[-1] = -(2 ** (bits - 1))
    return found.reshape(-1, 1)


def test_it_rounds_as_numpy_does() -> None:
    try:
        find_verilator(), find_compiler()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    given = {w: drawn(w, 4000) for w in WIDTHS}
    with Model(DESIGN, build(DESIGN)) as model:
        inputs = {"x": beats(DESIGN.streams[0], {f"x{w}": x for w, x in given.items()})}
        made = model.run(inputs, {"y": 4000}, limit_cycles=8000)
    found = values(DESIGN.streams[1], made.outputs["y"])
    for w, step in WIDTHS.items():
        wanted = np.ldexp(given[w].astype(np.float32), step)  # int64 to float32 in one rounding
        np.testing.assert_array_equal(
            found[f"y{w}"].astype(np.uint32), wanted.view(np.uint32), err_msg=str(w)
        )


def test_it_is_clean_under_every_warning() -> None:
    try:
        verilator = find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    assert DESIGN.lint(verilator) == ""
