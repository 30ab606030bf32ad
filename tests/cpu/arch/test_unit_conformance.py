"""What every unit of every design keeps to: more work or a smaller unit never takes less time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from siliform.arch.design import design_names, load_design
from siliform.arch.unit import Unit
from siliform.arch.units.array import SystolicArray
from siliform.arch.units.binary import BinaryUnit
from siliform.arch.units.dma import Dma
from siliform.arch.units.engine import Engine
from siliform.arch.units.gather import GatherEngine
from siliform.arch.units.lanes import Lanes
from siliform.arch.units.launch import Launch
from siliform.arch.units.tensor import TensorCores
from siliform.arch.units.topk import TopKSelector
from siliform.graph_ir.graph import Builder, Node, Value
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.space import SCALAR_OPS, Space
from siliform.graph_ir.types import tensor

UNITS = [(name, unit) for name in design_names() for unit in load_design(name).units]
IDS = [f"{name}-{unit.name}" for name, unit in UNITS]
MOVERS = [unit for _, unit in UNITS if isinstance(unit, GatherEngine | Dma)]
COUNTS = (0, 1, 2, 63, 64, 65, 1000, 4097, 10**6, 10**9)


@pytest.mark.parametrize(("design", "unit"), UNITS, ids=IDS)
def test_scalar_operations_take_longer_the_more_there_are(design: str, unit: Unit) -> None:
    for scalar_op in SCALAR_OPS:
        for form in ("fp32", "fp16", "int8"):
            if unit.scalar_refusal(scalar_op, form) is None:
                cycles = [unit.scalar_cycles(scalar_op, count) for count in COUNTS]
                assert cycles[0] == 0
                assert all(isinstance(c, int) for c in cycles)
                assert cycles == sorted(cycles)


@pytest.mark.parametrize("unit", MOVERS, ids=lambda unit: unit.name)
def test_transfers_take_longer_the_more_there_is(unit: GatherEngine | Dma) -> None:
    cycles = [unit.move_cycles(count) for count in COUNTS]
    assert cycles[0] == 0
    assert cycles == sorted(cycles)
    assert all(c * unit.bytes_per_cycle >= count for c, count in zip(cycles, COUNTS, strict=True))


@pytest.mark.parametrize(("design", "unit"), UNITS, ids=IDS)
def test_no_product_is_faster_than_the_peak(design: str, unit: Unit) -> None:
    form = load_design(design).native_bits
    for m, n, k in ((1, 1, 1), (1, 4096, 4096), (128, 768, 768), (2048, 2048, 2048), (37, 53, 71)):
        space = Space.over("m k, n k -> m n", {"mac": 1}, m=m, n=n, k=k)
        if unit.refusal("linear", [space], (form, form)) is None and not isinstance(unit, Lanes):
            peak = unit.peak_macs_per_cycle(form, form)
            assert 0 < space.macs <= peak * unit.cycles(space)


def taken_by(engine: Engine) -> list[Node]:
    """Nodes of integers that an engine of a design takes, at least one."""
    b = Builder("integers")

    def given(name: str, form: str, *shape: int) -> Value:
        return b.input(name, tensor(form, *shape))

    sums, levels = given("sums", "int32", 48, 64), given("levels", "int8", 48, 64)
    b(op_named("requantise"), sums, given("factor", "int32"), given("shift", "int8"))
    b(op_named("requantised_add"), levels, levels, multiplier_a=3, multiplier_b=5, shift=3)
    anchors, means = given("anchors", "int8", 25, 64), given("means", "fp32", 25)
    weight = given("weight", "fp32", 16, 25)
    form = {"numerics": "integer"}
    codes = b(op_named("hash_codes"), levels, anchors, given("rate", "fp32"), means, weight, **form)
    b(op_named("hash_attention"), codes, codes, levels, **form)
    b(op_named("hash_lookup"), levels, given("tables", "int8", 8, 256, 96), **form)
    b(op_named("top_k"), levels, k=4, axis=-1)
    b(op_named("log_codes"), given("shares", "fp32", 48, 64), bits=4, **form)
    nodes = [node for node in b.finish(levels).nodes if engine.node_refusal(node) is None]
    assert nodes
    return nodes


@pytest.mark.parametrize(("design", "unit"), UNITS, ids=IDS)
def test_half_the_unit_is_not_faster(design: str, unit: Unit) -> None:
    shape = (2048, 2048, 2048)
    if isinstance(unit, Lanes):
        smaller = replace(unit, lanes=unit.lanes // 2)
        times = [(u.scalar_cycles(op, c)) for u in (smaller, unit) for op in unit.ops for c in COUNTS]
    elif isinstance(unit, SystolicArray):
        halved = replace(unit, rows=unit.rows // 2, columns=unit.columns // 2)
        times = [halved.product_cycles(*shape), unit.product_cycles(*shape)]
    elif isinstance(unit, TensorCores):
        fewer, forms = replace(unit, multiprocessors=unit.multiprocessors // 2), ("fp16", "fp16")
        times = [fewer.product_cycles(*shape, forms), unit.product_cycles(*shape, forms)]
    elif isinstance(unit, GatherEngine | Dma):
        narrower = replace(unit, bytes_per_cycle=unit.bytes_per_cycle // 2)
        times = [u.move_cycles(c) for u in (narrower, unit) for c in COUNTS]
    elif isinstance(unit, BinaryUnit):
        halved_grid, forms = (
            replace(unit, rows=unit.rows // 2, columns=unit.columns // 2),
            ("binary", "binary"),
        )
        times = [u.product_cycles(*shape, forms) for u in (halved_grid, unit)]
    elif isinstance(unit, TopKSelector):
        fewer_comparators, nodes = replace(unit, comparators=unit.comparators // 2), taken_by(unit)
        times = [u.node_cycles(node) for u in (fewer_comparators, unit) for node in nodes]
    elif isinstance(unit, Engine):
        fewer_lanes, nodes = replace(unit, lanes=unit.lanes // 2), taken_by(unit)
        times = [u.node_cycles(node) for u in (fewer_lanes, unit) for node in nodes]
    else:
        assert isinstance(unit, Launch)
        slower = replace(unit, seconds=2 * unit.seconds)
        times = [u.launch_cycles(3, 10**9) for u in (slower, unit)]
    half = len(times) // 2
    assert all(less >= more for less, more in zip(times[:half], times[half:], strict=True))


@pytest.mark.parametrize(("design", "unit"), UNITS, ids=IDS)
def test_a_refusal_is_a_sentence_that_names_the_unit(design: str, unit: Unit) -> None:
    spaces = [Space.elementwise((4,), {op: 1}) for op in SCALAR_OPS]
    for space in spaces:
        reason = unit.refusal("op", [space], ("fp4_e1m2", "fp4_e1m2"))
        assert reason is None or unit.name in reason
