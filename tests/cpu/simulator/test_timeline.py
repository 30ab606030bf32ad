"""What happened when: tracks that agree with the report, and a trace that keeps the rules of its format."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import siliform as sf
from siliform.graph_ir.graph import Builder, Graph
from siliform.graph_ir.ops import OPS
from siliform.graph_ir.types import tensor
from siliform.simulator.events.recording import TILE_CAUSES
from siliform.simulator.events.simulate import Simulated, simulate
from siliform.simulator.events.timeline.perfetto import compressed_trace, write_trace
from siliform.simulator.events.timeline.tracks import NODES, RESOURCES, Bar, Timeline, Track, timeline_of
from siliform.simulator.simulation import CAUSES

ALL = 1_000_000
#: A scratchpad that cuts the block into some hundred tiles, and one that holds it whole.
SMALL, DESIGNS = {"scratchpad.bytes": 4096, "scratchpad.resident_percent": 25}, ("edge-32x32", "nvidia-a100")
BANKED = {"dram.timing": "LPDDR4-3200", "dram.timing_channels": 4}


def run(graph: Graph, design: str = "edge-32x32", record: int = ALL, **options: Any) -> Simulated:
    overrides = options.pop("overrides", {})
    return simulate(graph, sf.accelerator(design, **overrides), record=record, **options)


@pytest.fixture
def tiled(make_block: Callable[..., Graph]) -> Graph:
    """A block of many tiles."""
    return make_block(tokens=96, width=96, heads=3)


def track(timeline: Timeline, name: str) -> Track:
    (found,) = (track for track in timeline.tracks if track.name == name)
    return found


def nodes(timeline: Timeline) -> dict[str, Bar]:
    """Bars of whole nodes."""
    return {bar.name: bar for track in timeline.of(NODES) for bar in track.bars if "bound_by" in bar.about}


# -- against the report --------------------------------------------------------------------------


@pytest.mark.parametrize("overrides", [{}, SMALL, BANKED], ids=str)
def test_tracks_add_up_to_the_report(tiled: Graph, overrides: dict[str, Any]) -> None:
    simulated = run(tiled, overrides=overrides)
    timeline, report = timeline_of(simulated), simulated.report
    assert report.simulation is not None
    assert timeline.notes == ()
    assert not any("tiles_shown" in bar.about for bar in nodes(timeline).values())
    uses = {use.name: use for use in report.simulation.resources}
    bars = [bar for t in timeline.of(RESOURCES) if t.name.startswith("dram") for bar in t.bars]
    assert sum(bar.about["bytes"] for bar in bars) == report.dram_bytes
    busy = sum(bar.end - bar.start for bar in bars) / timeline.ticks_per_cycle
    assert round(busy) == uses["dram"].busy_cycles
    for name in ("array", "vector", "special"):
        busy = sum(bar.end - bar.start for bar in track(timeline, name).bars) / timeline.ticks_per_cycle
        # A unit is also taken while it waits for the last bytes of a tile, for banks, or for units beside it.
        assert uses[name].busy_cycles - 1 <= busy <= uses[name].busy_share ** 0 * report.cycles
    tiles = [bar for bar in track(timeline, "array").bars if "stall_dram_cycles" in bar.about]
    assert tiles
    (queue,) = (c for c in timeline.counters if c.name == "queue for dram")
    assert max(value for _, value in queue.points) == uses["dram"].deepest_queue


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("record", [0, 10, ALL])
@pytest.mark.parametrize("fold", [False, True])
def test_nodes_are_complete_whatever_was_recorded(tiled: Graph, design: str, record: int, fold: bool) -> None:
    simulated = run(tiled, design, record, fold=fold)
    shown = nodes(timeline_of(simulated))
    parts = [part for part in simulated.report.parts if part.op != "overlap"]
    assert [part.name for part in parts] == [name for name in simulated.lived if name in shown]
    for part in parts:
        bar = shown[part.name]
        assert bar.about["cycles"] == part.cycles
        assert (bar.about["module"], bar.about["unit"]) == (part.module, part.unit)
        stalls = {k: v for k, v in bar.about.items() if k.startswith("stall_")}
        assert stalls == {f"stall_{k}_cycles": v for k, v in (part.stalls_cycles or {}).items() if v}


def test_the_scratchpad_is_never_overfull_and_empty_in_the_end(tiled: Graph) -> None:
    simulated = run(tiled, overrides=SMALL)
    counters = {counter.name: counter.points for counter in timeline_of(simulated).counters}
    taken, room = counters["scratchpad taken"], counters["scratchpad room"]
    assert all(0 <= value <= 4096 for _, value in taken)
    assert [a + b for (_, a), (_, b) in zip(taken, room, strict=True)] == [4096] * len(taken)
    assert taken[-1][1] == 0
    bandwidth = sf.accelerator("edge-32x32").scratchpad.bytes_per_cycle
    flows = [value for _, value in counters["scratchpad banks"]]
    assert max(flows) <= bandwidth * 1.05  # drawn at their means: who is squeezed flows slower, then faster
    assert flows[-1] == 0


def test_results_that_stay_on_chip_take_room(tiled: Graph) -> None:
    """When a node ends, what it made for others is still there."""
    simulated = run(tiled)
    (taken,) = (c.points for c in timeline_of(simulated).counters if c.name == "scratchpad taken")
    kept = 0
    for block in simulated.program.blocks:
        own = [a for a in block.accesses if a.memory != "dram" and a.direction == "write"]
        made = sum(access.total_bytes(block.loops) for access in own)
        end = simulated.lived[block.name].end_ticks
        (*_, level) = [value for tick, value in taken if tick < end]
        assert level >= made
        kept += made
    assert kept


@pytest.mark.parametrize("design", DESIGNS)
def test_stalls_of_tiles_add_up_to_their_node(tiled: Graph, design: str) -> None:
    """All but what precedes the first tile, the launch, and what follows the last, the drain."""
    simulated = run(tiled, design, overrides=SMALL if design == "edge-32x32" else {}, fold=False)
    assert simulated.recording is not None
    for index, block in enumerate(simulated.program.blocks):
        tiles = [work.stalls for work in simulated.recording.worked if work.block == index]
        found = dict(zip(TILE_CAUSES, map(sum, zip(*tiles, strict=True)), strict=True))
        whole = dict(zip(CAUSES, simulated.lived[block.name].stalls_ticks, strict=True))
        for cause in TILE_CAUSES:
            if cause != "drain":
                assert found[cause] == whole[cause], (block.name, cause)


def test_what_overlaps_goes_to_lanes() -> None:
    """Three products of one module side by side, each with its own tiles inside it."""
    b = Builder("three")
    x = b.input("x", tensor("fp32", 64, 64))
    made = []
    for name in "qkv":
        with b.at(f"stack.layer.{name}", "three.py:1"):
            made.append(b(OPS["linear"], x, b.parameter(f"w{name}", tensor("fp32", 64, 64))))
    timeline = timeline_of(run(b.finish(*made)))
    lanes = [t for t in timeline.of(NODES) if t.name.startswith("stack.layer")]
    assert [lane.name for lane in lanes][:2] == ["stack.layer", "stack.layer (2)"]
    for lane in lanes:
        around: list[int] = []
        for bar in lane.bars:
            while around and around[-1] <= bar.start:
                around.pop()
            assert not around or bar.end <= around[-1]
            around.append(bar.end)


def test_waits_fill_the_time_between_tiles(tiled: Graph) -> None:
    """A node's tiles, waits, launch and drain account for every cycle of it, but for slivers."""
    for design, overrides in (("edge-32x32", SMALL), ("nvidia-a100", {})):
        simulated = run(tiled, design, overrides=overrides)
        timeline = timeline_of(simulated)
        for lane in timeline.of(NODES):
            whole = [bar for bar in lane.bars if "bound_by" in bar.about]
            for bar in whole:
                inside = [b for b in lane.bars if bar.start <= b.start and b.end <= bar.end and b is not bar]
                told = sum(b.end - b.start for b in inside)
                slack = (len(inside) + 2) * timeline.ticks_per_cycle
                assert bar.end - bar.start - slack <= told <= bar.end - bar.start


