"""What arrays of either dataflow share: size, formats of operands and totals, streams, references."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from siliform.graph_ir.errors import UserError
from siliform.graph_ir.ops.matmul import matmul
from siliform.rtl.array.operands import Operand, exact, operand, operand_of
from siliform.rtl.common.design import Design, Field, Stream
from siliform.rtl.common.unit import HardwareUnit, Shape

Overlap = Literal["none", "double-buffered"]

HERE = Path(__file__).parent
COMMON = HERE.parent / "common"
# Measured with Verilator 5.048 and g++ 12 on two cores: 16 x 16 builds in 6 s unrolled and 1 s rolled, and
# runs 660 thousand cycles a second unrolled and 42 thousand rolled.
MOST_UNROLLED_CELLS = 256
WIDEST_SUM_BITS = 64
# What float64 adds without rounding, and so what the reference of float totals does: 53 bits and a sign.
WIDEST_FLOAT_SUM_BITS = 54


@dataclass(frozen=True)
class Grid(HardwareUnit):
    """Cells in rows and columns, and what they multiply.

    rows, columns : cells, 1 to 256 each.
    overlap : as the law names it, ``none`` or ``double-buffered``.
    activation, weight : element formats, of `operands.OPERANDS`; weights may be shifts, ``log2_4``.
    sum_bits : width of a sum, in fixed point; it holds what one fold can add up, or the unit is refused.
    totals : ``fixed`` hands the sums over, ``fp32`` rounds them to that first.
    """

    top: ClassVar[str]
    sources: ClassVar[tuple[Path, ...]]

    rows: int = 4
    columns: int = 4
    overlap: Overlap = "double-buffered"
    activation: str = "int8"
    weight: str = "int8"
    sum_bits: int = 32
    totals: Literal["fixed", "fp32"] = "fixed"

    def __post_init__(self) -> None:
        if self.overlap not in ("none", "double-buffered"):
            raise UserError(
                asked=f"an array in hardware with overlap {self.overlap!r}",
                found="circuits for none and double-buffered",
                where="overlap",
                next_step="choose one of the two; 'bound' is a limit that no circuit reaches",
            )
        self.within("rows", 1, 256)
        self.within("columns", 1, 256)
        self.within("sum_bits", 8, WIDEST_SUM_BITS)
        if operand(self.activation, "activation").is_shift:
            raise UserError(
                asked=f"an array in hardware with activation = {self.activation}",
                found="cells whose weights may be shifts, and not their activations",
                where="activation",
                next_step="let the operand that is a power of two be the weight",
            )
        operand(self.weight, "weight")
        self._check_sums()
        self._check_totals()

    def within(self, name: str, low: int, high: int) -> None:
        """UserError where a parameter lies outside what the unit is built for."""
        if not low <= getattr(self, name) <= high:
            raise UserError(
                asked=f"an array in hardware with {name} = {getattr(self, name)}",
                found=f"a unit that is built for {low} to {high}",
                where=name,
                next_step=f"choose {name} from {low} to {high}",
            )

    def _check_sums(self) -> None:
        needed = exact(*self.operands, self.rows).bits
        if needed <= self.sum_bits:
            return
        wider = f"choose sum_bits = {needed} or more"
        narrower = f"sums have {WIDEST_SUM_BITS} bits at most: choose a format with a smaller range"
        raise UserError(
            asked=f"sums of {self.sum_bits} bits",
            found=f"{self.rows} products of {self.activation} and {self.weight}, which take {needed}",
            where="sum_bits",
            next_step=wider if needed <= WIDEST_SUM_BITS else narrower,
        )

    def _check_totals(self) -> None:
        if self.totals == "fixed":
            return
        floats = all(not o.is_shift for o in self.operands) and any(o.is_float for o in self.operands)
        if self.totals != "fp32" or not floats or self.sum_bits > WIDEST_FLOAT_SUM_BITS:
            raise UserError(
                asked=f"{self.totals} totals of {self.sum_bits}-bit sums, {self.activation} x {self.weight}",
                found=f"totals in fp32 of sums of floats, {WIDEST_FLOAT_SUM_BITS} bits at most",
                where="totals",
                next_step="use totals = fixed, which hands the exact sums over",
            )

    @property
    def operands(self) -> tuple[Operand, Operand]:
        """Of activations and of weights."""
        return operand(self.activation, "activation"), operand(self.weight, "weight")

    @property
    def exact_terms(self) -> int:
        """How many products a sum holds whatever they are."""
        one = exact(*self.operands, 1).bits
        terms: int = 2 ** (self.sum_bits - one)
        while exact(*self.operands, 2 * terms).bits <= self.sum_bits:
            terms *= 2
        return terms

    @property
    def cell_name(self) -> str:
        """Overlap, formats and sums in a word."""
        sums = f"{'fp32-of-' if self.totals == 'fp32' else ''}sum{self.sum_bits}"
        return f"{self.rows}x{self.columns}-{self.overlap}-{self.activation}-{self.weight}-{sums}"

    def parameters(self) -> dict[str, int]:
        """Those of the top module that both dataflows have."""
        activation, weight = self.operands
        return {
            "Rows": self.rows,
            "Columns": self.columns,
            "ActWidth": activation.bits,
            "ActExponent": activation.exponent_bits,
            "WeightWidth": weight.bits,
            "WeightExponent": weight.exponent_bits,
            "LogWeight": int(weight.is_shift),
            "SumWidth": self.sum_bits,
            "FloatTotals": int(self.totals == "fp32"),
            "SumStep": 1 - exact(activation, weight, 1).step.denominator.bit_length(),
            "DoubleBuffered": int(self.overlap == "double-buffered"),
        }

    @staticmethod
    def fields_of(parameters: Mapping[str, int]) -> dict[str, Any]:
        """The inverse of `parameters`: this class's fields."""
        activation = operand_of(parameters["ActWidth"], parameters["ActExponent"], False)
        weight = operand_of(
            parameters["WeightWidth"], parameters["WeightExponent"], bool(parameters["LogWeight"])
        )
        return {
            "rows": parameters["Rows"],
            "columns": parameters["Columns"],
            "overlap": "double-buffered" if parameters["DoubleBuffered"] else "none",
            "activation": activation.name,
            "weight": weight.name,
            "sum_bits": parameters["SumWidth"],
            "totals": "fp32" if parameters["FloatTotals"] else "fixed",
        }

    def design(self) -> Design:
        """What Verilator builds."""
        rolled = self.rows * self.columns > MOST_UNROLLED_CELLS
        return Design(self.top, self.sources, tuple(self.parameters().items()), self.streams(), rolled)

    def streams(self) -> tuple[Stream, Stream, Stream]:
        """Weights and activations in, totals out."""
        activation, weight = self.operands
        flags = tuple(Field(f"act_{name}", 1, 1, signed=False) for name in ("last", "accumulate", "emit"))
        float_totals = self.totals == "fp32"
        total = Field("total", self.columns, 32 if float_totals else self.sum_bits, signed=not float_totals)
        return (
            Stream("weight", "in", (Field("weight", self.columns, weight.bits, signed=False),)),
            Stream("act", "in", (*flags, Field("act", self.rows, activation.bits, signed=False))),
            Stream("total", "out", (total,)),
        )

    def draw_operands(self, shape: Shape, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Codes of a [B, M, K] and of b [B, K, N]."""
        activation, weight = self.operands
        batch, m, n, k = (shape[name] for name in ("batch", "m", "n", "k"))
        return activation.draw(generator, (batch, m, k)), weight.draw(generator, (batch, k, n))

    def product(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """What the op's reference makes of codes a [B, M, K] and b [B, K, N], as totals carry it: [B, M, N].

        Sums count products of the operands' steps. Those in fp32 are the float's bits; zero is positive.
        """
        activation, weight = self.operands
        if self.totals == "fixed":
            return matmul.reference(activation.counts(a), weight.counts(b))
        result: np.ndarray = matmul.reference(activation.quantised(a), weight.quantised(b)) + np.float32(0)
        return result.view(np.uint32).astype(np.int64)

    def corner_hits(self, a: np.ndarray, b: np.ndarray) -> dict[str, bool]:
        """For each operand and corner, whether codes a or b hold it."""
        found: dict[str, bool] = {}
        for name, form, codes in zip(("act", "weight"), self.operands, (a, b), strict=True):
            found |= {f"{name} of {corner}": bool((codes == at).any()) for corner, at in form.corners.items()}
        return found
