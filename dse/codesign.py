"""The problem of a study: a network, its number formats and a design, chosen together and costed.

The closed form is taken for all designs of one network at once where the mapper can (one systolic array),
and one by one elsewhere. Every quantity is the report's of that name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.arch.parameter import Table
from siliform.dse.hardware import Hardware
from siliform.dse.problem import Network, Results
from siliform.dse.space import Space
from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.knobs import Knob, Value, When

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator
    from siliform.simulator.report import Report

#: Before the name of a network's knob in a space.
PREFIX = "model."
#: Quantities by the vectorised closed form, and what they are.
CLOSED_FORM: Mapping[str, str] = Table(
    {
        "latency_s": "time of one pass",
        "energy_j": "energy of one pass, leakage included",
        "edp_js": "energy times latency",
        "power_watts": "energy over latency",
        "area_mm2": "area of the design",
        "leakage_watts": "static power of the design",
        "cycles": "cycles of the design's clock",
        "dram_bytes": "bytes read from and written to DRAM",
        "weight_bytes": "bytes of weights, tied ones once, scales included",
        "memory_bytes": "weights, states and the largest set of intermediate values alive at once",
        "macs": "multiply-accumulates that are done",
    }
)
#: What the reason of a population's infeasible design is.
_NO_FIT = "some node's smallest tile does not fit the scratchpad, or a memory has fewer words than banks"
#: Distinct networks whose graphs a process keeps.
_GRAPHS = 64


@dataclass(frozen=True, eq=False)
class CoDesign:
    """A network on a design, with what may be chosen about both.

    Attributes
    ----------
    space : knobs; those of the network have the prefix "model.".
    hardware : the base design; every other knob of the space is one of its parameters.
    model : the network, which may be varied or fixed.
    fixed : choices of the network that hold for every point, without the prefix.
    conditions : when each of those matters, where not always; names without the prefix.
    wanted : names of quantities to cost: of `CLOSED_FORM`, hardware parameters, or paths into the report,
        such as "utilization", "energy_by_cause_j.dram" or "parts.*attention*.cycles" (a sum over the parts
        whose module, name or op fits).
    measures : names of what the network's `measure` yields; empty to measure nothing.
    objective : what the mapper minimises, node by node.

    Raises
    ------
    UserError : a quantity that there is not.
    """

    space: Space
    hardware: Hardware
    model: Network
    fixed: Mapping[str, Value] = field(default_factory=dict)
    conditions: Mapping[str, When] = field(default_factory=dict)
    wanted: Sequence[str] = tuple(CLOSED_FORM)
    measures: Sequence[str] = ()
    objective: str = "latency"
    _graphs: dict[bytes, Graph] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        for name in self.wanted:
            check_quantity(name, self.hardware, self.measures)

    @property
    def quantities(self) -> tuple[str, ...]:
        """Names of what `cost` yields."""
        return tuple(self.wanted)

    @property
    def measured(self) -> tuple[str, ...]:
        """Names of what `measure` yields."""
        return tuple(self.measures)

    @cached_property
    def network(self) -> tuple[int, ...]:
        """Positions of the network's knobs in a row."""
        return tuple(p for p, name in enumerate(self.space.names) if name.startswith(PREFIX))

    def choices(self, row: np.ndarray) -> tuple[dict[str, Value], dict[str, Value]]:
        """Of a row [knobs]: the choices of the network, without their prefix, and those of the design."""
        point = self.space.decode(row)
        network = {k.removeprefix(PREFIX): v for k, v in point.items() if k.startswith(PREFIX)}
        for name, value in self.fixed.items():
            when = self.conditions.get(name)
            if when is None or {**self.fixed, **network}.get(when.knob) in when.values:
                network[name] = value
        return network, {k: v for k, v in point.items() if not k.startswith(PREFIX)}

    @cached_property
    def baseline(self) -> np.ndarray:
        """The row of the full network on the design as it is, int64 [knobs].

        Where a knob lacks the full network's or the design's own value, it has the nearest of its numbers, or
        else its first value.
        """
        full = self.model.full()
        row = np.zeros((1, len(self.space.knobs)), np.int64)
        for position, knob in enumerate(self.space.knobs):
            if knob.name.startswith(PREFIX):
                own = full.get(knob.name.removeprefix(PREFIX))
            else:
                own = self.hardware.value(knob.name)
            row[0, position] = _nearest(knob, own)
        return self.space.canonical(row)[0]

    def graph(self, row: np.ndarray) -> Graph:
        """The network of a row as it is deployed; kept for the next rows with the same network."""
        key = row[list(self.network)].astype(np.int32).tobytes()
        if key not in self._graphs:
            if len(self._graphs) >= _GRAPHS:
                del self._graphs[next(iter(self._graphs))]
            self._graphs[key] = self.model.graph(self.choices(row)[0])
        return self._graphs[key]

    def code(self, kind: str) -> str:
        """The user's own code that a step runs, "cost" or "measure", as the study names it, or ""."""
        return str(self.model.code(kind)) if hasattr(self.model, "code") else ""

    def measure(self, row: np.ndarray) -> Mapping[str, float]:
        """Quantities of the network of one row; see `Problem`."""
        return self.model.measure(self.choices(row)[0])

    def cost(self, rows: np.ndarray) -> Results:
        """Closed form of canonical rows; see `Problem`."""
        values = {name: np.full(len(rows), np.nan) for name in self.wanted}
        reasons = [""] * len(rows)
        for members in _groups(rows[:, list(self.network)]):
            try:
                graph = self.graph(rows[members[0]])
            except UserError as error:
                for member in members:
                    reasons[member] = _told(error)
                continue
            found, why = self._together(graph, rows[members])
            for name in self.wanted:
                values[name][members] = found[name]
            for member, reason in zip(members.tolist(), why, strict=True):
                reasons[member] = reason
        return Results(values, reasons)

    def _together(self, graph: Graph, rows: np.ndarray) -> tuple[Mapping[str, np.ndarray], Sequence[str]]:
        """Quantities and reasons of one network on several designs."""
        if not self._vectorised:
            return self._one_by_one(graph, rows)
        from siliform.simulator.population import estimate_population

        columns = {
            name: self._parameter(name, rows) for name in self.space.names if not name.startswith(PREFIX)
        }
        base = self.hardware.base
        if not columns:  # a population of one design still varies something
            columns = {"clock_hz": np.full(len(rows), base.clock_hz)}
        found = estimate_population(graph, base, columns, bits="traced", objective=self.objective)
        fits = found.feasible
        with np.errstate(invalid="ignore"):
            derived = {
                "edp_js": found.energy_j * found.latency_s,
                "power_watts": found.energy_j / found.latency_s,
            }
        of_graph = {n: float(v) for n, v in graph_quantities(graph, set(self.wanted)).items()}
        values = {}
        for name in self.wanted:
            if name in of_graph:
                values[name] = np.full(len(rows), of_graph[name])
            elif name in self.hardware.parameters:
                values[name] = np.asarray(self._parameter(name, rows), float)
            else:
                given = derived[name] if name in derived else getattr(found, name)
                values[name] = np.where(np.isfinite(given), given, np.nan)
        return values, ["" if fit else _NO_FIT for fit in fits.tolist()]

    def _parameter(self, name: str, rows: np.ndarray) -> np.ndarray:
        """A hardware parameter in each row: what was chosen, or the base design's where nothing was."""
        base = self.hardware.value(name)
        if name not in self.space.positions:
            return np.full(len(rows), base)
        chosen = self.space.active(rows)[:, self.space.positions[name]]
        return np.where(chosen, self.space.column(name, rows), base)

    @cached_property
    def _vectorised(self) -> bool:
        """Whether the mapper can take the designs all at once, and yields all that is wanted."""
        from siliform.arch.units.array import SystolicArray
        from siliform.arch.units.matrix import MatrixUnit
        from siliform.simulator.population.designs import known_parameters

        base = self.hardware.base
        able = [unit for unit in base.units if isinstance(unit, MatrixUnit)]
        if len(able) != 1 or not isinstance(able[0], SystolicArray):
            return False
        known = known_parameters(base)
        mine = [name for name in self.space.names if not name.startswith(PREFIX)]
        simple = all(name in CLOSED_FORM or name in self.hardware.parameters for name in self.wanted)
        return simple and all(name in known for name in mine)

    def _one_by_one(self, graph: Graph, rows: np.ndarray) -> tuple[Mapping[str, np.ndarray], Sequence[str]]:
        from siliform.simulator.estimate import estimate

        values = {name: np.full(len(rows), np.nan) for name in self.wanted}
        reasons = []
        of_graph = graph_quantities(graph, set(self.wanted))
        for number, row in enumerate(rows):
            chosen = self.choices(row)[1]
            try:
                chip = self.hardware.with_choices(chosen)
                report = estimate(graph, chip, bits="traced", objective=self.objective)
            except UserError as error:
                reasons.append(_told(error))
                continue
            reasons.append("")
            for name in self.wanted:
                if name in of_graph:
                    value: Any = of_graph[name]
                elif name in self.hardware.parameters:
                    value = chosen.get(name, self.hardware.value(name))
                else:
                    value = _of_report(report, chip, name) if name in CLOSED_FORM else _at_path(report, name)
                values[name][number] = np.nan if value is None else float(value)
        return values, reasons


