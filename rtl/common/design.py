"""A piece of hardware as the harness sees it: sources, top module, parameters, streams of beats."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from siliform.rtl.common.verilator import Verilator


@dataclass(frozen=True)
class Field:
    """A port that carries part of a beat, without the suffix for its direction: ``lanes`` of ``bits``.

    Lane 0 lies in the lowest bits. `signed` says how a lane is read: two's complement, or from zero up.
    """

    name: str
    lanes: int
    bits: int
    signed: bool = True

    @property
    def bytes(self) -> int:
        """Whole bytes that hold the port."""
        return -(-self.lanes * self.bits // 8)


@dataclass(frozen=True)
class Stream:
    """Beats under valid and ready: ``<name>_valid``, ``<name>_ready`` and the fields' ports."""

    name: str
    direction: Literal["in", "out"]
    fields: tuple[Field, ...]

    @property
    def beat_bytes(self) -> int:
        """A beat's fields one after another, each in whole bytes."""
        return sum(f.bytes for f in self.fields)


@dataclass(frozen=True)
class Design:
    """What is built: a top module with ``clk_i``, ``rst_ni`` and streams.

    `sources` are SystemVerilog files in the order to compile; `generated` are files by name and text, written
    by a generator, that are compiled before them; `parameters` override those of the top;
    `rolled` keeps loops as loops in the model, which builds faster and runs slower. Verilator 5.048 then
    evaluates nonblocking assignments inside a loop one after another, so that a shift written in that way
    passes through in one step: designs write loops in always_comb and assign registers as a whole.
    """

    top: str
    sources: tuple[Path, ...]
    parameters: tuple[tuple[str, int], ...]
    streams: tuple[Stream, ...]
    rolled: bool = False
    generated: tuple[tuple[str, str], ...] = ()

    def files(self, folder: Path) -> list[str]:
        """All sources in the order to compile, the generated ones written to `folder`."""
        for name, text in self.generated:
            (folder / name).write_text(text, encoding="utf-8")
        return [*(str(folder / name) for name, _ in self.generated), *map(str, self.sources)]

    def overrides(self) -> list[str]:
        """Verilator's arguments that name the top and set its parameters."""
        return ["--top-module", self.top, *(f"-G{name}={value}" for name, value in self.parameters)]

    def lint(self, verilator: Verilator) -> str:
        """What Verilator complains of with every warning on; empty where the design is clean."""
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent)
            flags = ["--lint-only", "-Wall", "--quiet", *self.overrides(), *self.files(folder)]
            done = verilator.run(flags, folder)
        complaints = [line for line in done.stdout.splitlines() if not line.startswith("- ")]
        if done.returncode and not complaints:
            complaints = [f"verilator exited with {done.returncode} and said nothing"]
        return "\n".join(complaints)
