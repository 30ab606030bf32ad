"""The technology tables, read once."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from siliform.arch.sourced import Sourced

HERE = Path(__file__).parent


@dataclass(frozen=True)
class NodeRow:
    """One node of the scaling table: its nominal supply and its relative energy, area and delay."""

    vdd: float
    energy: float
    area: float
    delay: float


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of a table; lines that begin with # are its header comment."""
    with (HERE / name).open(newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


@cache
def energies_pj() -> Mapping[tuple[str, str], Sourced]:
    """Energy of (operation, format) at 45 nm."""
    rows = rows_of("energy_45nm.csv")
    return MappingProxyType(
        {(r["operation"], r["format"]): Sourced(float(r["pj"]), "pJ", r["source"]) for r in rows}
    )


@cache
def areas_um2() -> Mapping[tuple[str, str], Sourced]:
    """Area of (operation, format) at 45 nm."""
    rows = rows_of("area_45nm.csv")
    return MappingProxyType(
        {(r["operation"], r["format"]): Sourced(float(r["um2"]), "um2", r["source"]) for r in rows}
    )


@cache
def dram_pj_per_bit() -> Mapping[str, Sourced]:
    """Energy per bit by kind of DRAM; the source says by how much it may be wrong."""
    found = {}
    for row in rows_of("dram.csv"):
        source = f"{row['source']}; uncertainty {row['uncertainty_percent']} %"
        found[row["kind"]] = Sourced(float(row["pj_per_bit"]), "pJ/bit", source)
    return MappingProxyType(found)


@cache
def dram_uncertainties() -> Mapping[str, float]:
    """By how much the energy of each kind of DRAM may be wrong, as a share of it."""
    return MappingProxyType(
        {row["kind"]: float(row["uncertainty_percent"]) / 100 for row in rows_of("dram.csv")}
    )


@cache
def scaling_rows() -> Mapping[int, NodeRow]:
    """Nodes with factors of their own, by nanometres."""
    found = {}
    for row in rows_of("scaling.csv"):
        v = float(row["vdd"])
        energy = float(row["e2"]) * v**2 + float(row["e1"]) * v + float(row["e0"])
        delay = float(row["d3"]) * v**3 + float(row["d2"]) * v**2 + float(row["d1"]) * v + float(row["d0"])
        found[int(row["node_nm"])] = NodeRow(v, energy, float(row["area"]), delay)
    return MappingProxyType(found)


@cache
def sram_points() -> Mapping[str, tuple[tuple[int, float], ...]]:
    """Columns of CACTI's table as (capacity in bytes, value), capacities ascending."""
    rows = rows_of("sram_45nm.csv")
    columns = ("read_pj", "write_pj", "leakage_mw", "gate_leakage_mw", "area_mm2", "access_ns")
    return MappingProxyType(
        {name: tuple((int(r["capacity_bytes"]), float(r[name])) for r in rows) for name in columns}
    )
