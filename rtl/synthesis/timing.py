"""The longest path of a netlist, by the delay tables of its library.

Rising and falling edges are followed from the inputs and the registers' clocks through every arc to the
registers' inputs, whose setup is added, and to the outputs. Slews and loads are those of the netlist: the
pins on a net, and no wires, so that a path on silicon is longer. The clock arrives everywhere at once; paths
through memories that are counted apart are cut there. Paths that no data can take are not told apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from siliform.rtl.synthesis.liberty import Arc, Cell, Library
from siliform.rtl.synthesis.netlist import BOX, Bit, Instance, Netlist

RISE, FALL = 0, 1
CLOCK_SLEW_NS = 0.1  # assumption: of the clock and the inputs at 180 nm
EDGES = ("rising_edge", "falling_edge")
TABLES = (("cell_rise", "rise_transition"), ("cell_fall", "fall_transition"))
CONSTRAINTS = ("rise_constraint", "fall_constraint")


@dataclass(frozen=True)
class Path:
    """A path: how long, and through which nets, from a register or an input to a register or an output."""

    nanoseconds: float
    nets: tuple[str, ...]


@dataclass
class _Event:
    """The latest an edge of a net comes, its slew, and the edge of another net that it follows."""

    time: float
    slew: float
    cause: tuple[int, int] | None


@dataclass
class _Walk:
    """A walk through a netlist in the order of its gates."""

    netlist: Netlist
    library: Library
    loads: Mapping[int, float]
    events: dict[tuple[int, int], _Event] = field(default_factory=dict)
    end: tuple[float, tuple[int, int] | None] = (0.0, None)

    def arrive(self, net: int, edge: int, time: float, slew: float, cause: tuple[int, int] | None) -> None:
        known = self.events.get((net, edge))
        if known is None:
            self.events[net, edge] = _Event(time, slew, cause)
            return
        if time > known.time:
            known.time, known.cause = time, cause
        known.slew = max(known.slew, slew)

    def follow(self, arc: Arc, source: Bit, target: int) -> None:
        """Carry the edges of `source` over an arc to `target`."""
        if isinstance(source, str):
            return  # a constant has no edges
        for edge, (delay, transition) in enumerate(TABLES):
            if delay not in arc.tables:
                continue
            for cause in _causes(arc, edge):
                event = self.events.get((source, cause))
                if event is not None:
                    load = self.loads.get(target, 0.0)
                    time = event.time + arc.tables[delay].at(load, event.slew)
                    slew = arc.tables[transition].at(load, event.slew) if transition in arc.tables else 0.0
                    self.arrive(target, edge, time, max(slew, 0.0), (source, cause))

    def finish(self, net: Bit, extra: Mapping[int, float]) -> None:
        """End paths at a net, with what each edge takes beyond it."""
        if isinstance(net, str):
            return
        for edge, more in extra.items():
            event = self.events.get((net, edge))
            if event is not None and event.time + more > self.end[0]:
                self.end = (event.time + more, (net, edge))


def _causes(arc: Arc, edge: int) -> tuple[int, ...]:
    if arc.kind in EDGES:
        return (RISE,) if arc.kind == "rising_edge" else (FALL,)
    if arc.sense == "positive_unate":
        return (edge,)
    return (1 - edge,) if arc.sense == "negative_unate" else (RISE, FALL)


def net_loads_pf(netlist: Netlist, library: Library, output_pf: float = 0.0) -> dict[int, float]:
    """The capacitance of the pins on each net, with `output_pf` on each output."""
    loads: dict[int, float] = defaultdict(float)
    for instance in netlist.instances:
        if instance.kind != BOX:
            for pin, (net, *_) in instance.pins.items():
                if isinstance(net, int):
                    loads[net] += library.cells[instance.kind].pins[pin].capacitance_pf
    for port in netlist.ports.values():
        for net in port.bits if port.direction == "output" else ():
            if isinstance(net, int):
                loads[net] += output_pf
    return dict(loads)


def longest_path(netlist: Netlist, library: Library, output_pf: float) -> Path:
    """The path that takes longest; ValueError where gates feed themselves."""
    walk = walked(netlist, library, output_pf)
    nets: list[str] = []
    at = walk.end[1]
    while at is not None:
        net, edge = at
        nets.append(f"{netlist.names.get(net, f'net {net}')} {'rises' if edge == RISE else 'falls'}")
        at = walk.events[at].cause
    return Path(walk.end[0], tuple(reversed(nets)))


def walked(netlist: Netlist, library: Library, output_pf: float) -> _Walk:
    """Every net's events."""
    walk = _Walk(netlist, library, net_loads_pf(netlist, library, output_pf))
    for port in netlist.ports.values():
        for net in port.bits if port.direction == "input" else ():
            _begin(walk, net)
    for instance in netlist.instances:
        if instance.kind == BOX:
            for bits in instance.pins.values():
                for net in bits:
                    _begin(walk, net)
    registers = [i for i in netlist.instances if i.kind != BOX and library.cells[i.kind].register]
    for instance in registers:
        _step(walk, instance)
    for instance in ordered(netlist, library):
        _step(walk, instance)
    for instance in registers:
        for pin, extra in _setups(walk, instance):
            walk.finish(instance.pins[pin][0], extra)
    for port in netlist.ports.values():
        for net in port.bits if port.direction == "output" else ():
            walk.finish(net, {RISE: 0.0, FALL: 0.0})
    return walk


