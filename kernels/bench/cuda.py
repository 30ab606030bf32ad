"""The GPU that is there: found or not, what it is, and how it takes time."""

from __future__ import annotations

import gc
import os
import platform
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from siliform.graph_ir.errors import UserError
from siliform.kernels.bench.nvml import Sensors
from siliform.kernels.bench.timing import NoCapture, Run

GIT_S = 5.0  # assumption: git answers within a second
_RUN_THERE = (
    "run it on a machine with an NVIDIA GPU, its driver and a torch built for CUDA; without one, "
    "`siliform gpu validate` judges the model of GPUs on the measurements that are committed"
)


def find_gpu() -> Gpu:
    """The current CUDA device; UserError, which says what is there instead, without one."""
    import importlib.util

    asked = "GPU kernels measured on this machine"
    if os.environ.get("TRITON_INTERPRET", "0") not in ("", "0"):
        raise UserError(
            asked=asked,
            found="TRITON_INTERPRET is set: triton interprets kernels on the CPU, and nothing can be timed",
            where="siliform gpu bench",
            next_step="unset TRITON_INTERPRET",
        )
    if not torch.cuda.is_available():
        built = torch.version.cuda
        raise UserError(
            asked=asked,
            found=f"no CUDA device (torch {torch.__version__}, "
            + (f"built for CUDA {built})" if built else "built without CUDA)"),
            where="siliform gpu bench",
            next_step=_RUN_THERE,
        )
    if importlib.util.find_spec("triton") is None:
        raise UserError(
            asked=asked,
            found="a CUDA device, but the package triton is not installed",
            where="siliform gpu bench",
            next_step="pip install 'siliform[gpu]'",
        )
    return Gpu(torch.cuda.current_device())


@dataclass(frozen=True)
class Gpu:
    """One CUDA device, which times what it runs: a `timing.Device`."""

    index: int

    @cached_property
    def _properties(self) -> Any:
        return torch.cuda.get_device_properties(self.index)

    @cached_property
    def sensors(self) -> Sensors:
        """Its clocks and its energy counter."""
        return Sensors.of(f"GPU-{self._properties.uuid}")

    @property
    def torch_device(self) -> torch.device:
        """Where operands are made."""
        return torch.device("cuda", self.index)

    @cached_property
    def report(self) -> Mapping[str, Any]:
        """What it is: the field `device` of a measurement."""
        found = self._properties
        return {
            "name": found.name,
            "capability": f"{found.major}.{found.minor}",
            "multiprocessors": found.multi_processor_count,
            "memory_bytes": found.total_memory,
            "l2_bytes": getattr(found, "L2_cache_size", None),
            "driver": self.sensors.driver(),
        }

    def free_bytes(self) -> int:
        """Memory that operands can take, what torch keeps cached included."""
        free, _ = torch.cuda.mem_get_info(self.index)
        return int(free) + torch.cuda.memory_reserved(self.index) - torch.cuda.memory_allocated(self.index)

    def release(self) -> None:
        """Give back what nothing refers to any more, modules that refer to each other too."""
        gc.collect()
        torch.cuda.synchronize(self.index)
        torch.cuda.empty_cache()

    def now_s(self) -> float:
        """The host's clock."""
        return time.perf_counter()

    def device_s(self, run: Run, times: int) -> float:
        """Seconds between an event before the first of `times` runs and one behind the last."""
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        for _ in range(times):
            run()
        end.record()
        end.synchronize()
        return float(begin.elapsed_time(end)) / 1e3

    def host_s(self, run: Run) -> float:
        """Seconds until `run` returns, which is when all is launched."""
        torch.cuda.synchronize(self.index)
        begin = time.perf_counter()
        run()
        taken = time.perf_counter() - begin
        torch.cuda.synchronize(self.index)
        return taken

    def work(self, run: Run) -> Callable[[], None]:
        """`run`, and a wait until it is done."""

        def done() -> None:
            run()
            torch.cuda.synchronize(self.index)

        return done

    def capture(self, run: Run) -> Run:
        """A CUDA graph of what `run` launches; its memory lives as long as the replay is held."""
        graph = torch.cuda.CUDAGraph()
        side = torch.cuda.Stream(self.index)
        side.wait_stream(torch.cuda.current_stream(self.index))
        try:
            with torch.cuda.stream(side):  # libraries make their workspaces of this stream before capture
                run()
            torch.cuda.current_stream(self.index).wait_stream(side)
            torch.cuda.synchronize(self.index)
            with torch.cuda.graph(graph, stream=side):
                held = run()
        except (RuntimeError, AssertionError) as error:
            torch.cuda.synchronize(self.index)
            raise NoCapture(f"no CUDA graph: {first_line(error)}") from error

        def replay() -> object:
            graph.replay()
            return held

        replay()
        torch.cuda.synchronize(self.index)
        return replay


def versions() -> Mapping[str, str | None]:
    """Versions of what may change a figure: the field `versions` of a measurement."""
    return {
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "triton": _version("triton"),
        "cuda": torch.version.cuda,
        "cudnn": str(torch.backends.cudnn.version()) if torch.backends.cudnn.is_available() else None,
        "transformers": _version("transformers"),
        "numpy": _version("numpy"),
    }


def commit(folder: Path) -> str | None:
    """The git commit of a checkout, `+` behind it where tracked files differ.

    Where git cannot tell, as in a copy without its history: the variable SILIFORM_COMMIT, else None.
    """

    def git(*words: str) -> str:
        # Owned by another user, as a mounted checkout may be, git reads it only when told that it is safe.
        command = ["git", "-c", f"safe.directory={folder}", "-C", str(folder), *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=GIT_S, check=True)
        return done.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.SubprocessError):
        return os.environ.get("SILIFORM_COMMIT") or None


def first_line(error: BaseException) -> str:
    """The kind of an error and the first line of its text."""
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _version(name: str) -> str | None:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
