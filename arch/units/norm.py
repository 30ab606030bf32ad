"""The norm unit: rows in, their layer or RMS norms out, in the integer numerics of graph_ir."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.in_gates import logic_and_memories, scaled_by_netlist, small_memories
from siliform.arch.units.lane_engine import LaneEngine
from siliform.arch.units.softmax import division_cycles
from siliform.graph_ir.graph import Node
from siliform.graph_ir.variants.norms import NORMAL_BITS, ROOT_BITS, VALUE_BITS, eps_level

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

OPERAND_BITS = 24  # of an operand, graph_ir/variants/norms.py
AFFINE_BITS = 32  # of a weight and of a bias, the same
EPS_BITS = 32  # rtl/norm: eps is below 16
ROW_DIVISION_BITS = 4  # rtl/norm: bits of a row's quotients in a stage; they divide by the short count

# Registers that a beat of a row passes (rtl/norm), beside those of divisions and root.
SUM_CYCLES = 3  # squares, their sum over the lanes, over the row
ABOUT_MEAN_CYCLES = 3  # what the mean takes from the sum of squares: two products and a difference
CENTRE_CYCLES = 1
AFFINE_CYCLES = 3  # product with the weight, sum with the bias, rounding


def quotient_bits(max_length: int) -> int:
    """Bits of a normalised value's magnitude.

    With S the sum of squares about the mean and n elements, no element is beyond ``sqrt(S)``. The deviation
    is the root of ``round(S / n)`` in Q.16, one step at least, so that no quotient in Q.14 reaches
    ``2**16 sqrt(n / 2)``.
    """
    return 2 + NORMAL_BITS + ((max_length - 1).bit_length() + 1) // 2


def statistics_cycles(value_bits: Count = OPERAND_BITS, bits_per_stage: Count = 1) -> Count:
    """Cycles from a row's last beat to its mean and deviation: two divisions by the count, and a root."""
    mean = division_cycles(value_bits, ROW_DIVISION_BITS)
    variance = division_cycles(2 * value_bits - 1, ROW_DIVISION_BITS)
    root = ceil_div(value_bits + ROOT_BITS - VALUE_BITS, bits_per_stage)
    return SUM_CYCLES + mean + ABOUT_MEAN_CYCLES + variance + root


def norm_cycles(
    rows: Count,
    length: Count,
    lanes: Count,
    max_length: int,
    value_bits: Count = OPERAND_BITS,
    bits_per_stage: Count = 1,
) -> Count:
    """Cycles of `rows` rows of `length` elements on a unit built for rows of up to `max_length`.

    A cycle takes the settings, then a beat of `lanes` elements goes in each cycle, whatever the row's length:
    rows wait in a FIFO for their statistics, which are pipelined as well. With B beats a row, the last row's
    last beat leaves B - 1 cycles after that row's first one, which leaves `depth` cycles after the last went
    in: ``rows B + B - 1 + depth``.
    """
    beats = ceil_div(length, lanes)
    lane = division_cycles(quotient_bits(max_length), bits_per_stage)
    depth = statistics_cycles(value_bits, bits_per_stage) + CENTRE_CYCLES + lane + AFFINE_CYCLES
    work = checked_product(rows, beats)
    return where(work == 0, 0, work + beats - 1 + depth)


@dataclass(frozen=True, kw_only=True)
class NormUnit(LaneEngine):
    """Lanes that square, centre, divide and scale, about one pipeline for the statistics of rows."""

    kind: ClassVar[str] = "norm"

    max_length: int = parameter("elements of the longest row", default=1024, low=1, high=65536)
    value_bits: int = parameter("bits of an operand in Q.14", default=OPERAND_BITS, low=18, high=OPERAND_BITS)
    bits_per_stage: int = parameter(
        "bits of a quotient or of a root in a stage of its pipeline", default=1, low=1, high=16
    )

    def node_refusal(self, node: Node) -> str | None:
        """Accepts layer_norm and rms_norm in `integer`, of rows that its buffer holds."""
        if node.op.name not in ("layer_norm", "rms_norm"):
            return f"{self.name} does layer_norm and rms_norm, not {node.op.name}"
        form = node.attributes.get("numerics")
        if form != "integer":
            return f"{self.name} does {node.op.name} in integer, not in {form or 'floats'}"
        if self.value_bits < OPERAND_BITS:
            return f"{self.name} takes operands of {self.value_bits} bits, and integer has {OPERAND_BITS}"
        if self.row_elements(node) > self.max_length:
            return f"{self.name} holds rows of {self.max_length} elements, not of {self.row_elements(node)}"
        if eps_level(node.attributes["eps"]) >= 2**EPS_BITS:
            return f"{self.name} takes an eps below 16, not {node.attributes['eps']}"
        return None

    def row_elements(self, node: Node) -> int:
        """Elements that one mean is taken of."""
        return prod(node.operands[0].type.shape[-node.attributes["dims"] :])

    def node_cycles(self, node: Node) -> int:
        """All rows after each other."""
        length = self.row_elements(node)
        rows = node.output.type.elements // max(length, 1)
        return int(
            norm_cycles(rows, length, self.lanes, self.max_length, self.value_bits, self.bits_per_stage)
        )

    def lane_area_um2(self, technology: Technology) -> Sourced:
        """A squarer, a divider of one subtractor a bit, a multiplier, and the registers of their stages."""
        bits, wide = quotient_bits(self.max_length), self.value_bits + ROOT_BITS - VALUE_BITS
        share = (self.value_bits / 32) ** 2
        stage_bits = wide + bits + 1  # remainder and quotient share a word, the sign beside it
        parts = (
            technology.operator_area_um2("mul", "int32").times(1 + share, "a square and a weight's product"),
            technology.operator_area_um2("add", "int32").times(
                bits + 4, "a subtraction for each bit, and sums"
            ),
            technology.register_area_um2(stage_bits * (bits + 1)).times(1, "the division's stages"),
            technology.register_area_um2(3 * AFFINE_BITS + bits).times(1, "stages behind it"),
        )
        return total(parts, "um2")

    def area_um2(self, technology: Technology) -> Sourced:
        """The lanes; the rows that wait, weights and biases; the pipeline of a row's statistics."""
        logic = scaled_by_netlist(self, technology, lambda unit: unit.logic_um2(technology))
        return logic_and_memories(logic, technology, self._memories)

    @property
    def _memories(self) -> dict[str, tuple[int, int]]:
        """Words and their bits."""
        beats = ceil_div(self.max_length, self.lanes)
        return {
            "rows that wait for their statistics": (
                beats + self._statistics_cycles,
                self.lanes * (self.value_bits + 1),
            ),
            "weights and biases": (beats, self.lanes * 2 * AFFINE_BITS),
        }

    def logic_um2(self, technology: Technology) -> Sourced:
        """The lanes, the pipeline of a row's statistics, and memories that are small enough for registers."""
        row_bits = 5 * self.value_bits  # assumption: what goes along a row's statistics, on average
        parts = (
            self.lanes_area_um2(technology),
            *small_memories(technology, self._memories),
            technology.register_area_um2(row_bits * self._statistics_cycles).times(1, "statistics"),
            technology.operator_area_um2("add", "int32").times(
                4 * self.value_bits, "subtractions of statistics"
            ),
        )
        return total(parts, "um2")

    @property
    def _statistics_cycles(self) -> int:
        return int(statistics_cycles(self.value_bits, self.bits_per_stage))
