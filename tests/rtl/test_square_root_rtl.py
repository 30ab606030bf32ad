"""The pipelined root against the fixed-point helper: every small radicand, squares and their neighbours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.variants.fixed_point import square_root
from siliform.rtl import common
from siliform.rtl.common.build import build
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import find_compiler, find_verilator

FOLDER = Path(common.__file__).parent
SOURCES = tuple(FOLDER / f"{name}.sv" for name in ("elastic", "root_stage", "square_root"))


def rooter(width: int, bits_per_stage: int) -> Design:
    """The root as streams; the tag is 8 bits."""
    top = f"""\
module rooter (
  input  logic clk_i, rst_ni, x_valid_i, y_ready_i, output logic x_ready_o, y_valid_o,
  input  logic [{2 * width - 1}:0] radicand_i, input logic [7:0] tag_i,
  output logic [{width - 1}:0] root_o, output logic [7:0] tag_o
);
  square_root #(.RootWidth({width}), .BitsPerStage({bits_per_stage}), .TagWidth(8)) u_root (
    .clk_i, .rst_ni, .valid_i(x_valid_i), .ready_o(x_ready_o), .valid_o(y_valid_o), .ready_i(y_ready_i),
    .radicand_i, .tag_i, .root_o, .tag_o
  );
endmodule
"""
    tag = Field("tag", 1, 8, signed=False)
    streams = (
        Stream("x", "in", (Field("radicand", 1, 2 * width, signed=False), tag)),
        Stream("y", "out", (Field("root", 1, width, signed=False), tag)),
    )
    return Design("rooter", SOURCES, (), streams, generated=(("rooter.sv", top),))


def radicands(width: int) -> np.ndarray:
    """All of them, or squares and what lies beside them."""
    if width <= 7:
        return np.arange(4**width)
    roots = np.random.default_rng(width).integers(0, 2**width, 3000)
    near = np.concatenate([np.array([1, 2**width - 1]), roots]) ** 2
    return np.clip(np.concatenate([near - 1, near, near + 1]), 0, 4**width - 1)


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    try:
        find_compiler()
        find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


@pytest.mark.parametrize(("width", "bits_per_stage", "cycles"), [(7, 1, 7), (7, 3, 3), (1, 1, 1), (26, 4, 7)])
def test_roots_are_exact_and_a_beat_a_cycle(width: int, bits_per_stage: int, cycles: int) -> None:
    design, radicand = rooter(width, bits_per_stage), radicands(width)
    tag = np.arange(len(radicand)) % 256
    given = {"radicand": radicand[:, None], "tag": tag[:, None]}
    with Model(design, build(design)) as model:
        made = model.run(
            {"x": beats(design.streams[0], given)}, {"y": len(radicand)}, limit_cycles=10 * len(radicand)
        )
    found = values(design.streams[1], made.outputs["y"])
    np.testing.assert_array_equal(found["root"][:, 0], square_root(radicand))
    np.testing.assert_array_equal(found["tag"][:, 0], tag)
    assert made.cycles == len(radicand) - 1 + cycles


def test_it_is_clean_under_every_warning() -> None:
    for width, bits_per_stage in ((26, 1), (26, 4), (1, 1)):
        assert rooter(width, bits_per_stage).lint(find_verilator()) == ""
