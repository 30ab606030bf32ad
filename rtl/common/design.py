"""A piece of hardware as the harness sees it: sources, top module, parameters, streams of beats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from siliform.rtl.common.verilator import Verilator


@dataclass(frozen=True)
class Field:
    """A port that carries part of a beat, without the suffix for its direction: ``lanes`` of ``bits``."""

    name: str
    lanes: int
    bits: int

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

    `sources` are SystemVerilog files in the order to compile; `parameters` override those of the top.
    """

    top: str
    sources: tuple[Path, ...]
    parameters: tuple[tuple[str, int], ...]
    streams: tuple[Stream, ...]

    def arguments(self) -> list[str]:
        """Verilator's arguments that say what the design is."""
        overrides = [f"-G{name}={value}" for name, value in self.parameters]
        return ["--top-module", self.top, *overrides, *map(str, self.sources)]

    def lint(self, verilator: Verilator) -> str:
        """What Verilator complains of with every warning on; empty where the design is clean."""
        done = verilator.run(["--lint-only", "-Wall", "--quiet", *self.arguments()], self.sources[0].parent)
        complaints = [line for line in done.stdout.splitlines() if not line.startswith("- ")]
        if done.returncode and not complaints:
            complaints = [f"verilator exited with {done.returncode} and said nothing"]
        return "\n".join(complaints)
