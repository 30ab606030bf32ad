"""Building a design into a shared library, once for each set of sources, parameters and tools.

Verilator writes C++; one call of the compiler makes it and the harness a library. Verilator's run-time
library, most of the compiling, is built once for each version and linked into every model. A `Flavour` says
what else can be made of it: a library that writes waveforms, the program that cocotb drives.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from siliform.rtl.common.design import Design
from siliform.rtl.common.glue import streams_header
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator, run

HARNESS = Path(__file__).with_name("harness.cpp")
VERILATE = ("--cc", "--prefix", "Vtop", "--quiet", "--x-initial", "unique", "-O3", "-Wno-fatal")
# Unrolled loops run ten times as fast and more, but an array of 32 x 32 then compiles for 69 s (g++ 12).
UNROLLED = ("--unroll-count", "64")
ROLLED = ("--unroll-count", "1", "--unroll-stmts", "1")
COMPILE = ("-std=c++17", "-O2", "-fPIC", "-pthread", "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0")
UNTRACED = ("-DVM_TRACE=0", "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0")
TRACED = ("-DVM_TRACE=1", "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=1", "-DVM_TRACE_SAIF=0")
RUNTIME = ("verilated.cpp", "verilated_threads.cpp", "verilated_random.cpp")


def _nothing(design: Design) -> str:
    return ""


@dataclass(frozen=True)
class Flavour:
    """What is made of the C++ that Verilator writes for a design.

    Attributes
    ----------
    product : name of the file that is linked.
    verilate : options of Verilator beside those of every flavour.
    compile : options of the compiler for every source, the run-time library's too.
    link : options of the compiler for linking.
    runtime : sources of Verilator's run-time library.
    main : our source that drives the model.
    control : a Verilator control file for the design, or nothing.
    """

    product: str = "model.so"
    verilate: tuple[str, ...] = ()
    compile: tuple[str, ...] = UNTRACED
    link: tuple[str, ...] = ("-shared",)
    runtime: tuple[str, ...] = RUNTIME
    main: Path = HARNESS
    control: Callable[[Design], str] = _nothing


PLAIN = Flavour()
#: A library that writes what every signal does to a VCD file: builds and runs several times as slowly.
WITH_WAVEFORM = Flavour(verilate=("--trace",), compile=TRACED, runtime=(*RUNTIME, "verilated_vcd_c.cpp"))


class BuildError(RuntimeError):
    """Verilator or the compiler refused a design of ours; the text is what it printed."""


def cache_folder() -> Path:
    """Where built models are kept: $SILIFORM_CACHE, or siliform in the user's cache folder."""
    own = os.environ.get("SILIFORM_CACHE")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else user / "siliform"


def build(design: Design, flavour: Flavour = PLAIN) -> Path:
    """The design's library, or what `flavour` makes; from the cache where the same tools made it before."""
    verilator, compiler = find_verilator(), find_compiler()
    runtime = build_runtime(flavour)
    header, control = streams_header(design), flavour.control(design)
    texts = [verilator.version, _version(compiler), flavour.main.read_text(encoding="utf-8"), header, control]
    texts += [text for _, text in design.generated]
    texts += [s.read_text(encoding="utf-8") for s in design.sources]
    verilate = [*VERILATE, *flavour.verilate, *(ROLLED if design.rolled else UNROLLED), *design.overrides()]
    key = _key(*texts, *verilate, *COMPILE, *flavour.compile, *flavour.link)

    def make(folder: Path) -> None:
        (folder / "streams.h").write_text(header, encoding="utf-8")
        (folder / "control.vlt").write_text(f"`verilator_config\n{control}", encoding="utf-8")
        sources = [str(folder / "control.vlt"), *design.files(folder)]
        done = verilator.run([*verilate, "--Mdir", str(folder), *sources], folder)
        if done.returncode:
            raise BuildError(f"{design.top}: Verilator exited with {done.returncode}\n{done.stdout}")
        # One file that includes all others: reading Verilator's headers for each took most of the time.
        parts = [*sorted(folder.glob("Vtop*.cpp")), flavour.main]
        whole = folder / "whole.cpp"
        whole.write_text("".join(f'#include "{part}"\n' for part in parts), encoding="utf-8")
        flags = [*COMPILE, *flavour.compile, *_include(verilator), f"-I{folder}"]
        objects = [str(whole), *map(str, runtime)]
        _compile([compiler, *flags, *objects, *flavour.link, "-o", flavour.product], folder)

    return _made(f"{design.top}-{key}", make) / flavour.product


def build_runtime(flavour: Flavour = PLAIN) -> list[Path]:
    """Object files of Verilator's run-time library, from the cache where they are there."""
    verilator, compiler = find_verilator(), find_compiler()
    flags = [*COMPILE, *flavour.compile]
    key = _key(verilator.version, str(verilator.root), _version(compiler), *flags, *flavour.runtime)

    def make(folder: Path) -> None:
        sources = [str(verilator.root / "include" / name) for name in flavour.runtime]
        _compile([compiler, *flags, *_include(verilator), "-c", *sources], folder)

    folder = _made(f"verilator-{key}", make)
    return [folder / Path(name).with_suffix(".o") for name in flavour.runtime]


def _include(verilator: Verilator) -> list[str]:
    return [f"-I{verilator.root / 'include'}", f"-I{verilator.root / 'include' / 'vltstd'}"]


def _version(compiler: str) -> str:
    return run([compiler, "--version"], Path.cwd()).stdout


def _compile(command: list[str], folder: Path) -> None:
    done = run(command, folder)
    if done.returncode:
        raise BuildError(f"{command[0]} exited with {done.returncode}\n{done.stdout}")


def _key(*texts: str) -> str:
    """Twenty hexadecimal digits of what a build depends on."""
    parts = "".join(f"{len(text)}:{text}" for text in texts)
    return hashlib.sha256(parts.encode()).hexdigest()[:20]


def _made(name: str, make: Callable[[Path], None]) -> Path:
    """The folder `name` of the cache, made if need be; whole or absent, also if two make it at once."""
    rooms = cache_folder() / "rtl"
    final = rooms / name
    if final.is_dir():
        return final
    rooms.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=rooms) as parent:
        folder = Path(parent) / "made"
        folder.mkdir()
        make(folder)
        try:
            folder.rename(final)
        except OSError:
            if not final.is_dir():  # else another process was first, with the same sources
                raise
    return final
