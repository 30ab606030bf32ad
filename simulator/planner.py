"""Place one item on the units that accept it, map it, and say what that costs.

Each planner returns a `Plan`: the tiles and order (from which a Block of the Program is made) and
the cost by the units' laws. Where several units accept a product, the better for the objective is
taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Any

from siliform.arch.accelerator import Accelerator
from siliform.arch.law import Count, where
from siliform.arch.memory import Accumulator
from siliform.arch.program import Access, Block, Loop, Mask, Movement, Scalars, Stage
from siliform.arch.unit import Unit
from siliform.arch.units.engine import Engine, engine_for
from siliform.arch.units.matrix import MatrixUnit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph
from siliform.simulator.costs import Cost, EnergyLaw, streamed_cycles, transfer_cycles
from siliform.simulator.mapping.gemm import ArrayResources
from siliform.simulator.work import ScalarWork, Work, work_of
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
        return float(self.accelerator.dram_bytes_per_cycle)

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
    mask: Mask | None = None

    def block(self, item: Item, accelerator: Accelerator) -> Block:
        """The Block of one of the items that share this plan."""
        own_sums = accelerator.accumulator is not None
        accesses = [
            Access(
                operand_of(item.reads[i]).value.name,
                "read",
                _memory(i in self.resident_reads),
                dims,
                bits,
                maker=item.makers[i],
            )
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
            compute_cycles=self.cost.compute_cycles,
            launch_cycles=self.cost.launch_cycles,
            unit_bytes=self.cost.unit_bytes(own_sums),
            mask=self.mask,
        )


def _memory(resident: bool) -> str:
    return "scratchpad" if resident else "dram"


def operand_of(operand: Operand | None) -> Operand:
    """The operand at a place that a plan reads from."""
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
    from siliform.simulator.product_plan import plan_product

    return plan_product(item, work, resources)


def resident_part_bytes(accelerator: Accelerator) -> int:
    """What of the scratchpad results may wait in for their consumers."""
    memory = accelerator.scratchpad
    if accelerator.of_kind("tensor"):
        from siliform.simulator.gpu_plan import kept_part_bytes

        return kept_part_bytes(accelerator)
    return memory.bytes * memory.resident_percent // 100


def _on_gpu(resources: Resources) -> bool:
    return any(u.kind == "tensor" for u in resources.accelerator.units)


def scalar_stages(item: Item, work: Work, units: Sequence[Unit]) -> tuple[tuple[Stage, ...], int]:
    """Scalar passes on their units, and their cycles: units of one pass run side by side.

    An engine that does the whole item, or a whole node of it, is asked before any lanes; its cycles stand
    with the first pass of what it does.
    """
    stages: list[Stage] = []
    cycles = 0
    for scalar, engine, spent in offered(item, work.scalars, units):
        if engine is not None:
            stages.append(Scalars(engine.name, scalar.counts, scalar.format, spent))
            cycles += spent
            continue
        share: dict[str, dict[str, int]] = {}
        for op, count in scalar.counts.items():
            share.setdefault(scalar_unit(units, op, scalar.format).name, {})[op] = count
        cycles += max(
            sum(unit_named(units, name).scalar_cycles(op, count) for op, count in counts.items())
            for name, counts in share.items()
        )
        stages += [Scalars(name, counts, scalar.format) for name, counts in share.items()]
    copied = 0 if stages and engine_for(item.node, units) else _copied_bytes(work, units)
    if copied:
        mover, moved = _mover(units, copied)
        stages.append(Movement(mover.name, copied))
        cycles += moved
    return tuple(stages), cycles


def _copied_bytes(work: Work, units: Sequence[Unit]) -> int:
    """Bytes that a unit must move: an engine fetches for itself."""
    return sum(size for node, size in work.moved if engine_for(node, units) is None)


def offered(
    item: Item, scalars: Sequence[ScalarWork], units: Sequence[Unit]
) -> Iterator[tuple[ScalarWork, Engine | None, int]]:
    """Each scalar pass with the engine that does it, and that engine's cycles where the pass is its first.

    An engine is offered the whole item, then single nodes of it; what none takes is for lanes.
    """
    whole = engine_for(item.node, units)
    begun: set[int] = set()
    for scalar in scalars:
        node = item.node if whole else scalar.node
        engine = whole or engine_for(node, units)
        first = id(node) not in begun
        begun.add(id(node))
        yield scalar, engine, engine.node_cycles(node) if engine is not None and first else 0


def streams_of(item: Item, work: Work, held: bool, units: Sequence[Unit]) -> Streams:
    """`passing`, in whole rows where an engine wants them."""
    body = item.node.attributes.get("body")
    nodes = (item.node, *(body.nodes if isinstance(body, Graph) else ()))
    engines = ((engine, node) for node in nodes if (engine := engine_for(node, units)) is not None)
    engine, node = next(engines, (None, item.node))
    return passing(item, work, held, 1 if engine is None else engine.row_elements(node))


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


Reads = tuple[tuple[int, tuple[str, ...], Fraction], ...]
Writes = tuple[tuple[int, tuple[str, ...], Fraction, int], ...]


@dataclass(frozen=True)
class Streams:
    """Operands that pass by a unit once: the nest they pass in, as in `Plan`.

    Attributes
    ----------
    first_share : share of the traffic that moves before the unit can start, and after it ends.
    unit_bytes : what the unit reads from the scratchpad and writes to it, which is every operand of
        every operation: its registers hold no more than what it works on.
    """

    loops: tuple[Loop, ...]
    reads: Reads
    writes: Writes
    first_share: float
    unit_bytes: int

    def dram_bytes(self, item: Item, resources: Resources) -> int:
        """Bytes of the nest that cross to or from DRAM."""
        return dram_traffic(self.loops, self.reads, self.writes, *self.resident(item, resources))

    def resident(self, item: Item, resources: Resources) -> tuple[frozenset[int], frozenset[int]]:
        """Which reads and which writes stay on chip."""
        reads = frozenset(i for i, *_ in self.reads if resources.resident(item.reads[i]))
        return reads, frozenset(i for i, *_ in self.writes if resources.resident(item.writes[i]))


def row_fits(work: Work, tile_bytes: Count, overlapped: Any) -> Any:
    """Whether a reduction can hold a row of its operand, or a gather its table, and so read it only once."""
    return work.row_bytes <= buffer_bytes(tile_bytes, overlapped)


def buffer_bytes(tile_bytes: Count, overlapped: Any) -> Count:
    """What one of the buffers holds: half of the room for tiles where transfers hide behind compute."""
    return tile_bytes // where(overlapped, 2, 1)


def passing(item: Item, work: Work, held: bool, row_elements: int = 1) -> Streams:
    """The streams of elementwise work, reductions, norms and copies, read once where rows are held.

    Tiles are whole rows of `row_elements`.
    """
    extent = max([o.value.type.elements for o in item.writes] + [1])
    moved = work.read_bits if held else work.again_bits
    reads = tuple((i, ("i",), bits / extent) for i, bits in enumerate(moved) if bits)
    writes = tuple((i, ("i",), bits / extent, 0) for i, bits in enumerate(work.write_bits) if bits)
    heaviest = max([bits for _, _, bits in reads] + [w[2] for w in writes] + [Fraction(1, 8)])
    rows = max(1, int(STREAM_TILE_BYTES * 8 / heaviest) // row_elements)
    tile = min(extent, rows * row_elements)
    # Where a row is held, DRAM moves it once, but the unit still reads it in every pass.
    touched = sum(work.again_bits, Fraction(0)) + sum(work.write_bits, Fraction(0))
    return Streams((Loop("i", extent, tile),), reads, writes, tile / extent, ceil(touched / 8))


def _plan_streaming(item: Item, work: Work, resources: Resources) -> Plan:
    """Elementwise, reductions, norms, copies: operands stream through once, or again if no row fits."""
    stages, compute = scalar_stages(item, work, resources.accelerator.units)
    once = row_fits(work, resources.tile_bytes, resources.overlapped)
    streams = streams_of(item, work, bool(once), resources.accelerator.units)
    return streamed(item, work, resources, streams, stages, compute)


def streamed(
    item: Item, work: Work, resources: Resources, streams: Streams, stages: tuple[Stage, ...], compute: int
) -> Plan:
    """Finish a plan whose operands pass once: traffic, time and energy."""
    loops, reads, writes = streams.loops, streams.reads, streams.writes
    resident_reads, resident_writes = streams.resident(item, resources)
    dram = dram_traffic(loops, reads, writes, resident_reads, resident_writes)
    bandwidth = resources.dram_bytes_per_cycle
    cycles = streamed_cycles(compute, dram, streams.first_share, bandwidth, resources.overlapped)
    scratchpad = streams.unit_bytes + dram
    energy = resources.energy.by_cause(
        products=[(p.formats, p.contraction.points) for p in work.products],
        scalars=[(s.counts, s.format) for s in work.scalars],
        scratchpad_bytes=scratchpad,
        accumulator_bytes=0,
        dram_bytes=dram,
        cycles=cycles,
    )
    unit = "+".join(dict.fromkeys(s.unit for s in stages)) or "dma"
    memory = transfer_cycles(dram, bandwidth)
    cost = Cost(cycles, compute, memory, 0, dram, scratchpad, energy, unit)
    buffers = 2 if resources.overlapped else 1
    return Plan(loops, reads, writes, stages, resident_reads, resident_writes, buffers, 0, cost)


def dram_traffic(
    loops: tuple[Loop, ...],
    reads: Reads,
    writes: Writes,
    resident_reads: frozenset[int],
    resident_writes: frozenset[int],
) -> int:
    """Bytes of planned accesses that cross to or from DRAM."""
    moved = [Access("", "read", "", dims, bits) for index, dims, bits in reads if index not in resident_reads]
    moved += [
        Access("", "write", "", dims, bits, spill)
        for index, dims, bits, spill in writes
        if index not in resident_writes
    ]
    return sum(access.total_bytes(loops) for access in moved)


def element_bits(format_name: str) -> int:
    """Stored bits of one element."""
    from siliform.graph_ir.formats import format_named

    return format_named(format_name).bits


def _whole_columns(unit: MatrixUnit, accumulator: Accumulator | None, dataflow: str) -> bool:
    """Whether a word of the accumulators' memory is a row of the array, over whose columns n is folded."""
    if accumulator is None or dataflow == "input-stationary":
        return False
    return accumulator.word_bytes * 8 >= unit.columns * unit.sum_bits


