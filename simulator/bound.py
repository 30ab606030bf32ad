"""The speed of light: no schedule of the graph on the design can be faster.

For each resource (every unit, and DRAM at its data-sheet bandwidth) the demand of the whole graph
is divided by the peak; the largest quotient is the bound. Fusion is ideal: parameters, inputs and
states are read once, outputs and appended rows written once, nothing else touches DRAM; masked
multiply-accumulates are skipped.

Each node's `cycles` is its share of the binding resource, so that the parts sum to the total;
its bottleneck is the resource that it itself demands most, and its utilisation is that of the node
run alone at its own speed of light, because beside others it may take no time of the binding one.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil

from siliform.arch.accelerator import Accelerator
from siliform.graph_ir.graph import Graph
from siliform.simulator.legalise import units_for
from siliform.simulator.planner import offered, scalar_unit
from siliform.simulator.report import Origin, Part, Report
from siliform.simulator.summary import kind_of, op_label, peak_macs_per_cycle, report_of
from siliform.simulator.work import Work, work_of
from siliform.simulator.workload import Item, workload

DRAM = "dram"


def bound_report(graph: Graph, accelerator: Accelerator, bits: str, formats: Origin | None = None) -> Report:
    """The speed of light of a legal graph, as a report."""
    items = graph.derived(workload).items
    works = [work_of(item) for item in items]
    traffic = _compulsory_bytes(items, works)
    demands = [
        _demand(item, work, traffic[item.node.name], accelerator)
        for item, work in zip(items, works, strict=True)
    ]
    totals: dict[str, Fraction] = {}
    for demand in demands:
        for resource, cycles in demand.items():
            totals[resource] = totals.get(resource, Fraction(0)) + cycles
    binding = max(totals, key=lambda name: totals[name]) if totals else DRAM
    parts = []
    reached = Fraction(0)
    for item, demand in zip(items, demands, strict=True):
        before, reached = reached, reached + demand.get(binding, Fraction(0))
        parts.append(_part(item, demand, ceil(reached) - ceil(before), traffic[item.node.name], accelerator))
    energy = Origin("absent", "a bound on time says nothing of scratchpad traffic; use --law model")
    return report_of(
        graph,
        accelerator,
        tuple(parts),
        law="bound",
        objective="latency",
        bits=bits,
        energy=energy,
        formats=formats,
    )


def _compulsory_bytes(items: tuple[Item, ...], works: list[Work]) -> dict[str, int]:
    """Bytes that must cross the chip's edge, charged to the first node that touches them.

    A value read by several nodes crosses once, as much of it as the one that reads most: of a table
    tied to an output layer the embedding reads a few rows, and the output layer is charged the rest.
    """
    outside: dict[str, int] = {}
    crossed_bits: dict[str, Fraction] = {}
    made: set[str] = set()
    for item, work in zip(items, works, strict=True):
        total = Fraction(0)
        for operand, bits in zip(item.reads, work.read_bits, strict=True):
            appended = item.node.op.movement == "append" and operand is item.reads[0]
            if operand is None or operand.threshold_bytes is not None or appended:
                continue
            key = operand.value.name if operand.shared else operand.home
            if key not in made:
                before = crossed_bits.get(key, Fraction(0))
                crossed_bits[key] = max(before, bits)
                total += crossed_bits[key] - before
        for operand, bits in zip(item.writes, work.write_bits, strict=True):
            if operand.threshold_bytes is None:
                made.add(operand.home) if operand.home == operand.value.name else None
                total += bits
        outside[item.node.name] = ceil(total / 8)
    return outside


def _demand(item: Item, work: Work, dram_bytes: int, accelerator: Accelerator) -> dict[str, Fraction]:
    """Cycles of every resource at its peak."""
    demand = {DRAM: Fraction(dram_bytes) / accelerator.peak_dram_bytes_per_cycle}

    def add(name: str, cycles: Fraction) -> None:
        demand[name] = demand.get(name, Fraction(0)) + item.times * cycles

    for product in work.products:
        points = product.contraction.points
        space = next(s for s in product.node.spaces if s.contraction() is not None)
        ways = units_for(product.node.op.name, space, product.formats, accelerator.units)
        rates = {u.name: u.peak_macs_per_cycle(*product.formats) for way in ways for u in way}
        name = max(rates, key=lambda n: rates[n])
        if rates[name]:
            add(name, Fraction(points, rates[name]))
        else:
            add(name, Fraction(accelerator.unit(name).scalar_cycles("mac", points)))
    softmax = work.attention_scalars
    for scalar, engine, cycles in offered(item, (*work.scalars, *softmax), accelerator.units):
        if engine is not None:
            add(engine.name, Fraction(cycles))
            continue
        for op, count in scalar.counts.items():
            unit = scalar_unit(accelerator.units, op, scalar.format)
            add(unit.name, Fraction(unit.scalar_cycles(op, count)))
    return demand


def _part(
    item: Item, demand: Mapping[str, Fraction], cycles: int, dram: int, accelerator: Accelerator
) -> Part:
    node = item.node
    computing = {name: need for name, need in demand.items() if name != DRAM}
    compute = max(computing.values(), default=Fraction(0))
    macs = node.macs
    formats = [p.formats for p in work_of(item).products]
    peak = peak_macs_per_cycle(accelerator, formats[0]) if formats else 0.0
    alone = max(cycles, ceil(compute), ceil(demand[DRAM]))
    return Part(
        name=node.name,
        module=node.module,
        op=op_label(node),
        kind=kind_of(node),
        unit="+".join(computing) or DRAM,
        source=node.source,
        cycles=cycles,
        compute_cycles=ceil(compute),
        memory_cycles=ceil(demand[DRAM]),
        macs=macs,
        macs_dense=node.macs_dense,
        dram_bytes=dram,
        scratchpad_bytes=None,
        energy_j=None,
        energy_by_cause_j=None,
        utilization=macs / (peak * alone) if peak and alone else 0.0,
        bottleneck="memory" if demand[DRAM] > compute else "compute",
        macs_per_dram_byte=macs / dram if dram else None,
    )
