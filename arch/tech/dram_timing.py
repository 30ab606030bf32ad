"""DRAM timing presets: organisation and minimum times of parts by name, from arch/tech/dram_timing.csv."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from types import MappingProxyType

from siliform.arch.tech.tables import rows_of


@dataclass(frozen=True, kw_only=True)
class DramTiming:
    """One part at one data rate. Times are in nanoseconds; the table's header says what each means.

    Counts are of one independent data channel: a pseudo channel of HBM, a 64-bit module of DDR.
    """

    preset: str
    kind: str
    channels: int
    bus_bits: int
    data_rate_mbps: int
    bank_groups: int
    banks: int
    row_bytes: int
    burst_length: int
    tck_ns: float
    tcl_ns: float
    tcwl_ns: float
    trcd_ns: float
    trp_ns: float
    tras_ns: float
    tccd_s_ns: float
    tccd_l_ns: float
    trrd_s_ns: float
    trrd_l_ns: float
    tfaw_ns: float
    twr_ns: float
    twtr_s_ns: float
    twtr_l_ns: float
    trtp_ns: float
    trfc_ns: float
    trefi_ns: float
    uncertainty_percent: int
    provenance: str

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if value in ("", 0) or (not isinstance(value, str) and value < 0):
                raise ValueError(f"{self.preset}: {field.name} is {value!r}")
        if self.banks % self.bank_groups or self.row_bytes % self.burst_bytes:
            raise ValueError(f"{self.preset}: banks are not whole groups, or a row is not whole bursts")
        if self.tccd_s_ns < 0.99 * self.burst_ns or self.tccd_l_ns < self.tccd_s_ns:
            raise ValueError(f"{self.preset}: column commands come faster than bursts leave the bus")

    @property
    def burst_bytes(self) -> int:
        """Bytes of one burst on one channel."""
        return self.bus_bits * self.burst_length // 8

    @property
    def burst_ns(self) -> float:
        """Time of one burst on the bus."""
        return self.burst_length * 1e3 / self.data_rate_mbps

    @property
    def bytes_per_second(self) -> int:
        """Peak of all channels of one device, stack or module."""
        return self.channels * self.bus_bits * self.data_rate_mbps * 10**6 // 8


@cache
def dram_timings() -> Mapping[str, DramTiming]:
    """Every preset by name, such as "DDR4-3200"."""
    readers = {"str": str, "int": int, "float": float}
    kinds = {field.name: readers[str(field.type)] for field in fields(DramTiming)}
    found = {}
    for row in rows_of("dram_timing.csv"):
        found[row["preset"]] = DramTiming(**{name: kinds[name](text) for name, text in row.items()})
    return MappingProxyType(found)