def array_resources(unit: MatrixUnit, resources: Resources, formats: tuple[str, str]) -> ArrayResources:
    """The mapper's view of an array with its memories; unknown energies count as nothing in ties only."""
    chip, energy = resources.accelerator, resources.energy
    folding = unit.folding(formats)
    return ArrayResources(
        rows=unit.rows,
        columns=unit.columns,
        dataflow=folding.dataflow,
        overlap=folding.overlap,
        overhead_cycles=folding.overhead_cycles,
        depth=folding.depth_words,
        whole_columns=_whole_columns(unit, chip.accumulator, folding.dataflow),
        scratchpad_bytes=resources.tile_bytes,
        dram_bytes_per_cycle=resources.dram_bytes_per_cycle,
        accumulator_bytes=chip.accumulator.bytes if chip.accumulator else None,
        double_buffered=resources.overlapped,
        mac_pj=chip.mac_energy_pj(*unit.cell_formats(formats)).value or 0.0,
        scratchpad_pj_per_byte=energy.scratchpad_pj_per_byte or 0.0,
        accumulator_pj_per_byte=energy.accumulator_pj_per_byte or 0.0,
        dram_pj_per_byte=energy.dram_pj_per_byte or 0.0,
        static_pj_per_cycle=energy.static_pj_per_cycle or 0.0,
    )
