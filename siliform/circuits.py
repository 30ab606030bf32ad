"""Accelerators as circuits: written as SystemVerilog, and run on traced models against their simulation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from siliform.graph_ir.errors import UserError

if TYPE_CHECKING:
    from siliform.arch.accelerator import Accelerator
    from siliform.graph_ir.graph import Graph
    from siliform.graph_ir.passes.integer_only import IntegerGraph
    from siliform.rtl.accelerator.assemble import Image
    from siliform.rtl.accelerator.design import Machine
    from siliform.rtl.accelerator.machine import Run
    from siliform.simulator.report import Report

CALIBRATION_RUNS = 4  # of random inputs, where no others are given


@dataclass(frozen=True, eq=False)
class Circuit:
    """A design's circuit.

    machine : its parameters. files : what was written, in the order to compile.
    """

    accelerator: Accelerator
    machine: Machine
    files: tuple[Path, ...]


@dataclass(frozen=True, eq=False)
class Compiled:
    """A model in integers, mapped and assembled: what a circuit runs and what it must give."""

    accelerator: Accelerator
    machine: Machine
    form: IntegerGraph
    image: Image


@dataclass(frozen=True)
class NodeCycles:
    """One node: cycles in the circuit and by events, from the end of the node before to its own end."""

    name: str
    module: str
    op: str
    unit: str
    circuit_cycles: int
    event_cycles: int

    @property
    def error(self) -> float:
        """By what share events are short of the circuit; negative where they take longer.

        A node that ends beside the one before, and so takes no cycle of its own, counts as one cycle.
        """
        return (self.circuit_cycles - self.event_cycles) / max(self.circuit_cycles, 1)


@dataclass(frozen=True, eq=False)
class CircuitRun:
    """What a model did on a circuit, beside what the simulator and the integer graph say.

    Attributes
    ----------
    differing : elements of the results that differ from the integer graph's; 0 where all is well.
    elements : of the results.
    nodes : in order of execution.
    run : the circuit's own account.
    events, law : reports of the event simulator and of the closed form.
    """

    compiled: Compiled
    run: Run
    differing: int
    elements: int
    nodes: tuple[NodeCycles, ...]
    events: Report
    law: Report

    def to_dict(self) -> dict[str, Any]:
        """The content of ``siliform rtl run --json``."""
        machine = self.compiled.machine
        return {
            "format": "siliform-rtl-run",
            "version": 1,
            "model": self.compiled.form.graph.name,
            "design": self.compiled.accelerator.name,
            "machine": asdict(machine),
            "commands": len(self.compiled.image.commands),
            "bit_exact": self.differing == 0,
            "differing_elements": self.differing,
            "elements": self.elements,
            "cycles": self.run.cycles,
            "event_cycles": self.events.cycles,
            "law_cycles": self.law.cycles,
            "dram_read_bytes": self.run.read_bytes,
            "dram_written_bytes": self.run.written_bytes,
            "nodes": [{**vars(node), "error": node.error} for node in self.nodes],
        }


def generate(accelerator: Accelerator, out: str | Path) -> Circuit:
    """Write a design's circuit as SystemVerilog.

    Parameters
    ----------
    accelerator : a design such as ``tile-16x16``.
    out : a folder, made if need be: the sources, ``files.f`` with their order, and what it is in README.md.

    Raises
    ------
    UserError : a design that no circuit is generated of, saying what differs.
    """
    from siliform.rtl.accelerator.design import Machine

    machine = Machine.of(accelerator)
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    design = machine.design()
    files = []
    for name, text in (*design.generated, *((p.name, p.read_text(encoding="utf-8")) for p in design.sources)):
        (folder / name).write_text(text, encoding="utf-8")
        files.append(folder / name)
    (folder / "files.f").write_text("".join(f"{path.name}\n" for path in files), encoding="utf-8")
    (folder / "README.md").write_text(_readme(accelerator, machine), encoding="utf-8")
    return Circuit(accelerator, machine, tuple(files))


def compile_for_circuit(
    graph: Graph,
    accelerator: Accelerator,
    calibration: Sequence[Sequence[np.ndarray]] | None = None,
    *,
    seed: int = 0,
) -> Compiled:
    """A traced fp32 graph in integers, mapped onto a design and assembled into its commands.

    calibration : inputs such as the model will see, a tuple of arrays each; normally distributed ones, drawn
        from `seed`, where none are given. So are weights that the graph does not hold.

    Raises
    ------
    UserError : inputs that are no floats, a node without integer form, or what no command can say.
    """
    from siliform.graph_ir.interpret import random_data
    from siliform.graph_ir.passes.integer_only import integer_only
    from siliform.rtl.accelerator.assemble import assemble
    from siliform.rtl.accelerator.design import Machine
    from siliform.simulator.estimate import compile_graph

    machine = Machine.of(accelerator)
    _check_inputs(graph)
    runs = calibration or [_normal(graph, seed + 1 + i) for i in range(CALIBRATION_RUNS)]
    form = integer_only(graph, runs, random_data(graph, seed))
    program = compile_graph(form.graph, accelerator, bits="traced")
    return Compiled(accelerator, machine, form, assemble(form.graph, program, machine))


def run_circuit(
    compiled: Compiled,
    inputs: Sequence[np.ndarray] | None = None,
    *,
    seed: int = 0,
    waveform: Path | None = None,
) -> CircuitRun:
    """Run a compiled model on its circuit under Verilator, and hold it against graph and simulators.

    inputs : real ones; normally distributed, drawn from `seed`, where none are given.
    waveform : a VCD file to write.

    Raises
    ------
    UserError : no Verilator, or no C++ compiler; the error says what to install.
    """
    from siliform.graph_ir.interpret import interpret
    from siliform.rtl.accelerator.machine import Dram, run_image
    from siliform.simulator.estimate import estimate
    from siliform.simulator.events.simulate import simulate

    form, chip = compiled.form, compiled.accelerator
    (dma,) = chip.of_kind("dma")
    levels = form.quantised(*(inputs or _normal(form.graph, seed)))
    run = run_image(
        compiled.machine,
        compiled.image,
        levels,
        dram=Dram(vars(dma)["startup_cycles"], compiled.machine.size),
        seed=seed + 1,
        waveform=waveform,
    )
    golden = interpret(form.graph, *levels)
    differing = sum(int((a != b).sum()) for a, b in zip(run.results, golden, strict=True))
    events = simulate(form.graph, chip, bits="traced").report
    law = estimate(form.graph, chip, bits="traced")
    elements = sum(result.size for result in run.results)
    return CircuitRun(compiled, run, differing, elements, _nodes(compiled, run, events), events, law)


def _nodes(compiled: Compiled, run: Run, events: Report) -> tuple[NodeCycles, ...]:
    """Each node from the end of the one before to its own end."""
    ends: dict[str, int] = {}
    for item, cycle in zip(compiled.image.commands, run.finished, strict=False):
        ends[item.node] = max(ends.get(item.node, 0), cycle)
    found, before = [], 0
    for part in events.parts:
        if part.name not in ends:
            continue
        found.append(
            NodeCycles(part.name, part.module, part.op, part.unit, ends[part.name] - before, part.cycles)
        )
        before = ends[part.name]
    return tuple(found)


def _check_inputs(graph: Graph) -> None:
    strange = next((v for v in graph.inputs if v.type.format.kind != "float"), None)
    if strange is not None:
        raise UserError(
            asked=f"graph {graph.name!r} on a circuit",
            found=f"the input {strange} : {strange.type}, where floats are made int8",
            where=f"input {strange.name!r}",
            next_step="give a module that begins behind its embeddings, such as an encoder, in fp32",
        )


def _normal(graph: Graph, seed: int) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    return tuple(generator.standard_normal(v.type.shape).astype(np.float32) for v in graph.inputs)


def _readme(accelerator: Accelerator, machine: Machine) -> str:
    parameters = machine.design().parameters
    rows = "\n".join(f"| `{name}` | {value} |" for name, value in parameters)
    overrides = " ".join(f"-G{name}={value}" for name, value in parameters)
    return f"""\
# {accelerator.name}

{accelerator.description}

Written by `siliform rtl generate --design {accelerator.name}`. Top module: `accelerator`, in
`accelerator.sv`, whose head tells what goes in and out; `files.f` lists the sources in the order to compile.

| parameter | value |
|---|---|
{rows}

    verilator --lint-only -Wall --top-module accelerator {overrides} -f files.f
"""
