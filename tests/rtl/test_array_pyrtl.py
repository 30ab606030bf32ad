"""Generated cells: in PyRTL's own simulation, in the array, and proved equal to those written by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyrtl
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops.matmul import matmul
from siliform.rtl.array.generator import REPLACED, cell_block, cell_verilog, generated
from siliform.rtl.array.grid import HERE
from siliform.rtl.array.operands import Operand
from siliform.rtl.array.unit import ArrayUnit
from siliform.rtl.common.regression import check, trials
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator
from siliform.rtl.output_stationary.unit import OutputStationaryUnit
from siliform.rtl.synthesis.circuit import Circuit
from siliform.rtl.synthesis.equivalence import prove_equivalent
from siliform.rtl.synthesis.yosys import find_yosys

# Activation, weight, and bits of the sum: one product in the narrowest, so that sums wrap often.
PAIRS = (
    ("int4", "int4", 8),
    ("int8", "int8", 32),
    ("int8", "ternary", 20),
    ("int8", "log2_4", 24),
    ("fp4_e2m1", "fp4_e2m1", 14),
    ("fp4_e1m2", "fp4_e3m0", 12),
    ("fp8_e4m3", "fp8_e4m3", 42),
    ("fp8_e5m2", "int4", 40),
    ("fp4_e2m1", "log2_4", 24),
)
UNITS = (
    ArrayUnit(),
    ArrayUnit(3, 5, "none", "fp8_e4m3", "fp8_e4m3", sum_bits=48, totals="fp32", depth_rows=9),
    OutputStationaryUnit(3, 5, "none", weight="log2_4"),
)


@pytest.fixture(scope="module")
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


@pytest.fixture
def yosys() -> None:
    """Yosys, or a skip that says what to install."""
    try:
        find_yosys()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def drawn(form: Operand, count: int, rng: np.random.Generator) -> np.ndarray:
    """All codes in turn, or some of them and every corner."""
    if len(form.codes) <= 16:
        return np.tile(form.codes, count)[:count]
    corners = list(form.corners.values())
    return np.concatenate([rng.choice(form.codes, count - len(corners)), corners])


@pytest.mark.parametrize(("activation", "weight", "bits"), PAIRS)
def test_pyrtl_simulates_what_the_codes_mean(activation: str, weight: str, bits: int) -> None:
    first, second = Operand(activation), Operand(weight)
    rng = np.random.default_rng(bits)
    a, w = drawn(first, 256, rng), np.sort(drawn(second, 256, rng))  # sorted: all pairs of four-bit codes
    before = rng.integers(0, 2**bits, 256)
    product = matmul.reference(first.counts(a)[:, None, None], second.counts(w)[:, None, None])[:, 0, 0]
    simulation = pyrtl.FastSimulation(tracer=None, block=cell_block(first, second, bits))
    for index, wanted in enumerate((before + product) % 2**bits):
        given = {"act_i": int(a[index]), "weight_i": int(w[index]), "sum_i": int(before[index])}
        simulation.step(given)
        assert simulation.inspect("sum_o") == wanted, given


def by_hand(activation: str, weight: str, bits: int) -> Circuit:
    """One cell of `mac_plane`."""
    unit = ArrayUnit(1, 1, activation=activation, weight=weight, sum_bits=bits)
    taken = ("ActWidth", "ActExponent", "WeightWidth", "WeightExponent", "LogWeight", "SumWidth")
    parameters = tuple((name, unit.parameters()[name]) for name in taken)
    texts = tuple((name, (HERE / name).read_text(encoding="utf-8")) for name in REPLACED)
    return Circuit("mac_plane", texts, (("Rows", 1), ("Columns", 1), *parameters))


@pytest.mark.parametrize(("activation", "weight", "bits"), PAIRS)
def test_a_generated_cell_is_proved_equal_to_one_written_by_hand(
    yosys: None, activation: str, weight: str, bits: int
) -> None:
    text = cell_verilog(Operand(activation), Operand(weight), bits)
    assert prove_equivalent(by_hand(activation, weight, bits), text).equal


def test_a_cell_that_forgets_a_sign_is_not(yosys: None) -> None:
    text = cell_verilog(Operand("fp4_e2m1"), Operand("fp4_e2m1"), 14)
    wrong = text.replace("(act_i[3]) ^ (weight_i[3])", "(act_i[3]) | (weight_i[3])")
    assert wrong != text
    proof = prove_equivalent(by_hand("fp4_e2m1", "fp4_e2m1", 14), wrong)
    assert not proof.equal
    assert proof.counterexample


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: f"{unit.kind}-{unit.name}")
def test_an_array_of_generated_cells_holds(
    verilator: Verilator, unit: ArrayUnit | OutputStationaryUnit
) -> None:
    design = generated(unit)
    assert design.lint(verilator) == ""
    for stalled in (False, True):
        tally = check(unit, trials(range(40), stalled=stalled), design)
        assert not tally.failed, "\n".join(tally.failed[:3])


def test_cells_for_other_formats_are_refused(verilator: Verilator) -> None:
    design = generated(UNITS[1])
    other = replace(design, parameters=(*design.parameters, ("ActExponent", 5)))
    assert "this cell was generated for other formats" in other.lint(verilator)


def test_generating_leaves_the_working_block_alone_and_repeats_itself() -> None:
    before = pyrtl.working_block()
    first, second = (cell_verilog(Operand("fp8_e4m3"), Operand("int8"), 32) for _ in range(2))
    assert pyrtl.working_block() is before
    assert not before.logic
    assert first == second
    assert "module mac_cell(act_i, sum_i, weight_i, sum_o);" in first
