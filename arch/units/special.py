"""The special-function unit: exponentials, roots and their kin by table and polynomial."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.parameter import Table, parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.units.lanes import Lanes

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

#: Functions of one variable read three coefficients and evaluate a quadratic: one a cycle when
#: pipelined (Oberman and Siu, "A high-performance area-efficient multifunction interpolator",
#: ARITH 2005). A quotient is a reciprocal and a product, a power a logarithm, a product and an
#: exponential.
TABLE_OPS = Table(
    dict.fromkeys(("exp", "log", "rsqrt", "reciprocal", "sin", "tanh", "sigmoid", "erf", "gelu", "silu"), 1)
    | {"div": 2, "pow": 3}
)
TABLE_BYTES = 1024  # assumption: 64 intervals of three coefficients for five resident functions


@dataclass(frozen=True, kw_only=True)
class SpecialUnit(Lanes):
    """Lanes with a coefficient table and a quadratic interpolator each."""

    kind: ClassVar[str] = "special"

    ops: Mapping[str, int] = parameter(
        "cycles that one scalar operation keeps a lane busy", default=TABLE_OPS, low=1, high=1024
    )
    depth_cycles: int = parameter(
        "cycles from the last operand in to the last result out", default=8, low=0, high=1024
    )
    formats: tuple[str, ...] = parameter(
        "element formats of operands", default=("fp32", "fp16", "bf16", "int32", "int64")
    )

    def area_um2(self, technology: Technology) -> Sourced:
        """Two multiply-adds (a quadratic by Horner's rule) and a coefficient table in each lane."""
        arithmetic = technology.fma_area_um2(self.widest_format).times(2, "Horner's rule, degree 2")
        table = technology.sram_area_um2(TABLE_BYTES)
        return total((arithmetic, table), "um2").times(self.lanes, f"{self.lanes} lanes")
