"""What is the array's alone; `test_units.py` holds its values and its cycles against reference and law."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
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
    for unit in (UNIT, replace(UNIT, overlap="none")):
        for stalled in (False, True):
            tally = check(unit, trials(range(100), stalled=stalled), replace(unit.design(), rolled=True))
            assert not tally.failed, "\n".join(tally.failed[:3])


@pytest.mark.parametrize(
    "unit", [ArrayUnit(256, 256), ArrayUnit(1, 7), ArrayUnit(7, 1)], ids=lambda unit: unit.name
)
def test_sizes_that_no_test_builds_are_clean_under_every_warning(
    verilator: Verilator, unit: ArrayUnit
) -> None:
    assert unit.design().lint(verilator) == ""


def test_extremes_meet_in_every_cell(verilator: Verilator) -> None:
    """All -128 against all -128 and 127: the largest sums a product of this depth has."""
    design = UNIT.design()
    a = np.full((1, 5, 40), -128)
    b = np.where(np.arange(8) % 2, 127, -128) * np.ones((1, 40, 1), np.int64)
    case = UNIT.case_of(a, b, np.random.default_rng(0))
    inputs = {s.name: beats(s, case.inputs[s.name]) for s in design.streams[:2]}
    wanted = case.expected["total"]["total"]
    with Model(design, build(design)) as model:
        traffic = model.run(inputs, {"total": len(wanted)}, limit_cycles=2000)
    assert (values(design.streams[2], traffic.outputs["total"])["total"] == wanted).all()
    assert wanted.max() == 40 * 128 * 128
    assert traffic.cycles == UNIT.law_cycles(5, 8, 40)


def test_folds_cover_a_product_once() -> None:
    unit = ArrayUnit(3, 5, depth_rows=4)
    seen = np.zeros((2, 9, 11, 7), np.int64)
    for fold in folds(unit, 2, 9, 11, 7):
        seen[fold.product, fold.m, fold.n, fold.k] += 1
    assert (seen == 1).all()


def test_what_is_not_built_is_refused() -> None:
    with pytest.raises(UserError) as caught:
        ArrayUnit(4, 4, "bound")  # type: ignore[arg-type]
    assert str(caught.value) == (
        "asked: an array in hardware with overlap 'bound'\n"
        "found: circuits for none and double-buffered\n"
        "where: overlap\n"
        "next:  choose one of the two; 'bound' is a limit that no circuit reaches"
    )
    with pytest.raises(UserError, match="an array in hardware with rows = 0"):
        ArrayUnit(0, 4)
