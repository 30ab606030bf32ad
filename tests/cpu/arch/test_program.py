"""The compiled Program: closed forms agree with the tasks they stand for, and the text form round-trips."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.arch.program import Access, Block, Loop, Mask, Product, Program, Scalars
from siliform.graph_ir.ops.attention import Pattern

MAC = Product("array", 1, "m", "n", "k", ("int8", "int8"), 1)


@st.composite
def product_blocks(draw: st.DrawFn) -> Block:
    extents = {dim: draw(st.integers(1, 9)) for dim in "mnk"}
    order = draw(st.permutations("mnk"))
    loops = tuple(Loop(dim, extents[dim], draw(st.integers(1, extents[dim]))) for dim in order)
    accesses = (
        Access("a", "read", "dram", ("m", "k"), Fraction(draw(st.integers(1, 40)), draw(st.integers(1, 5)))),
        Access("b", "read", "dram", ("k", "n"), Fraction(4)),
        Access("bias", "read", "dram", ("n",), Fraction(32)),
        Access("c", "write", "dram", ("m", "n"), Fraction(8), spill_bits=32),
    )
    return Block("x", "linear", "", "", loops, accesses, (MAC,), buffers=draw(st.integers(1, 2)))


@given(product_blocks())
def test_the_bytes_of_the_tasks_are_the_closed_form(block: Block) -> None:
    tasks = list(Program("d", "g", (block,)).tasks())
    for access in block.accesses:
        moved = sum(task.bytes for task in tasks if task.value == access.value)
        assert moved == access.total_bytes(block.loops)


@given(product_blocks())
def test_every_tile_is_computed_once_and_waits_for_what_it_needs(block: Block) -> None:
    tasks = list(Program("d", "g", (block,)).tasks())
    computed = [task.tile for task in tasks if task.kind == "compute"]
    assert len(computed) == block.tiles == len(set(computed))
    points = sum(m * n * k for tile in computed for m, n, k in [tuple(size for _, _, size in sorted(tile))])
    extents = {loop.dim: loop.extent for loop in block.loops}
    assert points == extents["m"] * extents["n"] * extents["k"]
    assert all(before < task.index for task in tasks for before in task.after)
    stores = [task for task in tasks if task.kind == "store"]
    assert all(tasks[task.after[0]].kind == "compute" for task in stores)


def test_a_load_waits_for_the_compute_that_used_its_buffer() -> None:
    loops = (Loop("m", 4, 1),)
    accesses = (Access("a", "read", "dram", ("m",), Fraction(8)),)
    block = Block(
        "x", "relu", "", "", loops, accesses, (Scalars("vector", {"compare": 4}, "fp32"),), buffers=2
    )
    seen = [(t.kind, t.after) for t in Program("d", "g", (block,)).tasks()]
    assert seen == [
        ("load", ()),
        ("compute", (0,)),
        ("load", ()),
        ("compute", (1, 2)),
        ("load", (1,)),
        ("compute", (3, 4)),
        ("load", (3,)),
        ("compute", (5, 6)),
    ]


def test_a_block_starts_after_the_blocks_it_reads() -> None:
    first = Block("a", "relu", "", "", (Loop("i", 2, 2),), (), (MAC,))
    second = Block("b", "relu", "", "", (Loop("i", 2, 1),), (), (MAC,), after=("a",))
    tasks = list(Program("d", "g", (first, second)).tasks())
    assert tasks[1].after == (0,)


@given(product_blocks())
def test_the_written_form_round_trips(block: Block) -> None:
    program = Program("edge", "graph", (block,))
    assert Program.from_json(program.to_json()) == program


def test_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match="expected siliform-program version 2, found siliform-program 1"):
        Program.from_json('{"format": "siliform-program", "version": 1}')


def test_an_order_that_breaks_dependences_is_refused() -> None:
    late = Block("a", "relu", "", "", (Loop("i", 1, 1),), (), (MAC,), after=("b",))
    with pytest.raises(ValueError, match="comes before what it waits for"):
        Program("d", "g", (late,))


def test_a_tile_larger_than_its_extent_is_refused() -> None:
    with pytest.raises(ValueError, match="a tile of 5 does not fit an extent of 4"):
        Loop("m", 4, 5)


@st.composite
def masked_blocks(draw: st.DrawFn) -> Block:
    keys, heads = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    queries = draw(st.integers(1, keys))
    name = draw(st.sampled_from(["causal", "window", "block"]))
    window = draw(st.integers(1, 5)) if name == "window" else draw(st.sampled_from([0, 3]))
    pattern = Pattern(name, window, draw(st.integers(1, 4)), 0.4, queries, keys)
    rows = queries * heads
    loops = (
        Loop("group", draw(st.integers(1, 2)), 1),
        Loop("row", rows, draw(st.integers(1, rows))),
        Loop("key", keys, draw(st.integers(1, keys))),
    )
    accesses = (
        Access("q", "read", "dram", ("group", "row"), Fraction(8)),
        Access("k", "read", "dram", ("group", "key"), Fraction(draw(st.integers(1, 40)), 3)),
        Access("o", "write", "dram", ("group", "row"), Fraction(8)),
    )
    return Block("x", "attention", "", "", loops, accesses, (MAC,), mask=Mask("row", "key", heads, pattern))


@given(masked_blocks())
def test_a_mask_leaves_the_pairs_in_which_some_query_sees_some_key(block: Block) -> None:
    assert block.mask is not None
    rows, keys, heads = block.loop("row"), block.loop("key"), block.mask.heads
    allowed = block.mask.pattern.allowed()
    assert allowed is not None
    seen = {
        (row, key)
        for row in range(rows.count)
        for key in range(keys.count)
        if any(
            allowed[r // heads, k]
            for r in range(row * rows.tile, row * rows.tile + rows.size(row))
            for k in range(key * keys.tile, key * keys.tile + keys.size(key))
        )
    }
    pairs = block.mask.pairs(rows, keys)
    assert len(pairs) == len(set(pairs))
    assert seen <= set(pairs)  # between two queries' ranges a tile may lie that only the span covers
    assert block.mask.pattern.name != "causal" or seen == set(pairs) or block.mask.pattern.window
    assert block.tiles == block.loop("group").count * len(pairs)


@given(masked_blocks())
def test_what_a_mask_indexes_is_fetched_with_every_pair(block: Block) -> None:
    tasks = list(Program("d", "g", (block,)).tasks())
    assert sum(task.kind == "compute" for task in tasks) == block.tiles
    assert sum(task.value == "k" for task in tasks) == block.tiles
    for access in block.accesses:
        assert sum(t.bytes for t in tasks if t.value == access.value) == block.access_bytes(access)
    keys = {key: size for task in tasks for dim, key, size in task.tile if dim == "key"}
    for task in tasks:
        if task.value == "k":
            (start,) = [first for dim, first, _ in task.tile if dim == "key"]
            exact = block.accesses[1].bits * keys[start] / 8
            assert abs(task.bytes - exact) <= 1  # its own bytes, rounded with the running total


@given(masked_blocks())
def test_a_mask_is_written_and_read(block: Block) -> None:
    program = Program("d", "g", (block,))
    assert Program.from_json(program.to_json()) == program
