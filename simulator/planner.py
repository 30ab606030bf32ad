"""Place one item on the units that accept it, map it, and say what that costs.

Each planner returns a `Plan`: the tiles and order (from which a Block of the Program is made) and
the cost by the units' laws. Where several units accept a product, the better for the objective is
taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil
from typing import Any

from siliform.arch.accelerator import Accelerator
from siliform.arch.program import Access, Block, Loop, Movement, Product, Scalars, Stage
from siliform.arch.unit import Unit
from siliform.arch.units.array import SystolicArray
from siliform.arch.units.lanes import Lanes
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.space import Space
from siliform.simulator.costs import Cost, EnergyLaw, elapsed_cycles, transfer_cycles
from siliform.simulator.legalise import units_for
from siliform.simulator.mapping.gemm import ArrayResources, GemmProblem, NoMapping, best_mapping
from siliform.simulator.work import ProductWork, Work, work_of
from siliform.simulator.workload import Item, Operand

#: Bytes in flight at a time in a streaming block: one 4 KiB page, an assumption that keeps DMA
#: bursts long and the uncovered first and last transfers short.
STREAM_TILE_BYTES = 4096


@dataclass(frozen=True)
class Resources:
    """What an item may use on one design, the residency decided.

    Attributes
    ----------
    tile_bytes : scratchpad left for tiles after resident values.
    resident_part_bytes : values with a threshold up to this stay on chip.
    """

    accelerator: Accelerator
    objective: str
    tile_bytes: int
    resident_part_bytes: int
    energy: EnergyLaw

    @property
    def dram_bytes_per_cycle(self) -> float:
        """Sustained DRAM bandwidth."""
        return float(self.accelerator.dram.bytes_per_cycle(self.accelerator.clock_hz))

    @property
    def overlapped(self) -> bool:
        """Whether transfers hide behind compute."""
        return self.accelerator.scratchpad.double_buffered

    def resident(self, operand: Operand | None) -> bool:
        """Whether an operand stays on chip."""
        return (
            operand is not None
            and operand.threshold_bytes is not None
            and operand.threshold_bytes <= self.resident_part_bytes
        )


@dataclass(frozen=True)
class Plan:
    """A placed and mapped item: how to make its Block, and its cost."""

    loops: tuple[Loop, ...]
    reads: tuple[tuple[int, tuple[str, ...], Fraction], ...]
    writes: tuple[tuple[int, tuple[str, ...], Fraction, int], ...]
    stages: tuple[Stage, ...]
    resident_reads: frozenset[int]
    resident_writes: frozenset[int]
    buffers: int
    launches: int
    cost: Cost

    def block(self, item: Item) -> Block:
        """The Block of one of the items that share this plan."""
        accesses = [
            Access(_operand(item.reads[i]).value.name, "read", _memory(i in self.resident_reads), dims, bits)
            for i, dims, bits in self.reads
        ]
        accesses += [
            Access(item.writes[i].value.name, "write", _memory(i in self.resident_writes), dims, bits, spill)
            for i, dims, bits, spill in self.writes
        ]
        node = item.node
        return Block(
            node.name,
            node.op.name,
            node.module,
            node.source,
            self.loops,
            tuple(accesses),
            self.stages,
            item.after,
            buffers=self.buffers,
            launches=self.launches,
        )


def _memory(resident: bool) -> str:
    return "scratchpad" if resident else "dram"


def _operand(operand: Operand | None) -> Operand:
    if operand is None:
        raise ValueError("an access was planned for an operand that is not there")
    return operand


def plan_item(item: Item, resources: Resources) -> Plan:
    """The best plan of one item.

    Raises
    ------
    UserError : no unit accepts it, or not even the smallest tile fits (NoMapping).
    """
    work = work_of(item)
    if work.attention is not None and not _on_gpu(resources):
        from siliform.simulator.attention_plan import plan_attention

        return plan_attention(item, work, resources)
    if _on_gpu(resources):
        from siliform.simulator.gpu_plan import plan_kernel

        return plan_kernel(item, work, resources)
    if not work.products:
        return _plan_streaming(item, work, resources)
    return _plan_product(item, work, resources)


def _on_gpu(resources: Resources) -> bool:
    return any(u.kind == "tensor" for u in resources.accelerator.units)


def scalar_stages(item: Item, work: Work, units: Sequence[Unit]) -> tuple[tuple[Stage, ...], int]:
    """Scalar passes on their units, and their cycles: units of one pass run side by side."""
    stages: list[Stage] = []
    cycles = 0
    for scalar in work.scalars:
        share: dict[str, dict[str, int]] = {}
        for op, count in scalar.counts.items():
            share.setdefault(scalar_unit(units, op, scalar.format).name, {})[op] = count
        cycles += max(
            sum(unit_named(units, name).scalar_cycles(op, count) for op, count in counts.items())
            for name, counts in share.items()
        )
        stages += [Scalars(name, counts, scalar.format) for name, counts in share.items()]
    if work.moved_bytes:
        engine, moved = _mover(units, work.moved_bytes)
        stages.append(Movement(engine.name, work.moved_bytes))
        cycles += moved
    return tuple(stages), cycles


def scalar_unit(units: Sequence[Unit], op: str, format_name: str) -> Unit:
    """The first unit that does one scalar operation in that format."""
    for unit in units:
        if unit.scalar_refusal(op, format_name) is None:
            return unit
    raise UserError(
        asked=f"{op} in {format_name}",
        found="; ".join(str(u.scalar_refusal(op, format_name)) for u in units),
        where="the design's units",
        next_step="add a unit that does it, or widen the formats of one",
    )


def unit_named(units: Sequence[Unit], name: str) -> Unit:
    """The unit of that name."""
    return next(u for u in units if u.name == name)


def _mover(units: Sequence[Unit], moved_bytes: int) -> tuple[Unit, int]:
    movers = [u for u in units if hasattr(u, "move_cycles")]
    if not movers:
        raise UserError(
            asked=f"a copy of {moved_bytes} bytes",
            found=f"no unit that moves bytes among {', '.join(u.name for u in units)}",
            where="the design's units",
            next_step="add a gather unit or a dma to the design",
        )
    timed = [(u, int(u.move_cycles(moved_bytes))) for u in movers]
    return min(timed, key=lambda pair: pair[1])


def _plan_streaming(item: Item, work: Work, resources: Resources) -> Plan:
    """Elementwise, reductions, norms, copies: operands stream through once, or once a pass if no row fits."""
    stages, compute = scalar_stages(item, work, resources.accelerator.units)
    passes = (
        work.row_passes if work.row_bytes > resources.tile_bytes // (2 if resources.overlapped else 1) else 1
    )
    extent = max([o.value.type.elements for o in item.writes] + [1])
    reads = []
    for index, bits in enumerate(work.read_bits):
        if bits:
            reads.append((index, ("i",), bits * passes / extent))
    writes = tuple((i, ("i",), bits / extent, 0) for i, bits in enumerate(work.write_bits) if bits)
    heaviest = max([bits for _, _, bits in reads] + [w[2] for w in writes] + [Fraction(1, 8)])
    tile = min(extent, max(1, int(STREAM_TILE_BYTES * 8 / heaviest)))
    loops = (Loop("i", extent, tile),)
    return _streamed(item, work, resources, loops, tuple(reads), writes, stages, compute, tile / extent)


def _streamed(
    item: Item,
    work: Work,
    resources: Resources,
    loops: tuple[Loop, ...],
    reads: tuple[tuple[int, tuple[str, ...], Fraction], ...],
    writes: tuple[tuple[int, tuple[str, ...], Fraction, int], ...],
    stages: tuple[Stage, ...],
    compute: int,
    first_share: float,
) -> Plan:
    """Finish a plan whose operands pass once: traffic, time and energy."""
    resident_reads = frozenset(i for i, *_ in reads if resources.resident(item.reads[i]))
    resident_writes = frozenset(i for i, *_ in writes if resources.resident(item.writes[i]))
    dram, on_chip = scratch_traffic(loops, reads, writes, resident_reads, resident_writes)
    fill = transfer_cycles(ceil(dram * first_share), resources.dram_bytes_per_cycle) if dram else 0
    memory = transfer_cycles(dram, resources.dram_bytes_per_cycle)
    cycles = elapsed_cycles(compute, memory, fill, 0, resources.overlapped)
    scratchpad = on_chip + dram
    energy = resources.energy.by_cause(
        products=[(p.formats, p.contraction.points) for p in work.products],
        scalars=[(s.counts, s.format) for s in work.scalars],
        scratchpad_bytes=scratchpad,
        accumulator_bytes=0,
        dram_bytes=dram,
        cycles=cycles,
    )
    unit = "+".join(dict.fromkeys(s.unit for s in stages)) or "dma"
    cost = Cost(cycles, compute, memory, 0, dram, scratchpad, energy, unit)
    buffers = 2 if resources.overlapped else 1
    return Plan(loops, reads, writes, stages, resident_reads, resident_writes, buffers, 0, cost)


def scratch_traffic(
    loops: tuple[Loop, ...],
    reads: Sequence[tuple[int, tuple[str, ...], Fraction]],
    writes: Sequence[tuple[int, tuple[str, ...], Fraction, int]],
    resident_reads: frozenset[int],
    resident_writes: frozenset[int],
) -> tuple[int, int]:
    """Bytes through DRAM, and bytes through the scratchpad's unit side, of planned accesses."""
    dram = on_chip = 0
    for index, dims, bits in reads:
        size = Access("", "read", "", dims, bits).total_bytes(loops)
        on_chip += size
        dram += 0 if index in resident_reads else size
    for index, dims, bits, spill in writes:
        size = Access("", "write", "", dims, bits, spill).total_bytes(loops)
        on_chip += size
        dram += 0 if index in resident_writes else size
    return dram, on_chip


