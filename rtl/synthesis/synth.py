"""Synthesis: a design to gates of a cell library by Yosys and ABC, and what they amount to.

The circuit is flattened first, so that constants and unused outputs of one module thin out the next. Memories
of `MEMORY_WORDS` words or more are counted apart and not turned into flip-flops: their area is CACTI's.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from siliform.rtl.common.design import Design
from siliform.rtl.synthesis.circuit import Circuit
from siliform.rtl.synthesis.liberty import Library, read_library
from siliform.rtl.synthesis.netlist import BOX, Memory, Netlist, read_memories, read_netlist
from siliform.rtl.synthesis.timing import Path as LongestPath
from siliform.rtl.synthesis.timing import longest_path
from siliform.rtl.synthesis.yosys import find_yosys

MEMORY_WORDS = 32
NAND2_TRANSISTORS = 4  # static CMOS
FLIP_FLOP_TRANSISTORS = 24  # assumption: master and slave of transmission gates with their clock's inverters
OUTPUT_LOAD_NAND2 = 4  # assumption: an output drives four gates
KEPT = ("netlist.v", "netlist.json", "memories.v", "stat.txt", "yosys.log", "script.ys")
CELLS = "cells.lib"
# Yosys's own script without &fraig and scorr, which take minutes on multipliers and save 1 % of the area.
ABC = "+strash;dc2;strash;&get,-n;&dch,-f;&nf;&put"
SIZED = f"{ABC};buffer;upsize;dnsize"


@dataclass(frozen=True)
class Synthesis:
    """A circuit in gates.

    Attributes
    ----------
    netlist : its cells and nets.
    library : the cells' library; None for Yosys's own gates.
    gate_equivalents : area in NAND2 of that library; without one, transistors over four.
    flip_flops : how many.
    memories : what is counted apart.
    transistors : of the logic, without flip-flops, where there is no library.
    path : the longest path, where there is a library.
    memories_verilog : the memories as Verilog, for a simulation; empty where there are none.
    tools : what made it.
    """

    netlist: Netlist
    library: Library | None
    gate_equivalents: float
    flip_flops: int
    memories: tuple[Memory, ...]
    transistors: int | None
    path: LongestPath | None
    memories_verilog: str
    tools: str

    @property
    def cells(self) -> int:
        """How many cells."""
        return sum(self.netlist.cells.values())

    @property
    def area_um2(self) -> float | None:
        """Area of the cells, without wires and memories; None without a library."""
        return None if self.library is None else area_um2(self.netlist.cells, self.library)

    @property
    def leakage_watts(self) -> float:
        """Leakage of the cells; nothing without a library."""
        cells = self.library.cells if self.library else {}
        return sum(count * cells[kind].leakage_watts for kind, count in self.netlist.cells.items() if cells)

    @property
    def memory_bits(self) -> int:
        """Bits in memories that are counted apart."""
        return sum(m.words * m.bits for m in self.memories)


def synthesise(
    design: Design | Circuit, liberty: Path | None, *, keep: Path | None = None, memories_apart: bool = True
) -> Synthesis:
    """The design in gates.

    Parameters
    ----------
    design : what to synthesise, with its parameters.
    liberty : the cell library; None for Yosys's own gates, whose transistors are counted.
    keep : a folder for the netlist and Yosys's statistics.
    memories_apart : False turns all memories into flip-flops.

    Raises
    ------
    YosysError : Yosys cannot read it.
    UserError : no Yosys, or a file that is no library.
    """
    yosys, circuit = find_yosys(), Circuit.of(design)
    library = read_library(liberty) if liberty else None
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        commands = [*circuit.read(folder), *_logic(circuit.top, memories_apart)]
        if liberty is not None and library is not None:
            (folder / CELLS).write_bytes(liberty.read_bytes())
            (folder / "constraints").write_text(_constraints(library), encoding="utf-8")
            commands += _mapped()
        else:
            commands += [f"abc -g cmos -script {ABC}", *_written("-tech cmos")]
        yosys.run(commands, folder)
        found = _judged(folder, circuit.top, library, yosys.version)
        if keep is not None:
            _keep(folder, keep, KEPT if found.memories else tuple(n for n in KEPT if n != "memories.v"))
        return found


def recipe() -> str:
    """What is done to every circuit, in a text: figures made by another one are not comparable."""
    return "\n".join([*_logic("top", True), *_mapped()])


def _logic(top: str, memories_apart: bool) -> Sequence[str]:
    """Commands up to gates that no library knows, with large memories in a module of their own."""
    apart = [
        # A memory that nothing writes is a table of constants, which gates hold best.
        f"select -set large t:$mem_v2 r:SIZE>={MEMORY_WORDS} %i r:WR_PORTS>0 %i",
        f"submod -name {BOX} @large",
        f"select {BOX}",
        "write_json -selected memories.json",
        "write_verilog -noattr -selected memories.v",
        "select -clear",
        f"blackbox {BOX}",
    ]
    begin = f"synth -flatten -noabc -top {top} -run :fine"
    return [begin, *(apart if memories_apart else []), "synth -noabc -run fine:check"]


def _mapped() -> Sequence[str]:
    """Commands from gates to cells of the library."""
    return [
        f"dfflibmap -liberty {CELLS}",
        f"abc -liberty {CELLS} -constr constraints -script {SIZED}",
        *_written(f"-liberty {CELLS}"),
    ]


def _written(cells: str) -> Sequence[str]:
    """Commands that write what was made."""
    return [
        "opt_clean -purge",
        f"tee -q -o stat.txt stat {cells}",
        f"tee -q -o stat.json stat {cells} -json",
        "write_verilog -noattr netlist.v",
        "write_json netlist.json",
    ]


def _constraints(library: Library) -> str:
    """What drives the inputs and what the outputs drive, for ABC, whose loads are in femtofarads."""
    return f"set_driving_cell {library.buffer.name}\nset_load {1000 * output_load_pf(library):.3f}\n"


def output_load_pf(library: Library) -> float:
    """What an output of a circuit is taken to drive."""
    return OUTPUT_LOAD_NAND2 * max(pin.capacitance_pf for pin in library.nand2.pins.values())


def _keep(folder: Path, keep: Path, names: Sequence[str]) -> None:
    keep.mkdir(parents=True, exist_ok=True)
    for name in names:
        if (folder / name).is_file():
            (keep / name).write_bytes((folder / name).read_bytes())


def _judged(folder: Path, top: str, library: Library | None, tools: str) -> Synthesis:
    """What Yosys left in `folder`."""
    netlist = read_netlist(folder / "netlist.json", top)
    apart = (folder / "memories.json").is_file()
    memories = read_memories(folder / "memories.json") if apart else ()
    text = (folder / "memories.v").read_text(encoding="utf-8") if memories else ""
    flip_flops = sum(count for kind, count in netlist.cells.items() if _is_register(kind, library))
    if library is None:
        told = json.loads((folder / "stat.json").read_text(encoding="utf-8"))["design"]
        transistors = int(told["estimated_num_transistors"].rstrip("+"))  # + where there are flip-flops
        gates = (transistors + FLIP_FLOP_TRANSISTORS * flip_flops) / NAND2_TRANSISTORS
        return Synthesis(netlist, None, gates, flip_flops, memories, transistors, None, text, tools)
    gates = area_um2(netlist.cells, library) / library.nand2.area_um2
    path = longest_path(netlist, library, output_load_pf(library))
    return Synthesis(netlist, library, gates, flip_flops, memories, None, path, text, tools)


def _is_register(kind: str, library: Library | None) -> bool:
    if library is None:
        return "DFF" in kind
    return library.cells[kind].register is not None


def area_um2(cells: Mapping[str, int], library: Library) -> float:
    """Area of so many cells of each kind."""
    return sum(count * library.cells[kind].area_um2 for kind, count in cells.items())
