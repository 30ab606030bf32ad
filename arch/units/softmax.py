"""The softmax unit: rows of scores in, rows of probabilities out, in the integer numerics of graph_ir."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, checked_sum, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.engine import Engine
from siliform.arch.units.in_gates import logic_and_memories, scaled_by_netlist, small_memories
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.graph import Node
from siliform.graph_ir.variants import SIGMOID, SOFTMAX

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

QUOTIENT_BITS = 16  # a probability in Q.15, one included
RECIPROCAL_BITS = 20  # of a row's reciprocal: a total is 2**23 at least, graph_ir/variants/softmax.py

# Registers that a beat of scores passes (rtl/softmax).
MAXIMUM_CYCLES = 2  # the greatest of a beat, then of the row, which waits for the row's first beat
POWER_CYCLES = 4  # product by log2 e, its rounding, the look-up, the chord
EXPONENTIAL_CYCLES = 2 + POWER_CYCLES  # the distance to the greatest before, the shift behind
SUM_CYCLES = 2  # the sum of a beat, then of the row
OCTAVE_CYCLES = 6  # a beat's greatest octave, the row's, the shift, the counts, two additions of the counts
MULTIPLY_CYCLES = 2  # by the reciprocal, and rounded
CLIP_CYCLES = 2  # stretched, then shifted, rounded and clipped
PAIR_CYCLES = 1  # sigmoid: the sum of an exponential and one

#: What a unit does, and the ops that it does then: a clipping unit that clips nothing is a plain one.
FUNCTIONS = MappingProxyType(
    {"softmax": ("softmax",), "clipped_softmax": ("clipped_softmax", "softmax"), "sigmoid": ("sigmoid",)}
)


def division_cycles(quotient_bits: Count, bits_per_stage: Count) -> Count:
    """Registers of a pipelined division to nearest: one for each so many bits, one to round."""
    return ceil_div(quotient_bits, bits_per_stage) + 1


def softmax_stream_cycles(
    beats: Count, longest_beats: Count, numerics: str, bits_per_stage: Count = 1, *, clipped: bool = False
) -> Count:
    """Cycles of rows of any lengths, `beats` in all, the longest of `longest_beats`.

    A row is held until its greatest score is known and again until its sum is; online it is held once. Both
    times it waits for the last beat that the row before lets go, so that a stream is late by the longest of
    its rows, and by no other: ``beats + holds * (longest - 1) - 1 + depth``.
    """
    reciprocal = division_cycles(RECIPROCAL_BITS, bits_per_stage) + MULTIPLY_CYCLES
    sums = MAXIMUM_CYCLES + EXPONENTIAL_CYCLES + SUM_CYCLES
    holds, depth = {
        "integer_base2": (2, sums + division_cycles(QUOTIENT_BITS, bits_per_stage)),
        "integer_polynomial": (2, sums + division_cycles(QUOTIENT_BITS, bits_per_stage)),
        "integer_base2_reciprocal": (2, sums + reciprocal),
        # The shift to the row's greatest octave comes last, before the product.
        "integer_online": (1, POWER_CYCLES + OCTAVE_CYCLES + 1 + reciprocal),
    }[numerics]
    late = checked_product(holds, longest_beats - 1) + depth + (CLIP_CYCLES if clipped else 0)
    return where(beats == 0, 0, checked_sum(beats, late - 1))


def softmax_cycles(
    rows: Count,
    length: Count,
    lanes: Count,
    numerics: str,
    bits_per_stage: Count = 1,
    *,
    clipped: bool = False,
) -> Count:
    """Cycles of `rows` rows of `length` elements, `lanes` a beat, the last beat of a row filled or not."""
    row = ceil_div(length, lanes)
    beats = checked_product(rows, row)
    return softmax_stream_cycles(beats, row, numerics, bits_per_stage, clipped=clipped)


def sigmoid_cycles(elements: Count, lanes: Count, bits_per_stage: Count = 1) -> Count:
    """Cycles of so many elements: no element waits for another."""
    beats = ceil_div(elements, lanes)
    depth = EXPONENTIAL_CYCLES + PAIR_CYCLES + division_cycles(QUOTIENT_BITS, bits_per_stage)
    return where(beats == 0, 0, beats - 1 + depth)


@dataclass(frozen=True, kw_only=True)
class SoftmaxUnit(Engine):
    """Lanes of exponentials between two buffers of a row, and a division to nearest."""

    kind: ClassVar[str] = "softmax"

    lanes: int = parameter("scores a cycle", low=1, high=256, knob=(4, 8, 16, 32, 64))
    max_length: int = parameter("scores of the longest row", default=1024, low=1, high=65536)
    function: str = parameter(
        "softmax; clipped_softmax, which does plain ones too; or sigmoid",
        default="softmax",
        choices=tuple(FUNCTIONS),
    )
    numerics: str = parameter(
        "how it computes, a numeric variant of the op",
        default="integer_base2_reciprocal",
        choices=tuple(SOFTMAX),
        knob=tuple(SOFTMAX),
    )
    bits_per_stage: int = parameter(
        "bits of a quotient in a stage of its division", default=1, low=1, high=16
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.function == "sigmoid" and self.numerics not in SIGMOID:
            raise UserError(
                asked=f"{self.name} for sigmoid in {self.numerics}",
                found=f"sigmoid in {', '.join(SIGMOID)}: its sums are of two, and no row shares a reciprocal",
                where=f"{self.name}.numerics",
                next_step=f"choose {' or '.join(SIGMOID)}",
            )

    def node_refusal(self, node: Node) -> str | None:
        """Accepts its ops in its numerics, along the last axis, of rows that its buffers hold."""
        ops = FUNCTIONS[self.function]
        if node.op.name not in ops:
            return f"{self.name} does {' and '.join(ops)}, not {node.op.name}"
        form = node.attributes.get("numerics")
        if form != self.numerics:
            return f"{self.name} does {node.op.name} in {self.numerics}, not in {form or 'floats'}"
        if node.op.name == "sigmoid":
            return None
        shape = node.operands[0].type.shape
        if node.attributes["axis"] % len(shape) != len(shape) - 1:
            return f"{self.name} takes rows along the last axis, not along axis {node.attributes['axis']}"
        if shape[-1] > self.max_length:
            return f"{self.name} holds rows of {self.max_length} scores, not of {shape[-1]}"
        return self._clip_refusal(node)

    def _clip_refusal(self, node: Node) -> str | None:
        """The clip's settings are 18 bits with a sign, in Q.15."""
        if node.op.name != "clipped_softmax":
            return None
        gamma, zeta = node.attributes["gamma"], node.attributes["zeta"]
        if gamma < -4 or zeta - gamma >= 4:
            return f"{self.name} clips from -4 on and stretches by less than 4, not from {gamma} to {zeta}"
        return None

    def node_cycles(self, node: Node) -> int:
        """Rows one behind the other, without a gap."""
        x = node.operands[0].type
        if self.function == "sigmoid":
            return int(sigmoid_cycles(x.elements, self.lanes, self.bits_per_stage))
        length = x.shape[-1]
        clipped = self.function == "clipped_softmax"
        rows = x.elements // length
        return int(
            softmax_cycles(rows, length, self.lanes, self.numerics, self.bits_per_stage, clipped=clipped)
        )

    def row_elements(self, node: Node) -> int:
        """A row's sum is over all of it."""
        return 1 if self.function == "sigmoid" else max(node.operands[0].type.shape[-1], 1)

    def area_um2(self, technology: Technology) -> Sourced:
        """Exponentials and a normaliser in each lane, and the buffers that hold rows."""
        logic = scaled_by_netlist(self, technology, lambda unit: unit.logic_um2(technology))
        return logic_and_memories(logic, technology, self._memories)

    def logic_um2(self, technology: Technology) -> Sourced:
        """Operators and registers, and rows that are short enough for registers."""
        parts = [self._lane_um2(technology).times(self.lanes, f"{self.lanes} lanes")]
        if self.numerics in ("integer_base2_reciprocal", "integer_online"):
            parts.append(_division_um2(technology, RECIPROCAL_BITS, self.bits_per_stage))
        return total((*parts, *small_memories(technology, self._memories)), "um2")

    @property
    def _memories(self) -> dict[str, tuple[int, int]]:
        """Words and their bits: scores and their exponentials; online, a power of two and its octave."""
        bits = 25 + 21 if self.numerics == "integer_online" else 32 + 26
        words = 0 if self.function == "sigmoid" else ceil_div(self.max_length, self.lanes)
        return {"buffers of a row": (words, self.lanes * bits)}

    def _lane_um2(self, technology: Technology) -> Sourced:
        """Two multipliers of an exponential, its registers, then a division or a product."""
        multiply, add = (technology.operator_area_um2(op, "int16") for op in ("mul", "add"))
        parts = [
            multiply.times(2, "two multipliers of an exponential"),
            add.times(4, "four adders of an exponential"),
            technology.register_area_um2(32 * EXPONENTIAL_CYCLES).times(1, f"{EXPONENTIAL_CYCLES} stages"),
        ]
        if self.numerics in ("integer_base2_reciprocal", "integer_online"):
            parts.append(technology.operator_area_um2("mul", "int32").times(1, "by the reciprocal"))
            parts.append(technology.register_area_um2(2 * 48).times(1, "2 stages"))
        else:
            parts.append(_division_um2(technology, QUOTIENT_BITS, self.bits_per_stage))
        if self.function == "clipped_softmax":
            parts += [multiply.times(1, "a multiplier of the clip"), add.times(1, "an adder of the clip")]
        return total(parts, "um2")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over its area."""
        return technology.logic_leakage_watts(self.area_um2(technology))


def _division_um2(technology: Technology, quotient_bits: int, bits_per_stage: int) -> Sourced:
    """A subtractor for each bit; a remainder, a quotient and a denominator in each stage's registers."""
    stages = division_cycles(quotient_bits, bits_per_stage)
    registers = technology.register_area_um2(stages * (2 * 32 + quotient_bits))
    return total(
        (
            technology.operator_area_um2("add", "int32").times(quotient_bits, f"{quotient_bits} subtractors"),
            registers.times(1, f"{stages} stages of a division"),
        ),
        "um2",
    )
