"""A kernel on a GPU: products on tensor cores, the rest on scalar lanes, traffic through L2, a launch.

Within a kernel tensor cores, scalar lanes and transfers overlap, so the slowest counts; kernels
follow one another, each after its launch. Attention is one kernel whose scores never leave the
multiprocessors (FlashAttention, arXiv 2205.14135). A product reads its larger operand once and its
smaller one once for every panel of the larger that half of the level-2 cache holds; results that
wait for a consumer stay in that cache by the same residency rule as in a scratchpad.
"""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from siliform.arch.program import Loop, Product, Scalars, Stage
from siliform.arch.units.launch import Launch
from siliform.arch.units.tensor import TensorCores
from siliform.simulator.costs import Cost, elapsed_cycles, transfer_cycles
from siliform.simulator.planner import Plan, Resources, dram_traffic, scalar_stages, scalar_unit
from siliform.simulator.work import ProductWork, ScalarWork, Work
from siliform.simulator.workload import Item


def plan_kernel(item: Item, work: Work, resources: Resources) -> Plan:
    """One item as one kernel; a view costs no kernel, anything else costs a launch."""
    stages, compute = _stages(item, work, resources)
    loops, reads, writes = _nest(item, work, resources)
    resident_reads = frozenset(i for i, *_ in reads if resources.resident(item.reads[i]))
    resident_writes = frozenset(i for i, *_ in writes if resources.resident(item.writes[i]))
    dram = dram_traffic(loops, reads, writes, resident_reads, resident_writes)
    memory = transfer_cycles(dram, resources.dram_bytes_per_cycle)
    chip = resources.accelerator
    launch = sum(u.launch_cycles(1, chip.clock_hz) for u in chip.units if isinstance(u, Launch))
    cycles = elapsed_cycles(compute, memory, 0, launch, overlapped=True)
    energy = resources.energy.by_cause(
        products=[(p.formats, p.contraction.points) for p in work.products],
        scalars=[(s.counts, s.format) for s in (*work.scalars, *work.attention_scalars)],
        scratchpad_bytes=dram,
        accumulator_bytes=0,
        dram_bytes=dram,
        cycles=cycles,
    )
    unit = "+".join(dict.fromkeys(s.unit for s in stages)) or "dram"
    cost = Cost(cycles, compute, memory, launch, dram, None, energy, unit)
    return Plan(loops, reads, writes, stages, resident_reads, resident_writes, 1, 1, cost)


def _stages(item: Item, work: Work, resources: Resources) -> tuple[tuple[Stage, ...], int]:
    """Work by unit; units run beside each other."""
    units = resources.accelerator.units
    stages: list[Stage] = []
    tensor = 0
    scalar = 0
    for product in work.products:
        form = product.contraction
        cores = _cores(product, resources)
        if cores is None:
            lanes = scalar_unit(units, "mac", product.formats[0])
            scalar += lanes.scalar_cycles("mac", form.points)
            stages.append(Scalars(lanes.name, {"mac": form.points}, product.formats[0]))
            continue
        # Steps that wait for each other run in one kernel, with no more beside each other than one has.
        together = form.batch // max(form.steps, 1)
        dense = int(cores.product_cycles(form.m, form.n, form.k, product.formats, batch=together))
        dense *= form.steps
        # Masked tiles are skipped by a fused attention; everything else runs dense.
        skips = product.node.op.kind == "attention" and form.dense_points
        kept = Fraction(form.points, form.dense_points) if skips else Fraction(1)
        tensor += ceil(dense * kept)
        stages.append(Product(cores.name, form.batch, form.m, form.n, form.k, product.formats, form.points))
    passes, spent = scalar_stages(item, work, units)
    inside, spent_inside = _attention_scalars(work.attention_scalars, resources)
    return (*stages, *passes, *inside), max(tensor, scalar + spent + spent_inside)


def _attention_scalars(
    scalars: tuple[ScalarWork, ...], resources: Resources
) -> tuple[tuple[Stage, ...], int]:
    stages: list[Stage] = []
    cycles = 0
    for scalar in scalars:
        for op, count in scalar.counts.items():
            unit = scalar_unit(resources.accelerator.units, op, scalar.format)
            cycles += unit.scalar_cycles(op, count)
            stages.append(Scalars(unit.name, {op: count}, scalar.format))
    return tuple(stages), cycles


def _cores(product: ProductWork, resources: Resources) -> TensorCores | None:
    """The tensor cores, unless they refuse the formats (fp32 runs on the lanes)."""
    space = next(s for s in product.node.spaces if s.contraction() is not None)
    for unit in resources.accelerator.units:
        accepted = unit.refusal(product.node.op.name, [space], product.formats) is None
        if isinstance(unit, TensorCores) and accepted:
            return unit
    return None


def _nest(
    item: Item, work: Work, resources: Resources
) -> tuple[
    tuple[Loop, ...],
    tuple[tuple[int, tuple[str, ...], Fraction], ...],
    tuple[tuple[int, tuple[str, ...], Fraction, int], ...],
]:
    """Loops and accesses: panels of the larger operand outside, for a single product; one pass otherwise."""
    single = work.products[0] if len(work.products) == 1 else None
    if single is None or None in single.operands:
        extent = max([o.value.type.elements for o in item.writes] + [1])
        once = tuple((i, ("i",), bits / extent) for i, bits in enumerate(work.read_bits) if bits)
        out = tuple((i, ("i",), bits / extent, 0) for i, bits in enumerate(work.write_bits) if bits)
        return (Loop("i", extent, extent),), once, out
    form = single.contraction
    bits = {d: work.read_bits[i] for d, i in zip("mn", single.operands, strict=True) if i is not None}
    extents = {"m": form.m * form.batch, "n": form.n}
    larger, smaller = ("n", "m") if bits["n"] >= bits["m"] else ("m", "n")
    half_cache_bits = resources.accelerator.scratchpad.bytes * 4
    panels = (
        1 if bits[smaller] <= half_cache_bits else min(ceil(bits[larger] / half_cache_bits), extents[larger])
    )
    loops = (
        Loop(larger, extents[larger], ceil(extents[larger] / panels)),
        Loop(smaller, extents[smaller], min(128, extents[smaller])),
    )
    results = extents["m"] * extents["n"]
    reads: list[tuple[int, tuple[str, ...], Fraction]] = []
    for dim, index in zip("mn", single.operands, strict=True):
        if index is not None:
            reads.append((index, (dim,), work.read_bits[index] / extents[dim]))
    for index, size in enumerate(work.read_bits):
        if size and index not in single.operands:
            reads.append((index, ("m", "n"), size / results))
    writes = tuple((i, ("m", "n"), size / results, 0) for i, size in enumerate(work.write_bits) if size)
    return loops, tuple(reads), writes
