"""Every unit in silicon: bit for bit the reference, cycle for cycle the law, and mistakes are caught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from siliform.graph_ir.errors import UserError
from siliform.rtl.catalogue import UNITS, unit_named
from siliform.rtl.common.design import Design
from siliform.rtl.common.regression import Tally, check, trials
from siliform.rtl.common.unit import HardwareUnit, Mutant
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator
from siliform.rtl.synthesis.check import complaints
from siliform.rtl.synthesis.yosys import find_yosys

QUICK_ELABORATIONS = 2  # of each unit, on every run of the tests; all of them by `-m slow`
SHOWN = 3  # failed trials told in full


@pytest.fixture(scope="module")
def verilator() -> Verilator:
    """The tools, or a skip that says what to install."""
    try:
        find_compiler()
        return find_verilator()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")


def _of_all(first: int | None, last: int | None) -> list[HardwareUnit]:
    return [unit for kind in UNITS for unit in unit_named(kind).elaborations()[first:last]]


def _name(unit: HardwareUnit) -> str:
    return f"{unit.kind}-{unit.name}"


QUICK = _of_all(None, QUICK_ELABORATIONS)
REST = _of_all(QUICK_ELABORATIONS, None)


def assert_holds(tally: Tally) -> None:
    """Every trial holds; else the first ones are told, with the commands that repeat them."""
    told = "\n".join(tally.failed[:SHOWN])
    assert not tally.failed, f"{len(tally.failed)} of {len(tally.verdicts)} trials fail\n{told}"


def run_all(unit: HardwareUnit, seeds: int) -> None:
    """Stall-free and stalled trials, and what they cover between them."""
    free = check(unit, trials(range(seeds), stalled=False))
    assert_holds(free)
    stalled = check(unit, trials(range(seeds), stalled=True))
    assert_holds(stalled)
    missed = set(free.missed) & set(stalled.missed)
    assert not missed, f"{2 * seeds} trials of {unit.kind} {unit.name} cover none of {sorted(missed)}"


@pytest.mark.parametrize("unit", QUICK, ids=_name)
def test_a_unit_computes_its_reference_in_its_law(verilator: Verilator, unit: HardwareUnit) -> None:
    run_all(unit, 60)


@pytest.mark.slow
@pytest.mark.parametrize("unit", REST, ids=_name)
def test_so_do_its_other_elaborations(verilator: Verilator, unit: HardwareUnit) -> None:
    run_all(unit, 60)


@pytest.mark.parametrize("unit", [*QUICK, *REST], ids=_name)
def test_sources_are_clean_under_every_warning(verilator: Verilator, unit: HardwareUnit) -> None:
    assert unit.design().lint(verilator) == ""


@pytest.mark.parametrize("unit", QUICK, ids=_name)
def test_yosys_reads_the_sources_as_a_circuit_without_latches(unit: HardwareUnit) -> None:
    try:
        find_yosys()
    except UserError as missing:
        pytest.skip(f"{missing.found}: {missing.next_step}")
    assert complaints(unit.design()) == ""


@pytest.mark.parametrize("kind", UNITS)
def test_a_unit_reads_its_parameters_from_its_design(kind: str) -> None:
    for unit in unit_named(kind).elaborations():
        assert type(unit).of_parameters(dict(unit.design().parameters)) == unit


@pytest.mark.parametrize("kind", UNITS)
def test_there_are_five_elaborations_and_both_kinds_of_mutants(kind: str) -> None:
    assert len(set(unit_named(kind).elaborations())) >= 5
    assert len(unit_named(kind).mutants()) >= 2


def mutated(design: Design, mutant: Mutant, folder: Path) -> Design:
    """The design with the mutant's mistake in it."""
    generated = dict(design.generated)
    if mutant.file in generated:
        generated[mutant.file] = _with_mistake(generated[mutant.file], mutant)
        return replace(design, generated=tuple(generated.items()))
    path = folder / mutant.file
    (original,) = (p for p in design.sources if p.name == mutant.file)
    path.write_text(_with_mistake(original.read_text(encoding="utf-8"), mutant), encoding="utf-8")
    return replace(design, sources=tuple(path if p is original else p for p in design.sources))


def _with_mistake(text: str, mutant: Mutant) -> str:
    assert text.count(mutant.old) == 1, (
        f"{mutant.old!r} stands {text.count(mutant.old)} times in {mutant.file}"
    )
    return text.replace(mutant.old, mutant.new)


MUTANTS = [(kind, mutant) for kind in UNITS for mutant in unit_named(kind).mutants()]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "mutant"), MUTANTS, ids=[f"{k}: {m.mistake}" for k, m in MUTANTS])
def test_a_mistake_in_the_circuit_is_caught(
    verilator: Verilator, tmp_path: Path, kind: str, mutant: Mutant
) -> None:
    """By the quick elaborations, some of whose parameters may not reach the mistake."""
    for unit in unit_named(kind).elaborations()[:QUICK_ELABORATIONS]:
        design = mutated(unit.design(), mutant, tmp_path)
        for stalled in (False, True):
            if check(unit, trials(range(40), stalled=stalled), design).failed:
                return
    pytest.fail(f"no trial of {kind} notices {mutant.mistake}")
