"""Folding changes no number, and refuses where anything differs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import siliform as sf
from siliform.arch.accelerator import Accelerator
from siliform.arch.program import Program
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator.dram.bulk import PlainDram
from siliform.simulator.events.clock import Clock
from siliform.simulator.events.engine import Engine, Setting
from siliform.simulator.events.folding import breaks
from siliform.simulator.events.nest import Nest, Stream
from siliform.simulator.events.run import Run

PAIRS = (("bert-tiny", 128), ("gemm:512,512,2048,int8", None), ("gpt2", 64))


def without_counts_of_work(report: Any) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(report.to_json())
    events = told["simulation"].pop("events") + told["simulation"].pop("folded_events")
    return told | {"all events": events}


@pytest.mark.parametrize(("name", "seq"), PAIRS)
@pytest.mark.parametrize("overlap", [True, False])
def test_folded_and_unfolded_runs_are_identical(name: str, seq: int | None, overlap: bool) -> None:
    graph = sf.trace(name, seq=seq) if seq else sf.trace(name)
    design = sf.accelerator("edge-32x32", **{"scratchpad.bytes": 1 << 18})
    folded, whole = (sf.simulate(graph, design, overlap=overlap, fold=fold) for fold in (True, False))
    assert folded.simulation is not None
    assert folded.simulation.folded_events > 0.2 * folded.simulation.events
    assert whole.simulation is not None
    assert whole.simulation.folded_events == 0
    assert without_counts_of_work(folded) == without_counts_of_work(whole)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_folding_is_exact_on_random_graphs_and_designs(
    make_block: Callable[..., Graph], data: st.DataObject
) -> None:
    heads = data.draw(st.sampled_from([1, 2, 4]))
    graph = make_block(
        tokens=data.draw(st.integers(1, 300)), width=heads * data.draw(st.integers(1, 40)), heads=heads
    )
    chip = {
        "array.rows": data.draw(st.sampled_from([4, 16])),
        "scratchpad.bytes": data.draw(st.sampled_from([1 << 15, 1 << 18])),
        "scratchpad.word_bytes": data.draw(st.sampled_from([1, 8])),
        "scratchpad.double_buffered": data.draw(st.booleans()),
        "dram.bandwidth_bytes_per_second": data.draw(st.sampled_from([10**9, 33 * 10**9])),
        "dma.channels": data.draw(st.sampled_from([1, 2, 4])),
    }
    design = sf.accelerator("edge-32x32", **chip)
    overlap = data.draw(st.booleans())
    folded, whole = (sf.simulate(graph, design, overlap=overlap, fold=fold) for fold in (True, False))
    assert without_counts_of_work(folded) == without_counts_of_work(whole)


def test_with_banks_tiles_fold_and_change_nothing() -> None:
    graph = sf.trace("gemm:512,512,2048,int8")
    timing = {"dram.timing": "LPDDR4-3200", "dram.timing_channels": 4, "scratchpad.bytes": 1 << 17}
    design = sf.accelerator("edge-32x32", **timing)
    folded, whole = (sf.simulate(graph, design, dram="banks-spread", fold=fold) for fold in (True, False))
    assert folded.simulation is not None
    assert folded.simulation.dram_model == "LPDDR4-3200, refresh spread"
    assert folded.simulation.folded_events > 0.5 * folded.simulation.events
    assert folded.provenance["cycles"].relative_uncertainty == 0.02
    assert folded.simulation.dram_counts["row_misses"] > 0
    assert without_counts_of_work(folded) == without_counts_of_work(whole)
    assert folded.cycles > sf.simulate(graph, design, dram="bandwidth").cycles


def engine(program: Program, design: Accelerator, *, fold: bool) -> Engine:
    clock = Clock.of(design)
    return Engine(
        Setting(
            program, design, clock, PlainDram(clock.ticks_per_byte), merged=True, overlap=False, fold=fold
        )
    )


def test_one_layer_that_differs_ends_the_fold() -> None:
    """Of twelve layers all but a few are folded; one that takes a cycle longer is run by itself."""
    graph, design = sf.trace("bert-base", seq=32), sf.accelerator("edge-32x32")
    program = sf.compile(graph, design)
    alike = engine(program, design, fold=True)
    alike.run()
    middle = next(i for i in range(70, 80) if program.blocks[i].stages[0].unit == "array")
    block = program.blocks[middle]
    odd = dataclasses.replace(block, compute_cycles=block.compute_cycles + 10_000)
    blocks = (*program.blocks[:middle], odd, *program.blocks[middle + 1 :])
    changed = Program(program.design, program.graph, blocks)
    folded, whole = (engine(changed, design, fold=fold) for fold in (True, False))
    folded.run()
    whole.run()
    assert folded.lived == whole.lived
    assert whole.lived[middle].end_ticks - whole.lived[middle].start_ticks > (
        alike.lived[middle].end_ticks - alike.lived[middle].start_ticks
    )
    assert folded.events > alike.events  # what surrounds the odd block was run


def plain_nest(tiles: int) -> Nest:
    reads = (Stream((0,), [64] * tiles, True, 64 * tiles),)
    return Nest([100] * tiles, reads, None, (("array", 100 * tiles),), 100 * tiles, 64, 0, 64, 2)


def test_one_tile_that_differs_ends_the_stretch() -> None:
    assert breaks(plain_nest(100), 1).size == 0
    nest = plain_nest(100)
    nest.reads[0].sizes[40] = 65
    assert breaks(nest, 1).tolist() == [39, 40]
    assert breaks(nest, 7).tolist() == [33, 40]


def test_a_perturbed_tile_is_run_and_not_folded() -> None:
    graph, design = (
        sf.trace("gemm:1024,512,512,int8"),
        sf.accelerator("edge-32x32", **{"scratchpad.bytes": 1 << 15}),
    )
    program = sf.compile(graph, design)
    runs = []
    for fold, odd in ((True, False), (True, True), (False, True)):
        made = engine(program, design, fold=fold)
        nest = made._nest(0)
        if odd:
            nest.reads[0].sizes[nest.tiles // 2] += 6400
        made.run()
        runs.append(made)
    smooth, folded, whole = runs
    assert folded.lived == whole.lived
    assert folded.tally(None) == whole.tally(None)
    assert smooth.events < folded.events < whole.events


def test_a_refresh_in_phase_is_run_tile_by_tile_and_near_the_spread_one() -> None:
    """Refresh comes at its own pace: its phase recurs with no tile."""
    graph = sf.trace("gemm:256,512,2048,int8")
    timing = {"dram.timing": "LPDDR4-3200", "dram.timing_channels": 4, "scratchpad.bytes": 1 << 15}
    design = sf.accelerator("edge-32x32", **timing)
    phased, spread = (sf.simulate(graph, design, dram=dram) for dram in ("banks", "banks-spread"))
    assert phased.simulation is not None
    assert phased.simulation.folded_events == 0
    assert phased.simulation.dram_counts["refreshes"] > 0
    assert spread.cycles == pytest.approx(phased.cycles, rel=0.02)


def test_with_banks_a_reader_that_waits_does_not_hide_where_its_maker_writes() -> None:
    """Two nodes share a stream, one still writing it: what the state says of it is the writer's."""
    b = Builder("pair")
    x = b.input("x", tensor("int8", 512, 512))
    made = b(OPS["linear"], x, b.parameter("w", tensor("int8", 2048, 512)))
    graph = b.finish(b(OPS["softmax"], b(OPS["cast"], made, format="fp32"), axis=-1))
    timing = {"dram.timing": "LPDDR4-3200", "dram.timing_channels": 4}
    small = {"scratchpad.bytes": 1 << 17, "scratchpad.resident_percent": 0}
    design = sf.accelerator("edge-32x32", **timing, **small)
    folded, whole = (sf.simulate(graph, design, dram="banks-spread", fold=fold) for fold in (True, False))
    assert without_counts_of_work(folded) == without_counts_of_work(whole)


