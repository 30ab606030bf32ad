"""The event simulation of a graph on a design, as a report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

from siliform.arch.accelerator import Accelerator
from siliform.arch.program import Program
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Graph
from siliform.graph_ir.passes.unroll import unrolled
from siliform.simulator.calibrated import calibrated_text
from siliform.simulator.dram.bulk import BankedDram, DramModel, PlainDram
from siliform.simulator.estimate import check_choices, planned_report
from siliform.simulator.events.clock import Clock
from siliform.simulator.events.engine import Engine, Lived, Setting
from siliform.simulator.events.recording import Recording
from siliform.simulator.report import Bottleneck, Origin, Part, Report
from siliform.simulator.simulation import CAUSES, ResourceUse, Simulation

DRAM_MODELS = ("auto", "bandwidth", "banks", "banks-spread")
#: Half width of the error of refreshes spread over time, against refreshes in phase: measured on long
#: transfers (tests/cpu/simulator/test_dram_bulk.py).
SPREAD_ERROR = 0.02


@dataclass(frozen=True, eq=False)
class Simulated:
    """A report, and what a timeline is drawn from: when each block lived, and what was recorded if asked.

    Times are ticks of the clock.
    """

    report: Report
    program: Program
    lived: Mapping[str, Lived]
    recording: Recording | None
    clock: Clock


def simulate(
    graph: Graph,
    accelerator: Accelerator,
    *,
    bits: str | None = None,
    objective: str = "latency",
    overlap: bool = True,
    fold: bool = True,
    dram: str = "auto",
    record: int = 0,
    told: Callable[[int, int], None] | None = None,
) -> Simulated:
    """Simulate a graph on a design; see `siliform.simulate`.

    Parameters
    ----------
    record : tiles and transfers to keep for a timeline, at most. Where all of them are sure to fit,
        nothing is folded, so that the timeline is complete; the numbers are the same either way.
    told : called with blocks done and blocks in all.
    """
    check_choices(bits=bits, objective=objective)
    check_dram(dram, accelerator)
    plan = planned_report(unrolled(graph), accelerator, bits=bits, objective=objective)
    program = plan.program
    clock = Clock.of(accelerator)
    model, name, phased = _dram(dram, accelerator, clock)
    engine = Engine(
        Setting(
            program,
            accelerator,
            clock,
            model,
            merged=isinstance(model, PlainDram),
            overlap=overlap,
            fold=fold and not phased and not _fits(program, record),
            record=record,
            told=None if told is None else lambda done: told(done, len(program.blocks)),
        )
    )
    try:
        engine.run()
    except KeyboardInterrupt:
        if not engine.lived:
            raise  # nothing to tell
    report = _report(plan.report, program, engine, name)
    lived = {program.blocks[index].name: life for index, life in sorted(engine.lived.items())}
    recording = None if engine.recorder is None else engine.recorder.recording()
    return Simulated(report, program, lived, recording, clock)


def _fits(program: Program, record: int) -> bool:
    """Whether a recording surely keeps everything: a tile's loads, its work and shares of it, two stores."""
    most = (block.tiles * (len(block.accesses) + len(block.stages) + 3) for block in program.blocks)
    return sum(most) <= record


def check_dram(choice: str, accelerator: Accelerator) -> None:
    """Refuse a model of DRAM that is none, or that the design gives no part for."""
    if choice not in DRAM_MODELS:
        raise UserError(
            asked=f"--dram {choice}",
            found="no such model of DRAM",
            where="the command line or the call",
            next_step=f"use one of: {', '.join(DRAM_MODELS)}",
        )
    if choice.startswith("banks") and accelerator.dram.part() is None:
        raise UserError(
            asked=f"--dram {choice}",
            found=f"the design {accelerator.name} names no timing of its DRAM",
            where="memories.dram.timing",
            next_step="name one, such as --set dram.timing=LPDDR4-3200; docs/dram.md lists them",
        )


def _dram(choice: str, accelerator: Accelerator, clock: Clock) -> tuple[DramModel, str, bool]:
    """The model asked for, what to call it, and whether a refresh phase keeps its state from recurring."""
    timing = accelerator.dram.part()
    if choice == "bandwidth" or timing is None:
        return PlainDram(clock.ticks_per_byte), "bandwidth", False
    ticks_per_ns = Fraction(clock.ticks_per_cycle * accelerator.clock_hz, 10**9)
    if choice == "banks-spread":
        return BankedDram(timing, ticks_per_ns, refresh="spread"), f"{timing.name}, refresh spread", False
    return BankedDram(timing, ticks_per_ns), timing.name, True


def _report(estimated: Report, program: Program, engine: Engine, dram_model: str) -> Report:
    """The estimate's report with the times that events found."""
    cycle = engine.clock.ticks_per_cycle
    places = {block.name: i for i, block in enumerate(program.blocks)}
    static = _static_joules_per_cycle(estimated)
    parts = [
        _part(part, engine.lived[places[part.name]], cycle, static, estimated.peak_macs_per_cycle)
        for part in estimated.parts
        if places[part.name] in engine.lived
    ]
    total = engine.clock.cycles(max((lived.end_ticks for lived in engine.lived.values()), default=0))
    overlapped = sum(part.cycles for part in parts) - total
    if overlapped:
        parts.append(_overlap(overlapped, static))
    timing = Origin(
        "law",
        f"simulator/events: tiles and transfers as events, units by their laws, DRAM by {dram_model}"
        + calibrated_text(estimated.parts),
        SPREAD_ERROR if dram_model.endswith("spread") else None,
    )
    return replace(
        estimated,
        law="events",
        parts=tuple(parts),
        provenance={**estimated.provenance, "cycles": timing, "latency_s": timing},
        simulation=_simulation(program, engine, dram_model, overlapped, total),
    )


