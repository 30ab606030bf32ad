"""Synthesis onto a library of our own: what it amounts to, timing and energy by hand, gates on cases."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.regression import check, trials
from siliform.rtl.common.verilator import find_compiler, find_verilator
from siliform.rtl.synthesis.check import complaints
from siliform.rtl.synthesis.circuit import Circuit
from siliform.rtl.synthesis.energy import (
    Activity,
    GatesDifferError,
    energy_of,
    operations,
    switching_energy,
)
from siliform.rtl.synthesis.gates import gate_design
from siliform.rtl.synthesis.liberty import Library, read_library
from siliform.rtl.synthesis.netlist import Instance, Netlist, Port
from siliform.rtl.synthesis.synth import Memory, Synthesis, synthesise
from siliform.rtl.synthesis.timing import longest_path, ordered
from siliform.rtl.synthesis.yosys import YosysError, find_yosys
from tests.rtl.liberty_case import PIN_PF, write_library
from tests.rtl.tiny_unit import RunningSum, WrongSum

UNIT = RunningSum(2, 4)


@pytest.fixture(scope="module")
def liberty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_library(tmp_path_factory.mktemp("cells"))


@pytest.fixture(scope="module")
def library(liberty: Path) -> Library:
    return read_library(liberty)


@pytest.fixture(scope="module")
def synthesis(liberty: Path) -> Synthesis:
    """The running sum in gates, or a skip that says what to install."""
    _needs(find_yosys)
    return synthesise(UNIT.design(), liberty)


def _needs(*tools: object) -> None:
    try:
        for tool in tools:
            tool()  # type: ignore[operator]
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def two_stages() -> Netlist:
    """A register, an inverter, a register, an output."""
    return Netlist(
        "stages",
        {"clk_i": Port("input", (2,)), "d_i": Port("input", (3,)), "q_o": Port("output", (6,))},
        (
            Instance("DFF", {"C": (2,), "D": (3,), "Q": (4,)}),
            Instance("INV", {"A": (4,), "Y": (5,)}),
            Instance("DFF", {"C": (2,), "D": (5,), "Q": (6,)}),
        ),
        {2: "clk_i", 3: "d_i", 4: "q", 5: "not_q", 6: "q_o"},
    )


def as_synthesis(netlist: Netlist, library: Library) -> Synthesis:
    return Synthesis(netlist, library, 0.0, 2, (), None, None, "", "by hand")


def test_the_longest_path_by_hand(library: Library) -> None:
    """Clock to a fall of q: 0.2 + 0.01; to a rise behind the inverter: 0.1 + 0.01; setup: 0.3."""
    path = longest_path(two_stages(), library, 4 * PIN_PF)
    assert path.nanoseconds == pytest.approx(0.21 + 0.11 + 0.3)
    assert path.nets in (("clk_i rises", "q falls", "not_q rises"), ("clk_i rises", "q rises", "not_q falls"))
    assert longest_path(two_stages(), library, 0.1).nanoseconds == pytest.approx(1.2)  # the output's load


def test_gates_that_feed_themselves_are_refused(library: Library) -> None:
    loop = Netlist(
        "loop", {}, (Instance("INV", {"A": (2,), "Y": (3,)}), Instance("INV", {"A": (3,), "Y": (2,)})), {}
    )
    with pytest.raises(ValueError, match="2 gates of loop wait for each other in a loop"):
        ordered(loop, library)


def test_energy_by_hand(library: Library) -> None:
    toggles = {2: 20, 3: 4, 4: 5, 5: 5, 6: 3}
    energy = energy_of(as_synthesis(two_stages(), library), Activity(toggles, 10, 4, "step"))
    # Flip-flops' clocks 0.01 pJ an edge; outputs 0.03 pJ a toggle; loads half of C V^2 with V = 2.
    assert energy.internal_pj == pytest.approx(2 * 20 * 0.01 + (5 + 5 + 3) * 0.03)
    assert energy.load_pj == pytest.approx(2.0 * (20 * 0.002 + (4 + 5 + 5) * 0.001 + 3 * 0.004))
    assert energy.clock_pj == pytest.approx(2 * 20 * 0.01 + 2.0 * 20 * 0.002)
    assert energy.leakage_watts == pytest.approx(13e-9)
    assert energy.pj_per_cycle == pytest.approx((energy.internal_pj + energy.load_pj) / 10)
    assert energy.pj_per_operation == pytest.approx(2.5 * energy.pj_per_cycle)


def test_cells_area_and_registers_are_counted(synthesis: Synthesis, library: Library) -> None:
    cells = synthesis.netlist.cells
    assert synthesis.flip_flops == 2 * 4 + 2  # sums, valid, first
    assert (cells["DFFR"], cells["DFFS"], cells["DFF"]) == (1, 1, 8)
    assert synthesis.cells == sum(cells.values()) > 40
    assert synthesis.area_um2 == sum(n * library.cells[kind].area_um2 for kind, n in cells.items())
    assert synthesis.gate_equivalents == synthesis.area_um2 / 2.0
    assert synthesis.path is not None
    # An adder of 4 bits lies between two registers: three gates and the setup at the least, twelve at most.
    assert 0.2 + 3 * 0.1 + 0.3 < synthesis.path.nanoseconds < 0.2 + 12 * 0.3 + 0.3
    assert (synthesis.memories, synthesis.transistors) == ((), None)


def test_a_wider_unit_is_larger(synthesis: Synthesis, liberty: Path) -> None:
    wider = synthesise(RunningSum(2, 8).design(), liberty)
    assert 1.8 < (wider.area_um2 or 0.0) / (synthesis.area_um2 or 1.0) < 2.2
    assert wider.flip_flops == 18


def test_without_a_library_transistors_are_counted() -> None:
    _needs(find_yosys)
    counted = synthesise(UNIT.design(), None)
    assert (counted.area_um2, counted.path, counted.library) == (None, None, None)
    assert counted.flip_flops == 10
    assert counted.transistors is not None
    assert 200 < counted.transistors < 800
    assert counted.gate_equivalents == (counted.transistors + 10 * 24) / 4


MEMORY = """
module remembers (input logic clk_i, input logic write_i, input logic [5:0] at_i, input logic [7:0] x_i,
    output logic [7:0] y_o);
  logic [7:0] held_q[64];
  always_ff @(posedge clk_i) if (write_i) held_q[at_i] <= x_i;
  assign y_o = held_q[at_i] + 8'd1;
