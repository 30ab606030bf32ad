"""What is the array's alone; `test_units.py` holds its values and its cycles against reference and law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops.matmul import matmul
from siliform.graph_ir.variants import LINEAR
from siliform.rtl.array.operands import FLOATS, OPERANDS, Operand, exact, operand_of
from siliform.rtl.array.product import folds
from siliform.rtl.array.unit import ArrayUnit
from siliform.rtl.common.build import build
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.regression import check, trials
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator

UNIT = ArrayUnit()


@pytest.fixture(scope="module")
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


@pytest.mark.slow
def test_loops_that_stay_loops_are_the_same_circuit(verilator: Verilator) -> None:
    """Large arrays are built so; Verilator is known to take some loops for others then."""
    for unit in (UNIT, *ArrayUnit.elaborations()[1:2]):
        for stalled in (False, True):
            tally = check(unit, trials(range(100), stalled=stalled), replace(unit.design(), rolled=True))
            assert not tally.failed, "\n".join(tally.failed[:3])


@pytest.mark.parametrize(
    "unit",
    [
        ArrayUnit(256, 256),
        ArrayUnit(256, 256, activation="fp8_e4m3", weight="fp8_e5m2", sum_bits=64),
        ArrayUnit(1, 7),
        ArrayUnit(7, 1),
        ArrayUnit(1, 1, "none", "fp8_e4m3", "log2_4", sum_bits=48),
    ],
    ids=lambda unit: unit.name,
)
def test_sizes_that_no_test_builds_are_clean_under_every_warning(
    verilator: Verilator, unit: ArrayUnit
) -> None:
    assert unit.design().lint(verilator) == ""


def test_extremes_meet_in_every_cell(verilator: Verilator) -> None:
    """All -128 against all -128 and 127: the largest sums a product of this depth has."""
    design = UNIT.design()
    a = np.full((1, 5, 40), 0x80)
    b = np.where(np.arange(8) % 2, 0x7F, 0x80) * np.ones((1, 40, 1), np.int64)
    case = UNIT.case_of(a, b, np.random.default_rng(0))
    inputs = {s.name: beats(s, case.inputs[s.name]) for s in design.streams[:2]}
    wanted = case.expected["total"]["total"]
    with Model(design, build(design)) as model:
        traffic = model.run(inputs, {"total": len(wanted)}, limit_cycles=2000)
    assert (values(design.streams[2], traffic.outputs["total"])["total"] == wanted).all()
    assert wanted.max() == 40 * 128 * 128
    assert wanted.min() == -40 * 128 * 127
    assert traffic.cycles == UNIT.law_cycles(5, 8, 40)


def test_folds_cover_a_product_once() -> None:
    unit = ArrayUnit(3, 5, depth_rows=4)
    seen = np.zeros((2, 9, 11, 7), np.int64)
    for fold in folds(unit, 2, 9, 11, 7):
        seen[fold.product, fold.m, fold.n, fold.k] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("name", OPERANDS)
def test_an_operand_is_known_by_its_widths(name: str) -> None:
    form = Operand(name)
    assert operand_of(form.bits, form.exponent_bits, form.is_shift) == form
    assert set(form.corners.values()) <= set(form.codes.tolist())


def test_codes_count_steps() -> None:
    assert Operand("int4").counts(np.array([0x8, 0xF, 0x7])).tolist() == [-8, -1, 7]
    assert Operand("fp4_e2m1").counts(np.array([1, 2, 7, 15])).tolist() == [1, 2, 12, -12]  # halves
    assert Operand("log2_4").counts(np.array([0, 16, 15, 31])).tolist() == [2**15, -(2**15), 1, -1]
    assert exact(Operand("fp8_e4m3"), Operand("fp8_e4m3"), 1).bits == 37
    assert exact(Operand("fp8_e5m2"), Operand("fp8_e5m2"), 1).bits == 65


@pytest.mark.parametrize("name", FLOATS)
def test_a_float_total_is_the_rounded_sum_of_steps(name: str) -> None:
    """Both references of a unit, in fixed point and in fp32, agree where both are defined."""
    form = Operand(name)
    rng = np.random.default_rng(0)
    a, b = form.draw(rng, (5, 6)), form.draw(rng, (6, 4))
    unit = ArrayUnit(4, 4, activation=name, weight="int8", sum_bits=54)
    counts = matmul.reference(form.counts(a), Operand("int8").counts(b))
    totals = replace(unit, totals="fp32").product(a, b).astype(np.uint32).view(np.float32)
    np.testing.assert_array_equal(totals, (counts * float(form.range.step)).astype(np.float32))


def test_shifts_are_what_the_variant_of_linear_computes() -> None:
    """Activations that reach 127 and weights that reach 1 have the scale 1 there."""
    rng = np.random.default_rng(1)
    unit = ArrayUnit(4, 4, weight="log2_4")
    x, w = rng.integers(-127, 128, (3, 5)), rng.integers(0, 32, (5, 4))
    x[0, 0], w[0, 0] = 127, 16  # -1
    weights = np.where(w >= 16, -1.0, 1.0) * 2.0 ** -(w % 16)
    wanted = LINEAR["log2_shift"].reference(x.astype(np.float32), weights.T.astype(np.float32))
    np.testing.assert_array_equal(unit.product(x & 0xFF, w) / 2.0**15, wanted)


REFUSALS = {
    "overlap 'bound'": (
        {"overlap": "bound"},
        "found: circuits for none and double-buffered\n"
        "where: overlap\n"
        "next:  choose one of the two; 'bound' is a limit that no circuit reaches",
    ),
    "rows = 0": (
        {"rows": 0},
        "found: a unit that is built for 1 to 256\nwhere: rows\nnext:  choose rows from 1 to 256",
    ),
    "weight = int6": (
        {"weight": "int6"},
        "found: cells for ternary, int3, int4, int5, int8, int16, fp4_e1m2, fp4_e2m1, fp4_e3m0, fp8_e4m3, "
        "fp8_e5m2, log2_4\nwhere: weight\nnext:  use one of the nearest: int16, int8, int5",
    ),
    "activation = log2_4": (
        {"activation": "log2_4"},
        "found: cells whose weights may be shifts, and not their activations\n"
        "where: activation\n"
        "next:  let the operand that is a power of two be the weight",
    ),
}


@pytest.mark.parametrize("what", REFUSALS)
def test_what_is_not_built_is_refused(what: str) -> None:
    given, told = REFUSALS[what]
    with pytest.raises(UserError) as caught:
        ArrayUnit(**given)  # type: ignore[arg-type]
    assert str(caught.value) == f"asked: an array in hardware with {what}\n{told}"


def test_sums_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError) as caught:
        ArrayUnit(activation="fp8_e4m3", weight="fp8_e4m3")
    assert str(caught.value) == (
        "asked: sums of 32 bits\n"
        "found: 4 products of fp8_e4m3 and fp8_e4m3, which take 39\n"
        "where: sum_bits\n"
        "next:  choose sum_bits = 39 or more"
    )
    with pytest.raises(UserError) as caught:
        ArrayUnit(activation="fp8_e5m2", weight="fp8_e5m2", sum_bits=64)
    assert "which take 67" in str(caught.value)
    assert str(caught.value).endswith("sums have 64 bits at most: choose a format with a smaller range")


def test_totals_in_fp32_are_of_floats_that_the_reference_adds_exactly() -> None:
    with pytest.raises(UserError) as caught:
        ArrayUnit(totals="fp32")
    assert str(caught.value) == (
        "asked: fp32 totals of 32-bit sums, int8 x int8\n"
        "found: totals in fp32 of sums of floats, 54 bits at most\n"
        "where: totals\n"
        "next:  use totals = fixed, which hands the exact sums over"
    )
    with pytest.raises(UserError, match="fp32 totals of 64-bit sums, fp8_e4m3 x fp8_e5m2"):
        ArrayUnit(3, 4, activation="fp8_e4m3", weight="fp8_e5m2", sum_bits=64, totals="fp32")


def test_products_are_drawn_no_deeper_than_a_sum_holds() -> None:
    unit = ArrayUnit(weight="log2_4", sum_bits=26)
    assert unit.exact_terms == 4
    assert max(unit.shape(np.random.default_rng(seed))["k"] for seed in range(40)) == 4
