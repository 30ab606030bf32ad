"""Switching energy of a unit: its gates under its own cases, toggles counted, times the library's energies.

A toggle of a net costs half of C V^2 for the pins on it and the internal energy of the cell that drives it; a
toggle of a pin that has internal energy of its own (a flip-flop's clock and data) costs that. Tables are read
at the net's load and at the slews of the timing analysis, rise and fall averaged. There are no wires, no tree
for the clock and, as every net is seen once a cycle, no glitches: all three make silicon cost more. Memories
that are counted apart are left out.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from siliform.rtl.common.build import RUNTIME, UNTRACED, Flavour, build
from siliform.rtl.common.design import Design
from siliform.rtl.common.model import Model
from siliform.rtl.common.regression import Trial, draw, judged, work_of
from siliform.rtl.common.unit import Case, HardwareUnit
from siliform.rtl.synthesis.gates import counted_nets, gate_design
from siliform.rtl.synthesis.liberty import Cell, Library, Power
from siliform.rtl.synthesis.netlist import BOX, Netlist
from siliform.rtl.synthesis.synth import Synthesis, output_load_pf
from siliform.rtl.synthesis.timing import CLOCK_SLEW_NS, FALL, RISE, net_loads_pf, walked

TOGGLES = Path(__file__).with_name("toggles.cpp")
# Unoptimised: 14,000 gates then compile in 14 s in place of 84 s and run for a second.
COUNTING = Flavour(compile=(*UNTRACED, "-O0"), runtime=(*RUNTIME, "verilated_dpi.cpp"), main=TOGGLES)
DRAWN_CASES, USED_CASES = 60, 12  # of so many cases those that take longest


class GatesDifferError(RuntimeError):
    """Gates that do not compute what the unit does; the text says where."""


@dataclass(frozen=True)
class Activity:
    """How often nets toggled.

    toggles : by net; the clock's, which is never seen to change, are two a cycle.
    operations : of the cases, in what `operation` names.
    """

    toggles: Mapping[int, int]
    cycles: int
    operations: int
    operation: str


@dataclass(frozen=True)
class Energy:
    """Energy of a run. `internal_pj` is within cells, `load_pj` in the pins they drive; of both together
    `clock_pj` is due to the clock alone."""

    cycles: int
    operations: int
    operation: str
    internal_pj: float
    load_pj: float
    clock_pj: float
    leakage_watts: float

    @property
    def pj_per_cycle(self) -> float:
        """Energy of a cycle, the cycles in which nothing is done among them."""
        return (self.internal_pj + self.load_pj) / self.cycles

    @property
    def pj_per_operation(self) -> float:
        """Energy of the run over its operations."""
        return (self.internal_pj + self.load_pj) / self.operations


def operations(case: Case) -> tuple[int, str]:
    """What a case does: multiply-accumulates of products, else elements handed over."""
    if {"m", "n", "k"} <= case.shape.keys():
        return prod(case.shape.get(name, 1) for name in ("batch", "m", "n", "k")), "multiply-accumulate"
    elements = 0
    for stream, fields in case.expected.items():
        widest = max(fields, key=lambda name: fields[name].shape[1])
        care = case.care.get(stream, {}).get(widest)
        elements += int(fields[widest].size if care is None else care.sum())
    return elements, "element out"


def switching_energy(unit: HardwareUnit, synthesis: Synthesis) -> Energy:
    """The energy of the unit's gates under its own cases.

    Raises
    ------
    GatesDifferError : the gates compute or take something else than the unit.
    """
    return energy_of(synthesis, activity(unit, synthesis))


def activity(unit: HardwareUnit, synthesis: Synthesis) -> Activity:
    """Toggles under the longest of the unit's first random cases, without stalls; results are checked."""
    design = gate_design(synthesis, unit.design(), counted=True)
    nets = counted_nets(synthesis.netlist)
    library = build(design, COUNTING)
    trials = sorted((Trial(seed) for seed in range(DRAWN_CASES)), key=lambda t: -draw(unit, t).law_cycles)
    done = [operations(draw(unit, trial)) for trial in trials[:USED_CASES]]
    counts, cycles = _counted(unit, design, library, len(nets), trials[:USED_CASES])
    toggles = dict(zip(nets, counts.tolist(), strict=True))
    toggles.update({net: 2 * cycles for net in synthesis.netlist.ports["clk_i"].bits if isinstance(net, int)})
    return Activity(toggles, cycles, sum(count for count, _ in done), done[0][1])


