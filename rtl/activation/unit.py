"""The activation unit: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import ClassVar, Self

import numpy as np

from siliform.arch.units.activation import FUNCTIONS, activation_cycles
from siliform.graph_ir.variants.chords import SEGMENT_BITS, VALUE_BITS
from siliform.graph_ir.variants.gelu import GELU_CHORDS, polynomial_gelu_levels
from siliform.graph_ir.variants.relu import relu_levels
from siliform.graph_ir.variants.silu import SILU_CHORDS
from siliform.rtl.activation.tables import chord_table
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_choice, check_range, corners, integers, laid, noise, used
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
SOURCES = (
    COMMON / "elastic.sv",
    COMMON / "shift_round_even.sv",
    HERE / "chord_lane.sv",
    HERE / "gelu_polynomial.sv",
    HERE / "activation.sv",
)
BITS = 16
#: In the order of the circuit's parameter Function.
REFERENCES: Mapping[str, Callable[[np.ndarray], np.ndarray]] = MappingProxyType(
    {
        "relu": relu_levels,
        "gelu_chords": GELU_CHORDS.levels,
        "gelu_polynomial": polynomial_gelu_levels,
        "silu_chords": SILU_CHORDS.levels,
    }
)

MUTANTS = (
    Mutant("a chord without a sign", "chord_lane.sv", "$signed(rise_q)", "rise_q"),
    Mutant(
        "the neighbour's chord", "gelu_chords.sv", "8'd17: {start_o, rise_o}", "8'd117: {start_o, rise_o}"
    ),
    Mutant(
        "operands above the reach",
        "chord_lane.sv",
        "if (outside_q[1]) y_d = x_q;",
        "if (outside_q[1]) y_d = start_q;",
    ),
    Mutant("another beat's operand", "chord_lane.sv", "y_d = x_q;", "y_d = x_i;"),
    Mutant("halves upwards", "shift_round_even.sv", "(rest || kept[1])", "1'b1"),
    Mutant("an even error", "gelu_polynomial.sv", "inner_q[15] ? One - error : One + error", "One + error"),
    Mutant(
        "no turn",
        "gelu_polynomial.sv",
        "magnitude < Turn ? 12'(Turn - magnitude) : '0",
        "12'(Turn - magnitude)",
    ),
    Mutant("a carry dropped", "gelu_polynomial.sv", "One - 25'(gap)", "One ^ 25'(gap)"),
    Mutant(
        "a step too late", "activation.sv", "elastic #(.Stages(Stages))", "elastic #(.Stages(Stages + 1))"
    ),
    Mutant("a beat overwritten", "elastic.sv", "ready_i || !valid_q[Stages-1]", "1'b1"),
)


@dataclass(frozen=True)
class ActivationUnit(HardwareUnit):
    """Lanes of one function."""

    kind: ClassVar[str] = "activation"

    function: str = "gelu_chords"
    lanes: int = 4

    def __post_init__(self) -> None:
        check_choice(self, "function", tuple(REFERENCES))
        check_range(self, lanes=(1, 256))

    @property
    def name(self) -> str:
        """The parameters in a word."""
        return f"{self.function}-{self.lanes}-lanes"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Every function, on one lane and on several."""
        several = ("gelu_chords", 4), ("gelu_polynomial", 3), ("silu_chords", 4), ("relu", 5)
        return tuple(cls(*each) for each in several) + tuple(cls(function, 1) for function in REFERENCES)

    def design(self) -> Design:
        """What Verilator builds; both tables, of which one is used at most."""
        parameters = {"Lanes": self.lanes, "Function": list(REFERENCES).index(self.function)}
        tables = {"gelu": GELU_CHORDS, "silu": SILU_CHORDS}
        generated = tuple((f"{name}_chords.sv", chord_table(name, table)) for name, table in tables.items())
        return Design("activation", SOURCES, tuple(parameters.items()), self.streams(), generated=generated)

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `activation` is with these parameters."""
        return cls(list(REFERENCES)[parameters["Function"]], parameters["Lanes"])

    def streams(self) -> tuple[Stream, Stream]:
        """Operands in, results out."""
        return (
            Stream("x", "in", (Field("x", self.lanes, BITS),)),
            Stream("y", "out", (Field("y", self.lanes, BITS),)),
        )

    def shape(self, generator: np.random.Generator) -> Shape:
        """Fewer elements than lanes often."""
        return {"elements": int(generator.integers(1, 1 + generator.choice([1, 2, 10, 40]) * self.lanes))}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Any values, those near zero where functions bend, knots, their neighbours, middles, corners."""
        elements = shape["elements"]
        near = generator.integers(-(2 << VALUE_BITS), 2 << VALUE_BITS, elements)
        knots = generator.integers(-16 * 8, 16 * 8, elements) * 2**SEGMENT_BITS
        knots = np.clip(
            knots + generator.choice([-1, 0, 1, 128], elements), -(2 ** (BITS - 1)), 2 ** (BITS - 1) - 1
        )
        kinds = np.stack([near, knots, integers(generator, BITS, elements)])
        x = np.take_along_axis(kinds, generator.integers(0, 3, (1, elements)), axis=0)[0]
        return self.case_of(x, noise(generator, BITS, -(-elements // self.lanes) * self.lanes))

    def case_of(self, x: np.ndarray, unread: np.ndarray | int = 0) -> Case:
        """x [elements] of int16 levels; `unread` fills the lanes left over."""
        _, _, stages = FUNCTIONS[self.function]
        y, count = REFERENCES[self.function](x), len(x)
        return Case(
            {"elements": count},
            {"x": {"x": laid(x[None], self.lanes, unread)[0]}},
            {"y": {"y": laid(y[None], self.lanes)[0]}},
            int(activation_cycles(count, self.lanes, stages)),
            care={"y": {"y": used(1, count, self.lanes)[0]}},
            bins=frozenset(name for name, hit in self._hits(x).items() if hit),
        )

    def bins(self) -> frozenset[str]:
        """All there are, less what one lane cannot meet."""
        absent = {"lanes left over"} if self.lanes == 1 else set()
        return frozenset(set(self._hits(np.zeros(1, np.int64))) - absent)

    def _hits(self, x: np.ndarray) -> dict[str, bool]:
        """What operands cover."""
        turns = {f"x of {corner}": bool((x == corner).any()) for corner in corners(BITS)}
        return {
            **turns,
            "one beat": len(x) <= self.lanes,
            "lanes left over": len(x) % self.lanes > 0,
            "a knot": bool((x % 2**SEGMENT_BITS == 0).any()),
            "the middle of a chord": bool((x % 2**SEGMENT_BITS == 2 ** (SEGMENT_BITS - 1)).any()),
            "far below": bool((x < -(12 << VALUE_BITS)).any()),
            "far above": bool((x > 12 << VALUE_BITS).any()),
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of both kinds of arithmetic, the table, and the flow."""
        return MUTANTS
