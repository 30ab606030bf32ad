"""The answer: named parts that sum to the totals, each number with where it comes from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal

from siliform.simulator.simulation import Simulation

Bottleneck = Literal["compute", "memory", "link", "launch"]

#: Name and version of the JSON form; the schema is simulator/report.schema.json.
FORMAT = "siliform-report"
VERSION = 1


@dataclass(frozen=True)
class Origin:
    """Where a number comes from.

    Attributes
    ----------
    kind : "law" (closed form), "calibrated by RTL", "measured", "published", "assumed",
        "traced" (counted in the graph) or "absent" (the number is null).
    source : the law's file, paper and table, or data sheet; for "absent", the reason.
    relative_uncertainty : half width of the plausible range as a share of the value; None for an
        exact count or a closed form.
    """

    kind: str
    source: str
    relative_uncertainty: float | None = None


@dataclass(frozen=True)
class Part:
    """What one placed node costs.

    `cycles` is the node's share of the total; `compute_cycles` and `memory_cycles` are what its
    unit and its memory alone would take. `energy_j` is None where the design has no source for it.
    `stalls_cycles`, of a simulation only, are those of `cycles` that went by waiting, by cause.
    `energy_by_cause_j` splits it into compute, scratchpad, accumulator (partial sums, wherever they
    are kept), dram and static. `calibration` names, for each of its units that is measured in RTL to keep
    its law, the file that says so.
    """

    name: str
    module: str
    op: str
    kind: str
    unit: str
    source: str
    cycles: int
    compute_cycles: int
    memory_cycles: int
    macs: int
    macs_dense: int
    dram_bytes: int
    scratchpad_bytes: int | None
    energy_j: float | None
    energy_by_cause_j: Mapping[str, float] | None
    utilization: float
    bottleneck: Bottleneck
    macs_per_dram_byte: float | None
    mapping: Mapping[str, Any] = field(default_factory=dict)
    stalls_cycles: Mapping[str, int] | None = None
    calibration: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """Totals and parts of one graph on one design.

    `macs` counts what is costed (a causal mask halves attention), `macs_dense` ignores masks;
    `dram_bytes` is reads plus writes; `weight_bytes` counts tied weights once and scales too;
    `utilization` is MACs over (peak MACs per cycle x cycles). `simulation` is there where events were
    simulated; a part named "overlap" then says how many cycles nodes ran beside each other, as a
    negative number, so that the parts' cycles still sum to the total.
    """

    model: str
    design: str
    phase: str
    law: str
    objective: str
    bits: str
    clock_hz: float
    peak_macs_per_cycle: float
    dram_bytes_per_cycle: float
    macs: int
    macs_dense: int
    ops_by_kind: Mapping[str, int]
    parameters: int
    weight_bytes: int
    parts: tuple[Part, ...]
    area_parts_mm2: Mapping[str, float | None]
    provenance: Mapping[str, Origin]
    simulation: Simulation | None = None

    @cached_property
    def cycles(self) -> int:
        """Total cycles: the exact sum of the parts'."""
        return sum(p.cycles for p in self.parts)

    @property
    def latency_s(self) -> float:
        """Total time in seconds."""
        return self.cycles / self.clock_hz

    @cached_property
    def dram_bytes(self) -> int:
        """Total bytes read from and written to DRAM."""
        return sum(p.dram_bytes for p in self.parts)

    @cached_property
    def scratchpad_bytes(self) -> int | None:
        """Total bytes read from and written to the scratchpad; None where a unit has none."""
        return _sum_or_none(p.scratchpad_bytes for p in self.parts)

    @cached_property
    def energy_j(self) -> float | None:
        """Total energy: `math.fsum` of the parts', None where any part has no source for it."""
        energies = [p.energy_j for p in self.parts]
        return None if None in energies else math.fsum(e for e in energies if e is not None)

    @property
    def area_mm2(self) -> float | None:
        """Total area: `math.fsum` of the named areas, None where any has no source."""
        areas = list(self.area_parts_mm2.values())
        return None if not areas or None in areas else math.fsum(a for a in areas if a is not None)

    @property
    def utilization(self) -> float:
        """Achieved share of the peak multiply-accumulate rate."""
        peak = self.peak_macs_per_cycle * self.cycles
        return self.macs / peak if peak else 0.0

    @cached_property
    def bottleneck(self) -> Bottleneck:
        """The bottleneck of most of the cycles; what parts ran beside each other is nobody's."""
        cycles: dict[Bottleneck, int] = {}
        for part in self.parts:
            if part.cycles < 0:
                continue
            cycles[part.bottleneck] = cycles.get(part.bottleneck, 0) + part.cycles
        return max(cycles, key=lambda name: cycles[name]) if cycles else "compute"

    def grouped(self, depth: int = 2) -> dict[str, list[Part]]:
        """Parts by the first `depth` steps of their module path, in order of first appearance."""
        groups: dict[str, list[Part]] = {}
        for part in self.parts:
            groups.setdefault(".".join(part.module.split(".")[:depth]) or "(root)", []).append(part)
        return groups

    def by(self, field_name: Literal["kind", "unit", "op", "bottleneck"]) -> dict[str, list[Part]]:
        """Parts by one of their labels."""
        groups: dict[str, list[Part]] = {}
        for part in self.parts:
            groups.setdefault(getattr(part, field_name), []).append(part)
        return groups

    def to_dict(self) -> dict[str, Any]:
        """The JSON form as a dict; see simulator/report.schema.json."""
        content = {
            "format": FORMAT,
            "version": VERSION,
            "model": self.model,
            "design": self.design,
            "phase": self.phase,
            "law": self.law,
            "objective": self.objective,
            "bits": self.bits,
            "clock_hz": self.clock_hz,
            "peak_macs_per_cycle": self.peak_macs_per_cycle,
            "dram_bytes_per_cycle": self.dram_bytes_per_cycle,
            "macs": self.macs,
            "macs_dense": self.macs_dense,
            "ops_by_kind": dict(self.ops_by_kind),
            "parameters": self.parameters,
            "weight_bytes": self.weight_bytes,
            "dram_bytes": self.dram_bytes,
            "scratchpad_bytes": self.scratchpad_bytes,
            "cycles": self.cycles,
            "latency_s": self.latency_s,
            "energy_j": self.energy_j,
            "area_mm2": self.area_mm2,
            "area_parts_mm2": dict(self.area_parts_mm2),
            "utilization": self.utilization,
            "bottleneck": self.bottleneck,
            "parts": [_plain(p) for p in self.parts],
            "provenance": {k: asdict(v) for k, v in self.provenance.items()},
        }
        return content if self.simulation is None else content | {"simulation": self.simulation.to_dict()}

    def to_json(self, indent: int | None = None) -> str:
        """One JSON object; the same report always prints the same text."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    def to_frame(self) -> Any:
        """A pandas DataFrame with a row per part."""
        import pandas

        return pandas.DataFrame([{k: v for k, v in _plain(p).items() if k != "mapping"} for p in self.parts])

    def to_csv(self, path: Any) -> None:
        """Write the parts as CSV."""
        self.to_frame().to_csv(path, index=False)


def _plain(part: Part) -> dict[str, Any]:
    plain = {name: getattr(part, name) for name in part.__dataclass_fields__}
    plain["mapping"] = dict(part.mapping)
    causes = part.energy_by_cause_j
    plain["energy_by_cause_j"] = dict(causes) if causes is not None else None
    if part.calibration:
        plain["calibration"] = dict(part.calibration)
    else:
        del plain["calibration"]
    stalls = plain.pop("stalls_cycles")
    if stalls is not None:
        plain["stalls_cycles"] = dict(stalls)
    return plain


def _sum_or_none(values: Iterable[int | None]) -> int | None:
    total = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total
