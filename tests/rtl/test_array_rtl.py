"""The array in SystemVerilog: bit for bit the integer reference, cycle for cycle the law."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.array.check import check, draw_case, main, operands
from siliform.rtl.array.product import folds, run_product
from siliform.rtl.array.unit import ArrayUnit
from siliform.rtl.common.build import build
from siliform.rtl.common.model import Model, StuckError
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator

# What every run of the tests builds: both circuits, both widths of weights, one of them not square.
QUICK = (
    ArrayUnit(4, 4, "double-buffered"),
    ArrayUnit(3, 5, "none", weight_bits=4, depth_rows=9),
)
LARGE = tuple(
    ArrayUnit(rows, columns, overlap, weight_bits=bits)
    for rows, columns, bits in ((1, 1, 8), (4, 8, 8), (8, 4, 4), (8, 8, 8), (16, 16, 8))
    for overlap in ("none", "double-buffered")
)


@pytest.fixture(scope="module")
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def assert_holds(unit: ArrayUnit, seeds: range, stalled: bool) -> None:
    """Every seed's case holds; else the first ones are told, with the commands that repeat them."""
    tally = check(unit, seeds, stalled)
    assert not tally.failed, f"{len(tally.failed)} of {tally.cases} cases fail\n" + "\n".join(
        tally.failed[:3]
    )


@pytest.mark.parametrize("unit", QUICK, ids=lambda unit: unit.name)
def test_values_are_the_reference_and_cycles_the_law(verilator: Verilator, unit: ArrayUnit) -> None:
    assert_holds(unit, range(150), stalled=False)


@pytest.mark.parametrize("unit", QUICK, ids=lambda unit: unit.name)
def test_stalls_change_no_value_and_cost_no_more_than_they_last(
    verilator: Verilator, unit: ArrayUnit
) -> None:
    assert_holds(unit, range(150), stalled=True)


@pytest.mark.slow
@pytest.mark.parametrize("unit", LARGE, ids=lambda unit: unit.name)
def test_more_sizes_and_shapes(verilator: Verilator, unit: ArrayUnit) -> None:
    assert_holds(unit, range(1000, 1200), stalled=False)
    assert_holds(unit, range(1000, 1100), stalled=True)


@pytest.mark.slow
def test_loops_that_stay_loops_are_the_same_circuit(verilator: Verilator) -> None:
    """Large arrays are built so; Verilator is known to take some loops for others then."""
    for unit in (QUICK[0], replace(QUICK[0], overlap="none")):
        for stalled in (False, True):
            tally = check(unit, range(100), stalled, replace(unit.design(), rolled=True))
            assert not tally.failed, "\n".join(tally.failed[:3])


@pytest.mark.parametrize(
    "unit", [*QUICK, *LARGE[:2], ArrayUnit(256, 256), ArrayUnit(1, 7), ArrayUnit(7, 1)], ids=lambda u: u.name
)
def test_the_sources_are_clean_under_every_warning(verilator: Verilator, unit: ArrayUnit) -> None:
    assert unit.design().lint(verilator) == ""


def test_lint_sees_a_width_that_does_not_fit(verilator: Verilator, tmp_path: Path) -> None:
    bad = tmp_path / "matrix_unit.sv"
    bad.write_text(
        "module matrix_unit(input logic [3:0] a_i, output logic [2:0] b_o); assign b_o = a_i; endmodule\n"
    )
    assert "WIDTHTRUNC" in replace(QUICK[0].design(), sources=(bad,), parameters=()).lint(verilator)


def test_extremes_meet_in_every_cell(verilator: Verilator) -> None:
    """All -128 against all -128 and 127: the largest sums a product of this depth has."""
    unit = QUICK[0]
    a = np.full((1, 5, 40), -128)
    b = np.where(np.arange(8) % 2, 127, -128) * np.ones((1, 40, 1), np.int64)
    with Model(unit.design(), build(unit.design())) as model:
        run = run_product(model, unit, a, b, noise=np.random.default_rng(0))
    assert (run.result == a @ b).all()
    assert run.result.max() == 40 * 128 * 128
    assert run.cycles == unit.law_cycles(5, 8, 40)


def test_a_stream_that_never_moves_is_told(verilator: Verilator) -> None:
    unit = QUICK[0]
    ones = np.ones((1, 2, 2), np.int64)
    with (
        Model(unit.design(), build(unit.design())) as model,
        pytest.raises(StuckError, match=r"did not finish in \d+ cycles; .*act 0 of 2, total 0 of 2"),
    ):
        run_product(model, unit, ones, ones, noise=np.random.default_rng(0), stalls={"act": np.array([True])})


