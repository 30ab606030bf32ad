"""Attention on a systolic array: one block whose scores and probabilities never leave the chip.

The mapper chooses query and key tiles, online softmax or whole rows, and whether a group's keys
and values stay. Its loops are group, row (queries of all heads that share a KV head) and key.
Where a pattern lets the mapper skip pairs of tiles, the Block has a mask that says which are left.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod

from siliform.arch.program import Loop, Mask, Product, Scalars, Stage
from siliform.arch.units.lanes import Lanes
from siliform.arch.units.matrix import MatrixUnit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Node, Value
from siliform.graph_ir.ops.attention import Pattern
from siliform.graph_ir.ops.attention_weights import Weighting
from siliform.graph_ir.types import TensorType
from siliform.simulator.costs import Cost
from siliform.simulator.mapping.attention import (
    AttentionMapping,
    AttentionProblem,
    SoftmaxCost,
    best_attention,
)
from siliform.simulator.planner import (
    Plan,
    Resources,
    array_resources,
    element_bits,
    operand_of,
    scalar_stages,
    scalar_unit,
)
from siliform.simulator.work import ScalarWork, Work
from siliform.simulator.workload import Item


def plan_attention(item: Item, work: Work, resources: Resources) -> Plan:
    """Map one attention, and what is fused behind it, onto the array and the streaming units."""
    node = work.attention
    assert node is not None
    array = attention_array(work, resources)
    problem = attention_problem(item, work, resources, array)
    softmax, scalars = softmax_cost(node, problem, work, resources)
    found = best_attention(
        problem, array_resources(array, resources, work.products[0].formats), softmax, resources.objective
    )
    behind, behind_cycles = scalar_stages(item, work, resources.accelerator.units)
    merging = _merging(node, problem, work, found.merges)
    scalars += tuple(stage for scalar in merging for stage in _stages(scalar, resources))
    cycles = found.cycles + behind_cycles
    computed, kept = found.computed_scores, problem.kept
    energy = resources.energy.by_cause(
        products=[
            (array.cell_formats(work.products[0].formats), kept * computed * problem.width),
            (array.cell_formats(work.products[1].formats), kept * computed * problem.value_width),
        ],
        scalars=[(s.counts, s.format) for s in (*work.scalars, *work.attention_scalars, *merging)],
        scratchpad_bytes=found.scratchpad_bytes,
        accumulator_bytes=found.accumulator_bytes,
        dram_bytes=found.dram_bytes,
        cycles=cycles,
    )
    cost = Cost(
        cycles,
        found.compute_cycles + behind_cycles,
        found.memory_cycles,
        0,
        found.dram_bytes,
        found.scratchpad_bytes + found.accumulator_bytes,
        energy,
        "+".join(dict.fromkeys([array.name, *(s.unit for s in scalars)])),
        {
            "groups": problem.groups,
            "rows": problem.rows,
            "keys": problem.pattern.keys,
            "row_tile": found.row_tile,
            "key_tile": found.key_tile,
            "online": found.online,
            "keys_kept": found.keys_kept,
            "computed_scores": computed,
        },
        found.accumulator_bytes,
    )
    return _plan(item, work, resources, problem, found, array, (*scalars, *behind), cost)


def attention_array(work: Work, resources: Resources) -> MatrixUnit:
    """The first array that multiplies in the formats of both products."""
    for unit in resources.accelerator.units:
        fits = all(unit.peak_macs_per_cycle(*p.formats) for p in work.products)
        if isinstance(unit, MatrixUnit) and fits:
            return unit
    raise UserError(
        asked=f"attention on {resources.accelerator.name}",
        found=f"no array that multiplies {' x '.join(work.products[0].formats)}",
        where="the design's units",
        next_step="choose formats that the array takes with --bits, or add an array",
    )


def attention_problem(item: Item, work: Work, resources: Resources, array: MatrixUnit) -> AttentionProblem:
    """The mapper's view: sizes, bits as stored, and which operands stay on chip."""
    node = work.attention
    assert node is not None
    q, k, v = (_type(node.inputs[i]) for i in range(3))
    batch, heads, groups = prod(q.shape[:-3]), q.shape[-3], k.shape[-3]
    homes = work.attention_operands
    q_bits, k_bits, v_bits = (_stored_bits(item, h, t) for h, t in zip(homes, (q, k, v), strict=False))
    stays = [h is None or resources.resident(item.reads[h]) for h in homes[:3]]
    used = {h for h in homes[:3] if h is not None}
    results = Fraction(prod(node.output.type.shape))
    weighting = Weighting.of(dict(node.attributes))
    written = sum(
        (bits for i, bits in enumerate(work.write_bits) if not resources.resident(item.writes[i])),
        Fraction(0),
    )
    beside = sum(
        (
            bits
            for i, bits in enumerate(work.read_bits)
            if i not in used and not resources.resident(item.reads[i])
        ),
        Fraction(0),
    )
    return AttentionProblem(
        pattern=_pattern(node, q.shape[-2], k.shape[-2]),
        groups=batch * groups,
        width=q.shape[-1],
        value_width=v.shape[-1],
        heads=heads // groups,
        q_bits=q_bits,
        k_bits=k_bits,
        v_bits=v_bits,
        o_bits=float(written / results) or 8.0,
        probability_bits=element_bits(work.products[1].formats[0]),
        accumulator_bits=array.sum_bits,
        q_resident=stays[0],
        k_resident=stays[1],
        v_resident=stays[2],
        o_resident=not written,
        beside_dram_bytes=-(-int(beside) // 8),
        kept=array.kept_share(second_is_weight=False),
        score_word=array.folding(work.products[0].formats).word_elements,
        value_word=array.folding(work.products[1].formats).word_elements,
        running=weighting.running,
        rescales=weighting.rescales,
    )


def _stored_bits(item: Item, home: int | None, type: TensorType) -> float:
    """Bits of an element as it is stored, scales included; levels are widened on their way to the array."""
    stored = type if home is None else operand_of(item.reads[home]).value.type
    return stored.bits / stored.elements


def _pattern(node: Node, queries: int, keys: int) -> Pattern:
    a = node.attributes
    return Pattern(a["pattern"], a["window"], a["block"], a["density"], queries, keys)


def _type(value: Value | None) -> TensorType:
    if value is None:
        raise ValueError("attention without queries, keys or values")
    return value.type


def _result(work: Work) -> TensorType:
    assert work.attention is not None
    return work.attention.output.type


def softmax_cost(
    node: Node, problem: AttentionProblem, work: Work, resources: Resources
) -> tuple[SoftmaxCost, tuple[Stage, ...]]:
    """Cycles of the softmax's scalar work per score, per row, and per row and further key tile."""
    spaces = [s for s in node.spaces if s.body and s.contraction() is None]
    per_score = per_row = Fraction(0)
    rows = problem.groups * problem.rows
    stages: list[Stage] = []
    for space, scalar in zip(spaces, work.attention_scalars, strict=True):
        if "s" in space.extents:
            per_score += _pass_cycles(dict(space.body), scalar.format, resources)
        else:
            each = {op: count * space.dense_points for op, count in space.body.items()}
            per_row += _pass_cycles(each, scalar.format, resources) / rows
        stages += _stages(scalar, resources)
    merging = _merging(node, problem, work, merges=1)
    merge_pj = resources.energy.compute_pj((), [(s.counts, s.format) for s in merging])
    cost = SoftmaxCost(
        score_cycles=float(per_score),
        row_cycles=float(per_row),
        merge_cycles=float(sum(_pass_cycles(dict(s.counts), s.format, resources) for s in merging)),
        merge_pj=merge_pj or 0.0,
        hidden=resources.overlapped,
    )
    return cost, tuple(stages)


def _merging(node: Node, problem: AttentionProblem, work: Work, merges: int) -> list[ScalarWork]:
    """Scalar work that joins a key tile to what a row has gathered before, `merges` times; one pass or none.

    Only softmax rescales, since a later tile may hold a larger score.
    """
    weighting = Weighting.of(dict(node.attributes))
    each = {"add": 1} if weighting.normalised else {}
    if weighting.rescales:
        each = {"compare": 1, "exp": 1, "mul": problem.value_width + 1, "add": 2}
    if not each or not merges:
        return []
    counts = {op: count * merges for op, count in each.items()}
    return [ScalarWork(counts, work.attention_scalars[0].format, node)]


def _pass_cycles(counts: dict[str, int], format_name: str, resources: Resources) -> Fraction:
    """Cycles that scalar operations occupy their units, spread over the lanes; units run side by side."""
    busy: dict[str, Fraction] = {}
    for op, count in counts.items():
        unit = scalar_unit(resources.accelerator.units, op, format_name)
        if not isinstance(unit, Lanes):
            raise ValueError(f"{unit.name} has no lanes to spread {op} over")
        busy[unit.name] = busy.get(unit.name, Fraction(0)) + Fraction(count * unit.ops[op], unit.lanes)
    return max(busy.values())


def _stages(scalar: ScalarWork, resources: Resources) -> list[Stage]:
    share: dict[str, dict[str, int]] = {}
    for op, count in scalar.counts.items():
        unit = scalar_unit(resources.accelerator.units, op, scalar.format)
        share.setdefault(unit.name, {})[op] = count
    return [Scalars(name, counts, scalar.format) for name, counts in share.items()]


def _plan(
    item: Item,
    work: Work,
    resources: Resources,
    problem: AttentionProblem,
    found: AttentionMapping,
    array: MatrixUnit,
    scalars: tuple[Stage, ...],
    cost: Cost,
) -> Plan:
    keys, rows, groups = problem.pattern.keys, problem.rows, problem.groups
    loops = (Loop("group", groups, 1), Loop("row", rows, found.row_tile), Loop("key", keys, found.key_tile))
    q, k, v = work.attention_operands[:3]
    mask = None
    if problem.pattern.is_range and found.key_tiles > 1:
        mask = Mask("row", "key", problem.heads, problem.pattern)
    fetched = keys if mask is None else mask.keys_fetched(*loops[1:])
    if mask is None and not found.keys_kept and found.key_tiles > 1:
        fetched = keys * found.row_tiles
    streamed = _streamed_bits(item, work, resources, found)
    results = prod(_result(work).shape)
    reads: list[tuple[int, tuple[str, ...], Fraction]] = []
    for index, bits in enumerate(work.read_bits):
        if not bits:
            continue
        if index == q and index not in (k, v):
            reads.append((index, ("group", "row"), bits / (groups * rows)))
        elif index in (k, v):
            share = streamed.get(index, bits)
            dims = ("group",) if found.keys_kept else ("group", "key")
            points = groups if found.keys_kept else groups * fetched
            reads.append((index, dims, share / points))
        elif operand_of(item.reads[index]).value.type.elements == results:
            # A residual, say, row by row with the results that it is added to.
            reads.append((index, ("group", "row"), bits / (groups * rows)))
        else:
            reads.append((index, (), bits))
    writes = tuple(
        (i, ("group", "row"), bits / (groups * rows), 0) for i, bits in enumerate(work.write_bits) if bits
    )
    scores, values = work.products
    products = (
        Product(array.name, "group", "row", "key", problem.width, scores.formats, scores.contraction.points),
        Product(
            array.name, "group", "row", problem.value_width, "key", values.formats, values.contraction.points
        ),
    )
    return Plan(
        loops,
        tuple(reads),
        writes,
        (*products, *scalars),
        frozenset(i for i in range(len(item.reads)) if resources.resident(item.reads[i])),
        frozenset(i for i in range(len(item.writes)) if resources.resident(item.writes[i])),
        2 if resources.overlapped else 1,
        0,
        cost,
        mask,
    )


def _streamed_bits(
    item: Item, work: Work, resources: Resources, found: AttentionMapping
) -> dict[int, Fraction]:
    """What crosses of keys and values, by operand: the mapping's DRAM bytes less all others."""
    moving = {
        i for i in work.attention_operands[1:3] if i is not None and not resources.resident(item.reads[i])
    }
    others = sum(
        (
            b
            for i, b in enumerate(work.read_bits)
            if i not in moving and not resources.resident(item.reads[i])
        ),
        Fraction(0),
    )
    others += sum(
        (b for i, b in enumerate(work.write_bits) if not resources.resident(item.writes[i])), Fraction(0)
    )
    left = max(Fraction(found.dram_bytes * 8) - others, Fraction(0))
    whole = sum((work.read_bits[i] for i in moving), Fraction(0))
    return {i: left * work.read_bits[i] / whole for i in moving} if whole else {}
