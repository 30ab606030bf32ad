"""The regression itself: what it tells of a unit that fails, and how a case is repeated."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.catalogue import unit_named
from siliform.rtl.common.build import build
from siliform.rtl.common.model import Model, StuckError, beats
from siliform.rtl.common.regression import Trial, check, draw, replay
from siliform.rtl.common.unit import with_parameters
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator

UNIT = unit_named("array").elaborations()[0]


@pytest.fixture(scope="module")
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def test_lint_sees_a_width_that_does_not_fit(verilator: Verilator, tmp_path: Path) -> None:
    bad = tmp_path / "matrix_unit.sv"
    bad.write_text(
        "module matrix_unit(input logic [3:0] a_i, output logic [2:0] b_o); assign b_o = a_i; endmodule\n"
    )
    assert "WIDTHTRUNC" in replace(UNIT.design(), sources=(bad,), parameters=()).lint(verilator)


def test_a_stream_that_never_moves_is_told(verilator: Verilator) -> None:
    design = UNIT.design()
    case = UNIT.case({"batch": 1, "m": 2, "n": 2, "k": 2}, np.random.default_rng(0))
    inputs = {s.name: beats(s, case.inputs[s.name]) for s in design.streams if s.direction == "in"}
    with (
        Model(design, build(design)) as model,
        pytest.raises(StuckError, match=r"did not finish in 900 cycles; .*act 0 of 2, total 0 of 2"),
    ):
        model.run(inputs, {"total": 2}, limit_cycles=900, stalls={"act": np.array([True])})


def test_a_failure_tells_the_case_and_the_command_that_repeats_it(
    verilator: Verilator, tmp_path: Path
) -> None:
    """An accumulator that forgets: the second fold is all that comes out."""
    sources = []
    for source in UNIT.design().sources:
        text = source.read_text(encoding="utf-8")
        text = text.replace("sum_accumulate_i ? held_q[row_q][c] : '0", "'0")
        sources.append(tmp_path / source.name)
        sources[-1].write_text(text, encoding="utf-8")
    trial = Trial(3, shape={"batch": 1, "m": 2, "n": 1, "k": 8})
    (told,) = check(UNIT, [trial], replace(UNIT.design(), sources=tuple(sources))).failed
    lines = told.splitlines()
    assert lines[0] == f"array {UNIT.name}, seed 3, batch 1, m 2, n 1, k 8"
    assert "2 of 2 values of total differ, the first in beat 0, lane 0: " in lines[1]
    assert lines[2] == "  siliform rtl test array --shape batch=1,m=2,n=1,k=8 --seed 3 --seeds 1 --free"


def test_the_command_names_what_differs_from_the_first_elaboration() -> None:
    other = with_parameters(type(UNIT), {"rows": "3", "overlap": "none"})
    assert replay(other, Trial(5, stalled=True)) == (
        "siliform rtl test array --set rows=3 --set overlap=none --seed 5 --seeds 1 --stalled"
    )


def test_a_trial_draws_the_same_case_again() -> None:
    first, second, other = (draw(UNIT, Trial(seed)) for seed in (4, 4, 5))
    assert first.shape == second.shape
    assert all(
        (first.inputs[s][f] == second.inputs[s][f]).all() for s in first.inputs for f in first.inputs[s]
    )
    assert not np.array_equal(first.inputs["weight"]["weight"], other.inputs["weight"]["weight"])