# -- what is left out ----------------------------------------------------------------------------


def test_a_full_recording_says_so(tiled: Graph) -> None:
    everything = run(tiled, fold=False, overrides=SMALL)
    some = run(tiled, record=50, fold=False, overrides=SMALL)
    assert everything.recording is not None
    assert some.recording is not None
    recording = everything.recording
    kept = len(recording.moved) + len(recording.worked) + len(recording.served)
    assert some.recording.left_out == kept - 50
    timeline = timeline_of(some)
    (note,) = timeline.notes
    assert note.startswith(f"{kept - 50:,} tiles and transfers from cycle ")
    assert note.endswith("are not shown: 50 were recorded; nodes are all shown")
    (full,) = (b for b in track(timeline, "about this run").bars if b.name == "nodes only: recording is full")
    assert full.end == timeline.end
    assert some.report == everything.report


def test_folded_stretches_say_so(tiled: Graph) -> None:
    folded = run(tiled, record=500, overrides=SMALL)
    assert folded.report.simulation is not None
    assert folded.report.simulation.folded_events
    timeline = timeline_of(folded)
    assert any("stretches were folded" in note for note in timeline.notes)
    about = track(timeline, "about this run").bars
    assert any(bar.name.startswith("folded: tiles of ") and bar.about["cycles"] > 0 for bar in about)
    hidden = [bar for bar in nodes(timeline).values() if "tiles_shown" in bar.about]
    assert hidden


def test_folds_and_recorded_tiles_do_not_overlap(tiled: Graph) -> None:
    folded = run(tiled, record=500, overrides=SMALL)
    assert folded.recording is not None
    for fold in folded.recording.folds:
        assert fold.end > fold.start
        for work in folded.recording.worked:
            assert work.end <= fold.start or work.start >= fold.end


