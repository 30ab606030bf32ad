"""Timing of DRAM parts: how a part is organised, and how long its commands keep one another waiting.

The presets are the rows of `arch/tech/dram_timing.csv`, each with its source and the uncertainty of its
array's times. A timing says nothing about the controller in front of the part: the order of commands, the map
of addresses and the page policy are `siliform.simulator.dram`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from functools import cache
from types import MappingProxyType

from siliform.arch.tech.tables import rows_of
from siliform.graph_ir.errors import UserError, nearest

#: Bandwidths closer than this are one bandwidth: data sheets round theirs ("900 GB/s").
BANDWIDTH_TOLERANCE = Fraction(2, 100)
#: The table rounds nanoseconds to four digits; a tCCD_S this close to the burst is the burst.
ROUNDING = Fraction(5, 1000)


@dataclass(frozen=True, kw_only=True)
class DramTiming:
    """One kind of DRAM behind one controller: geometry, and times in ns.

    Attributes
    ----------
    name, kind : "DDR4-3200", "DDR4".
    channels : independent data channels; of HBM its pseudo channels.
    bus_bits, bank_groups, banks, row_bytes, burst_length : of one channel; `banks` counts all groups.
    data_rate_mbps : megabits a second on one pin.
    tck_ns : the command clock.
    tcl_ns, tcwl_ns : column command to data, read and write.
    trcd_ns, trp_ns, tras_ns : row open to column command; precharge; row open at least.
    tccd_*_ns, trrd_*_ns : column to column and row to row; _s of another bank group, _l of the same.
    tfaw_ns : window of four rows.
    twr_ns, twtr_*_ns, trtp_ns : end of write data to precharge, and to read; read to precharge.
    trfc_ns, trefi_ns : refresh of all banks, and time between refreshes.
    uncertainty_percent, provenance : of the array's times, and where they are from.

    Raises UserError where the parts do not fit together.
    """

    name: str
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
    uncertainty_percent: float
    provenance: str

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in ("int", "float") and not value > 0:
                self._refuse(f"{field.name} = {value!r}", "give a number above zero")
        if not self.provenance:
            self._refuse("no provenance", "say where the times are from, or 'assumption: <rule>'")
        if self.bus_bits * self.burst_length % 8 or self.row_bytes % self.burst_bytes:
            self._refuse(
                f"rows of {self.row_bytes} bytes and bursts of {self.bus_bits * self.burst_length} bits",
                "give rows of whole bursts, and bursts of whole bytes",
            )
        if self.banks % self.bank_groups or self.banks < 2 * self.bank_groups:
            self._refuse(
                f"{self.banks} banks in {self.bank_groups} bank groups",
                "give the same number of banks, two at least, to each group",
            )
        if _exact(self.tccd_l_ns) > self.bank_groups * self.column_ns * (1 + ROUNDING):
            self._refuse(
                f"tccd_l_ns = {self.tccd_l_ns} with {self.bank_groups} bank groups and a column each "
                f"{float(self.column_ns):g} ns",
                "consecutive bursts go round the groups: give a tccd_l_ns of at most one such round",
            )
        if self.trefi_ns <= self.trfc_ns + self.trp_ns + self.tras_ns:
            self._refuse(
                f"a refresh of {self.trfc_ns} ns each {self.trefi_ns} ns",
                "give a trefi_ns that leaves time to open a row between refreshes",
            )

    def _refuse(self, found: str, next_step: str) -> None:
        raise UserError(
            asked=f"the DRAM timing {self.name!r}", found=found, where="DramTiming", next_step=next_step
        )

    @property
    def burst_bytes(self) -> int:
        """Bytes of one burst on one channel."""
        return self.bus_bits * self.burst_length // 8

    @property
    def burst_ns(self) -> Fraction:
        """How long one burst keeps the bus of its channel busy."""
        return Fraction(self.burst_length * 1000, self.data_rate_mbps)

    @property
    def column_ns(self) -> Fraction:
        """Between column commands of one channel that go round the bank groups: tCCD_S, or the burst."""
        spacing = _exact(self.tccd_s_ns)
        return self.burst_ns if spacing <= self.burst_ns * (1 + ROUNDING) else spacing

    @property
    def peak_bytes_per_second(self) -> int:
        """Every pin of every channel busy."""
        return self.channels * self.bus_bits * self.data_rate_mbps * 1_000_000 // 8

    def with_channels(self, channels: int) -> DramTiming:
        """The same part with another number of channels: several devices, modules or stacks side by side."""
        return replace(self, channels=channels)

    def at_rate(self, data_rate_mbps: int) -> DramTiming:
        """The same part with slower pins: the array keeps its times, the command clock and tCCD_S stretch.

        UserError for a rate above the part's own.
        """
        slower = Fraction(self.data_rate_mbps, data_rate_mbps) if data_rate_mbps > 0 else Fraction(0)
        if slower < 1:
            self._refuse(
                f"data_rate_mbps = {data_rate_mbps}", f"give a rate from 1 to its own, {self.data_rate_mbps}"
            )
        tccd_s = float(_exact(self.tccd_s_ns) * slower)
        return replace(
            self,
            data_rate_mbps=data_rate_mbps,
            tck_ns=float(_exact(self.tck_ns) * slower),
            tccd_s_ns=tccd_s,
            tccd_l_ns=max(self.tccd_l_ns, tccd_s),
        )


def _exact(ns: float) -> Fraction:
    """The decimal number that was written, not the binary one that is nearest to it."""
    return Fraction(str(ns))


@cache
def dram_timings() -> Mapping[str, DramTiming]:
    """Every preset by name."""
    return MappingProxyType({row["preset"]: _timing(row) for row in rows_of("dram_timing.csv")})


def _timing(row: dict[str, str]) -> DramTiming:
    number = {"int": int, "float": float}
    values = {
        field.name: number.get(str(field.type), str)(row["preset" if field.name == "name" else field.name])
        for field in fields(DramTiming)
    }
    return DramTiming(**values)


def dram_timing(name: str, *, where: str = "arch/tech/dram_timing.csv") -> DramTiming:
    """The preset of that name, such as "DDR4-3200"; UserError with the nearest ones where there is none."""
    presets = dram_timings()
    if name not in presets:
        raise UserError(
            asked=f"the DRAM timing {name!r}",
            found="no preset of that name",
            where=where,
            next_step=f"take one of the nearest: {nearest(name, presets)}",
        )
    return presets[name]


def part_of(
    kind: str, bandwidth_bytes_per_second: int, *, preset: str, channels: int = 0, mbps: int = 0
) -> DramTiming | None:
    """The timing that a design chose for its DRAM, None where it chose none ("").

    Parameters
    ----------
    kind, bandwidth_bytes_per_second : of the design's DRAM.
    preset, channels, mbps : its choice; 0 takes the preset's own channels or rate.

    UserError where the part is of another kind, or where its peak is not the design's bandwidth.
    """
    if not preset:
        if channels or mbps:
            _refuse_choice(
                "dram.timing_channels" if channels else "dram.timing_mbps",
                asked=f"a DRAM timing of {channels or mbps}",
                found='timing = "", bandwidth alone',
                next_step="name a preset of arch/tech/dram_timing.csv in dram.timing as well",
            )
        return None
    timing = dram_timing(preset, where="dram.timing")
    if timing.kind != kind:
        _refuse_choice(
            "dram.timing",
            asked=f"the DRAM timing {preset!r}",
            found=f'it is a part of kind {timing.kind}, and the design has type = "{kind}"',
            next_step="take " + (", ".join(n for n, t in dram_timings().items() if t.kind == kind) or '""'),
        )
    timing = timing.at_rate(mbps) if mbps else timing
    timing = timing.with_channels(channels) if channels else timing
    peak = timing.peak_bytes_per_second
    if abs(peak - bandwidth_bytes_per_second) > BANDWIDTH_TOLERANCE * bandwidth_bytes_per_second:
        one = Fraction(peak, timing.channels)
        _refuse_choice(
            "dram.timing",
            asked=f"the DRAM timing {preset!r} for {bandwidth_bytes_per_second / 1e9:g} GB/s",
            found=f"{timing.channels} channels of {float(one) / 1e9:g} GB/s make {peak / 1e9:g} GB/s",
            next_step=f"set timing_channels = {max(1, round(bandwidth_bytes_per_second / one))}, "
            "lower timing_mbps, or correct bandwidth_bytes_per_second",
        )
    return timing


def _refuse_choice(where: str, *, asked: str, found: str, next_step: str) -> None:
    raise UserError(asked=asked, found=found, where=where, next_step=next_step)