def check_quantity(name: str, hardware: Hardware, measures: Iterable[str] = ()) -> None:
    """UserError unless there is a quantity of that name; `measures` are those of the network."""
    if name not in CLOSED_FORM and name not in hardware.parameters and not _is_path(name):
        known = [*CLOSED_FORM, *measures, *REPORT_PATHS, *hardware.parameters]
        raise UserError(
            asked=f"the quantity {name!r}",
            found="none of that name",
            where="objectives and constraints",
            next_step=f"use one of the nearest: {nearest(name, known)}",
        )


#: Examples of paths into a report, for errors and documentation.
REPORT_PATHS = (
    "utilization",
    "scratchpad_bytes",
    "energy_by_cause_j.dram",
    "area_parts_mm2.array",
    "ops_by_kind.matmul",
    "parts.*attention*.cycles",
)
_NUMBERS = ("utilization", "scratchpad_bytes", "parameters", "macs_dense")
_TABLES = ("energy_by_cause_j", "area_parts_mm2", "ops_by_kind")
_OF_PARTS = (
    "cycles",
    "compute_cycles",
    "memory_cycles",
    "macs",
    "macs_dense",
    "dram_bytes",
    "scratchpad_bytes",
    "energy_j",
)


def _is_path(name: str) -> bool:
    """Whether a quantity is a place in a report."""
    first, _, rest = name.partition(".")
    if first == "parts":
        pattern, _, last = rest.rpartition(".")
        return bool(pattern) and last in _OF_PARTS
    return name in _NUMBERS or (first in _TABLES and bool(rest))


