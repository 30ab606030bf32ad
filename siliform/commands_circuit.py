"""The commands of whole accelerators in hardware: generate one, run a model on it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from siliform.console import check_file, make_folder, messages_to_stderr, print_json, progress
from siliform.options import Batch, DesignName, Json, ModelName, Overrides, Seq, override

if TYPE_CHECKING:
    from siliform.circuits import Compiled

#: Exit status of a run whose results are not the integer graph's: a fault of ours, told without a traceback.
DIFFERENT = 1

_GENERATE_EPILOG = """\b
Examples:
  siliform rtl generate --design tile-16x16 --out out/tile
  siliform rtl generate --design tile-16x16 --set rows.lanes=8 --out out/tile
"""

_RUN_EPILOG = """\b
Examples:
  siliform rtl run --model py:examples/two_layer_encoder.py:encoder --design tile-16x16
  siliform rtl run --model py:examples/two_layer_encoder.py:encoder --design tile-16x16 --json
  siliform rtl run --model py:own.py:block --design tile-16x16 --binary block.bin --listing block.txt
"""


def register(app: typer.Typer) -> None:
    """Add the commands of this module to the group `app`."""
    app.command(short_help="A design as SystemVerilog.", epilog=_GENERATE_EPILOG)(generate)
    app.command(short_help="A model on a design's circuit.", epilog=_RUN_EPILOG)(run)


def generate(
    design: DesignName,
    out: Annotated[Path, typer.Option("--out", help="Folder for the sources.")] = Path("out/circuit"),
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Write the circuit of a design: sequencer, DMA, scratchpad, array and row engine as SystemVerilog.

    The design must be one that a circuit is generated of, such as tile-16x16 with other sizes; the error says
    what differs. Nothing needs to be installed for this.
    """
    import siliform as sf

    accelerator = sf.accelerator(design, **dict(override(text) for text in overrides or []))
    make_folder("--out", out)
    circuit = sf.generate(accelerator, out)
    if as_json:
        print_json(
            {
                "format": "siliform-rtl-generate",
                "version": 1,
                "design": accelerator.name,
                "parameters": asdict(circuit.machine),
                "files": [str(path) for path in circuit.files],
            }
        )
        return
    typer.echo(f"{accelerator.name}: {len(circuit.files)} sources in {out}, top module accelerator")


def run(
    model: ModelName,
    design: DesignName,
    seq: Seq = None,
    batch: Batch = 1,
    overrides: Overrides = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of random inputs, and of random weights.")] = 0,
    binary: Annotated[Path | None, typer.Option("--binary", help="Write the commands as a binary.")] = None,
    listing: Annotated[Path | None, typer.Option("--listing", help="Write the commands as text.")] = None,
    waveform: Annotated[
        Path | None, typer.Option("--waveform", help="Write every signal as VCD; the build takes minutes.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run a model on a design's circuit under Verilator: one binary, one start, one done.

    The model is made integer-only (int8 between nodes, ranges from random inputs; weights it has not are
    random), mapped, and assembled into commands. Results must be those of the integer graph bit for bit;
    cycles stand beside those of the event simulator, node by node. Exit status 1 where a bit differs.
    """
    import siliform as sf
    from siliform.circuits import compile_for_circuit, run_circuit
    from siliform.rtl.common.told import tools

    accelerator = sf.accelerator(design, **dict(override(text) for text in overrides or []))
    for option, path in (("--binary", binary), ("--listing", listing), ("--waveform", waveform)):
        check_file(option, path)
    tools()
    with progress("tracing and compiling"), messages_to_stderr():
        # What is traced from a module, a saved graph and a single product have no sizes of a catalogue.
        own = model.startswith(("py:", "gemm:")) or model.endswith(".graph")
        graph = sf.trace(model, seq=seq, batch=batch, seed=None if own else seed)
        compiled = compile_for_circuit(graph, accelerator, seed=seed)
    _write(compiled, binary, listing)
    with progress("building and running the circuit"), messages_to_stderr():
        found = run_circuit(compiled, seed=seed, waveform=waveform)
    if as_json:
        print_json(found.to_dict())
    else:
        from siliform.rtl_tables import print_circuit_run

        print_circuit_run(found)
    if found.differing:
        raise typer.Exit(DIFFERENT)


def _write(compiled: Compiled, binary: Path | None, listing: Path | None) -> None:
    from siliform.arch.commands import disassemble

    if binary is not None:
        binary.write_bytes(compiled.image.binary)
    if listing is not None:
        listing.write_text(disassemble(compiled.image.binary), encoding="utf-8")
