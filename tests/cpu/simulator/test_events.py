"""The event simulator against what it must equal, and what it can never beat."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import siliform as sf
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator.dram.bulk import PlainDram
from siliform.simulator.events.clock import Clock
from siliform.simulator.events.engine import Engine, Lived, Setting
from siliform.simulator.events.nest import nest_of
from siliform.simulator.events.run import Run
from siliform.simulator.events.simulate import _part, simulate
from siliform.simulator.simulation import CAUSES

SCHEMA = json.loads((Path(__file__).parents[3] / "simulator/report.schema.json").read_text())
DESIGNS = ("edge-32x32", "edge-16x16-gemmini", "server-128x128", "acceltran-edge", "nvidia-a100")
#: Bytes come in no time: 10**9 a cycle, no startup, and banks that no unit outruns.
UNLIMITED = {"clock_hz": 10**6, "dram.bandwidth_bytes_per_second": 10**15, "scratchpad.word_bytes": 4096}
WIDE = {"scratchpad.bytes": 1 << 22, "scratchpad.banks": 1024}


def unlimited(design: str, **more: Any) -> dict[str, Any]:
    dma = {} if design.startswith("nvidia") else {"dma.startup_cycles": 0, "dma.bytes_per_cycle": 1 << 24}
    return {**UNLIMITED, **dma, **more}


def draw_block(data: st.DataObject, make_block: Callable[..., Graph]) -> Graph:
    heads = data.draw(st.sampled_from([1, 2, 3]), "heads")
    width = heads * data.draw(st.integers(1, 20), "head width")
    pattern = data.draw(st.sampled_from(["full", "causal"]), "pattern")
    return make_block(
        tokens=data.draw(st.integers(1, 70), "tokens"), width=width, heads=heads, pattern=pattern
    )


def draw_chip(data: st.DataObject) -> dict[str, Any]:
    chip: dict[str, Any] = {
        "array.rows": data.draw(st.sampled_from([3, 8, 16]), "rows"),
        "array.columns": data.draw(st.sampled_from([4, 8, 32]), "columns"),
        "array.dataflow": data.draw(
            st.sampled_from(["weight-stationary", "output-stationary", "input-stationary"]), "dataflow"
        ),
        "array.overlap": data.draw(st.sampled_from(["none", "double-buffered", "bound"]), "overlap"),
        "scratchpad.bytes": data.draw(st.sampled_from([1 << 17, 1 << 20]), "scratchpad"),
        "scratchpad.double_buffered": data.draw(st.booleans(), "double buffers"),
    }
    return chip


RANDOM = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@RANDOM
@given(st.data())
def test_with_unlimited_bandwidth_every_node_takes_its_law(
    make_block: Callable[..., Graph], data: st.DataObject
) -> None:
    graph = draw_block(data, make_block)
    design = sf.accelerator("edge-32x32", **unlimited("edge-32x32", **draw_chip(data)))
    law = {part.name: part.cycles for part in sf.estimate(graph, design).parts}
    events = {part.name: part.cycles for part in sf.simulate(graph, design, overlap=False).parts}
    assert events == law


@pytest.mark.parametrize("name", DESIGNS)
@pytest.mark.parametrize("bits", ["int8", "fp16"])
def test_with_unlimited_bandwidth_every_design_takes_its_law(
    make_block: Callable[..., Graph], name: str, bits: str
) -> None:
    graph, design = make_block(tokens=48, width=96), sf.accelerator(name, **unlimited(name, **WIDE))
    law = {part.name: part.cycles for part in sf.estimate(graph, design, bits=bits).parts}
    found = sf.simulate(graph, design, bits=bits, overlap=False)
    assert {part.name: part.cycles for part in found.parts} == law
    assert found.simulation is not None
    assert found.simulation.overlapped_cycles == 0


@RANDOM
@given(st.data())
def test_no_schedule_beats_the_speed_of_light(make_block: Callable[..., Graph], data: st.DataObject) -> None:
    graph = draw_block(data, make_block)
    bandwidth = data.draw(st.sampled_from([10**8, 10**9, 10**11]), "bandwidth")
    chip = {**draw_chip(data), "dram.bandwidth_bytes_per_second": bandwidth}
    design = sf.accelerator("edge-32x32", **chip)
    bound = sf.estimate(graph, design, law="bound")
    beside = sf.simulate(graph, design)
    after = sf.simulate(graph, design, overlap=False)
    assert beside.cycles >= bound.cycles
    assert after.cycles >= bound.cycles
    # What must be moved and computed by this mapping bounds it too, whoever waits for whom.
    assert beside.cycles >= math.floor(beside.dram_bytes / beside.dram_bytes_per_cycle)
    assert beside.simulation is not None
    assert all(use.busy_share <= 1 + 1e-9 for use in beside.simulation.resources)


@RANDOM
@given(st.data())
def test_bytes_energy_and_parts_add_up_beside_each_other_too(
    make_block: Callable[..., Graph], data: st.DataObject
) -> None:
    graph = draw_block(data, make_block)
    design = sf.accelerator("edge-32x32", **draw_chip(data))
    law, found = sf.estimate(graph, design), sf.simulate(graph, design)
    told = json.loads(found.to_json())
    jsonschema.validate(told, SCHEMA)
    counts = told["simulation"]["dram_counts"]
    assert counts["read_bytes"] + counts["written_bytes"] == found.dram_bytes == law.dram_bytes
    assert told["cycles"] == sum(part["cycles"] for part in told["parts"])
    assert told["energy_j"] == math.fsum(part["energy_j"] for part in told["parts"])
    for part in told["parts"]:
        if part["name"] != "overlap":
            assert sum(part["stalls_cycles"].values()) <= part["cycles"]
    leak = [p["energy_by_cause_j"]["static"] for p in told["parts"]]
    expected = law.parts[0].energy_by_cause_j or {}
    assert math.fsum(leak) == pytest.approx(expected["static"] / law.parts[0].cycles * found.cycles)
    assert set(told["simulation"]["stalls_cycles"]) == {
        "dependent",
        "dram",
        "operand",
        "unit",
        "bank",
        "drain",
        "launch",
    }


def test_a_node_that_waits_for_dram_alone_takes_the_time_of_its_bytes() -> None:
    """As the bandwidth falls, the simulation closes in on bytes over bandwidth."""
    b = Builder("gemm")
    x = b.input("x", tensor("int8", 512, 768))
    graph = b.finish(b(OPS["linear"], x, b.parameter("w", tensor("int8", 768, 768))))
    shares = []
    for bandwidth in (10**10, 10**9, 10**8, 10**7):
        design = sf.accelerator("edge-32x32", **{"dram.bandwidth_bytes_per_second": bandwidth})
        report = sf.simulate(graph, design)
        shares.append(report.cycles / (report.dram_bytes / report.dram_bytes_per_cycle))
    assert shares == sorted(shares, reverse=True)
    assert 1 <= shares[-1] < 1.001


def test_a_saturated_array_takes_its_law_and_a_fill() -> None:
    graph = sf.trace("gemm:512,768,768,int8")
    design = sf.accelerator("edge-32x32", **{"dram.bandwidth_bytes_per_second": 5 * 10**10})
    report = sf.simulate(graph, design)
    part = report.parts[0]
    startup = 2 * 100  # of the DMA: the first load and the last store
    assert part.compute_cycles < report.cycles <= part.compute_cycles + startup + 100
    assert report.simulation is not None
    use = next(u for u in report.simulation.resources if u.name == "array")
    assert use.busy_cycles == pytest.approx(part.compute_cycles, rel=1e-3)  # but for filling and emptying


def test_independent_nodes_run_side_by_side() -> None:
    """Two branches on different units take as long as the longer one; the overlap says what was saved."""
    b = Builder("branches")
    x = b.input("x", tensor("int8", 256, 256))
    product = b(OPS["linear"], x, b.parameter("w", tensor("int8", 256, 256)))
    y = b.input("y", tensor("fp32", 16, 256))
    for _ in range(4):
        y = b(OPS["softmax"], y, axis=-1)
    graph = b.finish(product, y)
    design = sf.accelerator("edge-32x32", **{"dram.bandwidth_bytes_per_second": 10**12})
    after, beside = (sf.simulate(graph, design, overlap=o) for o in (False, True))
    longest = max(part.cycles for part in after.parts)
    assert beside.cycles < after.cycles
    assert beside.cycles <= max(longest, after.cycles - longest) * 1.1
    assert beside.parts[-1].name == "overlap"
    assert beside.parts[-1].cycles == beside.cycles - sum(p.cycles for p in beside.parts[:-1]) < 0


def test_weights_come_while_the_node_before_is_still_at_work() -> None:
    b = Builder("chain")
    x = b.input("x", tensor("int8", 64, 512))
    for i in range(3):
        x = b(OPS["linear"], x, b.parameter(f"w{i}", tensor("int8", 512, 512)))
        x = b(OPS["cast"], x, format="int8")
    graph = b.finish(x)
    design = sf.accelerator("edge-32x32", **{"scratchpad.bytes": 1 << 22})
    after, beside = (sf.simulate(graph, design, overlap=o) for o in (False, True))
    assert beside.cycles < after.cycles
    for part in beside.parts[1:3]:
        assert part.stalls_cycles is not None
        assert part.stalls_cycles["operand"] <= 50  # its weights were there already


def test_too_few_banks_are_told_as_stalls() -> None:
    graph = sf.trace("gemm:256,256,256,int8")
    narrow = {"scratchpad.banks": 1, "scratchpad.word_bytes": 8}
    design = sf.accelerator("edge-32x32", **narrow)
    report = sf.simulate(graph, design)
    assert report.simulation is not None
    assert report.simulation.stalls_cycles["bank"] > 0.5 * report.cycles
    unit_bytes = sf.compile(graph, design).blocks[0].unit_bytes
    assert report.cycles >= unit_bytes / 8  # one bank gives 8 bytes a cycle


def test_two_runs_are_alike_in_every_event(make_block: Callable[..., Graph]) -> None:
    graph, design = make_block(tokens=33), sf.accelerator("edge-32x32")
    first, second = (simulate(graph, design, record=10**6) for _ in range(2))
    assert first.recording is not None
    assert second.recording is not None
    assert first.recording.moved == second.recording.moved
    assert len(first.recording.moved) >= 10
    assert first.report.to_json() == second.report.to_json()


def test_progress_counts_every_node(make_block: Callable[..., Graph]) -> None:
    seen: list[tuple[int, int]] = []
    graph, design = make_block(), sf.accelerator("edge-32x32")
    simulate(graph, design, fold=False, told=lambda done, of: seen.append((done, of)))
    assert [done for done, _ in seen] == list(range(1, len(seen) + 1))
    assert {of for _, of in seen} == {len(seen)}


def test_stopped_half_way_the_report_is_of_what_is_done(make_block: Callable[..., Graph]) -> None:
    def stop(done: int, of: int) -> None:
        if done == 4:
            raise KeyboardInterrupt

    graph, design = make_block(), sf.accelerator("edge-32x32")
    report = simulate(graph, design, fold=False, overlap=False, told=stop).report
    assert report.simulation is not None
    assert report.simulation.partial
    assert report.simulation.blocks_done == 4 == len(report.parts)
    jsonschema.validate(json.loads(report.to_json()), SCHEMA)


def test_banks_need_a_part(make_block: Callable[..., Graph]) -> None:
    with pytest.raises(UserError) as caught:
        sf.simulate(make_block(), sf.accelerator("edge-32x32"), dram="banks")
    assert caught.value.asked == "--dram banks"
    assert "names no timing of its DRAM" in caught.value.found
    with pytest.raises(UserError, match="no such model of DRAM"):
        sf.simulate(make_block(), sf.accelerator("edge-32x32"), dram="fast")


def test_transfers_that_hide_behind_work_bind_all_the_same() -> None:
    """A vector by a matrix: DRAM is busy throughout, and twice the bandwidth makes it faster."""
    graph = sf.trace("gemm:1,4096,4096,int8")
    report = sf.simulate(graph, sf.accelerator("edge-32x32"))
    assert report.bottleneck == "memory" == report.parts[0].bottleneck
    twice = sf.accelerator("edge-32x32", **{"dram.bandwidth_bytes_per_second": 2 * 25_600_000_000})
    assert sf.simulate(graph, twice).cycles < 0.9 * report.cycles


def test_a_single_tile_does_not_end_before_its_last_bytes_came() -> None:
    design = sf.accelerator("edge-32x32", **{"dram.bandwidth_bytes_per_second": 10**9})
    report = sf.simulate(sf.trace("gemm:1,256,256,int8"), design)
    assert sf.compile(sf.trace("gemm:1,256,256,int8"), design).blocks[0].tiles == 1
    assert report.cycles >= report.dram_bytes / report.dram_bytes_per_cycle
    assert report.parts[0].stalls_cycles is not None
    assert report.parts[0].stalls_cycles["operand"] > report.parts[0].compute_cycles


def test_what_runs_beside_each_other_has_no_vote_in_the_bottleneck() -> None:
    report = sf.simulate(sf.trace("bert-tiny", seq=32), sf.accelerator("edge-32x32"))
    node, overlap = report.parts[0], report.parts[-1]
    assert overlap.name == "overlap"
    small = dataclasses.replace(node, bottleneck="compute", cycles=10)
    large = dataclasses.replace(node, bottleneck="memory", cycles=11)
    less = dataclasses.replace(overlap, bottleneck="memory", cycles=-5)
    assert dataclasses.replace(report, parts=(small, large, less)).bottleneck == "memory"


def chain(layers: int, tokens: int, width: int) -> Graph:
    b = Builder("chain")
    x = b.input("x", tensor("int8", tokens, width))
    for i in range(layers):
        x = b(OPS["linear"], x, b.parameter(f"w{i}", tensor("int8", width, width)))
        x = b(OPS["cast"], x, format="int8")
    return b.finish(x)


def test_layers_of_one_shape_move_their_own_weights() -> None:
    design = sf.accelerator("edge-32x32")
    recording = simulate(chain(3, 64, 128), design, record=1000).recording
    assert recording is not None
    read = [moved.stream for moved in recording.moved if not moved.write]
    for i in range(3):
        assert any(f"w{i}" in stream.split("+") for stream in read), read


def test_every_array_has_a_place_of_its_own_in_dram() -> None:
    design = sf.accelerator("edge-32x32")
    clock = Clock.of(design)
    program = sf.compile(chain(3, 64, 128), design)
    dram = PlainDram(clock.ticks_per_byte)
    engine = Engine(Setting(program, design, clock, dram, merged=False, overlap=False, fold=False))
    engine.run()
    moved = {a.value for block in program.blocks for a in block.accesses if a.memory == "dram"}
    places = {value: engine._places[value] for value in moved}
    assert len({address for _, address in places.values()}) == len(moved) >= 5


def test_only_the_next_block_is_fetched_ahead() -> None:
    """What later blocks need does not stand in the way of the results of this one."""
    design = sf.accelerator("edge-32x32")
    recording = simulate(chain(6, 64, 128), design, record=1000).recording
    assert recording is not None
    begins = {moved.block: moved.asked for moved in reversed(recording.moved) if not moved.write}
    ends = {worked.block: worked.end for worked in recording.worked}
    assert all(begins[block] >= ends[block - 2] for block in range(2, 6))


def test_work_starts_when_every_operand_flows_and_what_was_fetched_ahead_lets_none_overtake() -> None:
    design = sf.accelerator("edge-32x32", **{"dram.bandwidth_bytes_per_second": 10**9})
    clock = Clock.of(design)
    recording = simulate(chain(4, 64, 256), design, record=10_000).recording
    assert recording is not None
    first = {worked.block: worked for worked in recording.worked if worked.tile == 0}
    ahead = 0
    for moved in recording.moved:
        if not moved.write and moved.tile == 0:
            assert first[moved.block].start >= moved.start
            ahead += moved.asked < first[moved.block].free
    assert ahead >= 2
    starts = [moved.start for moved in recording.moved]
    assert starts == sorted(starts)
    startup = design.unit("dma").startup_cycles * clock.ticks_per_cycle  # type: ignore[attr-defined]
    assert all(moved.start >= moved.asked + startup for moved in recording.moved)


def test_a_part_lasts_all_cycles_that_it_touches() -> None:
    """As the total does: a part that begins within a cycle, while others are at work, has that cycle too."""
    report = sf.estimate(sf.trace("gemm:8,8,8,int8"), sf.accelerator("edge-32x32"))
    lived = Lived(100, 900, (0, 0, 200, 0, 0, 0, 0))
    part = _part(report.parts[0], lived, 128, None, 1024)
    assert part.cycles == 7  # 6.25
    assert part.stalls_cycles is not None
    assert part.stalls_cycles["operand"] == 2


def test_tiles_that_do_not_fit_are_refused() -> None:
    design = sf.accelerator("edge-32x32")
    program = sf.compile(sf.trace("gemm:512,768,768,int8"), design)
    small = sf.accelerator("edge-32x32", **{"scratchpad.bytes": 1 << 14})
    clock = Clock.of(small)
    engine = Engine(Setting(program, small, clock, PlainDram(clock.ticks_per_byte), merged=True))
    with pytest.raises(ValueError, match=r"2 buffers of \d+ bytes do not fit the 16384 bytes"):
        engine.run()


# -- one resource saturated: the total converges to its bound -------------------------------------


def shares_of_bound(name: str, graph: Graph, chips: list[dict[str, Any]], **more: Any) -> list[float]:
    """What the simulation takes, of what one resource is busy, over chips on which that one grows scarcer."""
    shares = []
    for chip in chips:
        report = sf.simulate(graph, sf.accelerator("edge-32x32", **chip), **more)
        assert report.simulation is not None
        use = next(u for u in report.simulation.resources if u.name == name)
        shares.append(report.cycles / use.busy_cycles)
    return shares


def test_a_saturated_vector_unit_takes_its_law() -> None:
    b = Builder("softmax")
    graph = b.finish(b(OPS["softmax"], b.input("x", tensor("fp32", 512, 256)), axis=-1))
    chips = [{"vector.lanes": lanes} for lanes in (64, 16, 4, 1)]
    law = sf.estimate(graph, sf.accelerator("edge-32x32", **chips[-1])).parts[0].compute_cycles
    found = sf.simulate(graph, sf.accelerator("edge-32x32", **chips[-1]))
    assert law <= found.cycles < 1.01 * law
    unit = max((u for u in found.simulation.resources), key=lambda u: u.busy_cycles).name  # type: ignore[union-attr]
    shares = shares_of_bound(unit, graph, chips)
    assert shares == sorted(shares, reverse=True)
    assert 1 <= shares[-1] < 1.01


def test_saturated_banks_take_the_time_of_what_passes_through_them() -> None:
    graph = sf.trace("gemm:512,512,512,int8")
    chips = [{"scratchpad.banks": 1, "scratchpad.word_bytes": width} for width in (64, 16, 4, 1)]
    shares = shares_of_bound("scratchpad", graph, chips)
    assert shares == sorted(shares, reverse=True)
    assert 1 <= shares[-1] < 1.02


def test_a_dma_that_only_starts_up_takes_a_startup_a_transfer() -> None:
    """One channel, and bytes in no time: transfers follow one another a startup apart."""
    graph = sf.trace("gemm:256,1024,1024,int8")
    startup, shares = 20_000, []
    for channels in (1, 4):
        chip = unlimited("edge-32x32") | {"dma.startup_cycles": startup, "dma.channels": channels}
        found = simulate(
            graph, sf.accelerator("edge-32x32", **chip, **{"scratchpad.bytes": 1 << 16}), record=10**4
        )
        assert found.recording is not None
        assert len(found.recording.moved) >= 8
        shares.append(found.report.cycles / (len(found.recording.moved) * startup))
    assert 1 <= shares[0] < 1.05
    assert shares[1] < 0.7 * shares[0]


@pytest.mark.parametrize(
    ("name", "chip", "dram"),
    [
        ("edge-32x32", {"dram.timing": "LPDDR4-3200", "dram.timing_channels": 4}, "banks"),
        ("edge-32x32", {"dram.timing": "LPDDR4-3200", "dram.timing_channels": 4}, "banks-spread"),
        ("server-128x128", {"dram.timing": "HBM2-2000", "dram.timing_channels": 44}, "banks"),
        ("nvidia-a100", {"dram.timing": "HBM2e-3200", "dram.timing_channels": 80}, "banks"),
        ("nvidia-a100", {}, "bandwidth"),
        ("nvidia-h100", {}, "bandwidth"),
    ],
)
def test_neither_banks_nor_a_gpu_beat_the_speed_of_light(
    make_block: Callable[..., Graph], name: str, chip: dict[str, Any], dram: str
) -> None:
    design = sf.accelerator(name, **chip)
    for tokens, width in ((1, 64), (48, 96), (200, 256)):
        graph = make_block(tokens=tokens, width=width)
        bound = sf.estimate(graph, design, law="bound")
        for overlap in (True, False):
            found = sf.simulate(graph, design, dram=dram, overlap=overlap)
            assert found.cycles >= bound.cycles
            assert found.cycles >= math.floor(found.dram_bytes / found.dram_bytes_per_cycle)


def test_first_bytes_start_the_work_and_last_results_end_it() -> None:
    """An array begins once a block of each operand is in; all results but the last block leave by its end."""
    graph, design = sf.trace("gemm:256,512,512,int8"), sf.accelerator("edge-32x32")
    clock = Clock.of(design)
    nest = nest_of(sf.compile(graph, design).blocks[0], design, clock, merged=True)
    assert nest.writes is not None
    recording = simulate(graph, design, record=10**4).recording
    assert recording is not None
    reads = [moved for moved in recording.moved if not moved.write and moved.tile == 0]
    size, begun, done = sum(m.size_bytes for m in reads), reads[0].start, reads[-1].end
    first = recording.worked[0]
    assert 0 < nest.lead_bytes < size
    assert first.ready == begun + (done - begun) * nest.lead_bytes // size > begun
    ahead = [moved for moved in recording.moved if moved.write and moved.size_bytes > nest.trail_bytes]
    worked = {tile.tile: tile for tile in recording.worked}
    for moved in ahead:
        tile = worked[moved.tile]
        assert moved.asked == max(tile.end - moved.size_bytes * clock.ticks_per_byte, tile.start)
        assert moved.size_bytes + nest.trail_bytes == nest.writes.sizes[moved.tile]
    assert any(moved.asked > worked[moved.tile].start for moved in ahead)


def test_results_on_chip_wait_for_room() -> None:
    """Eight branches end in one sum; side by side their results and those before would not fit."""
    b = Builder("branches")
    x = b.input("x", tensor("fp32", 64, 128))
    total = b(OPS["softmax"], x, axis=-1)
    for i in range(8):
        long = b(OPS["softmax"], b(OPS["linear"], x, b.parameter(f"w{i}", tensor("fp32", 512, 128))), axis=-1)
        short = b(OPS["linear"], long, b.parameter(f"v{i}", tensor("fp32", 128, 512)))
        total = b(OPS["add"], total, short)
    graph = b.finish(total)
    design = sf.accelerator("edge-32x32", **{"scratchpad.bytes": 1 << 19, "scratchpad.resident_percent": 60})
    recording = simulate(graph, design, record=10**6).recording
    assert recording is not None
    assert max(taken for _, taken in recording.levels) <= recording.scratchpad_bytes
    clock = Clock.of(design)
    dram = PlainDram(clock.ticks_per_byte)
    engine = Engine(Setting(sf.compile(graph, design), design, clock, dram, merged=True))
    assert engine.residents.peak_bytes > 0
    live = []
    start = engine.residents.start
    engine.residents.start = lambda index: (start(index), live.append(engine.residents.live_bytes))[0]  # type: ignore[method-assign]
    engine.run()
    assert max(live) <= engine.residents.peak_bytes
    assert engine.residents.live_bytes == 0


def test_a_tile_is_done_when_every_unit_is() -> None:
    """The epilogue of a product waits for another node on the vector unit: its tile ends with it."""
    b = Builder("fused")
    x = b.input("x", tensor("int8", 64, 1024))
    graph = b.finish(b(OPS["relu"], b(OPS["linear"], x, b.parameter("w", tensor("int8", 256, 1024)))))
    design = sf.accelerator("edge-32x32")
    program, clock = sf.compile(graph, design), Clock.of(design)
    engine = Engine(Setting(program, design, clock, PlainDram(clock.ticks_per_byte), merged=True))
    run = Run(engine, 0, program.blocks[0], engine._nest(0))
    assert [unit for unit, _ in run.nest.shares] == ["array", "vector"]
    at_hand = (0, 0, 0, 0, 0)
    _, alone = run._work(0, 0, at_hand)
    assert alone == run.nest.compute_ticks[0]
    vector = engine.servers["vector"]
    vector.free_at = 5 * alone
    start, end = run._work(alone, 0, at_hand)
    assert start == alone
    assert end == vector.free_at > 5 * alone
    assert run.stalls[list(CAUSES).index("unit")] == end - start - alone


def test_a_result_takes_its_bytes_once_however_often_partial_sums_pass() -> None:
    """The reduction is the outermost loop: its sums come and go, and tiles have room beside them."""
    graph = sf.trace("wide-attention-1x48", seq=128)
    events = sf.simulate(graph, sf.accelerator("edge-32x32"))
    assert events.cycles == pytest.approx(sf.estimate(graph, sf.accelerator("edge-32x32")).cycles, rel=0.1)
