"""The log2 unit: parameters, streams, law and cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from siliform.arch.units.log2 import leading_cycles, search_cycles
from siliform.graph_ir.variants import LOG_CODES
from siliform.graph_ir.variants.log_codes import VALUE_BITS, VALUE_WIDTH, limits
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.lanes import check_choice, check_range, laid, used
from siliform.rtl.common.unit import Case, HardwareUnit, Mutant, Shape

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
# In the order of use: what a module instantiates comes before it.
SOURCES = (
    COMMON / "elastic.sv",
    COMMON / "elastic_delay.sv",
    *(
        HERE / f"{name}.sv"
        for name in ("leading_codes", "limit_table", "search_stage", "search_codes", "log2_codes")
    ),
)
METHODS = ("leading", "search")
DENOMINATORS = (1, 2, 37)  # log2, the root of two, AdaLog
GREATEST = 2**VALUE_WIDTH - 1

MUTANTS = (
    Mutant("a half octave too low", "leading_codes.sv", "16'd46341", "16'd46300"),
    Mutant(
        "no code for zero", "leading_codes.sv", "if (!top_q[l][15]) y_d[l] = LastCode;", "if (0) y_d[l] = '0;"
    ),
    Mutant("codes that wrap", "leading_codes.sv", "32'(code[l]) > 32'(LastCode)", "1'b0"),
    Mutant("a register too many", "leading_codes.sv", "elastic #(.Stages(2))", "elastic #(.Stages(3))"),
    Mutant(
        "a limit that is its own upper code's", "search_stage.sv", "x_i[l] <= limit_i", "x_i[l] < limit_i"
    ),
    Mutant("limits a place off", "search_codes.sv", "{limit, 16'b0}", "{16'b0, limit}"),
    Mutant("values before their limits", "search_codes.sv", "x_ready_o = open && free", "x_ready_o = free"),
    Mutant(
        "values behind the last one enter",
        "limit_table.sv",
        "closed_q || last_enters_i",
        "closed_q || (last_enters_i && 1'b0)",
    ),
    Mutant(
        "limits that are not let go", "limit_table.sv", "last_leaves_i ? '0 : count_q", "1'b0 ? '0 : count_q"
    ),
    Mutant(
        "limits let go before their values have left",
        "search_codes.sv",
        ".last_leaves_i(y_valid_o && y_ready_i && y_last_o)",
        ".last_leaves_i(x_valid_i && x_ready_o && x_last_i)",
    ),
)


@dataclass(frozen=True)
class Base:
    """What values are coded in: the base ``2**(numerator / denominator)`` and the value of code 0."""

    numerator: int = 1
    denominator: int = 1
    scale: float = 1.0


@dataclass(frozen=True)
class Log2Unit(HardwareUnit):
    """Lanes that make codes of `code_bits` of values in Q.15.

    method : as `siliform.arch.units.log2` names it.
    """

    kind: ClassVar[str] = "log2"

    lanes: int = 4
    code_bits: int = 4
    method: str = "leading"

    def __post_init__(self) -> None:
        check_range(self, lanes=(1, 256), code_bits=(1, 8))
        check_choice(self, "method", METHODS)

    @property
    def name(self) -> str:
        """The parameters in a word."""
        return f"{self.method}-{self.lanes}-lanes-{self.code_bits}-bits"

    @property
    def searches(self) -> bool:
        """Whether codes are found among limits."""
        return self.method == "search"

    @classmethod
    def elaborations(cls) -> Sequence[Self]:
        """Both methods, all kinds of widths, one lane and several."""
        return (
            cls(4, 3),
            cls(4, 3, "search"),
            cls(),
            cls(1, 8),
            cls(8, 1),
            cls(3, 4, "search"),
            cls(2, 1, "search"),
            cls(1, 6, "search"),
            cls(2, 8, "search"),
        )

    def design(self) -> Design:
        """What Verilator builds."""
        parameters = {"Lanes": self.lanes, "CodeBits": self.code_bits, "Search": int(self.searches)}
        return Design("log2_codes", SOURCES, tuple(parameters.items()), self.streams())

    @classmethod
    def of_parameters(cls, parameters: Mapping[str, int]) -> Self:
        """The unit that `log2_codes` is with these parameters."""
        return cls(parameters["Lanes"], parameters["CodeBits"], METHODS[parameters["Search"]])

    def selects(self) -> Mapping[str, Any]:
        """How it finds codes."""
        return {"method": self.method}

    def streams(self) -> tuple[Stream, ...]:
        """Values in, codes out; limits in where codes are searched."""
        x_last, y_last = (Field(f"{port}_last", 1, 1, signed=False) for port in ("x", "y"))
        moved = (
            Stream("x", "in", (x_last, Field("x", self.lanes, VALUE_WIDTH, signed=False))),
            Stream("y", "out", (y_last, Field("y", self.lanes, self.code_bits, signed=False))),
        )
        limit = Stream("limit", "in", (Field("limit", 1, VALUE_WIDTH, signed=False),))
        return (limit, *moved) if self.searches else moved

    def shape(self, generator: np.random.Generator) -> Shape:
        """One to three tensors of a few to many elements, often fewer than lanes."""
        tensors = int(generator.integers(1, 4))
        elements = int(generator.integers(1, 1 + generator.choice([1, self.lanes, 40 + 4 * self.lanes])))
        return {"tensors": tensors, "elements": elements}

    def case(self, shape: Shape, generator: np.random.Generator) -> Case:
        """Values from zero to the greatest, at limits and just above them; noise in lanes left over."""
        count, elements = shape["tensors"], shape["elements"]
        bases = [self._base(generator) for _ in range(count)]
        steps = np.stack([limits(self.code_bits, b.numerator, b.denominator, b.scale) for b in bases])
        x = np.stack([_values(elements, row, generator) for row in steps])
        codes = np.stack([self._codes(row, base) for row, base in zip(x, bases, strict=True)])
        beats = -(-elements // self.lanes)
        unread = generator.integers(0, GREATEST, (count, beats * self.lanes), endpoint=True)
        last = np.tile(np.arange(beats) == beats - 1, count).astype(np.int64)[:, None]
        inputs = {"x": {"x_last": last, "x": laid(x, self.lanes, unread).reshape(-1, self.lanes)}}
        if self.searches:
            inputs["limit"] = {"limit": steps.reshape(-1, 1)}
        return Case(
            shape,
            inputs,
            {"y": {"y_last": last, "y": laid(codes, self.lanes).reshape(-1, self.lanes)}},
            self._law_cycles(count, elements),
            care={"y": {"y": used(count, elements, self.lanes).reshape(-1, self.lanes)}},
            bins=frozenset(name for name, hit in self._hits(x, codes, steps).items() if hit),
        )

    def _base(self, generator: np.random.Generator) -> Base:
        """Base two and scale 1, or any of those that a search is for."""
        if not self.searches:
            return Base()
        denominator = int(generator.choice(DENOMINATORS))
        scale = float(2.0 ** -generator.uniform(-0.9, 8)) if generator.random() < 0.7 else 1.0
        return Base(int(generator.integers(1, 2 * denominator + 1)), denominator, scale)

    def _codes(self, x: np.ndarray, base: Base) -> np.ndarray:
        """What the reference gives of levels in Q.15."""
        made = LOG_CODES["integer"].reference(
            np.ldexp(x.astype(np.float64), -VALUE_BITS),
            bits=self.code_bits,
            numerator=base.numerator,
            denominator=base.denominator,
            scale=base.scale,
        )
        return np.asarray(made).astype(np.int64)

    def _law_cycles(self, tensors: int, elements: int) -> int:
        if self.searches:
            return int(search_cycles(elements, self.lanes, self.code_bits, tensors))
        return int(leading_cycles(tensors * -(-elements // self.lanes) * self.lanes, self.lanes))

    def bins(self) -> frozenset[str]:
        """All there are, less what one lane cannot meet."""
        none = np.zeros((1, 1), np.int64)
        absent = {"lanes left over"} if self.lanes == 1 else set()
        return frozenset(set(self._hits(none, none, none)) - absent)

    def _hits(self, x: np.ndarray, codes: np.ndarray, steps: np.ndarray) -> dict[str, bool]:
        """What tensors of values and codes [tensors, elements] and their limits cover."""
        tensors, elements = x.shape
        return {
            "one tensor": tensors == 1,
            "several tensors": tensors > 1,
            "one element": elements == 1,
            "lanes left over": elements % self.lanes > 0,
            "zero": bool((x == 0).any()),
            "the greatest value": bool((x == GREATEST).any()),
            "the first code": bool((codes == 0).any()),
            "the last code": bool((codes == 2**self.code_bits - 1).any()),
            "a value at a limit": any(np.isin(row, at).any() for row, at in zip(x, steps, strict=True)),
            "a value above a limit": any(
                np.isin(row - 1, at).any() for row, at in zip(x, steps, strict=True)
            ),
        }

    @classmethod
    def mutants(cls) -> Sequence[Mutant]:
        """Of values, and of limits that come too early or too late."""
        return MUTANTS


def _values(elements: int, steps: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Levels in Q.15: any, in a logarithm, corners, at limits and one above."""
    kind = generator.integers(0, 5, elements)
    octave = np.floor(2.0 ** generator.uniform(0, VALUE_WIDTH, elements)).astype(np.int64)
    corner = generator.choice([0, 1, 2**VALUE_BITS, GREATEST], elements)
    at = generator.choice(steps, elements) + generator.integers(0, 2, elements)
    drawn = np.choose(
        kind, [generator.integers(0, GREATEST, elements, endpoint=True), octave, corner, at, at]
    )
    return np.asarray(np.clip(drawn, 0, GREATEST))
