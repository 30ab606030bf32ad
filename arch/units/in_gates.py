"""The area of units by netlists of small ones of them, and memories beside.

A unit's own law of area counts operators and registers; a netlist also holds what these leave out
(rounding, multiplexers, handshakes). The law is scaled so that it gives a netlist's area for the netlist's
parameters, and keeps telling how area grows with lanes and widths. Memories are not scaled: in a netlist
those of fewer than `MEMORY_WORDS` words are flip-flops and so in the law; larger ones are CACTI's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from math import ceil, log
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

from siliform.arch.sourced import Sourced, total
from siliform.arch.tech.netlists import NetlistRow, netlists
from siliform.arch.unit import Unit

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

#: Kinds of units whose area goes back to a netlist. What is left has no circuit of its function: `vector` and
#: `special` (lanes of floats), `gather` (whose circuit has neither its transposing buffer nor comparators).
IN_GATES = frozenset(
    {
        "activation",
        "binary",
        "eltwise",
        "hash",
        "log2",
        "lookup",
        "norm",
        "requantise",
        "scan",
        "softmax",
        "topk",
        "transpose",
    }
)

#: Memories of so many words are memories in a netlist, and not flip-flops (rtl/synthesis).
MEMORY_WORDS = 32

#: Parameters of units that circuits say in other words: of the circuit's, which are texts, the unit's.
IN_OTHER_WORDS: Mapping[str, Callable[[Mapping[str, str]], dict[str, int]]] = MappingProxyType(
    {
        "hash": lambda words: {"width": int(words["lanes"]) * int(words["chunks"])},
        "lookup": lambda words: {"width": int(words["lanes"]) * int(words["columns"])},
        "topk": lambda words: {
            "element_bits": int(words["bits"]),
            "comparators": ceil(int(words["kept"]) / int(words["folds"])) * int(words["lanes"]),
        },
        "transpose": lambda words: {"element_bits": int(words["bits"])},
    }
)

#: What a circuit must have where the unit's law has no parameter for it: states of a scan are int32.
_ALWAYS: Mapping[str, Mapping[str, str]] = MappingProxyType({"scan": {"bits": "32"}})

AnyUnit = TypeVar("AnyUnit", bound=Unit)


def scaled_by_netlist(unit: AnyUnit, technology: Technology, law: Callable[[AnyUnit], Sourced]) -> Sourced:
    """`law` of the unit, times what a netlist is larger than the law says of it; `law` alone without one.

    The netlist is of the circuit that has the same words as parameters and the nearest numbers, by the sum of
    the logarithms of their quotients; of equally near ones the first.
    """
    fitting = [row for row in netlists() if unit.kind in IN_GATES and _is_circuit_of(unit, row)]
    if not fitting:
        return law(unit)
    row = min(fitting, key=lambda row: _distance(unit, row))
    twin = replace(unit, **shared_parameters(unit, row))
    gates = technology.gates_area_um2(row.gate_equivalents, row.source)
    if twin == unit:
        return gates
    ratio = gates.number / law(twin).number
    told = (
        f"times {ratio:.3g}, which makes it {row.gate_equivalents:,.0f} gates for {row.name} ({row.source})"
    )
    return law(unit).times(ratio, told)


def logic_and_memories(
    logic: Sourced, technology: Technology, memories: Mapping[str, tuple[int, int]]
) -> Sourced:
    """Logic, and those memories that are no flip-flops: (words, bits of a word) by what they hold."""
    large = [
        technology.sram_area_um2(ceil(words * bits / 8)).times(1, what)
        for what, (words, bits) in memories.items()
        if words >= MEMORY_WORDS
    ]
    return total((logic, *large), "um2") if large else logic


def small_memories(technology: Technology, memories: Mapping[str, tuple[int, int]]) -> tuple[Sourced, ...]:
    """Those memories that are flip-flops, and so part of a unit's logic."""
    return tuple(
        technology.register_area_um2(words * bits).times(1, what)
        for what, (words, bits) in memories.items()
        if words < MEMORY_WORDS
    )


def _is_circuit_of(unit: Unit, row: NetlistRow) -> bool:
    """Whether a row is of that kind of unit and has the unit's words."""
    if row.circuit != unit.kind or any(row.parameters[n] != v for n, v in _ALWAYS.get(unit.kind, {}).items()):
        return False
    words = {name: value for name, value in shared_parameters(unit, row).items() if isinstance(value, str)}
    return all(getattr(unit, name) == word for name, word in words.items())


def _distance(unit: Unit, row: NetlistRow) -> float:
    numbers = [(value, getattr(unit, name)) for name, value in shared_parameters(unit, row).items()]
    return sum(abs(log((1 + a) / (1 + b))) for a, b in numbers if not isinstance(a, str))


def shared_parameters(unit: Unit, row: NetlistRow) -> dict[str, Any]:
    """The row's values of parameters that the unit has too, in the unit's types."""
    shared = {
        name: type(getattr(unit, name))(row.parameters[name])
        for name in unit.parameters
        if name in row.parameters and isinstance(getattr(unit, name), int | str)
    }
    return shared | IN_OTHER_WORDS.get(unit.kind, lambda _: {})(row.parameters)
