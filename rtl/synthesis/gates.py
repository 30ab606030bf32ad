"""A netlist as Verilog that can be simulated: every cell as the functions that its library gives it.

The result is a `Design` with the streams of the unit it was made from, so that a unit's own cases run on its
gates as they do on its sources. With `counted` it also hands all nets to the function ``count_toggles`` at
every rising edge of the clock, as they are before anything follows the edge.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from siliform.rtl.common.design import Design
from siliform.rtl.synthesis.boolean import Function
from siliform.rtl.synthesis.liberty import Cell, Library
from siliform.rtl.synthesis.netlist import BOX, Bit, Instance, Netlist
from siliform.rtl.synthesis.synth import Synthesis

TOP = "gates"
CHUNK = 64  # nets a line


def gate_design(synthesis: Synthesis, design: Design, *, counted: bool = False) -> Design:
    """The gates of `design` as a design of their own.

    Raises
    ------
    ValueError : it was synthesised without a library, or a cell has no function.
    """
    if synthesis.library is None:
        raise ValueError(f"{design.top} was synthesised without a library, whose cells could be simulated")
    text = gates_verilog(synthesis.netlist, synthesis.library, counted=counted)
    memories = (("memories.v", synthesis.memories_verilog),) if synthesis.memories_verilog else ()
    return Design(TOP, (), (), design.streams, generated=(*memories, ("gates.v", text)))


def counted_nets(netlist: Netlist) -> tuple[int, ...]:
    """The nets that are counted, in the order in which they are."""
    found: dict[Bit, None] = {}
    for port in netlist.ports.values():
        found.update(dict.fromkeys(port.bits))
    for instance in netlist.instances:
        for bits in instance.pins.values():
            found.update(dict.fromkeys(bits))
    return tuple(bit for bit in found if isinstance(bit, int))


def gates_verilog(netlist: Netlist, library: Library, *, counted: bool = False) -> str:
    """A module `TOP` with the netlist's ports."""
    ports = ",\n".join(f"  {p.direction} logic [{len(p.bits) - 1}:0] {n}" for n, p in netlist.ports.items())
    names = _names(netlist)
    nets = counted_nets(netlist)
    lines = [f"module {TOP} (\n{ports}\n);", *(f"  logic n{n};" for n in nets if names[n] == f"n{n}")]
    for index, instance in enumerate(netlist.instances):
        if instance.kind == BOX:
            lines.append(_memories(instance, names))
        else:
            lines += _cell(index, instance, library.cells[instance.kind], names)
    for name, port in netlist.ports.items():
        if port.direction == "output":
            lines.append(f"  assign {name} = {_joined(port.bits, names)};")
    if counted:
        lines += _counter(nets, names)
    return "\n".join([*lines, "endmodule\n"])


def _names(netlist: Netlist) -> Mapping[Bit, str]:
    """What each net is called in the text: an input by its port, others by their numbers."""
    names: dict[Bit, str] = {"0": "1'b0", "1": "1'b1", "x": "1'b0", "z": "1'b0"}
    names.update({net: f"n{net}" for net in counted_nets(netlist)})
    for name, port in netlist.ports.items():
        if port.direction == "input":
            names.update({net: f"{name}[{i}]" for i, net in enumerate(port.bits) if isinstance(net, int)})
    return names


def _joined(bits: tuple[Bit, ...], names: Mapping[Bit, str]) -> str:
    return "{" + ", ".join(names[bit] for bit in reversed(bits)) + "}"


def _memories(instance: Instance, names: Mapping[Bit, str]) -> str:
    """The memories' instance. Its outputs are nets; a backslash and a blank quote any name."""
    pins = ", ".join(f".\\{pin} ({_joined(bits, names)})" for pin, bits in instance.pins.items())
    return f"  {BOX} u_{BOX} ({pins});"


def _cell(index: int, instance: Instance, cell: Cell, names: Mapping[Bit, str]) -> Iterator[str]:
    """The lines of one cell."""
    own = {pin: names[bits[0]] for pin, bits in instance.pins.items()}
    if cell.register is not None:
        own |= {cell.register.state: f"q{index}", cell.register.inverse: f"~q{index}"}
        yield f"  logic q{index};"
        yield _register(index, cell, own)
    for name, pin in cell.outputs.items():
        if pin.function is None:
            raise ValueError(f"the output {name} of the cell {cell.name} has no function")
        if name in instance.pins:
            yield f"  assign {own[name]} = {pin.function.verilog(own.__getitem__)};"


def _register(index: int, cell: Cell, names: Mapping[str, str]) -> str:
    """The state of a flip-flop: forced at once, else what is fed at an edge of the clock."""
    register = cell.register
    if register is None:
        raise ValueError(f"{cell.name} holds no state")
    edges = [_edge(cell, register.clocked_on, names)]
    forces = ""
    for function, value in ((register.clear, "0"), (register.preset, "1")):
        if function is None:
            continue
        edge = _edge(cell, function, names)
        if "1'b" not in edge:  # a pin that is tied off never forces
            edges.append(edge)
            forces += f"if ({function.verilog(names.__getitem__)}) q{index} <= 1'b{value}; else "
    fed = register.next_state.verilog(names.__getitem__)
    return f"  always @({' or '.join(edges)}) {forces}q{index} <= {fed};"


def _edge(cell: Cell, function: Function, names: Mapping[str, str]) -> str:
    """``posedge`` or ``negedge`` of the one pin that a function depends on."""
    if function.operator == "name":
        return f"posedge {names[function.leaf]}"
    if function.operator == "not" and function.parts[0].operator == "name":
        return f"negedge {names[function.parts[0].leaf]}"
    raise ValueError(f"the cell {cell.name} is clocked or forced by more than one pin")


def _counter(nets: tuple[int, ...], names: Mapping[Bit, str]) -> Iterator[str]:
    """All nets in one vector, handed over at the rising edge."""
    yield f"  logic [{len(nets) - 1}:0] nets;"
    for low in range(0, len(nets), CHUNK):
        some = nets[low : low + CHUNK]
        yield f"  assign nets[{low + len(some) - 1}:{low}] = {_joined(some, names)};"
    yield f'  import "DPI-C" function void count_toggles(input bit [{len(nets) - 1}:0] nets);'
    yield "  always @(posedge clk_i) count_toggles(nets);"
