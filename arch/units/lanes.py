"""What the vector and the special-function unit share: identical lanes, a rate per operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from siliform.arch.law import Count, ceil_div, checked_product, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced
from siliform.arch.unit import Unit, check_formats, format_refusal
from siliform.graph_ir.errors import UserError, nearest
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.space import SCALAR_OPS, Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology


def lane_cycles(count: Count, lanes: Count, interval_cycles: Count, depth_cycles: Count = 0) -> Count:
    """`count` elements over `lanes` pipelines that start one every `interval_cycles`.

    ``ceil(count / lanes) * interval + depth``: the pipeline is filled once; nothing for no work.
    """
    busy = checked_product(ceil_div(count, lanes), interval_cycles)
    return where(count == 0, 0, busy + depth_cycles)


def broadcast_reads(points: Count, side: Count, lanes: Count) -> Count:
    """Reads of the operand that lanes share, in a product of `points` multiply-accumulates.

    The lanes lie along a side of the result that this operand does not index: one read serves the
    points of up to `lanes` neighbours. ``ceil(points ceil(side / lanes) / side)``. Of the other
    operand every lane reads an element of its own for each of its points: a lane has registers for
    one pair of operands and one sum (`Technology.fma_area_um2`), so that sums stay and operands do not.
    """
    return ceil_div(checked_product(points, ceil_div(side, lanes)), side)


@dataclass(frozen=True, kw_only=True)
class Lanes(Unit):
    """Lanes in lockstep, each doing one scalar operation at a time on its own element."""

    lanes: int = parameter(
        "elements in flight side by side", low=1, high=65536, knob=(8, 16, 32, 64, 128, 256)
    )
    ops: Mapping[str, int] = parameter("cycles that one scalar operation keeps a lane busy", low=1, high=1024)
    depth_cycles: int = parameter("cycles from the last operand in to the last result out", low=0, high=1024)
    formats: tuple[str, ...] = parameter(
        "element formats of operands",
        default=("fp32", "fp16", "bf16", "int32", "int16", "int8", "int4", "uint8", "bool", "int64"),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_formats(self.name, self.formats)
        strange = [op for op in self.ops if op not in SCALAR_OPS]
        if strange:
            raise UserError(
                asked=f"{self.name}.ops with {strange[0]!r}",
                found="no scalar operation of that name",
                where=f"{self.name}.ops",
                next_step=f"use one of the nearest: {nearest(strange[0], SCALAR_OPS)}",
            )

    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """Accepts bodies made of its own operations only, in its formats."""
        for space in spaces:
            if not space.body:
                return f"{op_name} moves elements without arithmetic, which {self.name} does not do"
            for scalar_op in space.body:
                reason = self._op_refusal(scalar_op)
                if reason is not None:
                    return reason
        return format_refusal(self.name, self.formats, formats)

    def scalar_refusal(self, scalar_op: str, format_name: str) -> str | None:
        return self._op_refusal(scalar_op) or format_refusal(self.name, self.formats, (format_name,))

    def _op_refusal(self, scalar_op: str) -> str | None:
        if scalar_op in self.ops:
            return None
        return f"{self.name} does {', '.join(self.ops)}, not {scalar_op}"

    def cycles(self, space: Space) -> int:
        """The body's operations one after another over all points, the pipeline filled once."""
        busy = sum(ceil_div(space.count(op), self.lanes) * self.ops[op] for op in space.body)
        return busy + self.depth_cycles if busy else 0

    def scalar_cycles(self, scalar_op: str, count: int) -> int:
        return int(lane_cycles(count, self.lanes, self.ops[scalar_op], self.depth_cycles))

    @property
    def widest_format(self) -> str:
        """The float (or, without any, integer) format that sizes a lane's arithmetic."""
        floats = [f for f in self.formats if format_named(f).kind == "float"]
        return max(floats or self.formats, key=lambda name: format_named(name).bits)

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over the lanes' area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
