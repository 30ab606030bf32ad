"""Memories and links: what holds bytes, and what carries them."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from siliform.arch.dram import DramTiming, part_of
from siliform.arch.parameter import check_parameters, parameter
from siliform.graph_ir.errors import UserError

DRAM_KINDS = ("LPDDR3", "LPDDR4", "LPDDR5", "DDR3", "DDR4", "GDDR6", "HBM2", "HBM2e", "HBM3", "HBM3e")


@dataclass(frozen=True, kw_only=True)
class Scratchpad:
    """Software-managed SRAM that operands are staged in (on a GPU: the level-2 cache)."""

    kind: ClassVar[str] = "scratchpad"

    bytes: int = parameter(
        "capacity", quantity="bytes", low=64, high=2**34, knob=tuple(2**p for p in range(15, 26))
    )
    banks: int = parameter("banks that serve one access a cycle each", default=16, low=1, high=4096)
    word_bytes: int = parameter("bytes of one access to one bank", default=8, low=1, high=4096)
    double_buffered: bool = parameter(
        "half holds the working tiles while the other half is filled", default=True, knob=(True, False)
    )

    resident_percent: int = parameter(
        "largest share that results waiting for their consumers may occupy; the rest holds tiles",
        default=50,
        low=0,
        high=90,
        knob=(0, 25, 50, 75),
    )

    def __post_init__(self) -> None:
        check_parameters(self, self.kind)
        if self.bytes < self.banks * self.word_bytes:
            raise UserError(
                asked=f"a {self.kind} of {self.bytes} bytes in {self.banks} banks of {self.word_bytes}",
                found="not one word for each bank",
                where=f"{self.kind}.bytes",
                next_step=f"give at least {self.banks * self.word_bytes} bytes, or fewer banks",
            )

    @property
    def usable_bytes(self) -> int:
        """What the tiles worked on may fill: half of it when double-buffered."""
        return self.bytes // 2 if self.double_buffered else self.bytes

    @property
    def bytes_per_cycle(self) -> int:
        """Peak bandwidth: a word from each bank."""
        return self.banks * self.word_bytes

    @property
    def bank_bytes(self) -> int:
        """Capacity of one bank, rounded up."""
        return -(-self.bytes // self.banks)


@dataclass(frozen=True, kw_only=True)
class Accumulator(Scratchpad):
    """A memory of its own for partial sums, with an adder at its port."""

    kind: ClassVar[str] = "accumulator"

    word_bytes: int = parameter("bytes of one access to one bank", default=4, low=1, high=4096)
    double_buffered: bool = parameter(
        "half holds the sums in progress while the other half is written out",
        default=False,
        knob=(True, False),
    )


@dataclass(frozen=True, kw_only=True)
class Registers:
    """Registers beside the cells of a unit (on a GPU: the register files)."""

    kind: ClassVar[str] = "registers"

    bytes: int = parameter("capacity of all of them", quantity="bytes", low=1, high=2**34)

    def __post_init__(self) -> None:
        check_parameters(self, self.kind)


@dataclass(frozen=True, kw_only=True)
class Dram:
    """Off-chip memory: a bandwidth, a burst, an energy per bit by kind."""

    kind: ClassVar[str] = "dram"

    type: str = parameter("kind of DRAM, which gives its energy per bit", choices=DRAM_KINDS)
    bandwidth_bytes_per_second: int = parameter(
        "peak bandwidth", quantity="bytes per second", low=1, high=10**15
    )
    burst_bytes: int = parameter("bytes of one burst", default=64, quantity="bytes", low=1, high=65536)
    bytes: int = parameter("capacity", default=2**33, quantity="bytes", low=1, high=2**50)
    efficiency_percent: int = parameter(
        "share of the peak that long transfers reach", default=100, low=1, high=100
    )
    timing: str = parameter(
        'preset of banks, rows and refresh for `simulate` ("DDR4-3200", ...); "" for bandwidth alone',
        default="",
    )
    timing_channels: int = parameter(
        "channels of that timing; 0 for the preset's", default=0, low=0, high=4096
    )
    timing_mbps: int = parameter(
        "megabits a second on a pin of that timing; 0 for the preset's", default=0, low=0, high=100000
    )

    def __post_init__(self) -> None:
        check_parameters(self, self.kind)
        self.part()

    def part(self) -> DramTiming | None:
        """The timing of the part, which fits kind and bandwidth; None for bandwidth alone."""
        return part_of(
            self.type,
            self.bandwidth_bytes_per_second,
            preset=self.timing,
            channels=self.timing_channels,
            mbps=self.timing_mbps,
        )

    def bytes_per_cycle(self, clock_hz: int, *, peak: bool = False) -> Fraction:
        """Bytes per cycle of that clock, exactly: sustained, or the peak of the data sheet."""
        share = Fraction(1) if peak else Fraction(self.efficiency_percent, 100)
        return Fraction(self.bandwidth_bytes_per_second, clock_hz) * share


@dataclass(frozen=True, kw_only=True)
class Link:
    """A connection to another chip or to the host."""

    kind: ClassVar[str] = "link"

    name: str
    bandwidth_bytes_per_second: int = parameter(
        "peak bandwidth in one direction", quantity="bytes per second", low=1, high=10**15
    )
    latency_seconds: float = parameter(
        "time of an empty message", default=0.0, quantity="seconds", low=0.0, high=10.0
    )

    def __post_init__(self) -> None:
        check_parameters(self, self.name)

    def bytes_per_cycle(self, clock_hz: int) -> Fraction:
        """Bytes per cycle of that clock, exactly."""
        return Fraction(self.bandwidth_bytes_per_second, clock_hz)