def _counted(
    unit: HardwareUnit, design: Design, library: Path, nets: int, trials: Sequence[Trial]
) -> tuple[np.ndarray, int]:
    """Toggles of each net and the cycles they are of."""
    counter = ctypes.CDLL(str(library))  # the same one that the models load
    counter.toggles_begin.argtypes, counter.toggles_begin.restype = [ctypes.c_uint64], None
    counter.toggles_end.argtypes, counter.toggles_end.restype = [ctypes.c_void_p], ctypes.c_uint64
    counter.toggles_restart.restype = None
    counter.toggles_begin(nets)
    for trial in trials:
        work = work_of(unit, design, trial)
        counter.toggles_restart()  # nor does the edge of the reset follow the case before
        with Model(design, library, trial.seed) as model:
            counter.toggles_restart()
            traffic = model.run(work.inputs, work.expected_beats, limit_cycles=work.limit_cycles)
        complaints = judged(unit, design, work, traffic).complaints
        if complaints:
            raise GatesDifferError(f"gates of {unit.kind} {unit.name}, seed {trial.seed}: {complaints[0]}")
    counts = np.zeros(nets, np.uint64)
    return counts, int(counter.toggles_end(counts.ctypes.data))


def energy_of(synthesis: Synthesis, activity: Activity) -> Energy:
    """The energy that an activity costs."""
    library, netlist = synthesis.library, synthesis.netlist
    if library is None:
        raise ValueError("gates without a library have no energy")
    loads = net_loads_pf(netlist, library, output_load_pf(library))
    slews = _slews(netlist, library)
    clock = {net for net in netlist.ports["clk_i"].bits if isinstance(net, int)}
    internal, clocked = 0.0, 0.0
    for instance in netlist.instances:
        if instance.kind == BOX:
            continue
        cell = library.cells[instance.kind]
        nets = {pin: bits[0] for pin, bits in instance.pins.items() if isinstance(bits[0], int)}
        for pin, net in nets.items():
            pj = activity.toggles[int(net)] * _toggle_pj(cell, pin, nets, loads, slews)
            internal += pj
            clocked += pj if net in clock else 0.0
    half = {net: 0.5 * load * library.volts**2 for net, load in loads.items()}
    load_pj = sum(activity.toggles[net] * pj for net, pj in half.items())
    clocked += sum(activity.toggles[net] * half[net] for net in clock)
    leakage = synthesis.leakage_watts
    return Energy(
        activity.cycles, activity.operations, activity.operation, internal, load_pj, clocked, leakage
    )


def _slews(netlist: Netlist, library: Library) -> dict[int, float]:
    """The slew of each net, rise and fall averaged."""
    events = walked(netlist, library, output_load_pf(library)).events
    return {
        net: (event.slew + events.get((net, FALL), event).slew) / 2
        for (net, edge), event in events.items()
        if edge == RISE
    }


def _toggle_pj(
    cell: Cell,
    pin: str,
    nets: Mapping[str, int | str],
    loads: Mapping[int, float],
    slews: Mapping[int, float],
) -> float:
    """Internal energy of a toggle of a pin, the mean over what may cause it."""
    power = cell.pins[pin].power
    if not power:
        return 0.0
    net = int(nets[pin])
    if cell.pins[pin].direction == "input":
        return sum(_mean(p, 0.0, slews.get(net, CLOCK_SLEW_NS)) for p in power) / len(power)
    causes = [
        p for p in nets if cell.pins[p].direction == "input" and (not cell.register or p in _clocks(cell))
    ]
    slew = sum(slews.get(int(nets[p]), CLOCK_SLEW_NS) for p in causes) / max(len(causes), 1)
    return sum(_mean(p, loads.get(net, 0.0), slew) for p in power) / len(power)


def _clocks(cell: Cell) -> tuple[str, ...]:
    return cell.register.clocked_on.names() if cell.register else ()


def _mean(power: Power, load: float, slew: float) -> float:
    """Rise and fall averaged; a missing one counts as nothing."""
    return sum(table.at(load, slew) for table in (power.rise, power.fall) if table is not None) / 2