def _plan_product(item: Item, work: Work, resources: Resources) -> Plan:
    """A matrix product with its epilogue, on the best of the units that accept it."""
    product = work.products[0]
    space = _product_space(product)
    plans: list[Plan] = []
    refused: UserError | None = None
    for way in units_for(product.node.op.name, space, product.formats, resources.accelerator.units):
        for unit in way:
            planner = _PRODUCT_PLANNERS.get(type(unit)) or (
                _product_on_lanes if isinstance(unit, Lanes) else None
            )
            if planner is None:
                continue
            try:
                plans.append(planner(item, work, resources, unit))
            except NoMapping as error:
                refused = error
    if not plans:
        raise refused or UserError(
            asked=f"{product.node.op.name} on {resources.accelerator.name}",
            found="no unit that multiplies matrices in these formats: " + " x ".join(product.formats),
            where=product.node.source or product.node.module or product.node.name,
            next_step="add an array or a vector unit with mac, or choose other formats with --bits",
        )
    return min(plans, key=lambda plan: plan.cost.score(resources.objective))


def _product_space(product: ProductWork) -> Space:
    return next(s for s in product.node.spaces if s.contraction() is not None)


def _product_on_array(item: Item, work: Work, resources: Resources, unit: Unit) -> Plan:
    """Tiles and order found exactly; the epilogue runs beside the array on what leaves it."""
    assert isinstance(unit, SystolicArray)
    product = work.products[0]
    form = product.contraction
    a, b = product.operands
    others = [i for i in range(len(item.reads)) if i not in (a, b) and work.read_bits[i]]
    held = {i for i in range(len(item.reads)) if resources.resident(item.reads[i])}
    stages, beside = scalar_stages(item, work, resources.accelerator.units)
    results = form.batch * form.m * form.n
    written = sum(work.write_bits, Fraction(0))
    kept_writes = [i for i in range(len(item.writes)) if resources.resident(item.writes[i])]
    out_bits = (written - sum((work.write_bits[i] for i in kept_writes), Fraction(0))) / results
    beside_bits = sum((work.read_bits[i] for i in others if i not in held), Fraction(0)) / results
    a_elements, b_elements = form.batch * form.m * form.k, form.batch * form.k * form.n
    shared = b is not None and _operand(item.reads[b]).shared and form.batch > 1
    a_bits = work.read_bits[a] / a_elements if a is not None else Fraction(8)
    b_bits = work.read_bits[b] / (form.k * form.n if shared else b_elements) if b is not None else Fraction(8)
    formats = [element_bits(name) for name in product.formats]
    problem = GemmProblem(
        m=form.m,
        n=form.n,
        k=form.k,
        batch=form.batch,
        a_bits=formats[0],
        b_bits=formats[1],
        a_dram_bits=float(a_bits),
        b_dram_bits=float(b_bits),
        c_bits=float(out_bits + beside_bits) or float(written / results),
        accumulator_bits=unit.accumulator_bits,
        a_resident=a is None or a in held,
        b_resident=b is None or b in held,
        c_resident=not out_bits and not beside_bits,
        b_shared=False,
        beside_cycles=beside,
    )
    found = best_mapping(problem, array_resources(unit, resources, product.formats), resources.objective)
    sizes = {"m": (form.m, found.tile_m), "n": (form.n, found.tile_n), "k": (form.k, found.tile_k)}
    loops = tuple(Loop(d, *sizes[d]) for d in found.order)
    if form.batch > 1:
        loops = (Loop("batch", form.batch, 1), *loops)
    lead = ("batch",) if form.batch > 1 else ()
    reads = [
        (i, (*lead, *dims), bits)
        for i, dims, bits in ((a, ("m", "k"), a_bits), (b, ("k", "n"), b_bits))
        if i is not None
    ]
    reads += [(i, (*lead, "m", "n"), work.read_bits[i] / results) for i in others]
    writes = tuple(
        (i, (*lead, "m", "n"), bits / results, unit.accumulator_bits if i == 0 else 0)
        for i, bits in enumerate(work.write_bits)
    )
    dram = found.dram_bytes
    energy = resources.energy.by_cause(
        products=[(product.formats, form.dense_points)],
        scalars=[(s.counts, s.format) for s in work.scalars],
        scratchpad_bytes=found.scratchpad_bytes,
        accumulator_bytes=found.accumulator_bytes,
        dram_bytes=dram,
        cycles=found.cycles,
    )
    mapping = {
        "m": form.m, "n": form.n, "k": form.k, "batch": form.batch,
        "tile_m": found.tile_m, "tile_n": found.tile_n, "tile_k": found.tile_k,
        "order": "".join(found.order), "fill_cycles": found.fill_cycles,
    }  # fmt: skip
    cost = Cost(
        found.cycles,
        found.compute_cycles,
        found.memory_cycles,
        0,
        dram,
        found.scratchpad_bytes + found.accumulator_bytes,
        energy,
        "+".join(dict.fromkeys([unit.name, *(s.unit for s in stages)])),
        mapping,
    )
    stage = Product(unit.name, "batch" if form.batch > 1 else 1, "m", "n", "k", product.formats, form.points)
    return Plan(
        loops,
        tuple(reads),
        writes,
        (stage, *stages),
        frozenset(held),
        frozenset(kept_writes),
        2 if resources.overlapped else 1,
        0,
        cost,
    )


