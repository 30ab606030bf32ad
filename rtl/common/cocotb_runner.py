"""Building a design for cocotb, and running the bench of `bench.py` on it.

cocotb's own runner makes every signal of a design public (``--public-flat-rw``), which takes minutes of
compiling for a large array, and compiles Verilator's run-time library for each design. This one makes public
what a bench may touch, the ports and parameters of the top, and shares the library as `build` does.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

from siliform.graph_ir.errors import UserError
from siliform.rtl.common.build import RUNTIME, Flavour, build
from siliform.rtl.common.design import Design
from siliform.rtl.common.regression import Trial, Verdict, draw, stalls_of
from siliform.rtl.common.unit import HardwareUnit

BENCH = "siliform.rtl.common.bench"
#: Variables that name the bench's files: the unit's class with the trials, and the verdicts.
WORK_VARIABLE, VERDICTS_VARIABLE = "SILIFORM_BENCH_WORK", "SILIFORM_BENCH_VERDICTS"
INSTALL = "pip install cocotb==2.1.0 find_libpython==0.5.1, or 'siliform[rtl]', which holds both"


class BenchError(RuntimeError):
    """A simulation that ended without verdicts: a fault of ours; the text is what it printed."""


def run_trials(unit: HardwareUnit, trials: Sequence[Trial]) -> list[Verdict]:
    """The trials on the unit's cocotb bench, one after another in one simulation.

    Raises
    ------
    UserError : cocotb, or a Python that programs can embed, is not there.
    """
    config = _cocotb()
    simulation = build(unit.design(), cocotb_flavour(config))
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent)
        told = _simulated(simulation, unit, trials, folder, config)
    if told["unit"] != unit.name:
        raise BenchError(f"the design's parameters read as {told['unit']}, and it was built as {unit.name}")
    return [_verdict(unit, trial, plain) for trial, plain in zip(trials, told["verdicts"], strict=True)]


def _verdict(unit: HardwareUnit, trial: Trial, plain: dict[str, Any]) -> Verdict:
    return Verdict(
        trial,
        draw(unit, trial),
        tuple(plain["complaints"]),
        plain["cycles"],
        plain["held_cycles"],
        plain["seconds"],
        tuple(name for name, pattern in stalls_of(unit.design(), trial).items() if pattern.any()),
    )


def cocotb_flavour(config: ModuleType) -> Flavour:
    """A program with the design, Verilator's VPI and cocotb's main; `config` is cocotb's."""
    return Flavour(
        product="simulation",
        verilate=("--vpi",),
        link=(f"-Wl,-rpath,{config.libs_dir}", f"-L{config.libs_dir}", "-lcocotbvpi_verilator"),
        runtime=(*RUNTIME, "verilated_vpi.cpp"),
        main=config.share_dir / "lib" / "verilator" / "verilator.cpp",
        control=public_ports,
    )


def public_ports(design: Design) -> str:
    """Verilator control lines that show VPI the ports and parameters of the top, and nothing else."""
    names = ["clk_i", "rst_ni", *(name for name, _ in design.parameters)]
    for stream in design.streams:
        ours, theirs = ("i", "o") if stream.direction == "in" else ("o", "i")
        names += [f"{stream.name}_valid_{ours}", f"{stream.name}_ready_{theirs}"]
        names += [f"{field.name}_{ours}" for field in stream.fields]
    return "".join(f'public_flat_rw -module "{design.top}" -var "{name}"\n' for name in names)


def require_cocotb() -> None:
    """UserError with what to install, unless cocotb and a Python to embed are there."""
    _cocotb()
    _libpython()


def _cocotb() -> ModuleType:
    """cocotb's configuration, if cocotb is installed."""
    if util.find_spec("cocotb") is None or util.find_spec("find_libpython") is None:
        raise UserError(
            asked="a bench in cocotb",
            found="no package `cocotb`, or none of `find_libpython`, in this Python environment",
            where="the installed packages",
            next_step=INSTALL,
        )
    import cocotb_tools.config

    found: ModuleType = cocotb_tools.config
    return found


def _libpython() -> str:
    """The library that holds this Python, for a program to embed."""
    import find_libpython

    found: str | None = os.environ.get("LIBPYTHON_LOC") or find_libpython.find_libpython()
    if found is None:
        raise UserError(
            asked="a bench in cocotb, whose simulator embeds Python",
            found=f"no libpython of {sys.executable}",
            where="that interpreter's folders",
            next_step="use a Python built with --enable-shared (Debian and Ubuntu: apt install "
            "libpython3-dev), or name the library: LIBPYTHON_LOC=/path/to/libpython3.so",
        )
    return found


def _simulated(
    simulation: Path, unit: HardwareUnit, trials: Sequence[Trial], folder: Path, config: ModuleType
) -> dict[str, Any]:
    """What the bench wrote; the simulation runs in `folder`."""
    work, verdicts = folder / "work", folder / "verdicts.json"
    work.write_bytes(pickle.dumps((type(unit), tuple(trials))))
    environment = {
        **os.environ,
        WORK_VARIABLE: str(work),
        VERDICTS_VARIABLE: str(verdicts),
        "PYTHONPATH": os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path),
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{_libpython()};{config.pygpi_entry_point()}",
        "COCOTB_TOPLEVEL": unit.design().top,
        "COCOTB_TEST_MODULES": BENCH,
        "COCOTB_RESULTS_FILE": str(folder / "results.xml"),
        "COCOTB_RANDOM_SEED": "1",
        # Verilator applies writes at the same moment as its own: cocotb's runner says so too.
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "TOPLEVEL_LANG": "verilog",
    }
    seed = 1 + trials[0].seed % (2**31 - 1)
    command = [str(simulation), "+verilator+rand+reset+2", f"+verilator+seed+{seed}"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if not verdicts.is_file():
        raise BenchError(f"the simulation of {unit.kind} {unit.name} gave no verdict\n{done.stdout}")
    found: dict[str, Any] = json.loads(verdicts.read_text(encoding="utf-8"))
    return found
