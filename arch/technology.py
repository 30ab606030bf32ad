"""A process node: energy, area and leakage of operators and memories, each with its source.

Anchors are measured or published at 45 nm (`arch/tech/*.csv`); what lies between them follows
rules that are stated in the source of every number returned. Other nodes follow the factors of
Stillmaker and Baas (2017), 28 nm lies between their 32 and 20 nm, and 5 nm follows the foundry's
claim over 7 nm. What has no source is unknown with a reason, never zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import exp, log, sqrt
from typing import NamedTuple

import numpy as np

from siliform.arch.parameter import check_parameters, parameter
from siliform.arch.sourced import Sourced, total, unknown
from siliform.arch.tech.netlists import NetlistRow, netlist_of
from siliform.arch.tech.tables import (
    areas_um2,
    dram_pj_per_bit,
    dram_uncertainties,
    energies_pj,
    scaling_rows,
    sram_points,
)
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.formats.logarithm import AdaLog

#: Significand bits, the hidden one included: they size a floating-point multiplier.
SIGNIFICAND_BITS = {  # IEEE 754-2019; OCP OFP8 and MX specifications, 2023
    "fp64": 53,
    "fp32": 24,
    "fp16": 11,
    "bf16": 8,
    "fp8_e4m3": 4,
    "fp8_e5m2": 3,
    "fp4_e2m1": 2,
    "fp4_e1m2": 3,
    "fp4_e3m0": 1,
}
#: Half width of the plausible range of an energy on chip, as a share of it. Horowitz's table gives its
#: DRAM entry as 1300 to 2600 pJ, a third of the middle either way; assumption: its other entries, and
#: CACTI's, are no better known than that.
ENERGY_UNCERTAINTY = 1 / 3
#: Half width that a row of the scaling table adds: its supply voltage is unverified to 5 %, which is 10 %
#: of an energy (arch/tech/scaling.csv).
SCALING_UNCERTAINTY = 0.10
NODES_NM = (45, 32, 28, 20, 16, 14, 10, 7, 5)
N5_AREA = 1 / 1.84  # TSMC, IEDM 2019: N5 has 1.84 times the logic density of N7
N5_POWER = 0.70  # TSMC, IEDM 2019: 30 % less power than N7 at the same speed
N5_DELAY = 1 / 1.15  # TSMC, IEDM 2019: 15 % more speed than N7 at the same power
NAND2_LEAKAGE_NW = 17.393360  # NangateOpenCellLibrary typical (1.1 V, 25 C), NAND2_X1 cell_leakage_power


class Srams(NamedTuple):
    """Figures of memories, float64: of reading or writing a byte, of their area, of their leakage."""

    pj_per_byte: np.ndarray
    area_um2: np.ndarray
    leakage_watts: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Technology:
    """A CMOS node at its nominal supply."""

    node_nm: int = parameter("process node in nanometres", low=5, high=45)

    def __post_init__(self) -> None:
        check_parameters(self, "technology")
        if self.node_nm not in NODES_NM:
            raise UserError(
                asked=f"technology.node_nm = {self.node_nm}",
                found="no scaling factors for that node",
                where="technology.node_nm",
                next_step=f"give one of {', '.join(map(str, NODES_NM))}",
            )

    # -- scaling -------------------------------------------------------------------------------

    @property
    def energy_factor(self) -> float:
        """Switching energy relative to 45 nm at 0.9 V."""
        return _factors(self.node_nm)[0]

    @property
    def area_factor(self) -> float:
        """Area relative to 45 nm."""
        return _factors(self.node_nm)[1]

    @property
    def delay_factor(self) -> float:
        """Gate delay relative to 45 nm at 0.9 V."""
        return _factors(self.node_nm)[2]

    @property
    def scaling_source(self) -> str:
        """Where this node's factors are from; empty at 45 nm, where nothing is scaled."""
        if self.node_nm == 45:
            return ""
        paper = "Stillmaker and Baas 2017"
        if self.node_nm == 28:
            return f"scaled to 28 nm, log-log between 32 and 20 nm of {paper}"
        if self.node_nm == 5:
            return f"scaled to 7 nm by {paper}, to 5 nm by TSMC's IEDM 2019 claim over N7"
        return f"scaled to {self.node_nm} nm by {paper}"

    @property
    def energy_uncertainty(self) -> float:
        """Half width of the plausible range of energies on chip, as a share of them.

        Declared judgement: every row of the table from 45 nm down to this node is one step further
        from what was measured, and steps err independently: ``sqrt(anchor^2 + steps step^2)``.
        """
        steps = NODES_NM.index(self.node_nm) - (1 if self.node_nm <= 20 else 0)  # 28 nm is no row
        return sqrt(ENERGY_UNCERTAINTY**2 + steps * SCALING_UNCERTAINTY**2)

    def dram_energy_uncertainty(self, kind: str) -> float | None:
        """The same for moving a byte to or from DRAM; None where its energy has no source."""
        return dram_uncertainties().get(kind)

    def _energy(self, pj: float, source: str) -> Sourced:
        return Sourced(pj, "pJ", source).times(self.energy_factor, self.scaling_source)

    def _area(self, um2: float, source: str) -> Sourced:
        return Sourced(um2, "um2", source).times(self.area_factor, self.scaling_source)

    # -- energy --------------------------------------------------------------------------------

    def add_energy_pj(self, format_name: str) -> Sourced:
        """One addition, subtraction, comparison or rounding."""
        known = energies_pj().get(("add", format_name))
        if known is not None:
            return self._energy(known.number, known.source)
        fmt = format_named(format_name)
        if fmt.kind == "float":
            anchor = "fp16" if fmt.bits <= 16 else "fp32"
            base = energies_pj()["add", anchor]
            pj = base.number * fmt.bits / format_named(anchor).bits
            return self._energy(pj, f"{base.source}; assumption: {anchor} addition times the ratio of widths")
        narrow, wide = energies_pj()["add", "int8"], energies_pj()["add", "int32"]
        slope = (wide.number - narrow.number) / 24  # from 8 to 32 bits
        pj = narrow.number + slope * (fmt.bits - 8) if fmt.bits >= 8 else narrow.number * fmt.bits / 8
        return self._energy(pj, f"{narrow.source}; assumption: integer addition linear in its width")

    def mul_energy_pj(self, first: str, second: str) -> Sourced:
        """One multiplication of operands in two element formats, by the product of significands."""
        if first == second and ("mul", first) in energies_pj():
            known = energies_pj()["mul", first]
            return self._energy(known.number, known.source)
        kinds = {format_named(f).kind for f in (first, second)}
        if "log2" in kinds:
            logarithm, other = (second, first) if format_named(second).kind == "log2" else (first, second)
            shift = "int8" if format_named(other).kind == "float" else other  # an exponent has about 8 bits
            rule = f"assumption: a product with a power of two is an addition in {shift}"
            shifted = self.add_energy_pj(shift).times(1.0, rule)
            if isinstance(format_named(logarithm), AdaLog):
                return total((shifted, self.mul_energy_pj("int8", other)), "pJ")  # its factor has 8 bits
            return shifted
        widths = (multiplier_bits(first), multiplier_bits(second))
        anchor, side = ("fp16", 11) if "float" in kinds else ("int8", 8)
        if "float" in kinds and max(widths) > 11:
            anchor, side = "fp32", 24
        base = energies_pj()["mul", anchor]
        pj = base.number * widths[0] * widths[1] / side**2
        rule = f"assumption: {anchor} product times the ratio of significand products"
        return self._energy(pj, f"{base.source}; {rule}")

    def mac_energy_pj(self, first: str, second: str) -> Sourced:
        """One multiply-accumulate: the product, and an addition into the accumulator.

        Integers, and 4-bit floats (whose products are small integers), accumulate in int32; wider
        floats in fp32. Two binary operands are an XNOR and a bit of a population count.
        """
        binary = {"binary", "binary01"}
        if first in binary and second in binary:
            bit = energies_pj()["add", "int8"]
            pj = energies_pj()["mul", "int8"].number / 64 + bit.number / 8
            return self._energy(pj, f"{bit.source}; assumption: XNOR as a 1x1 product, one full adder a bit")
        kinds = {format_named(f).kind for f in (first, second)}
        widest = max(format_named(f).bits for f in (first, second))
        accumulator = "fp32" if "float" in kinds and widest > 4 else "int32"
        accumulator = "fp64" if "fp64" in (first, second) else accumulator
        return total((self.mul_energy_pj(first, second), self.add_energy_pj(accumulator)), "pJ")

    def scalar_energy_pj(self, scalar_op: str, format_name: str) -> Sourced:
        """One scalar operation of an op's body in an element format.

        Functions of one variable are a table look-up and a quadratic by Horner's rule; a quotient
        is a reciprocal and a product; a power a logarithm, a product and an exponential.
        """
        add, mul = self.add_energy_pj(format_name), self.mul_energy_pj(format_name, format_name)
        if scalar_op == "mac":
            return self.mac_energy_pj(format_name, format_name)
        if scalar_op == "mul":
            return mul
        if scalar_op == "add":
            return add
        if scalar_op in ("compare", "round", "logic", "random"):
            return add.times(1.0, f"assumption: {scalar_op} costs an addition")
        table = self.sram_access_pj(1024, 8).times(1.0, "coefficient table of 1 KiB")
        function = total((table, mul.times(2.0, "quadratic by Horner's rule"), add.times(2.0)), "pJ")
        if scalar_op == "div":
            return total((function, mul), "pJ")
        if scalar_op == "pow":
            return total((function, mul, function), "pJ")
        return function

    def sram_access_pj(self, capacity_bytes: int, word_bytes: int) -> Sourced:
        """One read of `word_bytes` (a multiple of 8-byte words) from a memory of that capacity."""
        pj, source = _sram("read_pj", capacity_bytes)
        return self._energy(pj * word_bytes / 8, source)

    def sram_energy_pj_per_byte(self, capacity_bytes: int) -> Sourced:
        """Reading or writing one byte of a memory of that capacity, in whole 64-bit words."""
        return self.sram_access_pj(capacity_bytes, 1).times(1.0, unit="pJ/B")

    def dram_energy_pj_per_byte(self, kind: str) -> Sourced:
        """Moving one byte between DRAM and chip; the chip's own node has no part in it."""
        per_bit = dram_pj_per_bit().get(kind)
        if per_bit is None:
            return unknown("pJ/B", f"no source for the energy of {kind}")
        return per_bit.times(8.0, unit="pJ/B")

    # -- area and leakage ------------------------------------------------------------------------

    def operator_area_um2(self, operation: str, format_name: str) -> Sourced:
        """An adder ("add") or multiplier ("mul"), without registers."""
        known = areas_um2().get((operation, format_name))
        if known is not None:
            return self._area(known.number, known.source)
        fmt = format_named(format_name)
        floating = fmt.kind == "float"
        anchor = ("fp16" if fmt.bits <= 16 else "fp32") if floating else "int8"
        base = areas_um2()[operation, anchor]
        if operation == "add":
            ratio = fmt.bits / format_named(anchor).bits
            rule = "the ratio of widths"
        else:
            ratio = (multiplier_bits(format_name) / multiplier_bits(anchor)) ** 2
            rule = "the ratio of significands squared"
        return self._area(base.number * ratio, f"{base.source}; assumption: {anchor} times {rule}")

    def register_area_um2(self, bits: int) -> Sourced:
        """Flip-flops."""
        flip_flop = areas_um2()["flip-flop", "bit"]
        return self._area(flip_flop.number * bits, flip_flop.source)

    def fma_area_um2(self, format_name: str) -> Sourced:
        """A multiplier, an adder and an operand register of one format."""
        parts = (
            self.operator_area_um2("mul", format_name),
            self.operator_area_um2("add", format_name),
            self.register_area_um2(3 * format_named(format_name).bits),
        )
        return total(parts, "um2")

    def gates_area_um2(self, gate_equivalents: float, source: str) -> Sourced:
        """So many gates, counted in NAND2 of another library."""
        nand2 = areas_um2()["nand2", "gate"]
        told = f"{gate_equivalents:,.0f} gates ({source}) of {nand2.source}"
        return self._area(gate_equivalents * nand2.number, told)

    def mac_area_um2(
        self, format_name: str, dataflow: str = "weight-stationary", overlap: str = "double-buffered"
    ) -> Sourced:
        """A cell of a systolic array: multiplier, accumulating adder, operand and result registers.

        Cells that add up integers are synthesised: those of integers and of 4-bit floats, whose products are
        small integers. Others are in proportion to operators and flip-flops. There are netlists of cells for
        fp8 too, but they add up in exact fixed point, and the energies here are of sums in fp32.
        """
        fmt, known = format_named(format_name), _cell_netlist(format_name, dataflow, overlap)
        if known is not None and (fmt.kind == "integer" or fmt.bits <= 4):
            return self.gates_area_um2(known.gate_equivalents, known.source)
        int8 = _cell_netlist("int8", dataflow, overlap)
        if int8 is None:
            raise ValueError(f"no netlist of an int8 cell, {dataflow}, {overlap}")
        ratio = self.cell_operators_um2(format_name).number / self.cell_operators_um2("int8").number
        rule = f"assumption: {format_name} in proportion to operators and flip-flops (Dally 2015)"
        return self.gates_area_um2(int8.gate_equivalents, int8.source).times(ratio, rule)

    def cell_operators_um2(self, format_name: str) -> Sourced:
        """The same cell by its operators and flip-flops alone, with one operand that stays."""
        fmt = format_named(format_name)
        accumulator = "fp32" if fmt.kind == "float" and fmt.bits > 4 else "int32"
        parts = (
            self.operator_area_um2("mul", format_name),
            self.operator_area_um2("add", accumulator),
            self.register_area_um2(2 * fmt.bits + 32),
        )
        return total(parts, "um2")

    def sram_area_um2(self, capacity_bytes: int) -> Sourced:
        """A memory of that capacity with one read-write port."""
        mm2, source = _sram("area_mm2", capacity_bytes)
        return self._area(mm2 * 1e6, source)

    @property
    def logic_leakage_watts_per_um2(self) -> float:
        """Leakage of logic by area."""
        return NAND2_LEAKAGE_NW * 1e-9 / areas_um2()["nand2", "gate"].number

    def logic_leakage_watts(self, area: Sourced) -> Sourced:
        """Leakage of logic of that area on this node."""
        rule = "NangateOpenCellLibrary NAND2_X1 leakage per area; assumption: the same per area on every node"
        return area.times(self.logic_leakage_watts_per_um2, rule, unit="W")

    def sram_leakage_watts(self, capacity_bytes: int) -> Sourced:
        """Leakage of a memory of that capacity: cells and gates, not power-gated."""
        channel, source = _sram("leakage_mw", capacity_bytes)
        gate, _ = _sram("gate_leakage_mw", capacity_bytes)
        rule = "assumption: leakage in proportion to area" if self.node_nm != 45 else ""
        return Sourced(
            (channel + gate) * 1e-3 * self.area_factor, "W", f"{source}; {rule}" if rule else source
        )

    def srams(self, capacities_bytes: np.ndarray) -> Srams:
        """The figures of many memories: the same numbers as one by one."""
        found = _sram_values(("read_pj", "area_mm2", "leakage_mw", "gate_leakage_mw"), capacities_bytes)
        read_pj, area_mm2, channel_mw, gate_mw = found
        return Srams(
            read_pj / 8 * self.energy_factor,
            area_mm2 * 1e6 * self.area_factor,
            (channel_mw + gate_mw) * 1e-3 * self.area_factor,
        )


