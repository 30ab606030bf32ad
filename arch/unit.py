"""One block of hardware: what every unit answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.parameter import Parameter, check_parameters, parameters_of
from siliform.arch.sourced import Sourced
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import FORMATS, format_named
from siliform.graph_ir.space import Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


def element_of(format_name: str) -> str:
    """The element format of a format by name: ``int8@channel0`` is made of ``int8``."""
    return format_name.partition("@")[0]


@dataclass(frozen=True, kw_only=True)
class Unit(ABC):
    """A unit of an accelerator: parameters, what it accepts, its law, its area.

    Subclasses are frozen dataclasses whose parameters are declared with `parameter(...)`. A unit
    is stateless: laws take counts and give counts, with operands at hand in the scratchpad; what
    memory adds is the mapper's business.
    """

    kind: ClassVar[str]  # the word for it in a design: `type = "array"`
    name: str

    def __post_init__(self) -> None:
        check_parameters(self, self.name)

    @property
    def parameters(self) -> dict[str, Parameter]:
        """Declared parameters by name: meaning, range and knob values."""
        return parameters_of(self)

    @abstractmethod
    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """None where the unit can do all of `spaces`; else why not, to be put in an error.

        `formats` are the names of the operands' formats, in order.
        """

    @abstractmethod
    def cycles(self, space: Space) -> int:
        """Cycles of one space that the unit accepts, whole and alone."""

    def scalar_refusal(self, scalar_op: str, format_name: str) -> str | None:
        """None where the unit computes one scalar operation of a body in that format; else why not."""
        return f"{self.name} computes no single {scalar_op}"

    def scalar_cycles(self, scalar_op: str, count: int) -> int:
        """Cycles of `count` scalar operations that the unit accepts."""
        raise ValueError(f"{self.name} computes no single {scalar_op}")

    @property
    def pin_bytes_per_cycle(self) -> int:
        """Bytes a cycle that it moves between DRAM and chip; 0 for a unit that moves none."""
        return 0

    def peak_macs_per_cycle(self, first: str, second: str) -> int:
        """Multiply-accumulates per cycle at best on operands of these formats; 0 where it does none."""
        return 0

    @abstractmethod
    def area_um2(self, technology: Technology) -> Sourced:
        """Silicon area of the unit, wires within cells only."""

    @abstractmethod
    def leakage_watts(self, technology: Technology) -> Sourced:
        """Power of the unit when nothing switches."""


def check_formats(unit: str, formats: Sequence[str]) -> None:
    """Refuse an empty list of formats and names that are no element format."""
    if not formats:
        raise UserError(
            asked=f"the unit {unit}",
            found="no number format",
            where=f"{unit}.formats",
            next_step=f"give at least one of {', '.join(FORMATS)}",
        )
    for name in formats:
        try:
            element = format_named(name).element.name
        except UserError as error:
            raise UserError(
                asked=f"{unit} on {name!r}",
                found=error.found,
                where=f"{unit}.formats",
                next_step=error.next_step,
            ) from error
        if element != name:
            raise UserError(
                asked=f"{unit} on {name!r}",
                found="a scaled format: units see elements, scales are applied behind them",
                where=f"{unit}.formats",
                next_step=f"give {element}",
            )


def format_refusal(unit: str, accepted: Sequence[str], formats: Sequence[str]) -> str | None:
    """None where each format is made of accepted elements; else a sentence."""
    for name in formats:
        if element_of(name) not in accepted:
            return f"{unit} takes {', '.join(accepted)}, not {name}"
    return None