def _begin(walk: _Walk, net: Bit) -> None:
    if isinstance(net, int):
        for edge in (RISE, FALL):
            walk.arrive(net, edge, 0.0, CLOCK_SLEW_NS, None)


def _step(walk: _Walk, instance: Instance) -> None:
    """Carry what reaches a cell's inputs to its outputs; of a register only its clock."""
    cell = walk.library.cells[instance.kind]
    for name, pin in cell.outputs.items():
        target = instance.pins.get(name, ("x",))[0]
        for arc in pin.arcs if isinstance(target, int) else ():
            clocked = arc.kind in EDGES
            if clocked == (cell.register is not None) and arc.related in instance.pins:
                walk.follow(arc, instance.pins[arc.related][0], int(target))


def _setups(walk: _Walk, instance: Instance) -> Iterator[tuple[str, dict[int, float]]]:
    """The pins of a register that must be settled before its clock, and how long before."""
    for name, pin in walk.library.cells[instance.kind].pins.items():
        for arc in pin.arcs:
            if arc.kind in ("setup_rising", "setup_falling") and name in instance.pins:
                net = instance.pins[name][0]
                extra = {}
                for edge, table in enumerate(CONSTRAINTS):
                    event = walk.events.get((net, edge)) if isinstance(net, int) else None
                    if event is not None and table in arc.tables:
                        extra[edge] = arc.tables[table].at(event.slew, CLOCK_SLEW_NS)
                yield name, extra


def ordered(netlist: Netlist, library: Library) -> list[Instance]:
    """Gates, each behind those that feed it; registers and memories are left out."""
    gates = [i for i in netlist.instances if i.kind != BOX and library.cells[i.kind].register is None]
    drivers = {net: n for n, gate in enumerate(gates) for net in _driven(gate, library.cells[gate.kind])}
    waiting = [0] * len(gates)
    readers: dict[int, list[int]] = defaultdict(list)
    for n, gate in enumerate(gates):
        for pin, (net, *_) in gate.pins.items():
            if library.cells[gate.kind].pins[pin].direction == "input" and net in drivers:
                waiting[n] += 1
                readers[drivers[net]].append(n)
    ready = [n for n, count in enumerate(waiting) if count == 0]
    for n in ready:  # grows as it is read
        for reader in readers[n]:
            waiting[reader] -= 1
            if waiting[reader] == 0:
                ready.append(reader)
    if len(ready) < len(gates):
        raise ValueError(f"{len(gates) - len(ready)} gates of {netlist.top} wait for each other in a loop")
    return [gates[n] for n in ready]


def _driven(gate: Instance, cell: Cell) -> Iterator[Bit]:
    for name in cell.outputs:
        if name in gate.pins:
            yield gate.pins[name][0]
