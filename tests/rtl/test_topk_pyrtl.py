"""The generated insertion network: in PyRTL's own simulation, under lint, and proved equal to one by hand."""

from __future__ import annotations

import numpy as np
import pyrtl
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops.selection import top_k
from siliform.rtl.common.combinational import combinational_verilog
from siliform.rtl.common.design import Design
from siliform.rtl.common.verilator import find_verilator
from siliform.rtl.synthesis.equivalence import prove_equivalent
from siliform.rtl.synthesis.yosys import find_yosys
from siliform.rtl.topk.insertion import cell_block, insertion_block, insertion_verilog
from siliform.rtl.topk.unit import TopKUnit

KEY, INDEX = 5, 6  # bits; the key's highest says that there is an element

CELL_BY_HAND = """
module cell_by_hand (
  input logic [4:0] new_i, here_i, above_i, input logic shift_i, above_moves_i,
  output logic [4:0] here_o, output logic moves_o
);
  assign moves_o = shift_i || new_i[4:2] > here_i[4:2];
  always_comb begin
    here_o = here_i;
    if (moves_o) here_o = above_moves_i ? above_i : new_i;
  end
endmodule
"""
# Places as an array, entries one after another, each pushing from the worst place up.
NETWORK_BY_HAND = """
module network_by_hand (
  input logic [2:0][5:0] held_i, input logic [1:0][5:0] new_i, input logic shift_i,
  output logic [2:0][5:0] held_o, output logic [5:0] carry_o, output logic shift_o
);
  logic room;
  always_comb begin
    held_o = held_i;
    for (int e = 0; e < 2; e++) begin
      shift_o = (shift_i && e == 0) || new_i[e][5:2] > held_o[2][5:2];
      carry_o = shift_o ? held_o[2] : new_i[e];
      for (int p = 2; p >= 0; p--) begin
        room = (shift_i && e == 0) || new_i[e][5:2] > held_o[p][5:2];
        if (room && p > 0 && ((shift_i && e == 0) || new_i[e][5:2] > held_o[p > 0 ? p - 1 : 0][5:2]))
          held_o[p] = held_o[p > 0 ? p - 1 : 0];
        else if (room) held_o[p] = new_i[e];
      end
    end
  end
endmodule
"""


def selected(rows: np.ndarray, kept: int, lanes: int, parts: int) -> list[list[tuple[int, int]]]:
    """The best of each row as (value, place), elements passing `parts` networks by PyRTL's simulator."""
    places, entry = -(-kept // parts), KEY + INDEX
    simulation = pyrtl.Simulation(tracer=None, block=insertion_block(places, lanes, entry, INDEX))
    found = []
    for row in rows:
        held = [0] * parts
        for first in range(0, len(row), lanes):
            beat = enumerate(row[first : first + lanes].tolist(), first)
            entries = [(1 << KEY - 1 | value) << INDEX | place for place, value in beat]
            carry, shift = sum(e << lane * entry for lane, e in enumerate(entries)), 0
            for part in range(parts):
                simulation.step({"held_i": held[part], "new_i": carry, "shift_i": shift})
                held[part], carry, shift = map(simulation.inspect, ("held_o", "carry_o", "shift_o"))
        words = [h >> p * entry & 2**entry - 1 for h in held for p in range(places)][:kept]
        known = [w for w in words if w >> entry - 1]
        found.append([(w >> INDEX & 2 ** (KEY - 1) - 1, w & 2**INDEX - 1) for w in known])
    return found


@pytest.mark.parametrize(("kept", "lanes", "parts"), [(1, 1, 1), (4, 1, 1), (4, 3, 1), (6, 1, 3), (5, 1, 2)])
def test_the_network_selects_what_the_op_selects(kept: int, lanes: int, parts: int) -> None:
    generator = np.random.default_rng([kept, lanes, parts])
    for length in (1, 3, 20):
        for high in (3, 16):  # few different elements, and many
            rows = generator.integers(0, high, (8, length))
            best, places = top_k.reference(rows, k=min(kept, length))
            wanted = [
                list(zip(*pair, strict=True)) for pair in zip(best.tolist(), places.tolist(), strict=True)
            ]
            assert selected(rows, kept, lanes, parts) == wanted


def test_generating_leaves_the_working_block_alone_and_repeats() -> None:
    before = pyrtl.working_block()
    first, second = (insertion_verilog(3, 2, 9, 4, "network") for _ in range(2))
    assert pyrtl.working_block() is before
    assert not before.logic
    assert first == second


def test_the_text_is_clean_under_every_warning() -> None:
    try:
        verilator = find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    generated = (("network.v", insertion_verilog(3, 2, 9, 4, "network")),)
    assert Design("network", (), (), (), generated=generated).lint(verilator) == ""


@pytest.mark.parametrize("which", ["cell", "network"])
def test_it_is_proved_equal_to_one_written_by_hand(which: str) -> None:
    try:
        find_yosys()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    if which == "cell":
        by_hand, made = CELL_BY_HAND, combinational_verilog(cell_block(5, 2), "cell")
    else:
        by_hand, made = NETWORK_BY_HAND, insertion_verilog(3, 2, 6, 2, "network")
    assert prove_equivalent(by_hand, made).equal
    equal_ones_first = made.replace(" > ", " >= ", 1)
    assert not prove_equivalent(by_hand, equal_ones_first).equal


def test_parts_without_a_place_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        TopKUnit(kept=5, lanes=1, folds=4)
    assert str(caught.value) == (
        "asked: topk in hardware: 5 places in 4 parts for 1 lanes\n"
        "found: circuits of several lanes, or of several parts with a place in each\n"
        "where: folds\n"
        "next:  choose lanes = 1 and folds = 3, or folds = 1"
    )
    with pytest.raises(UserError, match="5 places in 2 parts for 3 lanes"):
        TopKUnit(kept=5, lanes=3, folds=2)
