"""A matrix product with its epilogue, on the best of the units that accept it: arrays, or lanes.

What a design's sizes and rates do not change (the problem that the mapper solves, the nest that
operands stream through) is made by functions of its own, which the estimate of many designs shares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import ceil
from typing import Any

from siliform.arch.law import Count, maximum, minimum
from siliform.arch.program import Loop, Product, Stage
from siliform.arch.unit import Unit
from siliform.arch.units.lanes import Lanes, broadcast_reads
from siliform.arch.units.matrix import MatrixUnit
from siliform.graph_ir.errors import UserError
from siliform.simulator.costs import Cost
from siliform.simulator.legalise import units_for
from siliform.simulator.mapping.gemm import GemmMapping, GemmProblem, NoMapping, best_mapping
from siliform.simulator.planner import (
    Plan,
    Reads,
    Resources,
    Streams,
    Writes,
    array_resources,
    buffer_bytes,
    element_bits,
    operand_of,
    scalar_stages,
    streamed,
)
from siliform.simulator.work import ProductWork, Work
from siliform.simulator.workload import Item


def plan_product(item: Item, work: Work, resources: Resources) -> Plan:
    """The best plan of a product for the objective; the first of equals.

    Raises
    ------
    UserError : an extent of 0, or no unit that takes it.
    ValueError : the item has several products that are no attention: one plan would lose the others.
    """
    if len(work.products) != 1:
        raise ValueError(
            f"{item.node.name} ({item.node.op.name}) asks {len(work.products)} products of one plan"
        )
    product = work.products[0]
    if not product.contraction.dense_points:
        raise _empty(product)
    plans: list[Plan] = []
    refused: UserError | None = None
    for unit in product_units(product, resources.accelerator.units):
        try:
            if isinstance(unit, MatrixUnit):
                plans.append(_product_on_array(item, work, resources, unit))
            else:
                plans.append(_product_on_lanes(item, work, resources, unit))
        except NoMapping as error:
            refused = error
    if not plans:
        raise refused or no_unit(product, resources)
    return min(plans, key=lambda plan: plan.cost.score(resources.objective))


def _empty(product: ProductWork) -> UserError:
    """The error of a product of nothing."""
    form, node = product.contraction, product.node
    return UserError(
        asked=f"{node.op.name} as a product",
        found=f"nothing to multiply: {form.batch} x ({form.m} x {form.n} x {form.k})",
        where=node.source or node.module or node.name,
        next_step="give inputs and layers of at least one element",
    )


def no_unit(product: ProductWork, resources: Resources) -> UserError:
    """The error of a product that no unit takes."""
    return UserError(
        asked=f"{product.node.op.name} on {resources.accelerator.name}",
        found="no unit that multiplies matrices in these formats: " + " x ".join(product.formats),
        where=product.node.source or product.node.module or product.node.name,
        next_step="add an array or a vector unit with mac, or choose other formats with --bits",
    )


def product_units(product: ProductWork, units: Sequence[Unit]) -> list[MatrixUnit | Lanes]:
    """Arrays and lanes that may do a product, in the order they are offered it.

    Lanes are offered what no array accepts; beside an array, what their parameter `products` says.
    """
    space = next(s for s in product.node.spaces if s.contraction() is not None)
    ways = units_for(product.node.op.name, space, product.formats, units)
    able = [unit for way in ways for unit in way if isinstance(unit, MatrixUnit | Lanes)]
    arrays: list[MatrixUnit | Lanes] = [unit for unit in able if isinstance(unit, MatrixUnit)]
    grouped = product.node.op.kind == "convolution" and product.contraction.batch > 1
    if not arrays:
        return able
    return [u for u in able if u in arrays or grouped or getattr(u, "products", "grouped") == "any"]


def array_problem(item: Item, work: Work, resources: Resources, unit: MatrixUnit, beside: int) -> GemmProblem:
    """The product as the mapper sees it; of the resources, only who is resident counts.

    Its k counts words where the unit takes several elements at a time.
    Operands that the epilogue reads, such as a residual, are moved along with the result.
    """
    product = work.products[0]
    form = product.contraction
    a, b = product.operands
    held = {i for i in range(len(item.reads)) if resources.resident(item.reads[i])}
    reads, writes = _result_bits(work)
    kept = frozenset(i for i in range(len(item.writes)) if resources.resident(item.writes[i]))
    out_bits = sum((bits for i, bits in writes.items() if i not in kept), Fraction(0))
    beside_bits = sum((bits for i, bits in reads.items() if i not in held), Fraction(0))
    a_bits, b_bits = _operand_bits(work)
    formats = [element_bits(name) for name in product.formats]
    if a is not None and product.formats[0] == "binary":
        # Levels whose signs are taken on their way in are held as they are stored.
        formats[0] = max(formats[0], operand_of(item.reads[a]).value.type.format.element.bits)
    problem = GemmProblem(
        m=form.m,
        n=form.n,
        k=form.k,
        batch=form.batch,
        a_bits=formats[0],
        b_bits=formats[1],
        a_dram_bits=a_bits,
        b_dram_bits=b_bits,
        c_bits=out_bits + beside_bits or sum(writes.values(), Fraction(0)),
        accumulator_bits=unit.sum_bits,
        a_resident=a is None or a in held,
        b_resident=b is None or b in held,
        c_resident=not out_bits and not beside_bits,
        b_shared=False,
        beside_cycles=beside,
        kept=unit.kept_share(any(i is not None and operand_of(item.reads[i]).shared for i in (a, b))),
        steps=form.steps,
    )
    return problem.in_words(unit.folding(product.formats).word_elements)


def _operand_bits(work: Work) -> tuple[Fraction, Fraction]:
    """Stored bits of one element of A and of B; 8 for one that is made inside and never moves.

    A contraction's batch indexes both operands: weights of experts or groups are one B for each. Each
    of them is whole bytes, its share of scales included.
    """
    form = work.products[0].contraction
    a, b = work.products[0].operands
    return (
        Fraction(8) if a is None else _in_whole_bytes(work.read_bits[a], form.batch, form.m * form.k),
        Fraction(8) if b is None else _in_whole_bytes(work.read_bits[b], form.batch, form.k * form.n),
    )


def _result_bits(work: Work) -> tuple[dict[int, Fraction], dict[int, Fraction]]:
    """Bits for each element of the result, by place: of operands that an epilogue reads, and of results."""
    form = work.products[0].contraction
    elements = form.m * form.n
    reads = {
        i: _in_whole_bytes(bits, form.batch, elements)
        for i, bits in enumerate(work.read_bits)
        if bits and i not in work.products[0].operands
    }
    writes = {i: _in_whole_bytes(bits, form.batch, elements) for i, bits in enumerate(work.write_bits)}
    return reads, writes


def _in_whole_bytes(bits: Fraction, batch: int, elements: int) -> Fraction:
    """Bits of an element where each of `batch` matrices of so many elements is rounded up to bytes."""
    return Fraction(8 * ceil(bits / (8 * batch)), elements)


def _product_on_array(item: Item, work: Work, resources: Resources, unit: MatrixUnit) -> Plan:
    """Tiles and order found exactly; the epilogue runs beside the array on what leaves it."""
    product = work.products[0]
    form = product.contraction
    stages, beside = scalar_stages(item, work, resources.accelerator.units)
    problem = array_problem(item, work, resources, unit, beside)
    found = best_mapping(problem, array_resources(unit, resources, product.formats), resources.objective)
    found = replace(found, tile_k=min(form.k, found.tile_k * unit.folding(product.formats).word_elements))
    loops, reads, writes = _tiled(work, found, unit)
    stage = Product(unit.name, "batch" if form.batch > 1 else 1, "m", "n", "k", product.formats, form.points)
    return Plan(
        loops,
        reads,
        writes,
        (stage, *stages),
        frozenset(i for i, o in enumerate(item.reads) if resources.resident(o)),
        frozenset(i for i, o in enumerate(item.writes) if resources.resident(o)),
        2 if resources.overlapped else 1,
        0,
        _array_cost(work, resources, found, unit, stages, beside, problem.kept),
    )


def _tiled(work: Work, found: GemmMapping, unit: MatrixUnit) -> tuple[tuple[Loop, ...], Reads, Writes]:
    """The nest over outer tiles, and what moves in it: operands by their tiles, all else with the results."""
    product = work.products[0]
    form = product.contraction
    a, b = product.operands
    sizes = {"m": (form.m, found.tile_m), "n": (form.n, found.tile_n), "k": (form.k, found.tile_k)}
    loops = tuple(Loop(d, *sizes[d]) for d in found.order)
    lead: tuple[str, ...] = ()
    if form.batch > 1:
        loops, lead = (Loop("batch", form.batch, 1), *loops), ("batch",)
    a_bits, b_bits = _operand_bits(work)
    beside, results = _result_bits(work)
    reads = [
        (i, (*lead, *dims), bits)
        for i, dims, bits in ((a, ("m", "k"), a_bits), (b, ("k", "n"), b_bits))
        if i is not None
    ]
    reads += [(i, (*lead, "m", "n"), bits) for i, bits in beside.items()]
    writes = tuple(
        (i, (*lead, "m", "n"), bits, unit.sum_bits if i == 0 else 0) for i, bits in results.items()
    )
    return loops, tuple(reads), writes


def _array_cost(
    work: Work,
    resources: Resources,
    found: GemmMapping,
    unit: MatrixUnit,
    stages: Sequence[Stage],
    beside: int,
    kept: float,
) -> Cost:
    """What the mapping costs: folds are whole, so that masked points are multiplied too, zeros but `kept`."""
    product = work.products[0]
    form = product.contraction
    energy = resources.energy.by_cause(
        products=[(unit.cell_formats(product.formats), kept * form.dense_points)],
        scalars=[(s.counts, s.format) for s in work.scalars],
        scratchpad_bytes=found.scratchpad_bytes,
        accumulator_bytes=found.accumulator_bytes,
        dram_bytes=found.dram_bytes,
        cycles=found.cycles,
    )
    mapping = {
        "m": form.m, "n": form.n, "k": form.k, "batch": form.batch,
        "tile_m": found.tile_m, "tile_n": found.tile_n, "tile_k": found.tile_k,
        "order": "".join(found.order), "fill_cycles": found.fill_cycles,
    }  # fmt: skip
    return Cost(
        found.cycles,
        max(found.compute_cycles, beside),
        found.memory_cycles,
        0,
        found.dram_bytes,
        found.scratchpad_bytes + found.accumulator_bytes,
        energy,
        "+".join(dict.fromkeys([unit.name, *(s.unit for s in stages)])),
        mapping,
        found.accumulator_bytes,
    )


def _product_on_lanes(item: Item, work: Work, resources: Resources, unit: Lanes) -> Plan:
    """A product on a streaming unit: as many rows of A as fit are held while B streams by."""
    product = work.products[0]
    form = product.contraction
    stages, beside = scalar_stages(item, work, resources.accelerator.units)
    rows = held_rows(product, resources.tile_bytes, resources.overlapped)
    if rows < 1:
        raise NoMapping(
            asked=f"a product of {form.m} x {form.n} x {form.k} on {unit.name}",
            tile=(1, 1, form.k),
            memory="scratchpad",
            needed_bytes=2 * _row_bytes(product),
            capacity_bytes=resources.tile_bytes,
            buffers=2 if resources.overlapped else 1,
        )
    compute = unit.scalar_cycles("mac", form.points) + beside
    lead = "batch" if form.batch > 1 else 1
    stage = Product(unit.name, lead, "m", "n", form.k, product.formats, form.points)
    plan = streamed(item, work, resources, past_rows(work, rows, unit.lanes), (stage, *stages), compute)
    mapping = {"m": form.m, "n": form.n, "k": form.k, "batch": form.batch, "tile_m": rows, "tile_n": 1}
    return replace(plan, cost=replace(plan.cost, mapping=mapping))


def _row_bytes(product: ProductWork) -> int:
    return ceil(product.contraction.k * element_bits(product.formats[0]) / 8)


def held_rows(product: ProductWork, tile_bytes: Count, overlapped: Any) -> Count:
    """Rows of A held on lanes, beside one column of B; less than 1 where not even one fits."""
    fitting = buffer_bytes(tile_bytes, overlapped) // _row_bytes(product) - 1
    return minimum(product.contraction.m, fitting)


def past_rows(work: Work, tile_m: int, lanes: int) -> Streams:
    """The streams of a product on so many lanes that holds `tile_m` rows of A at a time."""
    product = work.products[0]
    form = product.contraction
    a, b = product.operands
    results = form.batch * form.m * form.n
    loops = tuple(
        Loop(d, e, t)
        for d, e, t in (("batch", form.batch, 1), ("m", form.m, tile_m), ("n", form.n, 1))
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
    beside = sum((bits for i, bits in enumerate(work.read_bits) if i not in (a, b)), Fraction(0))
    touched = operand_bits_read(product, lanes) + beside + sum(work.write_bits, Fraction(0))
    return Streams(loops, tuple(reads), writes, first_share(work, tile_m), ceil(touched / 8))


def operand_bits_read(product: ProductWork, lanes: int) -> int:
    """Bits of A and B that lanes read: one operand shared by all, of the other an element for each point.

    The lanes lie along n or along m, whichever reads less; the sums stay in their registers.
    """
    form = product.contraction
    a_bits, b_bits = (element_bits(name) for name in product.formats)
    along_n = broadcast_reads(form.points, form.n, lanes) * a_bits + form.points * b_bits
    along_m = broadcast_reads(form.points, form.m, lanes) * b_bits + form.points * a_bits
    return int(min(along_n, along_m))


def first_share(work: Work, tile_m: Count) -> Count:
    """Share of the traffic of a product on lanes that its first tile is."""
    form = work.products[0].contraction
    return 1 / maximum(form.batch * (form.m // tile_m) * form.n, 1)
