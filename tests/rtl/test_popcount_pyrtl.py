"""The generated popcount: in PyRTL's own simulation, under lint, and proved equal to one written by hand."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyrtl
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.combinational import combinational_verilog
from siliform.rtl.common.design import Design
from siliform.rtl.common.popcount import count_bits, popcount_block, popcount_verilog
from siliform.rtl.common.verilator import find_verilator
from siliform.rtl.synthesis.equivalence import prove_equivalent
from siliform.rtl.synthesis.yosys import find_yosys

BY_HAND = """
module popcount_by_hand (input logic [{high}:0] word_i, output logic [{top}:0] count_o);
  always_comb begin
    count_o = '0;
    for (int i = 0; i <= {high}; i++) count_o = count_o + {bits}'(word_i[i]);
  end
endmodule
"""


def simulated(width: int, words: list[int]) -> list[int]:
    """What PyRTL's simulator says of these words."""
    block = popcount_block(width)
    simulation = pyrtl.Simulation(tracer=None, block=block)
    found = []
    for word in words:
        simulation.step({"word_i": word})
        found.append(simulation.inspect("count_o"))
    return found


@pytest.mark.parametrize("width", [1, 2, 3, 5, 8])
def test_every_word_is_counted(width: int) -> None:
    assert simulated(width, list(range(2**width))) == [word.bit_count() for word in range(2**width)]


@pytest.mark.parametrize("width", [16, 31, 64, 100])
def test_wide_words_are_counted(width: int) -> None:
    rng = np.random.default_rng(width)
    dense = [
        sum(1 << i for i in np.flatnonzero(rng.random(width) < share).tolist()) for share in rng.random(30)
    ]
    words = [0, 2**width - 1, 1, 1 << (width - 1), *(int(word) for word in dense)]
    assert simulated(width, words) == [word.bit_count() for word in words]


@pytest.mark.parametrize("width", [1, 2, 3, 7, 8, 31, 64])
def test_a_full_adder_for_each_bit_that_goes(width: int) -> None:
    gates = Counter(net.op for net in popcount_block(width).logic)
    full, half = gates["|"], gates["^"] - 2 * gates["|"]
    assert full == width - count_bits(width)
    assert half == count_bits(width) - width.bit_count()


def test_generating_leaves_the_working_block_alone() -> None:
    before = pyrtl.working_block()
    first, second = popcount_verilog(9, "count_9"), popcount_verilog(9, "count_9")
    assert pyrtl.working_block() is before
    assert not before.logic
    assert first.count("module count_9(word_i, count_o);") == 1
    assert "clk" not in first
    assert first == second


def test_what_cannot_be_generated_is_refused() -> None:
    with pytest.raises(ValueError, match="a popcount of 0 bits"):
        popcount_block(0)
    block = pyrtl.Block()
    with pyrtl.set_working_block(block):
        held = pyrtl.Register(1, "held")
        held.next <<= ~held
    with pytest.raises(
        ValueError, match="toggle holds 1 registers or memory ports; it is to be combinational"
    ):
        combinational_verilog(block, "toggle")


def test_a_complement_inside_a_sum_keeps_its_width() -> None:
    """PyRTL 1.0.3 alone writes ``~x + 1`` of 4 bits as one expression of 5, whose highest bit is wrong."""
    try:
        find_yosys()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    block = pyrtl.Block()
    with pyrtl.set_working_block(block):
        x, y = pyrtl.Input(4, "x"), pyrtl.Output(5, "y")
        y <<= ~x + 1
    by_hand = """
module by_hand (input logic [3:0] x, output logic [4:0] y);
  logic [3:0] complement;
  assign complement = ~x;
  assign y = {1'b0, complement} + 5'd1;
endmodule
"""
    assert prove_equivalent(by_hand, combinational_verilog(block, "generated")).equal


@pytest.mark.parametrize("width", [2, 64])
def test_the_text_is_clean_under_every_warning(width: int) -> None:
    try:
        verilator = find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    generated = (("popcount.v", popcount_verilog(width, "popcount")),)
    assert Design("popcount", (), (), (), generated=generated).lint(verilator) == ""


@pytest.mark.parametrize("width", [2, 7, 16, 24])
def test_it_is_proved_equal_to_one_written_by_hand(width: int) -> None:
    try:
        find_yosys()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    by_hand = BY_HAND.format(high=width - 1, top=count_bits(width) - 1, bits=count_bits(width))
    generated = popcount_verilog(width, "popcount")
    assert prove_equivalent(by_hand, generated).equal
    wrong_carry = generated.replace(" & ", " | ", 1)
    assert not prove_equivalent(by_hand, wrong_carry).equal