def _static_joules_per_cycle(report: Report) -> float | None:
    """Leakage of the chip in a cycle, as the estimate has it; None where it has no energy."""
    for part in report.parts:
        if part.energy_by_cause_j is not None and part.cycles:
            return part.energy_by_cause_j["static"] / part.cycles
    return None


def _part(part: Part, lived: Lived, cycle: int, static: float | None, peak: float) -> Part:
    cycles = -(-(lived.end_ticks - lived.start_ticks) // cycle)  # all that it touched, as the total is
    stalls = _whole(dict(zip(CAUSES, lived.stalls_ticks, strict=True)), cycle)
    causes, energy = part.energy_by_cause_j, part.energy_j
    if causes is not None and static is not None:
        causes = {**causes, "static": static * cycles}
        energy = math.fsum(causes.values())
    return replace(
        part,
        cycles=cycles,
        energy_j=energy,
        energy_by_cause_j=causes,
        utilization=part.utilization * part.cycles / cycles if cycles else 0.0,
        bottleneck=_bottleneck(part, stalls),
        stalls_cycles=stalls,
    )


def _whole(ticks: Mapping[str, int], cycle: int) -> dict[str, int]:
    """Ticks in cycles, rounded such that their sum is the rounded sum."""
    found, reached = {}, 0
    for cause, lost in ticks.items():
        before, reached = reached, reached + lost
        found[cause] = -(-reached // cycle) + (-before // cycle)
    return found


def _bottleneck(part: Part, stalls: Mapping[str, int]) -> Bottleneck:
    """What would have to get faster first; ties go to compute.

    Transfers that hide behind work stall nobody and bind all the same, so what the bytes take by
    themselves counts beside the stalls.
    """
    waits: dict[Bottleneck, int] = {
        "compute": part.compute_cycles,
        "memory": max(part.memory_cycles, sum(stalls[c] for c in ("dram", "operand", "bank", "drain"))),
        "launch": stalls["launch"],
    }
    return max(waits, key=lambda name: waits[name])


def _overlap(cycles: int, static: float | None) -> Part:
    """The named part that says by how much blocks ran beside each other."""
    saved = None if static is None else -cycles * static
    return Part(
        name="overlap",
        module="(overlap)",
        op="overlap",
        kind="overlap",
        unit="",
        source="",
        cycles=-cycles,
        compute_cycles=0,
        memory_cycles=0,
        macs=0,
        macs_dense=0,
        dram_bytes=0,
        scratchpad_bytes=0,
        energy_j=saved,
        energy_by_cause_j=None if saved is None else {"static": saved},
        utilization=0.0,
        bottleneck="compute",
        macs_per_dram_byte=None,
    )


def _simulation(program: Program, engine: Engine, dram: str, overlapped: int, total: int) -> Simulation:
    ticks = dict.fromkeys(CAUSES, 0)
    for lived in engine.lived.values():
        for cause, lost in zip(CAUSES, lived.stalls_ticks, strict=True):
            ticks[cause] += lost
    return Simulation(
        dram_model=dram,
        dram_counts=engine.dram_counts(),
        resources=_resources(engine, total),
        stalls_cycles=_whole(ticks, engine.clock.ticks_per_cycle),
        overlapped_cycles=overlapped,
        events=engine.events,
        folded_events=engine.folded_events,
        blocks=len(program.blocks),
        blocks_done=len(engine.lived),
    )


def _resources(engine: Engine, total: int) -> tuple[ResourceUse, ...]:
    cycle = engine.clock.ticks_per_cycle

    def use(name: str, busy: int, waited: int, deepest: int | None = None) -> ResourceUse:
        share, queue = (busy / (total * cycle), waited / (total * cycle)) if total else (0.0, 0.0)
        return ResourceUse(name, round(busy / cycle), round(waited / cycle), share, queue, deepest)

    moving = {unit.name for unit in engine.setting.accelerator.units if unit.kind in ("dma", "launch")}
    servers = [server for server in engine.servers.values() if server.name not in moving]
    found = [use(server.name, server.busy_ticks, server.waited_ticks) for server in servers]
    found.append(
        use("dram", engine.transfers.busy_ticks, engine.transfers.waited_ticks, engine.transfers.deepest)
    )
    if engine.ports is not None:
        bandwidth = engine.setting.accelerator.scratchpad.bytes_per_cycle
        counts = engine.dram_counts()
        moved = engine.ports.unit_bytes + counts["read_bytes"] + counts["written_bytes"]
        found.append(use("scratchpad", moved * cycle // bandwidth, engine.ports.waited_ticks))
    if engine.host.busy_ticks:
        found.append(use("host", engine.host.busy_ticks, engine.host.waited_ticks))
    return tuple(found)
