"""A device whose clock is told what to say, and the context of a run on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from siliform.kernels.bench.energy import NoEnergy
from siliform.kernels.bench.lines import Context
from siliform.kernels.bench.timing import NoCapture

MOST_RUNS = 2
KNOWN = {"sm_hz": 1.98e9, "memory_hz": 2.6e9, "power_w": 300.0, "temperature_c": 41.0}


@dataclass
class FakeSensors:
    """A counter that rises by `watts`, seen anew every 50 ms of the device's time; None: there is none."""

    clock: Callable[[], float]
    watts: float | None = None

    def clocks(self) -> Mapping[str, float | None]:
        return KNOWN

    def energy_j(self) -> float:
        if self.watts is None:
            raise NoEnergy("no counter here")
        return self.watts * int(self.clock() / 0.05) * 0.05


@dataclass
class FakeDevice:
    """Runs on the CPU and says that each run took `run_s`, and each launch `launch_s`."""

    run_s: float = 1e-5
    launch_s: float = 3e-6
    graphs: bool = True
    watts: float | None = None
    l2_bytes: int | None = 4096
    seconds: float = 0.0
    name: str = "Fake GPU 1"
    asked: list[str] = field(default_factory=list)

    @property
    def torch_device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def report(self) -> Mapping[str, Any]:
        return {
            "name": self.name,
            "capability": "9.0",
            "multiprocessors": 4,
            "memory_bytes": 2**30,
            "l2_bytes": self.l2_bytes,
            "driver": None,
        }

    @property
    def sensors(self) -> FakeSensors:
        return FakeSensors(self.now_s, self.watts)

    def free_bytes(self) -> int:
        return 2**30

    def release(self) -> None:
        self.asked.append("release")

    def now_s(self) -> float:
        return self.seconds

    def _spend(self, seconds: float) -> float:
        self.seconds += seconds
        return seconds

    def device_s(self, run: Callable[[], object], times: int) -> float:
        if len(self.asked) < MOST_RUNS:  # interpreted kernels are slow, and what is timed is told
            run()
        self.asked.append(f"time {times}")
        return self._spend(self.run_s * times)

    def host_s(self, run: Callable[[], object]) -> float:
        return self._spend(self.launch_s)

    def work(self, run: Callable[[], object]) -> Callable[[], None]:
        def done() -> None:
            self._spend(self.run_s * 1000)

        return done

    def capture(self, run: Callable[[], object]) -> Callable[[], object]:
        if not self.graphs:
            raise NoCapture("no CUDA graph: told so")
        return run


def context(path: Path, suite: str = "tiny", idle_w: float | None = None) -> Context:
    """A run on a fake device."""
    versions = {"python": "3.12", "torch": "2", "triton": "3", "cuda": None}
    return Context(
        path, suite, versions, "abc", 0.05, idle_w, None if idle_w is not None else "no counter here"
    )
