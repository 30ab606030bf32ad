"""The cocotb benches: every unit on them, and that they see what the ctypes regression sees."""

from __future__ import annotations

import sys
from importlib import util
from types import SimpleNamespace

import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.catalogue import UNITS, unit_named
from siliform.rtl.common import cocotb_runner
from siliform.rtl.common.campaign import SIZES, jobs_of, run_job
from siliform.rtl.common.cocotb_runner import BenchError, public_ports, run_trials
from siliform.rtl.common.regression import Trial, check, replay, trials
from siliform.rtl.common.verilator import find_compiler, find_verilator
from tests.rtl.tiny_unit import RunningSum, WrongSum


@pytest.fixture
def tools() -> None:
    """Verilator, a compiler and cocotb, or a skip that says what to install."""
    try:
        find_compiler()
        find_verilator()
        cocotb_runner.require_cocotb()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


@pytest.mark.parametrize("kind", UNITS)
def test_every_unit_holds_on_its_bench(tools: None, kind: str) -> None:
    size = SIZES["quick"]["cocotb"]
    units = unit_named(kind).elaborations()[: size.elaborations]
    for job in jobs_of(units, "cocotb", range(size.seeds), whole=False):
        outcome = run_job(job)
        assert outcome.holds, "\n".join(
            line for failure in outcome.failures for line in (*failure.complaints, failure.replay)
        )


@pytest.mark.parametrize("unit", [RunningSum(3, 7, True), WrongSum()], ids=lambda unit: unit.kind)
def test_both_benches_count_the_same(tools: None, unit: RunningSum) -> None:
    """Cycle for cycle and stall for stall; where registers without a reset do not matter, word for word."""
    seeds = [*trials(range(8), stalled=False), *trials(range(8), stalled=True)]
    here, there = run_trials(unit, seeds), check(unit, seeds).verdicts
    for mine, theirs in zip(here, there, strict=True):
        assert (mine.trial, mine.cycles, mine.held_cycles) == (
            theirs.trial,
            theirs.cycles,
            theirs.held_cycles,
        )
        assert mine.stalled_streams == theirs.stalled_streams
        assert bool(mine.complaints) == bool(theirs.complaints) == isinstance(unit, WrongSum)
        assert mine.case.bins == theirs.case.bins


class Stuck(RunningSum):
    """Never takes a second beat."""

    kind = "stuck"
    source = RunningSum.source.replace("y_ready_i || !valid_q", "!valid_q && first_q")


def test_a_design_that_does_not_finish_is_told_alike_and_the_next_trial_runs(tools: None) -> None:
    seeds = [Trial(1, shape={"rows": 1, "length": 3}), Trial(2, shape={"rows": 1, "length": 1})]
    (stuck, well), (same, _) = run_trials(Stuck(), seeds), check(Stuck(), seeds).verdicts
    assert stuck.complaints == same.complaints
    assert stuck.complaints[0].startswith("running_sum did not finish in 2120 cycles; beats moved: x 1 of 3")
    assert well.complaints == ()


class Misread(RunningSum):
    """Reads its design as another than was built."""

    kind = "misread"

    @classmethod
    def of_parameters(cls, parameters):  # type: ignore[no-untyped-def]
        return cls(parameters["Lanes"], parameters["Width"] + 1, bool(parameters["Negative"]))


def test_a_unit_that_reads_its_design_wrongly_is_found_out(tools: None) -> None:
    """Whether the bench ends or stumbles over ports of another width first."""
    with pytest.raises(BenchError, match=r"read as 2x9, and it was built as 2x8|gave no verdict"):
        run_trials(Misread(), [Trial(1)])


def test_a_replay_names_the_bench() -> None:
    assert replay(RunningSum(), Trial(4, stalled=True), "cocotb") == (
        "siliform rtl test running_sum --seed 4 --seeds 1 --stalled --bench cocotb"
    )


def test_only_ports_and_parameters_are_shown_to_the_bench() -> None:
    shown = [line.rsplit('"', 2)[1] for line in public_ports(RunningSum().design()).splitlines()]
    assert shown == [
        *("clk_i", "rst_ni", "Lanes", "Width", "Negative"),
        *("x_valid_i", "x_ready_o", "x_last_i", "x_i", "y_valid_o", "y_ready_i", "y_o"),
    ]


def test_without_cocotb_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    with pytest.raises(UserError) as caught:
        run_trials(RunningSum(), [Trial(1)])
    assert str(caught.value) == (
        "asked: a bench in cocotb\n"
        "found: no package `cocotb`, or none of `find_libpython`, in this Python environment\n"
        "where: the installed packages\n"
        "next:  pip install cocotb==2.1.0 find_libpython==0.5.1, or 'siliform[rtl]', which holds both"
    )


def test_a_python_that_cannot_be_embedded_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LIBPYTHON_LOC", raising=False)
    monkeypatch.setitem(sys.modules, "find_libpython", SimpleNamespace(find_libpython=lambda: None))
    with pytest.raises(UserError) as caught:
        cocotb_runner._libpython()
    assert caught.value.found == f"no libpython of {sys.executable}"
    assert "apt install libpython3-dev" in caught.value.next_step
