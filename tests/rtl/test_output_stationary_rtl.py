"""What is the output-stationary array's alone; `test_units.py` holds it against reference and law."""

from __future__ import annotations

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.build import build
from siliform.rtl.common.model import Model, beats, values
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator
from siliform.rtl.output_stationary.product import folds, terms
from siliform.rtl.output_stationary.unit import OutputStationaryUnit


@pytest.fixture(scope="module")
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def test_a_short_tile_comes_first() -> None:
    assert [(t.start, t.stop) for t in terms(11, 4)] == [(0, 3), (3, 7), (7, 11)]
    assert [(t.start, t.stop) for t in terms(8, 4)] == [(0, 4), (4, 8)]
    assert [(t.start, t.stop) for t in terms(3, 4)] == [(0, 3)]


def test_folds_cover_a_product_once() -> None:
    seen = np.zeros((2, 9, 11, 7), np.int64)
    for fold in folds(OutputStationaryUnit(3, 5), 2, 9, 11, 7, 3):
        seen[fold.product, fold.m, fold.n, fold.k] += 1
        assert fold.accumulate == (fold.k.start > 0)
        assert fold.emit == (fold.k.stop == 7)
    assert (seen == 1).all()


@pytest.mark.parametrize("overlap", ["none", "double-buffered"])
def test_the_first_row_out_is_the_last_of_the_fold(verilator: Verilator, overlap: str) -> None:
    """[[1, 2], [3, 4]] times [[5, 6], [7, 8]] on 2 x 2 cells: 2 to stream, 2 to cross, 2 to drain."""
    unit = OutputStationaryUnit(2, 2, overlap)  # type: ignore[arg-type]
    design = unit.design()
    flag = np.array([[0], [1]])
    given = {
        "weight": {"weight": np.array([[5, 6], [7, 8]])},
        "act": {
            "act": np.array([[1, 3], [2, 4]]),
            "act_last": flag,
            "act_accumulate": np.zeros((2, 1), np.int64),
            "act_emit": flag,
        },
    }
    with Model(design, build(design)) as model:
        inputs = {s.name: beats(s, given[s.name]) for s in design.streams[:2]}
        traffic = model.run(inputs, {"total": 2}, limit_cycles=100)
    found = values(design.streams[2], traffic.outputs["total"])["total"]
    assert found.tolist() == [[43, 50], [19, 22]]
    assert traffic.cycles == unit.law_cycles(2, 2, 2, 2) == 6


@pytest.mark.parametrize(
    "unit",
    [OutputStationaryUnit(64, 64), OutputStationaryUnit(1, 7, "none"), OutputStationaryUnit(7, 1)],
    ids=lambda unit: unit.name,
)
def test_sizes_that_no_test_builds_are_clean_under_every_warning(
    verilator: Verilator, unit: OutputStationaryUnit
) -> None:
    assert unit.design().lint(verilator) == ""


def test_without_overlap_every_fold_pays() -> None:
    """Two folds of 3 x 3 products: 2 (3 + 2 x 2 + 2 - 2), against 3 + 3 + 2 x 2 + 2 - 2."""
    assert OutputStationaryUnit(2, 2, "none").law_cycles(4, 2, 3, 3) == 14
    assert OutputStationaryUnit(2, 2).law_cycles(4, 2, 3, 3) == 10
