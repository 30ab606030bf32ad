"""Rows of arch/tech/netlists.csv: units, and single cells of arrays, in gates."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from siliform.arch.tech.netlists import NetlistRow
from siliform.rtl.array.grid import Grid
from siliform.rtl.array.unit import ArrayUnit
from siliform.rtl.binary.unit import BinaryMatrixUnit
from siliform.rtl.catalogue import UNITS, unit_named
from siliform.rtl.common.unit import HardwareUnit, parameters_of
from siliform.rtl.output_stationary.unit import OutputStationaryUnit
from siliform.rtl.synthesis.circuit import Circuit
from siliform.rtl.synthesis.energy import Energy
from siliform.rtl.synthesis.synth import Synthesis, recipe, synthesise
from siliform.rtl.topk.unit import TopKUnit

CELL = "array_cell"
TABLE_ELABORATIONS = 2
#: The arrays whose cells are told, by their dataflow.
ARRAYS: tuple[tuple[str, type[Grid]], ...] = (
    ("weight-stationary", ArrayUnit),
    ("output-stationary", OutputStationaryUnit),
)
#: Formats of both operands, with sums that hold four products of them.
CELL_FORMATS = (("int4", 32), ("int8", 32), ("int16", 48), ("fp4_e2m1", 32), ("fp8_e4m3", 48))
#: Circuits nearer in size to those of designs.
LARGER: tuple[HardwareUnit, ...] = (
    BinaryMatrixUnit(rows=8, columns=8, width=64, count_bits=16),
    TopKUnit(kept=16, lanes=4, folds=1, bits=16, index_bits=16),
)
SMALL, LARGE = 2, 4  # rows and columns of the netlists that a cell is the difference of
IGNORED = re.compile(r"//[^\n]*|/\*.*?\*/|\s+", re.DOTALL)


@dataclass(frozen=True)
class CellCircuit:
    """A kind of cell, as it is found from arrays of four sizes."""

    dataflow: str
    array: Grid

    @property
    def name(self) -> str:
        """In a word."""
        return f"{self.dataflow}-{self.array.overlap}-{self.array.activation}-sum{self.array.sum_bits}"

    def sized(self, rows: int, columns: int) -> Grid:
        """The array of that size."""
        return replace(self.array, rows=rows, columns=columns)


def cell_circuits() -> Iterator[CellCircuit]:
    """Every kind of cell that has a row."""
    for dataflow, kind in ARRAYS:
        for overlap in ("none", "double-buffered"):
            for format_name, sum_bits in CELL_FORMATS:
                array = replace(
                    kind(), overlap=overlap, activation=format_name, weight=format_name, sum_bits=sum_bits
                )
                yield CellCircuit(dataflow, array)


def sources_hash(unit: HardwareUnit) -> str:
    """Sixteen hexadecimal digits of a unit's texts, less comments and blanks, parameters and the recipe."""
    circuit = Circuit.of(unit.design())
    bare = [*(IGNORED.sub("", text) for _, text in circuit.texts), recipe()]
    return hashlib.sha256("\n".join(bare).encode()).hexdigest()[:16]


def unit_row(unit: HardwareUnit, synthesis: Synthesis, energy: Energy | None, today: date) -> NetlistRow:
    """The row of a unit that was synthesised onto a library."""
    library, area, path = synthesis.library, synthesis.area_um2, synthesis.path
    if library is None or area is None or path is None:
        raise ValueError(f"{unit.kind} {unit.name} was synthesised without a library")
    return NetlistRow(
        circuit=unit.kind,
        name=unit.name,
        parameters={name: str(value) for name, value in parameters_of(unit).items()},
        library=library.name,
        volts=library.volts,
        cells=synthesis.cells,
        area_um2=area,
        gate_equivalents=synthesis.gate_equivalents,
        flip_flops=synthesis.flip_flops,
        memory_bits=synthesis.memory_bits,
        path_ns=path.nanoseconds,
        pj_per_cycle=energy.pj_per_cycle if energy else None,
        pj_per_operation=energy.pj_per_operation if energy else None,
        operation=energy.operation if energy else "",
        leakage_watts=synthesis.leakage_watts,
        tools=synthesis.tools,
        measured=today,
        sources=sources_hash(unit),
    )


def cell_row(cell: CellCircuit, liberty: Path, today: date) -> NetlistRow:
    """The row of a cell: what the array's netlist grows by with each one.

    The second difference over rows and columns: edges, skews and control cancel, and what is left is what
    grows with rows times columns.
    """
    sizes = [(r, c) for r in (SMALL, LARGE) for c in (SMALL, LARGE)]
    made = {size: synthesise(cell.sized(*size).design(), liberty) for size in sizes}
    rows = {size: unit_row(cell.sized(*size), synthesis, None, today) for size, synthesis in made.items()}

    def each(name: str) -> float:
        small, tall, wide, large = (
            getattr(rows[size], name)
            for size in ((SMALL, SMALL), (LARGE, SMALL), (SMALL, LARGE), (LARGE, LARGE))
        )
        return float(large - tall - wide + small) / (LARGE - SMALL) ** 2

    parameters = {
        "dataflow": cell.dataflow,
        "overlap": cell.array.overlap,
        "format": cell.array.activation,
        "sum_bits": str(cell.array.sum_bits),
    }
    return replace(
        rows[LARGE, LARGE],
        circuit=CELL,
        name=cell.name,
        parameters=parameters,
        cells=round(each("cells")),
        area_um2=each("area_um2"),
        gate_equivalents=each("gate_equivalents"),
        flip_flops=round(each("flip_flops")),
        memory_bits=0,
        path_ns=None,
        leakage_watts=each("leakage_watts"),
    )


def table_units() -> list[HardwareUnit]:
    """The units that have a row: of each kind, as many elaborations as the quick regression builds.

    Of kinds whose area in small sizes is mostly edges, one more that is nearer to what designs have.
    """
    small = [unit for kind in UNITS for unit in unit_named(kind).elaborations()[:TABLE_ELABORATIONS]]
    return [*small, *LARGER]


def expected_sources() -> dict[tuple[str, str], str]:
    """By circuit and name, what `sources` of each row of the table ought to be now."""
    cells = {(CELL, cell.name): sources_hash(cell.sized(LARGE, LARGE)) for cell in cell_circuits()}
    return {(unit.kind, unit.name): sources_hash(unit) for unit in table_units()} | cells