endmodule
"""


def test_memories_are_counted_apart_unless_asked(liberty: Path, tmp_path: Path) -> None:
    _needs(find_yosys)
    apart = synthesise(Circuit.of(MEMORY), liberty, keep=tmp_path / "kept")
    assert apart.memories == (Memory(words=64, bits=8, read_ports=1, write_ports=1),)
    assert (apart.memory_bits, apart.flip_flops) == (512, 0)
    assert "module memories" in apart.memories_verilog
    kept = {p.name for p in (tmp_path / "kept").iterdir()}
    assert kept == {"netlist.v", "netlist.json", "memories.v", "stat.txt", "yosys.log", "script.ys"}
    together = synthesise(Circuit.of(MEMORY), liberty, memories_apart=False)
    assert (together.memory_bits, together.flip_flops) == (0, 512)


TABLE = """
module looks_up (input logic [5:0] at_i, output logic [7:0] y_o);
  always_comb case (at_i)
    %s
    default: y_o = 8'd255;
  endcase
endmodule
"""


def test_a_table_of_constants_is_gates(liberty: Path) -> None:
    _needs(find_yosys)
    lines = "\n".join(f"6'd{i}: y_o = 8'd{i * i * 7 % 251};" for i in range(63))
    made = synthesise(Circuit.of(TABLE % lines), liberty)
    assert (made.memories, made.flip_flops) == ((), 0)
    assert made.cells > 60


def test_gates_do_what_the_unit_does_in_its_law(synthesis: Synthesis) -> None:
    _needs(find_verilator, find_compiler)
    gates = gate_design(synthesis, UNIT.design())
    for stalled in (False, True):
        tally = check(UNIT, trials(range(12), stalled=stalled), gates)
        assert not tally.failed, tally.failed[0]


def test_energy_of_a_unit_is_of_its_cases(synthesis: Synthesis) -> None:
    _needs(find_verilator, find_compiler)
    energy = switching_energy(UNIT, synthesis)
    assert energy.operation == "element out"
    assert energy.operations == 2 * energy.cycles  # two lanes a cycle: nothing stalls
    assert energy.cycles > 400
    assert energy.clock_pj == pytest.approx(energy.cycles * 2 * (10 * 0.01 + 2.0 * 10 * PIN_PF))
    assert energy.internal_pj + energy.load_pj > 1.5 * energy.clock_pj
    assert energy.pj_per_operation == pytest.approx(energy.pj_per_cycle / 2)


def test_gates_of_another_circuit_are_caught(liberty: Path) -> None:
    _needs(find_yosys, find_verilator, find_compiler)
    wrong = synthesise(WrongSum(2, 4).design(), liberty)
    with pytest.raises(GatesDifferError, match=r"gates of running_sum 2x4, seed \d+: \d+ of \d+ values of y"):
        switching_energy(UNIT, wrong)


def test_gates_without_a_library_have_no_energy() -> None:
    bare = Synthesis(two_stages(), None, 0.0, 2, (), 9, None, "", "by hand")
    with pytest.raises(ValueError, match="without a library"):
        energy_of(bare, Activity({}, 1, 1, "step"))
    with pytest.raises(ValueError, match="synthesised without a library"):
        gate_design(bare, UNIT.design())


def test_operations_of_products_are_their_multiply_accumulates() -> None:
    case = UNIT.case({"rows": 2, "length": 3}, np.random.default_rng(1))
    assert operations(case) == (12, "element out")
    product = replace(case, shape={"batch": 2, "m": 3, "n": 4, "k": 5})
    assert operations(product) == (120, "multiply-accumulate")


def test_yosys_reads_a_unit_or_tells_why_not() -> None:
    _needs(find_yosys)
    assert complaints(UNIT.design()) == ""
    latch = UNIT.design().generated[0][1].replace("sum_d[l] =", "if (first_q) sum_d[l] =")
    assert "Latch inferred" in complaints(replace(UNIT.design(), generated=(("latch.sv", latch),)))
    broken = UNIT.design().generated[0][1].replace("always_ff", "always_fff", 1)
    assert "syntax error" in complaints(replace(UNIT.design(), generated=(("broken.sv", broken),)))
    with pytest.raises(YosysError, match="syntax error"):
        synthesise(Circuit.of("module nothing (input a); assign ; endmodule"), None)
