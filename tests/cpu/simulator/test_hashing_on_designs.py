"""Hash attention and look-up layers on designs: by their engines' laws, and in simpler ops without them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import siliform as sf
from siliform.arch.units.hash import HashEngine, hash_attention_cycles, hash_codes_cycles
from siliform.arch.units.lookup import LookupEngine, lookup_cycles
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.interpret import interpret
from siliform.graph_ir.ops import op_named
from siliform.graph_ir.types import tensor

HEADS, TOKENS, WIDTH, ANCHORS, BITS = 3, 40, 32, 25, 16
ENGINES = (
    HashEngine(name="hasher", lanes=16, width=64),
    LookupEngine(name="tables", lanes=32, width=256),
)


def hash_attention_layer() -> Graph:
    """Codes of shared queries and keys, and attention by them."""
    b = Builder("hash attention")
    x, v = (b.input(name, tensor("fp32", HEADS, TOKENS, WIDTH)) for name in ("x", "v"))
    sizes = {"anchors": (ANCHORS, WIDTH), "rate": (), "means": (ANCHORS,), "weight": (BITS, ANCHORS)}
    given = (b.parameter(name, tensor("fp32", HEADS, *size)) for name, size in sizes.items())
    codes = b(op_named("hash_codes"), x, *given, numerics="integer")
    return b.finish(b(op_named("hash_attention"), codes, codes, v, numerics="integer"))


def lookup_layer(tokens: int = TOKENS) -> Graph:
    b = Builder("look-up")
    x, tables = b.input("x", tensor("fp32", tokens, 64)), b.parameter("tables", tensor("int8", 8, 256, 200))
    return b.finish(b(op_named("hash_lookup"), x, tables, numerics="integer"))


CODES_CYCLES = hash_codes_cycles(HEADS, TOKENS, ANCHORS, 2)
ATTENTION_CYCLES = hash_attention_cycles(HEADS, TOKENS, TOKENS, 2)
WANTED = [
    (
        hash_attention_layer(),
        {"hash_codes": ("hasher", CODES_CYCLES), "hash_attention": ("hasher", ATTENTION_CYCLES)},
    ),
    (lookup_layer(), {"hash_lookup": ("tables", lookup_cycles(TOKENS, 8, 200, 32))}),
]


@pytest.mark.parametrize(("graph", "wanted"), WANTED, ids=["attention", "lookup"])
def test_engines_take_their_ops_at_their_laws(graph: Graph, wanted: dict[str, tuple[str, int]]) -> None:
    chip = sf.accelerator("edge-32x32")
    report = sf.estimate(graph, replace(chip, units=(*chip.units, *ENGINES)), bits="traced")
    assert {p.op: (p.unit, p.compute_cycles) for p in report.parts} == wanted
    assert sf.simulate(graph, replace(chip, units=(*chip.units, *ENGINES)), bits="traced").cycles > 0


@pytest.mark.parametrize("graph", [hash_attention_layer(), lookup_layer()], ids=["attention", "lookup"])
def test_without_engines_nothing_is_free(graph: Graph) -> None:
    report = sf.estimate(graph, sf.accelerator("edge-32x32"), bits="traced")
    assert all(part.cycles > 0 for part in report.parts)
    assert not {part.unit for part in report.parts} & {"hasher", "tables"}


def test_what_follows_an_engine_is_done_as_its_results_leave() -> None:
    """Rounding and layout behind hash attention, bias and residual behind a look-up: no trip through DRAM."""
    on = sf.estimate(sf.trace("mixer:ecoformer", seq=256), sf.accelerator("ecoformer-edge"))
    (attention,) = (part for part in on.parts if part.op.startswith("hash_attention"))
    assert (attention.op, attention.unit) == ("hash_attention+contiguous+quantize", "hash+vector")
    assert attention.calibration.keys() == {"hash"}
    law = hash_attention_cycles(8, 256, 256, 2)
    lanes = 256 * 512 // 64  # a pass over all results on 64 lanes: scaled, rounded and cut to int8
    assert law + lanes < attention.compute_cycles < law + 4 * lanes
    looked = sf.estimate(sf.trace("memoryformer-tiny", seq=128), sf.accelerator("lut-edge"))
    assert [part.op for part in looked.parts if "hash_lookup" in part.op] == [
        "hash_lookup+cast+add", "hash_lookup+cast+add", "hash_lookup+cast+add+add",
    ]  # fmt: skip


@pytest.mark.parametrize(("kib", "table_bytes"), [(64, 400 * 8 * 200), (4096, 8 * 256 * 200)])
def test_rows_of_tables_that_do_not_fit_are_fetched_each_time(kib: int, table_bytes: int) -> None:
    """410 KB of tables, from which 400 tokens ask for 640 KB: once where they fit, else row by row."""
    chip = sf.accelerator("edge-32x32", **{"scratchpad.bytes": kib * 1024})
    report = sf.estimate(lookup_layer(400), replace(chip, units=(*chip.units, *ENGINES)), bits="traced")
    (part,) = report.parts
    beside = 4 * 400 * (64 + 200)  # x and the result in fp32
    assert part.dram_bytes == pytest.approx(table_bytes + beside, rel=0.01)
    assert part.scratchpad_bytes == pytest.approx(400 * 8 * 200 + beside + part.dram_bytes, rel=0.01)


def test_hash_attention_multiplies_nothing_but_a_sum_of_values() -> None:
    (_, attention) = hash_attention_layer().nodes
    counts: dict[str, int] = {}
    for space in attention.spaces:
        for scalar_op in space.body:
            counts[scalar_op] = counts.get(scalar_op, 0) + space.count(scalar_op)
    assert counts["mul"] == HEADS * WIDTH
    assert counts["add"] > HEADS * 2 * TOKENS * BITS * WIDTH
    assert attention.macs == 0


def test_a_look_up_touches_the_rows_that_it_asks_for_and_no_others() -> None:
    (node,) = lookup_layer().nodes
    fetch = node.spaces[0]
    assert fetch.reads[1].elements(fetch.extents) == TOKENS * 8 * 200
    rng = np.random.default_rng(0)
    x, tables = rng.standard_normal((TOKENS, 64)).astype(np.float32), rng.integers(-9, 9, (8, 256, 200))
    (before,) = interpret(lookup_layer(), x, data={"tables": tables})
    chosen = (x.reshape(TOKENS, 8, 8) >= -0.5 * np.abs(x).max() / 127) << np.arange(
        8
    )  # what rounds to 0 counts
    untouched = np.ones((8, 256), bool)
    untouched[np.arange(8), chosen.sum(-1)] = False
    (after,) = interpret(lookup_layer(), x, data={"tables": np.where(untouched[..., None], 99, tables)})
    np.testing.assert_array_equal(before, after)
    assert untouched.sum() > 1700
