"""An accelerator: units, memories, links, a clock and a technology; valid once it exists."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from siliform.arch.memory import Accumulator, Dram, Link, Registers, Scratchpad
from siliform.arch.parameter import check_parameters, parameter
from siliform.arch.sourced import Sourced, total, unknown
from siliform.arch.technology import Technology
from siliform.arch.unit import Unit
from siliform.graph_ir.errors import UserError, nearest

#: What a design may state from a publication in place of the technology's figure.
PUBLISHABLE: Mapping[str, str] = {
    "area_mm2": "mm2",
    "leakage_watts": "W",
    "energy": "J",  # with a reason only: no energy of this design is known at all
    "mac_energy_pj": "pJ",
    "scalar_energy_pj": "pJ",
    "sram_energy_pj_per_byte": "pJ/B",
    "dram_energy_pj_per_byte": "pJ/B",
}
#: Parameters of units and on-chip memories that say how well silicon is used, or by what, and not what it is.
_OF_USE = (
    "efficiency_percent",
    "format_efficiency_percent",
    "seconds",
    "fill_cycles",
    "replay_seconds",
    "board_watts",
    "weight_density_percent",
    "activation_density_percent",
    "resident_percent",
)


@dataclass(frozen=True, kw_only=True)
class Accelerator:
    """One design.

    Attributes
    ----------
    name, description : for people.
    clock_hz : the clock that every cycle count of the design is in.
    native_bits : quantisation that its matrix unit is made for, in the words of ``--bits``.
    technology : process node.
    units : in the order in which work is offered to them.
    scratchpad, dram : always there. accumulator, registers : None where partial sums live in the
        scratchpad, or registers are part of the units.
    links : to other chips.
    published : figures of the design's own publication, by the names of PUBLISHABLE.
    """

    name: str
    description: str = ""
    clock_hz: int = parameter("clock", quantity="hertz", low=1_000, high=100_000_000_000)
    native_bits: str = parameter("quantisation the matrix unit is made for, as in --bits", default="int8")
    technology: Technology
    units: tuple[Unit, ...]
    scratchpad: Scratchpad
    accumulator: Accumulator | None = None
    registers: Registers | None = None
    dram: Dram
    links: tuple[Link, ...] = ()
    published: tuple[tuple[str, Sourced], ...] = ()

    def __post_init__(self) -> None:
        check_parameters(self, self.name)
        names = [unit.name for unit in self.units] + [link.name for link in self.links]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None or not self.units:
            raise UserError(
                asked=f"the design {self.name!r}",
                found="no unit" if not self.units else f"two parts named {twice!r}",
                where="units",
                next_step="give at least one unit, each part with a name of its own",
            )
        for quantity, _ in self.published:
            if quantity not in PUBLISHABLE:
                raise UserError(
                    asked=f"published.{quantity} of the design {self.name!r}",
                    found="no figure of that name",
                    where="published",
                    next_step=f"use one of {', '.join(PUBLISHABLE)}",
                )

    # -- parts -----------------------------------------------------------------------------------

    def unit(self, name: str) -> Unit:
        """The unit of that name; UserError with the names there are otherwise."""
        for unit in self.units:
            if unit.name == name:
                return unit
        raise UserError(
            asked=f"the unit {name!r} of {self.name}",
            found=f"units {', '.join(u.name for u in self.units)}",
            where=f"design {self.name}",
            next_step=f"use one of the nearest: {nearest(name, [u.name for u in self.units])}",
        )

    def of_kind(self, kind: str) -> tuple[Unit, ...]:
        """The units of one kind ("array", "vector", ...), possibly none."""
        return tuple(unit for unit in self.units if unit.kind == kind)

    def scalar_unit(self, scalar_op: str, format_name: str) -> Unit | None:
        """The first unit that computes one scalar operation in that format, or None."""
        accepting = (u for u in self.units if u.scalar_refusal(scalar_op, format_name) is None)
        return next(accepting, None)

    def refusals(self, scalar_op: str, format_name: str) -> tuple[str, ...]:
        """Why each unit that refuses a scalar operation does so, for an error."""
        reasons = (u.scalar_refusal(scalar_op, format_name) for u in self.units)
        return tuple(reason for reason in reasons if reason is not None)

    def memories(self) -> Iterator[tuple[str, Scratchpad | Registers]]:
        """On-chip memories with their names."""
        yield "scratchpad", self.scratchpad
        if self.accumulator is not None:
            yield "accumulator", self.accumulator
        if self.registers is not None:
            yield "registers", self.registers

    # -- rates -----------------------------------------------------------------------------------

    def peak_macs_per_cycle(self, first: str, second: str | None = None) -> int:
        """Multiply-accumulates per cycle of all matrix units on operands of these formats."""
        return sum(u.peak_macs_per_cycle(first, second or first) for u in self.units)

    @property
    def dram_bytes_per_cycle(self) -> Fraction:
        """Sustained DRAM bandwidth in bytes per cycle of the clock, exactly, where a DMA moves as many."""
        return self._through_pins(self.dram.bytes_per_cycle(self.clock_hz))

    @property
    def peak_dram_bytes_per_cycle(self) -> Fraction:
        """The same of the DRAM's peak."""
        return self._through_pins(self.dram.bytes_per_cycle(self.clock_hz, peak=True))

    def _through_pins(self, rate: Fraction) -> Fraction:
        pins = sum(unit.pin_bytes_per_cycle for unit in self.units)
        return min(rate, Fraction(pins)) if pins else rate

    def seconds(self, cycles: float) -> float:
        """Cycles of the clock in seconds."""
        return cycles / self.clock_hz

    # -- energy ----------------------------------------------------------------------------------

    @cached_property
    def _published(self) -> dict[str, Sourced]:
        return dict(self.published)

    def stated(self, quantity: str) -> Sourced | None:
        """The design's own figure of one of PUBLISHABLE, or why there is none; None where it says nothing."""
        if quantity in self._published:
            return self._published[quantity]
        if "energy" in self._published and quantity != "area_mm2":
            return unknown(PUBLISHABLE[quantity], self._published["energy"].source)
        return None

    def _figure(self, quantity: str, modelled: Sourced) -> Sourced:
        """The design's own figure before the technology's."""
        return self.stated(quantity) or modelled

    def mac_energy_pj(self, first: str, second: str | None = None) -> Sourced:
        """One multiply-accumulate on operands in two element formats."""
        return self._figure("mac_energy_pj", self.technology.mac_energy_pj(first, second or first))

    def scalar_energy_pj(self, scalar_op: str, format_name: str) -> Sourced:
        """One scalar operation in an element format."""
        return self._figure("scalar_energy_pj", self.technology.scalar_energy_pj(scalar_op, format_name))

    def sram_energy_pj_per_byte(self, memory: Scratchpad | Registers) -> Sourced:
        """Reading or writing one byte of one of the design's on-chip memories."""
        modelled = self.technology.sram_energy_pj_per_byte(memory.bytes)
        return self._figure("sram_energy_pj_per_byte", modelled)

    @property
    def dram_energy_pj_per_byte(self) -> Sourced:
        """Moving one byte between DRAM and chip."""
        return self._figure(
            "dram_energy_pj_per_byte", self.technology.dram_energy_pj_per_byte(self.dram.type)
        )

    @cached_property
    def leakage_watts(self) -> Sourced:
        """Static power of units and on-chip memories."""
        parts = [unit.leakage_watts(self.technology) for unit in self.units]
        parts += [self.technology.sram_leakage_watts(m.bytes) for _, m in self.memories()]
        return self._figure("leakage_watts", total(parts, "W"))

    # -- area ------------------------------------------------------------------------------------

    @cached_property
    def area_parts_mm2(self) -> Mapping[str, Sourced]:
        """Area by part, from the technology: units, then memories."""
        parts = {unit.name: unit.area_um2(self.technology).times(1e-6, unit="mm2") for unit in self.units}
        for name, memory in self.memories():
            parts[name] = self.technology.sram_area_um2(memory.bytes).times(1e-6, unit="mm2")
        return parts

    @cached_property
    def area_mm2(self) -> Sourced:
        """The published area where there is one, else the sum of the parts."""
        return self._figure("area_mm2", total(self.area_parts_mm2.values(), "mm2"))

    def shapes_die(self, key: str) -> bool:
        """Whether a parameter, such as "array.rows", says what the die is made of: then a published area is
        that of another die once the parameter has another value."""
        holder, _, name = key.rpartition(".")
        parts = {
            "technology",
            *(unit.name for unit in self.units),
            *(memory for memory, _ in self.memories()),
        }
        return holder in parts and name not in _OF_USE

    def to_toml(self) -> str:
        """The design as TOML; `load_design` of it gives an equal accelerator."""
        from siliform.arch.design import design_toml

        return design_toml(self)
