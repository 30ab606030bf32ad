"""A kernel on a GPU: products on tensor cores, the rest on scalar lanes, traffic through L2, a launch.

The laws are arch/gpu's: of products in tiles, of attention whose scores never leave the multiprocessors, and
of a kernel (`arch.gpu.kernel`), which is the one that measured kernels are judged by. Within a kernel tensor
cores and transfers share the time (`Generation.together`), scalar lanes run beside; kernels follow one
another, each after its launch; long ones run into the board's power. Every operand passes once; results that
wait for a consumer stay in the level-2 cache by the same residency rule as in a scratchpad, in no more of it
than it keeps for another use.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil, prod

from siliform.arch.accelerator import Accelerator
from siliform.arch.gpu.attention import DECODE_ROWS, TILE, Heads, decode_cycles, whole_cycles
from siliform.arch.gpu.gpu import Gpu
from siliform.arch.gpu.kernel import kernel
from siliform.arch.program import Loop, Product, Scalars, Stage
from siliform.arch.units.tensor import TensorCores
from siliform.graph_ir.graph import Node
from siliform.simulator.costs import Cost
from siliform.simulator.planner import Plan, Resources, dram_traffic, scalar_stages, scalar_unit
from siliform.simulator.work import ProductWork, ScalarWork, Work
from siliform.simulator.workload import Item

#: Keys for each query from which on a few queries are taken for decoding. Assumption: fewer are the whole of
#: a short sequence, which no library sends to its kernel for decoding.
LONG_CACHE = 4
MANY = 10**6  # times the scores of an attention: what rounding up to whole passes adds is nothing beside it


@lru_cache(maxsize=32)
def gpu_of(accelerator: Accelerator) -> Gpu:
    """The numbers of the GPU that a design describes."""
    return Gpu.of(accelerator)


def kept_part_bytes(accelerator: Accelerator) -> int:
    """Bytes of the level-2 cache that results may wait in: of the share that the design gives to them, what
    the cache keeps for another use.
    """
    cache = accelerator.scratchpad
    return min(cache.bytes * cache.resident_percent // 100, int(gpu_of(accelerator).kept_bytes))


def plan_kernel(item: Item, work: Work, resources: Resources) -> Plan:
    """One item as one kernel; a view costs no kernel, anything else costs a launch."""
    loops, reads, writes = _nest(item, work, resources)
    resident_reads = frozenset(i for i, *_ in reads if resources.resident(item.reads[i]))
    resident_writes = frozenset(i for i, *_ in writes if resources.resident(item.writes[i]))
    dram = dram_traffic(loops, reads, writes, resident_reads, resident_writes)
    touched = dram_traffic(loops, reads, writes, frozenset(), frozenset())
    gpu = gpu_of(resources.accelerator)
    # Everything passes the level-2 cache, which takes its part in what goes on within the chip.
    within = float(gpu.transfer_cycles(0, touched))
    made: list[tuple[tuple[Stage, ...], float]] = []

    def busy(transfers: float) -> float:
        stages, alone, beside = _stages(item, work, resources, (within, float(transfers)))
        made.append((stages, alone))
        return max(beside, 1)

    macs = _macs(work, gpu)
    took = kernel(gpu, busy, dram_bytes=dram, all_bytes=touched, macs_of_bf16=macs)
    ((stages, alone),) = made
    slower, cycles = float(took.slower), _whole(float(took.cycles))
    energy = resources.energy.by_cause(
        products=[(p.formats, p.contraction.points) for p in work.products],
        scalars=[(s.counts, s.format) for s in (*work.scalars, *work.attention_scalars)],
        scratchpad_bytes=dram,
        accumulator_bytes=0,
        dram_bytes=dram,
        cycles=cycles,
    )
    unit = "+".join(dict.fromkeys(s.unit for s in stages)) or "dram"
    memory, launch = _whole(dram / gpu.dram_bytes_per_cycle), _whole(gpu.launch_cycles * slower)
    cost = Cost(cycles, _whole(alone * slower), memory, launch, dram, None, energy, unit)
    return Plan(loops, reads, writes, stages, resident_reads, resident_writes, 1, 1, cost)


def _whole(cycles: float) -> int:
    """Whole cycles; what powers leave in the last digits is none."""
    return ceil(cycles - 1e-6)


def _stages(
    item: Item, work: Work, resources: Resources, transfers: tuple[float, float]
) -> tuple[tuple[Stage, ...], float, float]:
    """Work by unit, and its cycles beside transfers within the chip, and beside those with DRAM too.

    Units run beside each other.
    """
    units = resources.accelerator.units
    stages: list[Stage] = []
    scalar = 0
    tensor: list[tuple[float, float]] = []
    for product in work.products:
        form = product.contraction
        cores = _cores(product, resources)
        if cores is None:
            lanes = scalar_unit(units, "mac", product.formats[0])
            scalar += lanes.scalar_cycles("mac", form.points)
            stages.append(Scalars(lanes.name, {"mac": form.points}, product.formats[0]))
            continue
        stages.append(Product(cores.name, form.batch, form.m, form.n, form.k, product.formats, form.points))
        if product.node is not work.attention:
            tensor.append(_product(cores, product, resources, transfers))
    passes, spent = scalar_stages(item, work, units)
    inside, alone_softmax, softmax = _attention_scalars(work.attention_scalars, resources)
    scalar += spent
    scores = next((p for p in work.products if p.node is work.attention and _cores(p, resources)), None)
    if scores is None:
        scalar += alone_softmax
    else:
        tensor.append(_attention(scores, resources, softmax, transfers))
    together = gpu_of(resources.accelerator).constants.together
    lanes_alone, lanes_beside = (float(together(scalar, transfer)) for transfer in transfers)
    if not tensor:
        return (*stages, *passes, *inside), lanes_alone, lanes_beside
    # Transfers are those of the whole kernel: they are counted beside its first product alone.
    first, *others = tensor
    more = sum(alone for alone, _ in others)
    return (
        (*stages, *passes, *inside),
        max(first[0] + more, lanes_alone),
        max(first[1] + more, lanes_beside),
    )


def _product(
    cores: TensorCores, product: ProductWork, resources: Resources, transfers: tuple[float, float]
) -> tuple[float, float]:
    """Cycles of a product beside each of the transfers.

    Steps that wait for each other run in one kernel, with no more beside each other than one has.
    """
    form = product.contraction
    size, batch = (form.m, form.n, form.k, product.formats), form.batch // max(form.steps, 1)
    if form.steps > 1:
        steps = form.steps * cores.product_cycles(*size, batch=batch)
        together = gpu_of(resources.accelerator).constants.together
        alone, beside = (float(together(steps, transfer)) for transfer in transfers)
    else:
        alone, beside = (cores.product_cycles(*size, batch=batch, memory_cycles=t) for t in transfers)
    return alone, beside


def _attention(
    scores: ProductWork, resources: Resources, softmax: float, transfers: tuple[float, float]
) -> tuple[float, float]:
    """Cycles of an attention beside each of the transfers; `softmax` are those that its scores keep the
    lanes busy, however few they are.
    """
    gpu, cores = gpu_of(resources.accelerator), _cores(scores, resources)
    assert cores is not None
    of = heads_of(scores.node, scores.contraction.points)
    few = of.queries * of.heads <= DECODE_ROWS * of.groups and of.keys >= LONG_CACHE * of.queries
    if of.queries == 1 or few:
        alone, beside = (float(decode_cycles(gpu, of, transfer)) for transfer in transfers)
        return alone, beside
    # A tile of keys is gone through whole, and a row's own operations are shared by its tile at least.
    scores_seen = of.batch * of.heads * of.queries * max(of.seen, TILE)
    per_score = softmax * gpu.multiprocessors / max(scores_seen, 1)
    if of.seen < TILE:
        per_score = max(per_score, gpu.softmax_cycles)
    rate = cores.rate(scores.formats)
    alone, beside = (float(whole_cycles(gpu, of, rate, transfer, per_score)) for transfer in transfers)
    return alone, beside


def heads_of(node: Node, points: int) -> Heads:
    """What an attention asks of its kernel, `points` of its first product kept."""
    q, k, v = (value.type for value in node.operands[:3])
    batch, heads, queries, width = prod(q.shape[:-3]), *q.shape[-3:]
    keys = k.shape[-2]
    seen = points / max(batch * heads * queries * width, 1)
    pattern, window = node.attributes.get("pattern", "full"), int(node.attributes.get("window", 0))
    reach = min(window or keys, keys)
    ragged = {"causal": 1, "window": 2}.get(str(pattern), 0)
    if ragged and window and window < keys:
        ragged = 2
    elif queries == 1:  # the last of a sequence sees all of it
        ragged = 0
    return Heads(
        batch=batch,
        heads=heads,
        groups=k.shape[-3],
        queries=queries,
        keys=keys,
        seen=seen,
        reach=reach if ragged else max(seen, 1),
        ragged=ragged,
        width=width,
        value_width=v.shape[-1],
    )


def _macs(work: Work, gpu: Gpu) -> float:
    """Multiply-accumulates on the tensor cores, each by what it takes of them in bf16."""
    total = 0.0
    for product in work.products:
        rates = [gpu.rates[name] for name in product.formats if name in gpu.rates]
        if rates:
            total += product.contraction.points * gpu.rates["bf16"] / min(rates)
    return total


def _attention_scalars(
    scalars: tuple[ScalarWork, ...], resources: Resources
) -> tuple[tuple[Stage, ...], int, float]:
    """Stages inside an attention, their cycles by themselves, and those that they keep the lanes busy.

    The latter is what lies between a number of passes and so many more: nothing is rounded up to whole
    passes over the lanes, and no pipeline is filled anew for each tile of scores.
    """
    stages: list[Stage] = []
    cycles, busy = 0, 0.0
    for scalar in scalars:
        for op, count in scalar.counts.items():
            unit = scalar_unit(resources.accelerator.units, op, scalar.format)
            cycles += unit.scalar_cycles(op, count)
            more = unit.scalar_cycles(op, MANY * count) - unit.scalar_cycles(op, count)
            busy += more / (MANY - 1)
            stages.append(Scalars(unit.name, {op: count}, scalar.format))
    return tuple(stages), cycles, busy


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
    """Loops and accesses, all of one pass: of a single product the larger operand outside."""
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
    loops = (
        Loop(larger, extents[larger], extents[larger]),
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
