"""Designs of a front simulated by events: what the closed form, which the search went by, leaves out.

The closed form costs every node by itself; events let nodes contend for units, DRAM and scratchpad, and run
beside each other. Where the two agree the front can be trusted; where not, the report says by how much.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.dse.codesign import CoDesign
from siliform.dse.objectives import Objective, costs
from siliform.dse.problem import Tell
from siliform.graph_ir.errors import UserError

if TYPE_CHECKING:
    from siliform.simulator.events.simulate import Simulated
    from siliform.simulator.events.timeline.tracks import Bar
    from siliform.simulator.report import Report

#: Quantities that both have, and that are compared.
COMPARED = ("cycles", "latency_s", "energy_j")
#: Designs of a front that are considered: choosing takes a hypervolume for each of them and each chosen one.
_CANDIDATES = 400
#: Where the reference point lies, the front's own worst values being at 1: farther, so that they count too.
_REFERENCE = 1.1
#: Nodes of a timeline that are kept; a picture of more cannot be read.
TIMELINE_NODES = 1500
#: Modules whose stalls are kept.
_MODULES = 24


def choose(objectives: Sequence[Objective], values: Mapping[str, np.ndarray], count: int) -> list[int]:
    """Which designs of a front to look at: positions, at most `count`.

    The best of each objective come first, then always the one that adds most to the hypervolume of those
    chosen, each objective scaled to the front's own range (logarithmic where the objective is).

    Parameters
    ----------
    values : of each objective, float [designs]; all finite.
    """
    found = costs(objectives, values)
    chosen: list[int] = []
    for place in range(min(len(objectives), count) if len(found) else 0):
        rest = np.delete(found, place, axis=1)
        best = int(np.lexsort([*rest.T[::-1], found[:, place]])[0])
        if best not in chosen:
            chosen.append(best)
    scaled = np.stack([_scaled(o, np.asarray(values[o.name], float)) for o in objectives], axis=1)
    spread = np.argsort(scaled[:, 0], kind="stable")
    if len(spread) > _CANDIDATES:
        spread = spread[np.linspace(0, len(spread) - 1, _CANDIDATES).round().astype(int)]
    left = [place for place in spread.tolist() if place not in chosen]
    while left and len(chosen) < count:
        gains = [_volume(scaled[[*chosen, place]]) for place in left]
        chosen.append(left.pop(int(np.argmax(gains))))
    return chosen


def _scaled(objective: Objective, values: np.ndarray) -> np.ndarray:
    """0 at the front's best, 1 at its worst; all 0 where they are the same."""
    if objective.log and (values > 0).all():
        values = np.log(values)
    cost = objective.cost(values)
    width = cost.max() - cost.min() if len(cost) else 0.0
    return np.zeros(len(cost)) if width == 0 else np.asarray((cost - cost.min()) / width)


def _volume(points: np.ndarray) -> float:
    import moocore

    return float(moocore.hypervolume(points, ref=np.full(points.shape[1], _REFERENCE)))


