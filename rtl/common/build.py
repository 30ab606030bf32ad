"""Building a design into a shared library, once for each set of sources, parameters and tools.

Verilator writes C++; one call of the compiler makes it and the harness a library. Verilator's run-time
library, most of the compiling, is built once for each version and linked into every model.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from siliform.rtl.common.design import Design
from siliform.rtl.common.glue import streams_header
from siliform.rtl.common.verilator import Verilator, find_compiler, find_verilator, run

HARNESS = Path(__file__).with_name("harness.cpp")
RUNTIME = ("verilated.cpp", "verilated_threads.cpp", "verilated_random.cpp")
VERILATE = ("--cc", "--prefix", "Vtop", "--quiet", "--x-initial", "unique", "-O3", "-Wno-fatal")
# Unrolled loops run ten times as fast and more, but an array of 32 x 32 then compiles for 69 s (g++ 12).
UNROLLED = ("--unroll-count", "64")
ROLLED = ("--unroll-count", "1", "--unroll-stmts", "1")
COMPILE = ("-std=c++17", "-O2", "-fPIC", "-pthread", "-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0")
UNTRACED = ("-DVM_TRACE=0", "-DVM_TRACE_FST=0", "-DVM_TRACE_VCD=0", "-DVM_TRACE_SAIF=0")


class BuildError(RuntimeError):
    """Verilator or the compiler refused a design of ours; the text is what it printed."""


def cache_folder() -> Path:
    """Where built models are kept: $SILIFORM_CACHE, or siliform in the user's cache folder."""
    own = os.environ.get("SILIFORM_CACHE")
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(own) if own else user / "siliform"


def build(design: Design) -> Path:
    """The design's library, from the cache where it was built before by the same tools."""
    verilator, compiler = find_verilator(), find_compiler()
    runtime = _runtime(verilator, compiler)
    header = streams_header(design)
    texts = [verilator.version, _version(compiler), HARNESS.read_text(encoding="utf-8"), header]
    texts += [text for _, text in design.generated]
    texts += [s.read_text(encoding="utf-8") for s in design.sources]
    verilate = [*VERILATE, *(ROLLED if design.rolled else UNROLLED), *design.overrides()]
    key = _key(*texts, *verilate, *COMPILE)

    def make(folder: Path) -> None:
        (folder / "streams.h").write_text(header, encoding="utf-8")
        done = verilator.run([*verilate, "--Mdir", str(folder), *design.files(folder)], folder)
        if done.returncode:
            raise BuildError(f"{design.top}: Verilator exited with {done.returncode}\n{done.stdout}")
        sources = [str(p) for p in sorted(folder.glob("Vtop*.cpp"))]
        flags = [*COMPILE, *UNTRACED, "-shared", *_include(verilator), f"-I{folder}"]
        _compile([compiler, *flags, *sources, str(HARNESS), *map(str, runtime), "-o", "model.so"], folder)

    return _made(f"{design.top}-{key}", make) / "model.so"


def _runtime(verilator: Verilator, compiler: str) -> list[Path]:
    """Object files of Verilator's run-time library."""
    key = _key(verilator.version, str(verilator.root), _version(compiler), *COMPILE, *RUNTIME)

    def make(folder: Path) -> None:
        sources = [str(verilator.root / "include" / name) for name in RUNTIME]
        _compile([compiler, *COMPILE, *UNTRACED, *_include(verilator), "-c", *sources], folder)

    folder = _made(f"verilator-{key}", make)
    return [folder / Path(name).with_suffix(".o") for name in RUNTIME]


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