def multiplier_bits(format_name: str) -> int:
    """Bits of the significand that a multiplier sees."""
    if format_name in SIGNIFICAND_BITS:
        return SIGNIFICAND_BITS[format_name]
    return format_named(format_name).bits


def _cell_netlist(format_name: str, dataflow: str, overlap: str) -> NetlistRow | None:
    """The netlist of an array's cell, both operands in that format."""
    return netlist_of("array_cell", {"dataflow": dataflow, "overlap": overlap, "format": format_name})


@cache
def _factors(node_nm: int) -> tuple[float, float, float]:
    """(energy, area, delay) of a node relative to 45 nm."""
    rows = scaling_rows()
    if node_nm in rows:
        base, here = rows[45], rows[node_nm]
        return here.energy / base.energy, here.area / base.area, here.delay / base.delay
    if node_nm == 28:
        share = log(32 / 28) / log(32 / 20)
        wide, narrow = _factors(32), _factors(20)
        mixed = [exp((1 - share) * log(w) + share * log(n)) for w, n in zip(wide, narrow, strict=True)]
        return mixed[0], mixed[1], mixed[2]
    energy, area, delay = _factors(7)
    return energy * N5_POWER, area * N5_AREA, delay * N5_DELAY


@cache
def _sram(column: str, capacity_bytes: int) -> tuple[float, str]:
    """A figure of CACTI's table at that capacity, and its source."""
    capacities = [c for c, _ in sram_points()[column]]
    source = "CACTI 7.0 at 45 nm, 64-bit words, arch/tech/sram_45nm.csv"
    if not capacities[0] <= capacity_bytes <= capacities[-1]:
        source += "; assumption: extrapolated log-log beyond the table"
    elif capacity_bytes not in capacities:
        source += ", log-log between rows"
    return float(_sram_values((column,), np.array([capacity_bytes]))[0][0]), source


def _sram_values(columns: tuple[str, ...], capacities_bytes: np.ndarray) -> list[np.ndarray]:
    """Figures of CACTI's table at each capacity: log-log between rows, and so continued outside."""
    known = np.array([c for c, _ in sram_points()[columns[0]]])  # the same rows in every column
    above = np.clip(np.searchsorted(known, capacities_bytes), 1, known.size - 1)
    # The C library's logarithm and exponential, which NumPy's vector forms may miss by the last bit.
    ratios = (capacities_bytes / known[above - 1]).tolist()
    logs = np.array([log(ratio) for ratio in ratios])
    found = []
    for column in columns:
        points = sram_points()[column]
        slopes = np.array([log(high[1] / low[1]) / log(high[0] / low[0]) for low, high in pairwise(points)])
        growth = np.array([exp(power) for power in (slopes[above - 1] * logs).tolist()])
        found.append(np.array([value for _, value in points])[above - 1] * growth)
    return found