def element_bits(format_name: str) -> int:
    """Stored bits of one element."""
    from siliform.graph_ir.formats import format_named

    return format_named(format_name).bits


def array_resources(unit: SystolicArray, resources: Resources, formats: tuple[str, str]) -> ArrayResources:
    """The mapper's view of an array with its memories; unknown energies count as nothing in ties only."""
    chip, energy = resources.accelerator, resources.energy
    return ArrayResources(
        rows=unit.rows,
        columns=unit.columns,
        dataflow=unit.dataflow,
        overlap=unit.overlap,
        scratchpad_bytes=resources.tile_bytes,
        dram_bytes_per_cycle=resources.dram_bytes_per_cycle,
        accumulator_bytes=chip.accumulator.bytes if chip.accumulator else None,
        double_buffered=resources.overlapped,
        mac_pj=chip.mac_energy_pj(*formats).value or 0.0,
        scratchpad_pj_per_byte=energy.scratchpad_pj_per_byte or 0.0,
        accumulator_pj_per_byte=energy.accumulator_pj_per_byte or 0.0,
        dram_pj_per_byte=energy.dram_pj_per_byte or 0.0,
        static_pj_per_cycle=energy.static_pj_per_cycle or 0.0,
    )


def _product_on_lanes(item: Item, work: Work, resources: Resources, unit: Unit) -> Plan:
    """A product on a streaming unit: as many rows of A as fit are held while B streams by."""
    product = work.products[0]
    form = product.contraction
    a, b = product.operands
    stages, beside = scalar_stages(item, work, resources.accelerator.units)
    results = form.batch * form.m * form.n
    row_bytes = ceil(form.k * element_bits(product.formats[0]) / 8)
    capacity = resources.tile_bytes // (2 if resources.overlapped else 1)
    if 2 * row_bytes > capacity:
        raise NoMapping(
            asked=f"a product of {form.m} x {form.n} x {form.k} on {unit.name}",
            tile=(1, 1, form.k),
            memory="scratchpad",
            needed_bytes=2 * row_bytes,
            capacity_bytes=resources.tile_bytes,
            buffers=2 if resources.overlapped else 1,
        )
    tile_m = min(form.m, max(1, capacity // row_bytes - 1))
    tile_n = 1
    loops = tuple(
        Loop(d, e, t)
        for d, e, t in (("batch", form.batch, 1), ("m", form.m, tile_m), ("n", form.n, tile_n))
        if e > 1 or d != "batch"
    )
    lead = ("batch",) if form.batch > 1 else ()
    reads: list[tuple[int, tuple[str, ...], Fraction]] = []
    if a is not None:
        reads.append((a, (*lead, "m"), work.read_bits[a] / (form.batch * form.m)))
    if b is not None:
        reads.append((b, (*lead, "n"), work.read_bits[b] / (form.batch * form.n)))
    reads += [
        (i, (*lead, "m", "n"), bits / results)
        for i, bits in enumerate(work.read_bits)
        if bits and i not in (a, b)
    ]
    writes = tuple((i, (*lead, "m", "n"), bits / results, 0) for i, bits in enumerate(work.write_bits))
    compute = unit.scalar_cycles("mac", form.points) + beside
    stage = Product(unit.name, "batch" if lead else 1, "m", "n", form.k, product.formats, form.points)
    share = 1 / max(form.batch * (form.m // tile_m) * form.n, 1)
    plan = _streamed(item, work, resources, loops, tuple(reads), writes, (stage, *stages), compute, share)
    mapping = {"m": form.m, "n": form.n, "k": form.k, "batch": form.batch, "tile_m": tile_m, "tile_n": tile_n}
    return replace(plan, cost=replace(plan.cost, mapping=mapping))


_PRODUCT_PLANNERS: Mapping[type[Unit], Callable[[Item, Work, Resources, Any], Plan]] = {
    SystolicArray: _product_on_array
}
