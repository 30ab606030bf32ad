"""What a graph costs on one device: the estimate or the simulation, once per graph that reads alike."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from siliform.arch.accelerator import Accelerator
from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Graph, Value
from siliform.graph_ir.passes.policy import is_wide, parse_bits
from siliform.graph_ir.types import TensorType
from siliform.simulator.estimate import chosen_bits, estimate, prepared
from siliform.simulator.report import Origin, Report

LAWS = ("model", "bound", "events")


@dataclass(frozen=True)
class Cost:
    """Seconds, joules (None without a source), multiply-accumulates and DRAM bytes of one run of a graph."""

    seconds: float
    energy_j: float | None
    macs: int
    dram_bytes: int


@dataclass(eq=False)
class DeviceCosts:
    """Costs on one accelerator; graphs that differ in names alone are costed once.

    Attributes
    ----------
    bits : formats, as chosen for the whole graph: every part of it gets the same.
    law : "model", "bound", or "events" for the event simulation of each graph.
    """

    accelerator: Accelerator
    bits: str
    law: str = "model"
    _known: dict[str, Cost] = field(default_factory=dict)
    _origin: dict[str, Origin] = field(default_factory=dict)

    @staticmethod
    def of(accelerator: Accelerator, graph: Graph, bits: str | None, law: str) -> DeviceCosts:
        """Costs for the parts of a graph; UserError for an unknown law."""
        if law not in LAWS:
            raise UserError(
                asked=f"--law {law}",
                found="no law of that name",
                where="--law",
                next_step=f"use {nearest(law, LAWS)}",
            )
        return DeviceCosts(accelerator, chosen_bits(accelerator, bits, graph), law)

    def cost(self, graph: Graph) -> Cost:
        """One run of `graph` on one device."""
        key = self._key(graph)
        if key not in self._known:
            report = self._report(graph)
            self._origin.setdefault("latency_s", report.provenance["latency_s"])
            self._known[key] = Cost(report.latency_s, report.energy_j, report.macs, report.dram_bytes)
        return self._known[key]

    @property
    def origin(self) -> Origin:
        """Where the seconds come from."""
        return self._origin.get("latency_s", Origin("law", "no graph was costed"))

    @property
    def graphs(self) -> int:
        """Graphs that were costed."""
        return len(self._known)

    def traffic_type(self, type: TensorType) -> TensorType:
        """The type in which a value crosses links: wide floats as the policy has them."""
        wide = parse_bits(self.bits).wide if self.bits != "traced" else None
        return type.with_format(format_named(wide)) if wide and is_wide(type.format) else type

    def given(self, graph: Graph) -> Mapping[str, TensorType]:
        """Types of weights and states as they are stored, by name."""
        ready = prepared(graph, self.bits, self.accelerator)
        return {value.name: value.type for value in (*ready.states, *ready.parameters)}

    def _report(self, graph: Graph) -> Report:
        if self.law == "events":
            from siliform.simulator.events.simulate import simulate

            return simulate(graph, self.accelerator, bits=self.bits).report
        return estimate(graph, self.accelerator, bits=self.bits, law=self.law)

    def _key(self, graph: Graph) -> str:
        """The graph's text without names: values by number, modules only where a policy file reads them."""
        numbers: dict[str, str] = {}

        def number(value: Value) -> str:
            return numbers.setdefault(value.name, f"{len(numbers)}:{value.type}")

        by_module = self.bits.endswith(".toml")
        lines = [f"{kind} {[number(v) for v in getattr(graph, kind)]}" for kind in _GIVEN]
        for node in graph.nodes:
            operands = [number(v) if v else "_" for v in node.inputs]
            results = [number(v) for v in node.outputs]
            attributes = sorted(node.attributes.items())
            module = node.module if by_module else ""
            lines.append(f"{node.op.name} {operands} {results} {attributes} {module}")
        lines.append(str([number(v) for v in graph.outputs]))
        return re.sub(r"\s+", " ", "\n".join(lines))


_GIVEN = ("inputs", "states", "parameters", "constants")
