"""Lines of measurements as a run makes them: what all share, what a case adds, and how one is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch

from siliform.kernels.bench.case import Case
from siliform.kernels.bench.families.base import Family, Tensors
from siliform.kernels.bench.measurement import Measurement
from siliform.kernels.bench.timing import Device, Run

#: What differs between implementations of a case; None where it was not found.
_FOUND = (
    *("median_s", "spread", "least_s", "samples", "calls", "timed", "eager_s", "host_s", "sets"),
    *("cycled_bytes", "cache", "energy_j", "energy_reason", "error", "error_bound", "examined"),
)


class Place(Device, Protocol):
    """What running asks of a device beyond its time."""

    @property
    def torch_device(self) -> torch.device: ...
    @property
    def report(self) -> Mapping[str, Any]: ...
    @property
    def sensors(self) -> Any: ...
    def free_bytes(self) -> int: ...
    def release(self) -> None: ...
    def work(self, run: Run) -> Callable[[], None]: ...


@dataclass(frozen=True)
class Context:
    """What all lines of a run share."""

    path: Path
    suite: str
    versions: Mapping[str, str | None]
    commit: str | None
    case_s: float
    idle_w: float | None
    idle_reason: str | None


class Blank:
    """A case's lines but for what differs between implementations."""

    def __init__(self, case: Case, place: Place, context: Context) -> None:
        self.case, self.place, self.context = case, place, context
        self._shared: dict[str, Any] = {"operands": None, "attributes": None, "operations": None}
        self._shared["least_bytes"] = None

    def describe(self, family: Family, operands: Tensors) -> None:
        """What is known once there are operands."""
        form, work = family.op_form(self.case, operands), family.work(self.case)
        if form:
            self._shared |= {"operands": form.operands, "attributes": dict(form.attributes)}
        if work:
            self._shared |= {"operations": work.operations, "least_bytes": work.least_bytes}

    def made(self, implementation: str, status: str, reason: str | None, **found: Any) -> Measurement:
        """The measurement, with None for what was not found."""
        case, context = self.case, self.context
        return Measurement(
            case=case.name,
            suite=context.suite,
            family=case.family,
            op=case.op,
            kernel=case.kernel,
            sizes=case.sizes,
            formats=case.formats,
            options=case.options,
            seed=case.seed,
            implementation=implementation,
            status=status,
            reason=reason,
            clocks=self.place.sensors.clocks() if status == "measured" else None,
            device=self.place.report,
            versions=context.versions,
            date=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            commit=context.commit,
            **self._shared,
            **(dict.fromkeys(_FOUND) | found),
        )


def told(made: Measurement) -> str:
    """A line for people: what ran, and its time, rate and error, or what became of it."""
    start = f"{made.case}  {made.implementation}:"
    if made.median_s is None:
        return f"{start} {made.status}: {made.reason}"
    words = [f"{made.median_s * 1e6:.2f} us"]
    if made.spread is not None:
        words.append(f"± {made.spread:.1%}")
    if made.operations:
        words.append(f"{made.operations / made.median_s / 1e12:.4g} T/s")
    if made.least_bytes:
        words.append(f"{made.least_bytes / made.median_s / 1e9:.4g} GB/s")
    if made.error is not None:
        words.append(f"error {made.error:.2g}")
    return " ".join([start, *words, *([] if made.timed == "graph" else ["(with launches)"])])
