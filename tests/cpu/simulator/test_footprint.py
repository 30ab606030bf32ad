"""The memory that a graph holds while it runs, against sums by hand."""

from __future__ import annotations

import siliform as sf
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.graph import Builder
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import TensorType
from siliform.simulator.footprint import footprint


def test_what_is_alive_at_once_by_hand():
    build = Builder("chain")
    x = build.input("x", TensorType((4, 8), format_named("fp32")))
    weight = build.parameter("w", TensorType((16, 8), format_named("fp32")))
    wide = build(op_named("linear"), x, weight, None)  # 4 x 16
    turned = build(op_named("permute"), wide, axes=(1, 0))  # a view: no room
    back = build(op_named("matmul"), turned, x)  # 16 x 8; x and wide are still alive
    found = footprint(build.finish(back))
    assert found.weight_bytes == 16 * 8 * 4
    assert found.alive_bytes == (4 * 8 + 4 * 16 + 16 * 8) * 4
    assert found.bytes == found.weight_bytes + found.alive_bytes


def test_a_cache_is_held_once():
    short = footprint(sf.trace("gpt2", phase="decode", context=8))
    long = footprint(sf.trace("gpt2", phase="decode", context=512))
    assert long.state_bytes == 64 * short.state_bytes
    # scores over the cache grow, the cache itself is no intermediate value
    assert long.alive_bytes - short.alive_bytes < long.state_bytes / 10


def test_a_result_stays_to_the_end_though_nobody_reads_it():
    build = Builder("two")
    x = build.input("x", TensorType((4, 8), format_named("fp32")))
    weight = build.parameter("w", TensorType((64, 8), format_named("fp32")))
    early = build(op_named("linear"), x, weight, None)  # 4 x 64, given back
    late = build(op_named("matmul"), build(op_named("permute"), x, axes=(1, 0)), x)  # 8 x 8, at the end
    found = footprint(build.finish(early, late))
    assert found.alive_bytes == (4 * 8 + 4 * 64 + 8 * 8) * 4
