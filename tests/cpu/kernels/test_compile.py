"""Every kernel compiles for sm_80 and sm_90, in a process of its own, within the chips' limits."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from siliform.kernels.gpu import aot

FOLDER = Path(aot.__file__).parent
#: Bytes of shared memory that one block may have. Source: CUDA C++ Programming Guide, compute capabilities.
SHARED_BYTES = {80: 163 * 1024, 90: 227 * 1024}
TENSOR_CORES = {80: "mma.sync", 90: "wgmma"}
FEW_SPILT_BYTES = 128  # of a thread's stack: what a kernel may spill before its tile counts as too large


HALVES = (0, 1)  # of the files: a process each, since starting one takes as long as compiling some kernels


def built(stems: tuple[str, ...]) -> list[dict[str, Any]]:
    """What compiling the files printed."""
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    command = [sys.executable, "-m", "siliform.kernels.gpu.aot", *stems]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("half", HALVES)
def test_kernels_compile_within_the_limits_of_the_chips(half):
    """Each file has something for each target; shared memory fits, and hardly a register is spilt.

    Products run on the tensor cores: by mma on sm_80, by warp groups on sm_90.
    """
    stems = aot.kernel_files()[half :: len(HALVES)]
    found = built(stems)
    assert {(b["file"], b["capability"]) for b in found} == {(s, t) for s in stems for t in aot.TARGETS}
    assert not [b for b in found if b["shared_bytes"] > SHARED_BYTES[b["capability"]]]
    assert not [b for b in found if b["stack_bytes"] > FEW_SPILT_BYTES]
    products = [b for b in found if b["file"] == "matmul"]
    assert not [b for b in products if TENSOR_CORES[b["capability"]] not in b["instructions"]]
    moved = [b for b in products if b["name"].startswith("persistent")]
    assert not [b for b in moved if "cp.async.bulk" not in b["instructions"]]


def jitted(file: Path) -> dict[str, set[str]]:
    """The file's jitted functions by name, and the names that each uses."""
    functions = [
        f for f in ast.parse(file.read_text(encoding="utf-8")).body if isinstance(f, ast.FunctionDef)
    ]
    return {
        f.name: {n.id for n in ast.walk(f) if isinstance(n, ast.Name)}
        for f in functions
        if any(ast.unparse(d) == "triton.jit" for d in f.decorator_list)
    }


@pytest.mark.parametrize("stem", aot.kernel_files())
def test_every_kernel_is_compiled(stem):
    """No kernel of the file is left out: a jitted function that no other one uses."""
    used = set().union(*(names for f in FOLDER.glob("*.py") for names in jitted(f).values()))
    assert jitted(FOLDER / f"{stem}.py").keys() - used <= {b.kernel.__name__ for b in aot.builds(stem)}


def test_files_with_kernels_declare_what_is_compiled():
    """A file that launches a kernel, ``kernel[grid](...)``, has a COMPILED."""
    launch = re.compile(r"^\s+\w+\[[^\]\n]*(\(.*\)|grid)[^\]\n]*\]\(", re.M)
    launching = {f.stem for f in FOLDER.glob("*.py") if launch.search(f.read_text(encoding="utf-8"))}
    assert launching == set(aot.kernel_files())
