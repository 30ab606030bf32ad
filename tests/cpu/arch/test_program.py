"""The compiled Program: closed forms agree with the tasks they stand for, and the text form round-trips."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from siliform.arch.program import Access, Block, Loop, Product, Program, Scalars

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