def confirm(
    problem: CoDesign,
    rows: np.ndarray,
    *,
    known: Mapping[bytes, Mapping[str, Any]] | None = None,
    progress: Tell = lambda what, done, total: None,
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Simulate designs by events: for each its key and what `confirm_design` tells, as soon as it is known.

    Parameters
    ----------
    rows : canonical, int64 [designs, knobs].
    known : what was told before, by key; these designs are not simulated again, nor yielded.
    progress : told of designs done and in all.
    """
    keys = problem.space.keys(rows)
    for done, (key, row) in enumerate(zip(keys, rows, strict=True)):
        progress("simulating the front by events", done, len(rows))
        if key not in (known or {}):
            yield key, confirm_design(problem, row)
    progress("simulating the front by events", len(rows), len(rows))


def confirm_design(problem: CoDesign, row: np.ndarray) -> dict[str, Any]:
    """One design simulated by events beside its closed form, as plain data.

    Keys: "state" ("simulated" or "failed") and "reason" why it failed; "closed" and "events", the `COMPARED`
    quantities; "difference", events over closed form less one, None where either is unknown or 0;
    "bottleneck" and "closed_bottleneck"; "utilization"; "stalls_cycles" by cause; "modules" with cycles and
    stalls; "resources" with their busy share; "dram_model"; "timeline" for a Gantt chart.

    A design that fails says so and why, be it the design's fault or the simulator's: what was searched for
    hours must not be lost to the last step of it.
    """
    from siliform.simulator.estimate import estimate
    from siliform.simulator.events.simulate import simulate

    try:
        graph, chip = problem.graph(row), problem.hardware.with_choices(problem.choices(row)[1])
        closed = estimate(graph, chip, bits="traced", objective=problem.objective)
        found = simulate(graph, chip, bits="traced", objective=problem.objective, dram="auto")
    except UserError as error:
        return {"state": "failed", "reason": f"{error.asked}: {error.found}; {error.next_step}"}
    except Exception as error:  # told, with its type, in the report and in the store
        return {"state": "failed", "reason": f"a fault of the simulator: {type(error).__name__}: {error}"}
    if found.report.simulation is None or found.report.simulation.partial:
        raise KeyboardInterrupt  # which ends a simulation with what is done so far
    return _told(closed, found)


def _told(closed: Report, found: Simulated) -> dict[str, Any]:
    events, known = found.report, found.report.simulation
    assert known is not None
    before = {name: getattr(closed, name) for name in COMPARED}
    after = {name: getattr(events, name) for name in COMPARED}
    return {
        "state": "simulated",
        "reason": "",
        "closed": before,
        "events": after,
        "difference": {n: after[n] / before[n] - 1 if after[n] and before[n] else None for n in COMPARED},
        "closed_bottleneck": closed.bottleneck,
        "bottleneck": events.bottleneck,
        "utilization": events.utilization,
        "clock_hz": events.clock_hz,
        "stalls_cycles": {cause: lost for cause, lost in known.stalls_cycles.items() if lost},
        "overlapped_cycles": known.overlapped_cycles,
        "modules": _modules(events),
        "resources": [
            {"name": use.name, "busy_share": use.busy_share, "waited_cycles": use.waited_cycles}
            for use in known.resources
        ],
        "dram_model": known.dram_model,
        "timeline": _timeline(found),
    }


def _modules(events: Report) -> list[dict[str, Any]]:
    """Cycles and stalls of groups of modules, those that overlap left in: they sum to more than the run."""
    from siliform.simulator.grouping import by_module

    found: list[dict[str, Any]] = []
    for row in by_module(events, _MODULES):
        if row.cycles <= 0:
            continue
        stalls: dict[str, int] = {}
        for part in row.parts:
            for cause, lost in (part.stalls_cycles or {}).items():
                stalls[cause] = stalls.get(cause, 0) + lost
        told = {cause: lost for cause, lost in stalls.items() if lost}
        found.append({"name": row.name, "times": row.times, "cycles": row.cycles, "stalls_cycles": told})
    return found


def _timeline(found: Simulated) -> dict[str, Any]:
    """When each node ran: "rows" by name, and "bars", each [row, start, cycles, kind, name, share waited].

    "left_out" counts the nodes beyond `TIMELINE_NODES`, the shortest of all.
    """
    from siliform.simulator.events.timeline.tracks import NODES, timeline_of

    whole = timeline_of(found)
    tracks = whole.of(NODES)
    bars = [(place, bar) for place, track in enumerate(tracks) for bar in track.bars if "op" in bar.about]
    kept = sorted(bars, key=lambda held: held[1].start - held[1].end)[:TIMELINE_NODES]
    kept.sort(key=lambda held: (held[0], held[1].start))
    cycle = whole.ticks_per_cycle
    return {
        "end_cycles": whole.end // cycle,
        "rows": [track.name for track in tracks],
        "bars": [[place, *_bar(bar, cycle)] for place, bar in kept],
        "left_out": len(bars) - len(kept),
    }


def _bar(bar: Bar, ticks_per_cycle: int) -> list[Any]:
    lost = sum(value for key, value in bar.about.items() if key.startswith("stall_"))
    cycles = (bar.end - bar.start) // ticks_per_cycle
    name = f"{bar.about['module']}: {bar.about['op']}" if bar.about["module"] else bar.name
    return [
        bar.start // ticks_per_cycle,
        cycles,
        bar.kind,
        name,
        round(min(lost / cycles, 1.0), 3) if cycles else 0.0,
    ]