def test_without_a_recording_nodes_remain(block: Graph) -> None:
    timeline = timeline_of(run(block, record=0))
    assert timeline.notes == ("nodes only: no tiles and transfers were recorded",)
    assert [t.name for t in timeline.of(RESOURCES)] == ["about this run"]
    assert nodes(timeline)


# -- the format ----------------------------------------------------------------------------------


def events(timeline: Timeline, path: Path) -> list[dict[str, Any]]:
    write_trace(timeline, path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["displayTimeUnit"] in ("ms", "ns")  # the only two that the format knows
    found = content["traceEvents"]
    assert isinstance(found, list)
    return found


def nanoseconds(microseconds: float) -> int:
    """As Perfetto reads them: whole, to the nearest."""
    return round(microseconds * 1000)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize(
    "options",
    [{}, {"record": 60}, {"overrides": SMALL}, {"overrides": SMALL | {"clock": "700 MHz"}}],
    ids=str,
)
def test_the_trace_keeps_the_rules_of_its_format(
    tiled: Graph, design: str, options: dict[str, Any], tmp_path: Path
) -> None:
    if design != "edge-32x32" and "overrides" in options:
        options = {"fold": False}
    timeline = timeline_of(run(tiled, design, **options))
    found = events(timeline, tmp_path / "trace.json")
    named: dict[tuple[int, int], str] = {}
    open_until: dict[tuple[int, int], list[int]] = {}
    last = 0
    for event in found:
        assert {"name", "ph", "pid", "tid", "ts", "args"} <= event.keys()
        assert isinstance(event["name"], str)
        assert all(isinstance(event[key], int) for key in ("pid", "tid"))
        place = (event["pid"], event["tid"])
        if event["ph"] == "M":
            if event["name"] == "thread_name":
                named[place] = event["args"]["name"]
            continue
        start = nanoseconds(event["ts"])
        assert start >= last  # sorted by time
        last = start
        if event["ph"] == "C":
            assert all(isinstance(value, (int, float)) for value in event["args"].values())
            continue
        assert event["ph"] == "X"
        assert event["dur"] >= 0
        assert isinstance(event["cat"], str)
        assert place in named
        end = start + nanoseconds(event["dur"])
        around = open_until.setdefault(place, [])
        while around and around[-1] <= start:
            around.pop()
        assert not around or end <= around[-1], f"{event} overlaps what is around it on {named[place]}"
        around.append(end)
    assert len(named) == len(timeline.tracks) == len(set(named))
    slices = [event for event in found if event["ph"] == "X"]
    assert len(slices) == timeline.bars
    assert {named[s["pid"], s["tid"]] for s in slices} <= {t.name for t in timeline.tracks}


@pytest.mark.parametrize("design", DESIGNS)
def test_resources_serve_one_after_the_other(tiled: Graph, design: str) -> None:
    serial = ("array", "vector", "special", "gather", "tensor", "cuda", "host", "dram", "dma channel 0")
    timeline = timeline_of(run(tiled, design, overrides=SMALL if design == "edge-32x32" else {}))
    for lane in timeline.of(RESOURCES):
        if lane.name in serial:
            for one, other in zip(lane.bars, lane.bars[1:], strict=False):
                assert one.end <= other.start
    names = [t.name for t in timeline.of(RESOURCES)]
    assert not any(f"{name} (2)" in names for name in serial)


def test_cycles_and_microseconds_agree(tiled: Graph, tmp_path: Path) -> None:
    simulated = run(tiled, overrides={"clock": "800 MHz"})
    for event in events(timeline_of(simulated), tmp_path / "trace.json"):
        if event["ph"] == "X" and "cycle" in event["args"]:
            assert event["ts"] == pytest.approx(event["args"]["cycle"] / 800, abs=0.0011)
            assert event["dur"] == pytest.approx(event["args"]["cycles"] / 800, abs=0.0021)


def test_a_name_in_gz_is_compressed_and_always_alike(tiled: Graph, tmp_path: Path) -> None:
    timeline = timeline_of(run(tiled))
    for name in ("trace.json", "trace.json.gz", "again.json.gz"):
        write_trace(timeline, tmp_path / name)
    plain, packed = ((tmp_path / name).read_bytes() for name in ("trace.json", "trace.json.gz"))
    assert gzip.decompress(packed) == plain
    assert packed == (tmp_path / "again.json.gz").read_bytes() == compressed_trace(timeline)
    assert 3 * len(packed) < len(plain)


def test_a_hundred_thousand_slices_take_about_a_second(tmp_path: Path) -> None:
    about = {"node": "linear", "module": "layer.0", "tile": 3, "cycle": 1, "cycles": 2}
    bars = tuple(Bar("linear", "matmul", i, i + 1, about) for i in range(100_000))
    lane = Track(RESOURCES, "array", bars)
    timeline = Timeline("t", {}, (), 1e9, 1, 100_000, (lane,), ())
    before = time.process_time()
    write_trace(timeline, tmp_path / "trace.json.gz")
    assert time.process_time() - before < 3  # a second here; thrice that on a slow and busy machine
