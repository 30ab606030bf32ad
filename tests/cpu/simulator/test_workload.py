"""Residency, shared shapes, and what an item asks of its units."""

from __future__ import annotations

from collections.abc import Callable

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.passes import fuse
from siliform.graph_ir.types import tensor
from siliform.simulator.legalise import legalise
from siliform.simulator.work import work_of
from siliform.simulator.workload import workload


def chain(*widths: int) -> Graph:
    """x -> relu -> widen -> relu ..., values of the given widths between linears."""
    b = Builder("chain")
    value = b.input("x", tensor("fp32", 4, widths[0]))
    for i, width in enumerate(widths[1:]):
        value = b(OPS["linear"], value, b.parameter(f"w{i}", tensor("fp32", width, value.type.shape[-1])))
    return b.finish(value)


def test_a_threshold_is_the_peak_of_all_values_up_to_that_size() -> None:
    found = workload(chain(8, 2, 5, 3, 8))  # between: 4x2, 4x5 and 4x3 floats; only neighbours live together
    thresholds = {i.node.name: i.writes[0].threshold_bytes for i in found.items}
    small, large, middle, last = thresholds.values()
    assert (small, middle, large) == (32, 48, 128)  # 4x2x4; +4x3x4 never beside it; 4x5x4 beside 4x3x4
    assert last is None  # a graph output lives in DRAM
    assert found.resident_bytes(0) == 0
    assert found.resident_bytes(100) == 48
    assert found.resident_bytes(1000) == 128


def test_inputs_parameters_and_outputs_live_in_dram() -> None:
    first = workload(chain(8, 2, 8)).items[0]
    assert [r and r.threshold_bytes for r in first.reads] == [None, None, None]
    assert [r and r.shared for r in first.reads] == [False, True, None]


def test_a_view_is_an_alias_that_keeps_its_source_alive() -> None:
    b = Builder("views")
    x = b.input("x", tensor("fp32", 4, 4))
    kept = b(OPS["relu"], x)
    turned = b(OPS["permute"], kept, axes=[1, 0])
    middle = b(OPS["relu"], b(OPS["relu"], x))
    items = workload(b.finish(b(OPS["add"], middle, turned))).items
    assert [i.node.op.name for i in items] == ["relu", "relu", "relu", "add"]
    assert items[-1].reads[1] is not None
    assert items[-1].reads[1].home == kept.name
    assert items[-1].after == (middle.name, kept.name)
    assert items[0].writes[0].threshold_bytes == 3 * 64  # alive beside both others


def test_who_reads_a_cache_waits_for_the_append_to_it() -> None:
    b = Builder("cached")
    cache = b.state("cache", tensor("fp32", 8, 4))
    new = b(OPS["relu"], b.input("x", tensor("fp32", 1, 4)))
    grown = b(OPS["append"], cache, new, axis=0)
    items = workload(b.finish(b(OPS["relu"], grown))).items
    assert [i.node.op.name for i in items] == ["relu", "append", "relu"]
    assert items[1].makers == ("", items[0].node.name)  # nobody wrote the cache before
    assert items[2].makers == (items[1].node.name,)


def test_layers_of_the_same_shape_share_a_key(make_block: Callable[..., Graph]) -> None:
    found = workload(chain(8, 8, 8, 8, 8))
    keys = [i.key for i in found.items]
    assert keys[1] == keys[2]
    assert len(found.unique_items) == 3  # reads the input, between, writes the output


def test_an_append_moves_its_new_rows_only() -> None:
    b = Builder("cache")
    cache, new = b.state("k", tensor("fp16", 1, 2, 100, 8)), b.input("n", tensor("fp16", 1, 2, 1, 8))
    graph = b.finish(b(OPS["append"], cache, new, axis=2))
    work = work_of(workload(graph).items[0])
    assert [int(bits) for bits in work.read_bits] == [0, 2 * 8 * 16]
    assert [int(bits) for bits in work.write_bits] == [2 * 8 * 16]


def test_an_embedding_reads_the_rows_it_takes() -> None:
    b = Builder("lookup")
    table, ids = b.parameter("t", tensor("fp32", 30000, 16)), b.input("i", tensor("int64", 1, 5))
    work = work_of(workload(b.finish(b(OPS["embedding"], ids, table))).items[0])
    assert sorted(int(bits) for bits in work.read_bits) == [5 * 64, 5 * 16 * 32]


def test_a_fused_node_reads_its_outer_operands_and_nothing_between(make_block: Callable[..., Graph]) -> None:
    items = workload(fuse(make_block())).items
    ffn = next(i for i in items if "gelu" in str(i.node.attributes.get("body")))
    work = work_of(ffn)
    assert len(work.products) == 1
    assert sum(int(b) for b in work.read_bits) == 32 * (16 * 32 + 128 * 32 + 128)
    assert sum(int(b) for b in work.write_bits) == 32 * 16 * 128
    mixed = next(i for i in items if "attention" in str(i.node.attributes.get("body")))
    assert work_of(mixed).moved_bytes == 0  # the copy behind attention is its strided store


def test_an_op_that_no_unit_accepts_is_expanded_and_keeps_its_source(
    make_block: Callable[..., Graph],
) -> None:
    chip = sf.accelerator("edge-32x32")  # an int8 array: fp32 attention has no matrix unit
    before = make_block()
    after = legalise(before, chip)
    ops = {n.op.name for n in after.nodes}
    assert "attention" not in ops
    assert {"matmul", "softmax"} <= ops
    assert {n.source for n in after.nodes if n.op.name in ("matmul", "softmax")} == {"block.py:3"}
    assert after.macs == before.macs
    assert legalise(before, chip) is after  # made once
    wide = sf.accelerator("edge-32x32", **{"array.formats": ["fp32"]})
    assert legalise(before, wide) is before


def test_the_expansion_of_a_mapped_graph_still_computes_the_same(make_block: Callable[..., Graph]) -> None:
    import numpy as np

    from siliform.graph_ir.interpret import interpret, random_data
    from siliform.graph_ir.verify import verify

    before = make_block()
    after = legalise(before, sf.accelerator("edge-32x32"))
    verify(after)
    data = random_data(before, 0)
    x = np.random.default_rng(1).normal(size=(1, 16, 32)).astype(np.float32)
    np.testing.assert_allclose(
        interpret(after, x, data=data)[0], interpret(before, x, data=data)[0], rtol=1e-4, atol=1e-4
    )
