"""The time that a kernel costs besides its work, as a unit of its own: every kernel pays it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced
from siliform.arch.unit import Unit
from siliform.graph_ir.space import Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


@dataclass(frozen=True, kw_only=True)
class Launch(Unit):
    """What lies between kernels, and what a kernel without work would take."""

    kind: ClassVar[str] = "launch"

    seconds: float = parameter(
        "time between the end of one kernel and the start of the next", quantity="seconds", low=0.0, high=1.0
    )
    fill_cycles: int = parameter(
        "cycles that a kernel takes beyond its work: start of its blocks, first loads, last stores",
        default=0,
        low=0,
        high=10**9,
    )
    replay_seconds: float = parameter(
        "time between the end of one replay of a graph of kernels and the start of the next",
        default=0.0,
        quantity="seconds",
        low=0.0,
        high=1.0,
    )

    def launch_cycles(self, launches: int, clock_hz: int) -> int:
        """Cycles of the clock that `launches` kernels of a graph take besides their work, rounded up once."""
        return ceil(launches * (self.seconds * clock_hz + self.fill_cycles))

    def replay_cycles(self, replays: int, clock_hz: int) -> int:
        """The same of `replays` of a whole graph, besides its kernels."""
        return ceil(replays * self.replay_seconds * clock_hz)

    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """Refuses everything: it computes nothing."""
        return f"{self.name} only launches kernels"

    def cycles(self, space: Space) -> int:
        """It computes no space."""
        raise ValueError(f"{self.name} only launches kernels")

    def area_um2(self, technology: Technology) -> Sourced:
        """None of its own."""
        return Sourced(0.0, "um2", "a launch is time, not silicon")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """None of its own."""
        return Sourced(0.0, "W", "a launch is time, not silicon")
