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


def lookup_layer() -> Graph:
    b = Builder("look-up")
    x, tables = b.input("x", tensor("fp32", TOKENS, 64)), b.parameter("tables", tensor("int8", 8, 256, 200))
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
