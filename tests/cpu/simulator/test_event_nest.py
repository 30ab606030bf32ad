"""Unrolled blocks: the same bytes and times as the closed forms, tile by tile as the Program's tasks."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

import siliform as sf
from siliform.arch.program import Access, Block, Loop, Product, Program
from siliform.arch.units.array import tiled_array_cycles
from siliform.simulator.events.clock import Clock
from siliform.simulator.events.nest import nest_of

EDGE = sf.accelerator("edge-32x32")
SMALL = sf.accelerator("edge-32x32", **{"array.rows": 3, "array.columns": 2})


@st.composite
def blocks(draw: st.DrawFn) -> Block:
    extents = {dim: draw(st.integers(1, 9)) for dim in "mnk"}
    order = draw(st.permutations("mnk"))
    loops = tuple(Loop(dim, extents[dim], draw(st.integers(1, extents[dim]))) for dim in order)
    accesses = (
        Access("a", "read", "dram", ("m", "k"), Fraction(8), maker=draw(st.sampled_from(["", "before"]))),
        Access("b", "read", "dram", ("k", "n"), Fraction(16)),
        Access("near", "read", "scratchpad", ("m", "n"), Fraction(8)),
        Access("c", "write", "dram", ("m", "n"), Fraction(8), spill_bits=32),
    )
    stage = Product("array", 1, "m", "n", "k", ("int8", "int8"), 1)
    cycles = draw(st.integers(1, 10**6))
    return Block("x", "linear", "", "", loops, accesses, (stage,), buffers=2, compute_cycles=cycles)


@given(blocks())
def test_transfers_are_those_of_the_tasks(block: Block) -> None:
    nest = nest_of(block, SMALL, Clock.of(SMALL), merged=False)
    tiles = [task.tile for task in Program("d", "g", (block,)).tasks() if task.kind == "compute"]
    read = [{"a": 0, "b": 0, "c": 0} for _ in tiles]
    written = [0] * len(tiles)
    place = 0
    for task in Program("d", "g", (block,)).tasks():
        if task.kind == "load":
            read[place][task.value] += task.bytes
        elif task.kind == "compute":
            place += 1
        else:
            written[place - 1] += task.bytes
    streams = {s.name(block): s.sizes for s in nest.reads}
    for value, sizes in streams.items():
        assert sizes == [row[value] for row in read]
    assert nest.writes is not None
    assert nest.writes.sizes == written


@given(blocks())
def test_bytes_and_ticks_sum_to_the_closed_forms(block: Block) -> None:
    clock = Clock.of(SMALL)
    nest = nest_of(block, SMALL, clock, merged=True)
    moved = sum(sum(stream.sizes) for stream in nest.reads) + sum(nest.writes.sizes if nest.writes else [])
    assert moved == block.bytes_through("dram")
    assert sum(nest.compute_ticks) == block.compute_cycles * clock.ticks_per_cycle
    assert len(nest.reads) <= 2  # what was there before, and what blocks made
    assert min(nest.compute_ticks) >= 0


@given(blocks(), st.sampled_from(["weight-stationary", "output-stationary", "input-stationary"]))
def test_the_array_is_busy_for_the_passes_of_its_law(block: Block, dataflow: str) -> None:
    chip = sf.accelerator(
        "edge-32x32",
        **{"array.rows": 3, "array.columns": 2, "array.dataflow": dataflow, "array.overlap": "none"},
    )
    extents = {loop.dim: loop.extent for loop in block.loops}
    tiles = {loop.dim: loop.tile for loop in block.loops}
    law = tiled_array_cycles(
        *(extents[d] for d in "mnk"), *(tiles[d] for d in "mnk"), 3, 2, dataflow=dataflow, overlap="none"
    )
    lasting = Block(
        "x", "linear", "", "", block.loops, block.accesses, block.stages, buffers=2, compute_cycles=int(law)
    )
    clock = Clock.of(chip)
    nest = nest_of(lasting, chip, clock, merged=True)
    assert nest.shares == (("array", law * clock.ticks_per_cycle),)


def test_a_stream_moves_in_transfers_that_outlast_the_startup() -> None:
    graph = sf.trace("bert-tiny", seq=128)
    design = sf.accelerator("server-128x128", **{"scratchpad.resident_percent": 0})
    clock = Clock.of(design)
    program = sf.compile(graph, design)
    norm = next(block for block in program.blocks if block.op == "layer_norm")
    nest = nest_of(norm, design, clock, merged=True)
    dma = design.unit("dma")
    startup_bytes = dma.startup_cycles * design.dram_bytes_per_cycle  # type: ignore[attr-defined]
    moved = [sum(sizes) for sizes in zip(*(s.sizes for s in nest.reads), strict=True)]
    assert nest.tiles < norm.tiles
    assert max(moved) >= startup_bytes or nest.tiles == nest.buffers
    assert nest.lead_bytes < max(moved)  # work starts on the first tile of a transfer
    assert sum(moved) + sum(nest.writes.sizes if nest.writes else []) == norm.bytes_through("dram")


def test_ticks_make_cycles_and_bytes_whole() -> None:
    for name in ("edge-32x32", "server-128x128", "nvidia-a100", "edge-16x16-gemmini"):
        design = sf.accelerator(name)
        clock = Clock.of(design)
        assert Fraction(clock.ticks_per_cycle, clock.ticks_per_byte) == design.dram_bytes_per_cycle
        assert clock.ticks_per_cycle >= 64
    assert Clock(128, 5).cycles(128) == 1
    assert Clock(128, 5).cycles(129) == 2


def test_a_causal_attention_is_unrolled_pair_by_pair() -> None:
    graph = sf.trace("gpt2", seq=256)
    design = sf.accelerator(
        "edge-32x32",
        **{"scratchpad.bytes": 1 << 16, "scratchpad.resident_percent": 0, "accumulator.bytes": 1 << 14},
    )
    block = next(b for b in sf.compile(graph, design).blocks if b.mask is not None)
    assert block.mask is not None
    nest = nest_of(block, design, Clock.of(design), merged=False)
    rows, keys = block.loop("row"), block.loop("key")
    pairs = block.mask.pairs(rows, keys)
    assert nest.tiles == block.tiles == block.loop("group").count * len(pairs)
    assert len(pairs) < rows.count * keys.count
    whole = rows.size(0) * keys.size(0)
    for place, (row, key) in enumerate(pairs[:-1]):
        share = rows.size(row) * keys.size(key) / whole
        assert nest.compute_ticks[place] <= nest.compute_ticks[0] * max(share, 1) * 1.5
    moved = sum(sum(s.sizes) for s in nest.reads) + sum(nest.writes.sizes if nest.writes else [])
    assert moved == block.bytes_through("dram")


def test_a_stream_takes_a_quarter_of_what_results_on_chip_leave() -> None:
    design = sf.accelerator("server-128x128", **{"scratchpad.resident_percent": 0})
    program = sf.compile(sf.trace("bert-tiny", seq=128), design)
    norm = next(block for block in program.blocks if block.op == "layer_norm")
    clock, moved = Clock.of(design), []
    for room in (design.scratchpad.bytes, 1 << 18):
        nest = nest_of(norm, design, clock, merged=True, room_bytes=room)
        assert nest.tiles < norm.tiles
        assert nest.buffers * nest.buffer_bytes <= room // 4
        moved.append(nest.buffer_bytes)
    assert moved[0] > moved[1]


def test_a_tile_takes_room_for_what_the_mapper_counts() -> None:
    """Not for what stays on chip, gathers in accumulators, or streams by behind the product."""
    loops = (Loop("m", 64, 32), Loop("n", 64, 16), Loop("k", 64, 8))
    accesses = (
        Access("a", "read", "dram", ("m", "k"), Fraction(8 * 512 + 1, 512)),
        Access("b", "read", "dram", ("k", "n"), Fraction(16)),
        Access("near", "read", "scratchpad", ("m", "k"), Fraction(8)),
        Access("beside", "read", "dram", ("m", "n"), Fraction(32)),
        Access("c", "write", "dram", ("m", "n"), Fraction(8), spill_bits=32),
    )
    stage = Product("array", 1, "m", "n", "k", ("int8", "int8"), 1)
    block = Block("x", "linear", "", "", loops, accesses, (stage,), buffers=2, compute_cycles=1000)
    clock = Clock.of(EDGE)
    assert nest_of(block, EDGE, clock, merged=True).buffer_bytes == 32 * 8 + 8 * 16 * 2
    bare = sf.accelerator("acceltran-edge")
    assert bare.accumulator is None
    assert nest_of(block, bare, Clock.of(bare), merged=True).buffer_bytes == 32 * 8 + 8 * 16 * 2 + 32 * 16 * 4
