"""The row engine: functions of int8 rows, each between two requantisations, one command at a time.

It is what a generated accelerator has beside its array (`rtl/accelerator`): words come from the scratchpad,
are scaled to the fixed point that a function takes, go through that function's unit, are scaled to int8 and
written back. Its nodes are those of integer-only graphs (`graph_ir.passes.integer_only`).
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.activation import ActivationUnit
from siliform.arch.units.eltwise import ElementwiseAdder
from siliform.arch.units.engine import Engine
from siliform.arch.units.norm import NormUnit
from siliform.arch.units.requantise import Requantiser
from siliform.arch.units.softmax import SoftmaxUnit
from siliform.graph_ir.graph import Graph, Node
from siliform.graph_ir.passes.integer_only import FIXED

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

ADD = "requantised_add"
#: Nodes of a fused body that only change scales: the stages in front of a function and behind it.
SCALING = ("requantise", "from_fixed", "to_fixed")
# Cycles from the edge at which the last thing that a command needs has happened to the one that writes its
# last word, beside those of its function (rtl/accelerator): the event is counted, the command taken (1), the
# first word is asked for, read and held (3) while settings are taken, its beats are scaled (3); behind the
# function they are scaled (3), and the last one makes a word whole, which is written (1).
COMMAND_CYCLES, READ_CYCLES, SCALE_CYCLES, WRITE_CYCLES = 1, 3, 3, 1
#: Cycles of a unit's own law that fall together with those: in which it takes its settings.
SETTLED_CYCLES = MappingProxyType({"layer_norm": 1, "rms_norm": 1, ADD: 1})


def function_of(node: Node) -> Node | None:
    """The one node of a fused body that is not scaling, or the requantised sum itself; else None."""
    body = node.attributes.get("body")
    if not isinstance(body, Graph):
        return node if node.op.name == ADD else None
    found = [inner for inner in body.nodes if inner.op.name not in SCALING]
    return found[0] if len(found) == 1 else None


@dataclass(frozen=True, kw_only=True)
class RowEngine(Engine):
    """Requantisers around a softmax, a norm, an activation; and an adder of two int8 tensors."""

    kind: ClassVar[str] = "rows"

    lanes: int = parameter("elements a cycle", low=1, high=64, knob=(2, 4, 8, 16))
    max_length: int = parameter("elements of the longest row", default=256, low=1, high=65536)
    word_bytes: int = parameter("bytes of a word of the scratchpad", default=16, low=1, high=64)

    def node_refusal(self, node: Node) -> str | None:
        """Accepts sums of int8, and fused bodies of one function in the numerics of integer-only graphs."""
        inner = function_of(node)
        if inner is None or (inner.op.name != ADD and inner.op.name not in FIXED):
            names = ", ".join((ADD, *FIXED))
            return f"{self.name} does {names} between requantisations, not {node.op.name}"
        form = inner.attributes.get("numerics")
        if inner.op.name != ADD and form != FIXED[inner.op.name].form:
            return (
                f"{self.name} does {inner.op.name} in {FIXED[inner.op.name].form}, not in {form or 'floats'}"
            )
        if inner.op.name in self._rowwise and inner.output.type.shape[-1] > self.max_length:
            return f"{self.name} holds rows of {self.max_length}, not of {inner.output.type.shape[-1]}"
        return None

    _rowwise: ClassVar[tuple[str, ...]] = ("softmax", "layer_norm", "rms_norm")

    @property
    def functions(self) -> MappingProxyType[str, Engine]:
        """The unit behind each function."""
        return MappingProxyType(
            {
                "softmax": SoftmaxUnit(
                    name="softmax",
                    lanes=self.lanes,
                    max_length=self.max_length,
                    numerics=FIXED["softmax"].form,
                ),
                **{
                    norm: NormUnit(name=norm, lanes=self.lanes, max_length=self.max_length)
                    for norm in ("layer_norm", "rms_norm")
                },
                "gelu": ActivationUnit(name="gelu", lanes=self.lanes, function="gelu_chords"),
                ADD: ElementwiseAdder(name="add", lanes=self.lanes),
            }
        )

    def node_cycles(self, node: Node) -> int:
        """The function's own law between the stages in front of it and behind it."""
        inner = function_of(node)
        if inner is None:
            raise ValueError(f"{self.name} was given {node.op.name}, which it refuses")
        scaling = 0 if inner.op.name == ADD else 2 * SCALE_CYCLES
        around = COMMAND_CYCLES + READ_CYCLES + scaling + WRITE_CYCLES - SETTLED_CYCLES.get(inner.op.name, 0)
        return self.functions[inner.op.name].node_cycles(inner) + around

    def row_elements(self, node: Node) -> int:
        """Rows are not cut."""
        return max(node.output.type.shape[-1], 1)

    def area_um2(self, technology: Technology) -> Sourced:
        """Its functions' units and the requantisers around them."""
        scaling = Requantiser(name="scaling", lanes=self.lanes).area_um2(technology)
        units = [unit.area_um2(technology) for unit in self.functions.values()]
        return total((*units, scaling.times(2, "in front and behind")), "um2")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over its area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
