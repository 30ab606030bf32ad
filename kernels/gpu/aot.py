"""Kernels compiled ahead of time, without a GPU: what a kernel file declares, and how it is built.

Every kernel file ends in ``COMPILED``, a tuple of `Build`. The driver is a program of its own, since Triton
decides when it is first imported whether it compiles or interprets::

    python -m siliform.kernels.gpu.aot matmul gather      one JSON object a line; no names: every file
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

#: Compute capabilities built for: A100 and H100.
TARGETS = (80, 90)
ALIGNMENT = 16  # bytes of a pointer, and the divisor of an integer, that Triton's launcher tells the compiler


@dataclass(frozen=True)
class Build:
    """One kernel with the types of its arguments and the values of its constants.

    Attributes
    ----------
    kernel : the ``@triton.jit`` function.
    signature : ``"a:*bf16 b:*bf16 m:i32 k:i32/16"``: names and Triton's types of the arguments that are no
        constants; pointers are aligned to 16 bytes, and so is what ``/16`` marks.
    constants : values of the constant arguments.
    least : least compute capability that takes it, 90 for fp8.
    """

    kernel: Any
    signature: str
    constants: Mapping[str, Any] = field(default_factory=dict)
    num_warps: int = 4
    num_stages: int = 3
    least: int = 80

    @property
    def name(self) -> str:
        """The kernel's name, with constants behind it."""
        constants = ",".join(f"{k}={_spelt(v)}" for k, v in self.constants.items())
        return f"{self.kernel.__name__}[{self.signature} {constants}]"


@dataclass(frozen=True)
class Built:
    """What came out: seconds and bytes; `stack_bytes` above 0 are registers spilt to memory."""

    file: str
    name: str
    capability: int
    compile_s: float
    shared_bytes: int
    registers: int
    stack_bytes: int
    instructions: tuple[str, ...]


#: Instructions whose presence tells which path a kernel takes.
TELLING = ("wgmma", "mma.sync", "cp.async.bulk", "cp.async.cg", "popc")


def kernel_files() -> tuple[str, ...]:
    """Stems of the files here that hold kernels with a host function: those with a ``COMPILED``."""
    folder = Path(__file__).parent
    files = sorted(folder.glob("*.py"))
    return tuple(f.stem for f in files if re.search(r"^COMPILED\b", f.read_text(encoding="utf-8"), re.M))


def module_of(stem: str) -> ModuleType:
    """The kernel file of that stem, imported (and triton with it)."""
    return importlib.import_module(f"siliform.kernels.gpu.{stem}")


def builds(stem: str) -> tuple[Build, ...]:
    """What the file declares under ``COMPILED``."""
    found: tuple[Build, ...] = module_of(stem).COMPILED
    return found


def compile_file(stem: str, targets: tuple[int, ...] = TARGETS) -> Iterator[Built]:
    """Every build of a file for every target that takes it; the compiler's errors pass through."""
    for build in builds(stem):
        for capability in targets:
            if capability >= build.least:
                yield _compiled(stem, build, capability)


def _compiled(stem: str, build: Build, capability: int) -> Built:
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    types, aligned = _types(build)
    names = build.kernel.arg_names
    source = ASTSource(
        build.kernel,
        {name: types.get(name, "constexpr") for name in names},
        dict(build.constants),
        {(names.index(name),): [["tt.divisibility", ALIGNMENT]] for name in aligned},
    )
    start = time.perf_counter()
    made = triton.compile(
        source,
        target=GPUTarget("cuda", capability, 32),
        options={"num_warps": build.num_warps, "num_stages": build.num_stages},
    )
    seconds = time.perf_counter() - start
    registers, stack = _resources(made.asm["cubin"])
    present = tuple(t for t in TELLING if t in made.asm["ptx"])
    return Built(
        stem, build.name, capability, round(seconds, 2), made.metadata.shared, registers, stack, present
    )


def _types(build: Build) -> tuple[dict[str, str], list[str]]:
    """Triton's type of each argument, and the arguments that are multiples of 16."""
    types, aligned = {}, []
    for word in build.signature.split():
        name, _, type_ = word.partition(":")
        plain = type_.removesuffix("/16")
        types[name] = plain
        if plain != type_ or plain.startswith("*"):
            aligned.append(name)
    return types, aligned


def _resources(cubin: bytes) -> tuple[int, int]:
    """Registers of a thread and bytes of its stack, as the binary states them."""
    from triton import knobs

    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        command = [knobs.nvidia.cuobjdump.path, "-res-usage", file.name]
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"REG:(\d+) STACK:(\d+)", text)
    if found is None:
        raise RuntimeError(f"cuobjdump told no registers: {text!r}")
    return int(found[1]), int(found[2])


def _spelt(value: Any) -> str:
    return str(getattr(value, "name", value))


def main(stems: list[str]) -> None:
    """Print one JSON object for each build; nothing is read from or left in Triton's cache."""
    with tempfile.TemporaryDirectory() as cache:
        os.environ["TRITON_CACHE_DIR"] = cache
        for stem in stems or kernel_files():
            try:
                for built in compile_file(stem):
                    print(json.dumps(vars(built)), flush=True)
            except Exception as error:
                error.add_note(f"while compiling kernels/gpu/{stem}.py")
                raise


if __name__ == "__main__":
    main(sys.argv[1:])