# A mistake in each module, the kind a person makes, by the text that it replaces.
MUTANTS = {
    "activations without a sign": (
        "mac_plane",
        "logic signed [   ActWidth-1:0] act",
        "logic [ActWidth-1:0] act",
    ),
    "weights without a sign": ("mac_plane", "ProductWidth'(weight)", "ProductWidth'($unsigned(weight))"),
    "a carry dropped": ("mac_plane", "sum_i[r][c] + SumWidth'", "sum_i[r][c] ^ SumWidth'"),
    "sums one row short": ("array_cells", "sum_q[Rows-1]", "sum_q[Rows-2]"),
    "a wave without its diagonal": ("weights_double", "weight_q[use_now[r+c]]", "weight_q[use_now[c]]"),
    "rows overwritten early": ("weights_double", "RowWidth'(r) <= beat", "RowWidth'(r) <= beat + 1'b1"),
    "a set used before it is full": (
        "array_control",
        "beat_q == RowWidth'(Rows - 1)",
        "beat_q == RowWidth'(Rows - 2)",
    ),
    "one step too late": ("systolic_array", "Latency  = Rows + Columns - 1", "Latency  = Rows + Columns"),
    "a load that waits": ("array_control", "(DoubleBuffered || !busy_i)", "!busy_i"),
    "steps while a beat waits": ("systolic_array", "sum_ready_i || !sum_valid_o", "sum_ready_i || 1'b1"),
    "folds not added up": ("accumulator", "sum_accumulate_i ? held_q[row_q][c] : '0", "'0"),
    "a row never restarted": ("accumulator", "sum_last_i ? '0 : row_q", "row_q"),
}


@pytest.mark.slow
@pytest.mark.parametrize("mutation", MUTANTS)
def test_a_mistake_in_the_circuit_is_caught(verilator: Verilator, mutation: str, tmp_path: Path) -> None:
    unit, (module, right, wrong) = QUICK[0], MUTANTS[mutation]
    sources = []
    for source in unit.design().sources:
        text = source.read_text(encoding="utf-8")
        if source.stem == module:
            assert text.count(right) == 1, f"{module}.sv does not hold {right!r} once"
            text = text.replace(right, wrong)
        sources.append(tmp_path / source.name)
        sources[-1].write_text(text, encoding="utf-8")
    mutant = replace(unit.design(), sources=tuple(sources))
    failed = [f for stalled in (False, True) for f in check(unit, range(40), stalled, mutant).failed]
    assert failed
    assert "python -m siliform.rtl.array.check --rows 4 --columns 4 --overlap double-buffered" in failed[0]


def test_the_cases_cover_what_can_go_wrong() -> None:
    """Counted over the seeds that the tests above run: no kind of shape may be absent."""
    for unit in (*QUICK, *LARGE[2:]):
        cases = [draw_case(unit, seed, False) for seed in range(150)]
        kinds = {
            "decode": sum(c.m == 1 for c in cases),
            "K below the array": sum(c.k < unit.rows for c in cases),
            "N below the array": sum(c.n < unit.columns for c in cases),
            "ragged and several folds": sum(c.k > unit.rows and c.k % unit.rows > 0 for c in cases),
            "stream shorter than a load": sum(c.m < unit.rows and c.k > unit.rows for c in cases),
            "tiled along M": sum(c.m > unit.depth_rows for c in cases),
            "several products": sum(c.batch > 1 for c in cases),
        }
        assert min(kinds.values()) >= 5, (unit.name, kinds)
        low = -(2 ** (unit.weight_bits - 1))
        drawn = [operands(unit, c)[1] for c in cases]
        assert any((b == low).any() for b in drawn)
        assert any((b == -low - 1).any() for b in drawn)


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


COMMAND = ["check", "--rows", "4", "--columns", "4", "--seed", "7"]


def test_the_replay_command_runs_one_case(
    verilator: Verilator, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", COMMAND)
    assert main() == 0
    assert "4x4-double-buffered-w8a8-depth64: 1 of 1 cases hold" in capsys.readouterr().out


def test_the_replay_command_tells_a_mistake_in_four_parts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", [*COMMAND, "--overlap", "bound"])
    assert main() == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("asked: an array in hardware with overlap 'bound'\nfound: ")