def _at_path(report: Report, name: str) -> float | None:
    """The number at a path; None where the report has none, a sum where several parts fit."""
    first, _, rest = name.partition(".")
    if first == "parts":
        pattern, _, last = rest.rpartition(".")
        found = [
            getattr(part, last)
            for part in report.parts
            if any(fnmatchcase(text, pattern) for text in (part.module, part.name, part.op))
        ]
        return None if not found or any(value is None for value in found) else sum(found)
    if first == "energy_by_cause_j":
        causes = [part.energy_by_cause_j for part in report.parts]
        known = [cause[rest] for cause in causes if cause is not None and rest in cause]
        return sum(known) if known and None not in causes else None
    if first in _TABLES:
        value: float | None = getattr(report, first).get(rest)
        return value
    number: float | None = getattr(report, first)
    return number


def _of_report(report: Report, chip: Accelerator, name: str) -> float | None:
    """A quantity of `CLOSED_FORM` from a report on a design."""
    if name == "leakage_watts":
        return chip.leakage_watts.value
    if name in ("edp_js", "power_watts"):
        if report.energy_j is None:
            return None
        second = report.latency_s if name == "edp_js" else 1 / report.latency_s
        return report.energy_j * second
    value: float | None = getattr(report, name)
    return value


def _nearest(knob: Knob, value: Any) -> int:
    """The position of a knob's value, or of its nearest number, or of its first value."""
    values = list(knob.values)
    if value in values:
        return values.index(value)
    if isinstance(value, int | float) and knob.ordered and not isinstance(values[0], str):
        return int(np.argmin(np.abs(np.array(values, float) - value)))
    return 0


def _groups(keys: np.ndarray) -> Iterable[np.ndarray]:
    """Positions of equal rows of `keys`, in the order in which they first stand there."""
    if not keys.shape[1]:
        return [np.arange(len(keys))] if len(keys) else []
    _, first, which = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    which = which.ravel()
    order = np.argsort(which, kind="stable")
    members = np.split(order, np.flatnonzero(np.diff(which[order])) + 1)
    return [members[group] for group in np.argsort(first)]


def _told(error: UserError) -> str:
    """An error in one line, as a store keeps it."""
    return f"{error.asked}: {error.found}; {error.next_step}"


def graph_quantities(graph: Graph, wanted: Iterable[str]) -> dict[str, int]:
    """Those of the wanted quantities that are the graph's alone: weight_bytes, memory_bytes, macs."""
    from siliform.simulator.footprint import footprint

    found: dict[str, int] = {}
    wanted = set(wanted)
    if wanted & {"weight_bytes", "memory_bytes"}:
        memory = graph.derived(footprint)
        found = {"weight_bytes": memory.weight_bytes, "memory_bytes": memory.bytes}
    if "macs" in wanted:
        found["macs"] = sum(node.macs for node in graph.nodes)
    return {name: value for name, value in found.items() if name in wanted}
