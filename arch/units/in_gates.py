"""The area of engines of equal lanes, by netlists of small ones with the same words as parameters.

A unit's own law of area counts operators and registers; a netlist also holds what these leave out
(rounding, multiplexers, handshakes). The law is scaled so that it gives a netlist's area for the netlist's
parameters, and keeps telling how area grows with lanes and widths.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from siliform.arch.sourced import Sourced
from siliform.arch.tech.netlists import NetlistRow, netlists
from siliform.arch.unit import Unit

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

#: Kinds of units that are lanes and no memory, so that gates are all there is.
IN_GATES = frozenset({"activation", "eltwise", "requantise"})

AnyUnit = TypeVar("AnyUnit", bound=Unit)


def scaled_by_netlist(unit: AnyUnit, technology: Technology, law: Callable[[AnyUnit], Sourced]) -> Sourced:
    """`law` of the unit, times what a netlist is larger than the law says of it; `law` alone without one.

    The netlist is of the circuit that has the same words as parameters and the nearest numbers: the most that
    are equal, and of these the first.
    """
    fitting = [row for row in netlists() if unit.kind in IN_GATES and _is_circuit_of(unit, row)]
    if not fitting:
        return law(unit)
    row = max(
        fitting, key=lambda row: sum(v == getattr(unit, n) for n, v in shared_parameters(unit, row).items())
    )
    twin = replace(unit, **shared_parameters(unit, row))
    gates = technology.gates_area_um2(row.gate_equivalents, row.source)
    if twin == unit:
        return gates
    ratio = gates.number / law(twin).number
    told = (
        f"times {ratio:.3g}, which makes it {row.gate_equivalents:,.0f} gates for {row.name} ({row.source})"
    )
    return law(unit).times(ratio, told)


def _is_circuit_of(unit: Unit, row: NetlistRow) -> bool:
    """Whether a row is of that kind of unit, holds no memory and has the unit's words."""
    if row.circuit != unit.kind or row.memory_bits:
        return False
    words = {name: value for name, value in shared_parameters(unit, row).items() if isinstance(value, str)}
    return all(getattr(unit, name) == word for name, word in words.items())


def shared_parameters(unit: Unit, row: NetlistRow) -> dict[str, Any]:
    """The row's values of parameters that the unit has too, in the unit's types."""
    return {
        name: type(getattr(unit, name))(row.parameters[name])
        for name in unit.parameters
        if name in row.parameters and isinstance(getattr(unit, name), int | str)
    }
