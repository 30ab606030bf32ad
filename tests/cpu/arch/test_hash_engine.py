"""The hash and look-up engines' laws by hand, and what they refuse."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from siliform.arch.design import load_design
from siliform.arch.units.hash import HashEngine, hash_attention_cycles, hash_codes_cycles
from siliform.arch.units.lookup import LookupEngine, lookup_cycles
from siliform.graph_ir.graph import Builder, Node
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor

HASH = HashEngine(name="hasher", lanes=16, width=64, anchors=25, keys=1024)
TABLE = LookupEngine(name="table", lanes=32, width=512)


def node(op: str, *shapes: tuple[int, ...], numerics: str | None = "integer") -> Node:
    """An op of fp32 operands of these shapes."""
    b = Builder("one")
    values = [b.input(f"x{i}", tensor("fp32", *shape)) for i, shape in enumerate(shapes)]
    form = {} if numerics is None else {"numerics": numerics}
    return b.finish(b(OPS[op], *values, **form)).nodes[0]


def codes(*lead: int, d: int = 64, m: int = 25, bits: int = 16, numerics: str | None = "integer") -> Node:
    """hash_codes of 10 tokens [*lead, 10, d] with anchors for each of the last axis of lead."""
    sets = lead[-1:]
    shapes = ((*lead, 10, d), (*sets, m, d), sets, (*sets, m), (*sets, bits, m))
    return node("hash_codes", *shapes, numerics=numerics)


def attention(*lead: int, q: int = 7, n: int = 10, c: int = 64, bits: int = 16) -> Node:
    return node("hash_attention", (*lead, q, bits), (*lead, n, bits), (*lead, n, c))


def lookup(tokens: int, chunks: int, tau: int, width: int) -> Node:
    return node("hash_lookup", (tokens, chunks * tau), (chunks, 2**tau, width))


def test_a_code_meets_every_chunk_of_every_anchor() -> None:
    # One token, one anchor, one chunk: stored by edge 0, met by edge 1, and seven registers on.
    assert hash_codes_cycles(1, 1, 1, 1) == 1 + 7
    assert hash_codes_cycles(3, 10, 25, 4) == 3 * 11 * 100 + 6
    assert hash_codes_cycles(3, 0, 25, 4) == hash_codes_cycles(0, 10, 25, 4) == 0
    assert HASH.node_cycles(codes(2, 3)) == 3 * (1 + 20) * 25 * 4 + 6
    assert HASH.node_cycles(codes(d=17, m=3)) == 11 * 3 * 2 + 6
    assert HASH.row_elements(codes(2, 3)) == 16


def test_attention_takes_keys_and_then_queries() -> None:
    # A key by edge 0, a query by edge 1, sums behind it, and nine registers of division.
    assert hash_attention_cycles(1, 1, 1, 1) == 1 + 1 + 9
    assert hash_attention_cycles(6, 7, 10, 4) == 6 * 17 * 4 + 9
    assert hash_attention_cycles(6, 0, 10, 4) == hash_attention_cycles(0, 7, 10, 4) == 0
    assert HASH.node_cycles(attention(2, 3)) == 6 * 17 * 4 + 9
    assert HASH.row_elements(attention(2, 3)) == 7 * 64


def test_a_lookup_takes_its_curve_and_then_a_row_of_each_table() -> None:
    # The curve by edge 0, x by edge 1, its row by edge 3, out by edge 5.
    assert lookup_cycles(1, 1, 128, 128) == 5
    assert lookup_cycles(10, 64, 500, 32) == 4 + 10 * 64 * 16 + 3
    assert lookup_cycles(0, 64, 500, 32) == lookup_cycles(10, 64, 0, 32) == 0
    assert TABLE.node_cycles(lookup(10, 64, 8, 500)) == 4 + 10 * 64 * 16 + 3
    assert TABLE.row_elements(lookup(10, 64, 8, 500)) == 500


def test_laws_take_arrays_and_never_fall_with_more_work() -> None:
    counts = np.arange(0, 40)
    for law, sizes in (
        (hash_codes_cycles, (3, 10, 25, 4)),
        (hash_attention_cycles, (6, 7, 10, 4)),
        (lookup_cycles, (10, 64, 500)),
    ):
        for place in range(len(sizes)):
            mixed = [*sizes[:place], counts, *sizes[place + 1 :]]
            last = (32,) if law is lookup_cycles else ()
            found = law(*mixed, *last)
            one_by_one = [law(*[int(m[i]) if m is counts else m for m in mixed], *last) for i in range(40)]
            assert found.tolist() == one_by_one
            assert (np.diff(found) >= 0).all()
    lanes = lookup_cycles(10, 64, 500, counts[1:])
    assert (np.diff(lanes) <= 0).all()


@pytest.mark.parametrize(
    ("unit", "given", "reason"),
    [
        (HASH, codes(2, 3), None),
        (HASH, attention(2, 3), None),
        (HASH, attention(bits=8), None),
        (HASH, lookup(1, 2, 3, 4), "hasher does hash_codes and hash_attention, not hash_lookup"),
        (HASH, codes(numerics=None), "hasher does hash_codes in integer, not in floats"),
        (HASH, codes(bits=17), "hasher takes codes of up to 16, not 17"),
        (HASH, codes(m=26), "hasher takes sets of anchors of up to 25, not 26"),
        (HASH, codes(d=65), "hasher takes tokens of up to 64, not 65"),
        (HASH, attention(n=1025), "hasher takes groups of keys of up to 1024, not 1025"),
        (HASH, attention(c=65), "hasher takes rows of values of up to 64, not 65"),
        (TABLE, lookup(1, 2, 8, 4), None),
        (TABLE, attention(), "table does hash_lookup, not hash_attention"),
        (
            TABLE,
            node("hash_lookup", (1, 2), (2, 2, 3), numerics=None),
            "table does hash_lookup in integer, not in floats",
        ),
        (TABLE, lookup(1, 2, 9, 4), "table has addresses of 8 bits, not for tables of 512 rows"),
        (TABLE, lookup(1, 256, 1, 4), "table adds the rows of up to 255 tables, not of 256"),
        (TABLE, lookup(1, 2, 8, 513), "table holds sums of up to 512 elements, not of 513"),
    ],
    ids=str,
)
def test_refusals_say_why(unit: HashEngine | LookupEngine, given: Node, reason: str | None) -> None:
    assert unit.node_refusal(given) == reason


def test_area_grows_with_lanes_bits_and_what_is_held() -> None:
    technology = load_design("edge-32x32").technology

    def area(kind: type[HashEngine] | type[LookupEngine], **parameters: int) -> float:
        return kind(name="u", **parameters).area_um2(technology).number

    for kind, larger in (
        (HashEngine, ({"lanes": 16}, {"bits": 32}, {"anchors": 512}, {"width": 256}, {"keys": 2**20})),
        (LookupEngine, ({"lanes": 16}, {"chunk": 12}, {"width": 4096})),
    ):
        small = area(kind, lanes=8)
        assert all(small < area(kind, **{"lanes": 8, **more}) < 8 * small for more in larger)
    assert HASH.leakage_watts(technology).number > 0
    assert TABLE.leakage_watts(technology).number > 0


def test_a_requantiser_behind_attention_and_a_startup_are_added() -> None:
    """As integer-only graphs have it: hash_attention, Q.8, requantised."""
    inner = Builder("body")
    codes, v = inner.input("codes", tensor("int8", 2, 6, 16)), inner.input("v", tensor("int8", 2, 6, 20))
    scaling = (inner.input("m", tensor("int32")), inner.input("s", tensor("int8")))
    mixed = inner(OPS["hash_attention"], codes, codes, v, numerics="integer")
    fixed = inner(OPS["to_fixed"], mixed, fraction_bits=8, format="int32")
    body = inner.finish(inner(OPS["requantise"], fixed, *scaling))
    b = Builder("graph")
    operands = [b.input(value.name, value.type) for value in body.inputs]
    (around,) = b.finish(b(OPS["fused"], *operands, body=body)).nodes
    law = hash_attention_cycles(2, 6, 6, 20 // HASH.lanes + 1)
    assert HASH.node_refusal(around) is None
    assert HASH.node_cycles(around) == law + 4
    assert replace(HASH, startup_cycles=6).node_cycles(around) == law + 10
    assert HASH.row_elements(around) == 6 * 20
    narrow = replace(HASH, width=19)
    assert narrow.node_refusal(around) == "hasher takes rows of values of up to 19, not 20"