def test_a_result_that_is_read_far_ahead_ends_the_fold() -> None:
    """Layers look alike, but the result of one is read again at the end, as in a U-Net."""
    periods = []
    for skip in (False, True):
        b = Builder("skip")
        x = kept = b.input("x", tensor("fp32", 16, 64))
        for i in range(24):
            x = b(OPS["softmax"], b(OPS["add"], x, x), axis=-1)
            kept = x if i == 12 else kept
        graph = b.finish(b(OPS["add"], x, kept if skip else x))
        design = sf.accelerator("edge-32x32", **{"scratchpad.resident_percent": 50})
        made = engine(sf.compile(graph, design), design, fold=True)
        assert made._folding is not None
        length = next(n for n in (1, 2) if made._folding._alike(4, 4 + n, 3))
        periods.append(made._folding._repeats(3 + length, length))
        whole = engine(made.setting.program, design, fold=False)
        made.run()
        whole.run()
        assert made.lived == whole.lived
    assert 0 < periods[1] < periods[0]


def test_where_a_stream_is_says_who_moves_on_it() -> None:
    """An older node that reads the same array and still waits does not hide where a younger one is."""
    b = Builder("both")
    x = b.input("x", tensor("fp32", 256, 256))
    graph = b.finish(b(OPS["softmax"], x, axis=-1), b(OPS["gelu"], x))
    design = sf.accelerator("edge-32x32", **{"scratchpad.resident_percent": 0})
    program, clock = sf.compile(graph, design), Clock.of(design)
    made = Engine(Setting(program, design, clock, PlainDram(clock.ticks_per_byte), merged=False))
    waits, moves = (Run(made, i, program.blocks[i], made._nest(i)) for i in range(2))
    stream, address = waits.places[0]
    assert moves.places[0] == (stream, address)
    made._active[:] = [waits, moves]
    moves.started, moves.offsets[0] = True, 4096
    assert made._bases()[stream] == address + 4096
