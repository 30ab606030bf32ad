"""The hash-attention engine: kernel hash codes, and attention by codes with additions only.

Two halves that run side by side. The *coder* compares a token with one anchor after the other, `lanes`
elements in a cycle, and turns the kernels into a code. The *mixer* adds each key's values, with the signs of
its code, into a state of ``bits x width`` sums, and for each query adds up that state and divides; a
requantiser behind it makes int8 of that where a node asks for it (`graph_ir.passes.integer_only`).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2, prod
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.engine import Engine
from siliform.arch.units.in_gates import logic_and_memories, scaled_by_netlist, small_memories
from siliform.arch.units.requantise import Requantiser
from siliform.arch.units.rows import SCALE_CYCLES, WRITE_CYCLES, function_of
from siliform.graph_ir.graph import Node

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

# rtl/hash: squares, distance, exponent's product, exponent, kernel, its products with weights, scores.
CODE_STAGES = 7
QUOTIENT_BITS = 16  # of an int8 mean in Q.8, graph_ir/variants/hashing.py
QUOTIENT_BITS_PER_STAGE = 2
DIVIDE_STAGES = (
    -(-QUOTIENT_BITS // QUOTIENT_BITS_PER_STAGE) + 1
)  # rtl/common/divide_nearest.sv: the last rounds
MIX_STAGES = 1 + DIVIDE_STAGES  # sums over bits first
EXPONENT_PRODUCT_BITS, KERNEL_BITS = 44, 19  # rtl/hash: distance times rate; a kernel less its mean


def hash_codes_cycles(sets: Count, tokens: Count, anchors: Count, chunks: Count) -> Count:
    """Cycles to hash `tokens` tokens against each of `sets` sets of anchors.

    ``sets (1 + tokens) anchors chunks + 6``: a chunk of an anchor is taken in a cycle, first to be stored
    and then once for each token, whose own chunks come in while it meets the first anchor. A code leaves 7
    cycles after its last chunk was met, 1 of which is that chunk's own.
    """
    met = checked_product(sets, 1 + tokens, anchors, chunks)
    return where(checked_product(sets, tokens) == 0, 0, met + CODE_STAGES - 1)


def hash_attention_cycles(groups: Count, queries: Count, keys: Count, chunks: Count) -> Count:
    """Cycles of attention by codes in `groups` groups (heads of images, say).

    ``groups (keys + queries) chunks + 9``: a chunk of a key's values is added in a cycle, and so is one of a
    query's result read; queries follow their keys, and the next group's keys follow them, with no cycle
    between. A result leaves 10 cycles after its state was read: 1 for the sums over bits, 9 for the division.
    """
    beats = checked_product(groups, keys + queries, chunks)
    return where(checked_product(groups, queries) == 0, 0, beats + MIX_STAGES - 1)


@dataclass(frozen=True, kw_only=True)
class HashEngine(Engine):
    """Coder and mixer with the same lanes and bits."""

    kind: ClassVar[str] = "hash"

    lanes: int = parameter(
        "elements of a token, and of a row of values, in a cycle", low=1, high=1024, knob=(8, 16, 32, 64)
    )
    bits: int = parameter("bits of a code", default=16, low=1, high=64, knob=(8, 16, 32))
    anchors: int = parameter("anchors of a set that are stored", default=32, low=1, high=512)
    width: int = parameter(
        "elements of a token or of a row of values, at most", default=128, low=1, high=4096
    )
    keys: int = parameter("keys of a group, at most: sums are so wide", default=65536, low=1, high=2**20)
    startup_cycles: int = parameter(
        "cycles from what a command waits for to its first beat, and from its last result to the write of it",
        default=0,
        low=0,
        high=1000,
    )

    def node_refusal(self, node: Node) -> str | None:
        """Accepts hash_codes and hash_attention in their integer form, within its sizes; requantised, too."""
        node = function_of(node) or node
        if node.op.name not in ("hash_codes", "hash_attention"):
            return f"{self.name} does hash_codes and hash_attention, not {node.op.name}"
        form = node.attributes.get("numerics")
        if form != "integer":
            return f"{self.name} does {node.op.name} in integer, not in {form or 'floats'}"
        for what, count, most in self._sizes(node):
            if count > most:
                return f"{self.name} takes {what} of up to {most}, not {count}"
        return None

    def _sizes(self, node: Node) -> tuple[tuple[str, int, int], ...]:
        first, second, *rest = (v.type.shape for v in node.operands)
        if node.op.name == "hash_codes":
            bits = ("codes", rest[-1][-2], self.bits)
            return bits, ("sets of anchors", second[-2], self.anchors), ("tokens", first[-1], self.width)
        bits = ("codes", first[-1], self.bits)
        return bits, ("groups of keys", second[-2], self.keys), ("rows of values", rest[0][-1], self.width)

    def node_cycles(self, node: Node) -> int:
        """Sets of anchors, or groups, one behind the other; then a requantiser, if any, and a word."""
        inner = function_of(node) or node
        behind = 0 if inner is node else SCALE_CYCLES + WRITE_CYCLES
        return self._law(inner) + self.startup_cycles + behind

    def _law(self, node: Node) -> int:
        first, second, *rest = (v.type.shape for v in node.operands)
        if node.op.name == "hash_codes":
            sets, tokens = prod(second[:-2]), prod(first[:-1])
            chunks = ceil_div(first[-1], self.lanes)
            return int(hash_codes_cycles(sets, tokens // max(sets, 1), second[-2], chunks))
        chunks = ceil_div(rest[0][-1], self.lanes)
        return int(hash_attention_cycles(prod(first[:-2]), first[-2], second[-2], chunks))

    def row_elements(self, node: Node) -> int:
        """A code; or all results of a group, which share its state."""
        shape = node.output.type.shape
        inner = function_of(node) or node
        return max(shape[-1] if inner.op.name == "hash_codes" else shape[-2] * shape[-1], 1)

    @property
    def sum_bits(self) -> int:
        """Bits of a sum of signed int8 values over all keys."""
        return 9 + ceil(log2(self.keys))

    def area_um2(self, technology: Technology) -> Sourced:
        """Both halves, what they store, and the requantiser."""
        scaling = Requantiser(name="scaling", lanes=self.lanes).area_um2(technology)
        halves = scaled_by_netlist(self, technology, lambda unit: unit.logic_um2(technology))
        return total((logic_and_memories(halves, technology, self._memories), scaling), "um2")

    def logic_um2(self, technology: Technology) -> Sourced:
        """Both halves by their operators and registers, and memories that are small enough for these."""
        small = small_memories(technology, self._memories)
        return total((self._coder_um2(technology), self._mixer_um2(technology), *small), "um2")

    @property
    def _memories(self) -> dict[str, tuple[int, int]]:
        """Words and their bits."""
        chunks = ceil_div(self.width, self.lanes)
        return {
            "anchors": (self.anchors * chunks, 8 * self.lanes),
            "means and weights": (self.anchors, 18 + 8 * self.bits),
        }

    def _coder_um2(self, technology: Technology) -> Sourced:
        chunks = ceil_div(self.width, self.lanes)
        flow_bits = CODE_STAGES * (18 + 8 * self.bits)  # an anchor's mean and weights go along
        adder, wide = (technology.operator_area_um2("add", form) for form in ("int16", "int32"))
        parts = (
            adder.times(self.lanes, "differences"),
            technology.operator_area_um2("mul", "int8").times(self.lanes, "squares"),
            wide.times(self.lanes, "sums of squares"),
            technology.operator_area_um2("mul", "int32").times(1, "a distance's exponent"),
            technology.operator_area_um2("mul", "int16").times(
                1 + self.bits, "chord, and kernels by weights"
            ),
            wide.times(self.bits, "scores"),
            technology.register_area_um2(8 * self.lanes * chunks).times(1, "a token"),
            technology.register_area_um2(flow_bits + EXPONENT_PRODUCT_BITS + 60 * self.bits).times(
                1, "stages"
            ),
        )
        return total(parts, "um2")

    def _mixer_um2(self, technology: Technology) -> Sourced:
        rows = self.bits + 1  # the last one holds the sum of values
        state_bits = rows * self.lanes * ceil_div(self.width, self.lanes) * self.sum_bits
        divider_bits = DIVIDE_STAGES * (self.sum_bits + 8 + QUOTIENT_BITS) * self.lanes
        adder = technology.operator_area_um2("add", "int32")
        parts = (
            technology.register_area_um2(state_bits).times(1, "state, read within the cycle"),
            adder.times(2 * rows * self.lanes, "sums into the state and over its bits"),
            adder.times(2 * rows, "sums of codes"),
            adder.times(QUOTIENT_BITS * self.lanes, "a subtraction for each bit of a quotient"),
            technology.register_area_um2(divider_bits).times(1, "stages of the division"),
        )
        return total(parts, "um2")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over its area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
