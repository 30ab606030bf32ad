"""The systolic array: one law for three dataflows and three conventions of overlap.

A product of M x N x K is cut into *folds*, each as large as the array. One dimension runs along
the array's rows, one along its columns, and the third streams through:

====================  =====================  ==========================  ========
dataflow              rows x columns         folds F                     stream S
====================  =====================  ==========================  ========
weight-stationary     K x N                  ceil(K/R) ceil(N/C)         M
input-stationary      K x M                  ceil(K/R) ceil(M/C)         N
output-stationary     M x N                  ceil(M/R) ceil(N/C)         K
====================  =====================  ==========================  ========

Weight- and input-stationary arrays load R rows before a fold; an output-stationary array shifts
R rows of results out after it. Filling and emptying the skew costs R + C - 2 in each. Hence, with
the overhead ``2 R + C - 2``, in all three:

- ``none``: every fold pays its own: ``F (S + 2 R + C - 2)``.
- ``double-buffered``: the next fold is loaded (or the last one drained) behind the streaming,
  which it delays only where S < R: ``(F - 1) max(S, R) + S + 2 R + C - 2``.
- ``bound``: no overhead at all: ``F S``. No circuit reaches it; other tools report it.

`none` and `double-buffered` are what the RTL variants of the array do, cycle for cycle.

An array may skip pairs in which an operand is zero (AccelTran's lanes do: masks of both operands meet
before the multipliers, so that only pairs of nonzero ones reach them, packed). Where a share d of weights
and e of activations is not zero, in places that know nothing of each other (assumption), a share d e of
the pairs is left, and the array takes ``ceil(d e F S)`` cycles. Cells that march in step cannot skip, so
that this is legal for ``bound`` only. What moves is counted dense, zeros included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, ClassVar, Literal

from siliform.arch.law import Count, ceil_div, checked_product, checked_sum, maximum, ragged_sum_ceil, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced
from siliform.arch.unit import check_formats, format_refusal
from siliform.arch.units.matrix import Folding, MatrixUnit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.space import Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

Dataflow = Literal["weight-stationary", "output-stationary", "input-stationary"]
Overlap = Literal["none", "double-buffered", "bound"]

DATAFLOWS: tuple[Dataflow, ...] = ("weight-stationary", "output-stationary", "input-stationary")
OVERLAPS: tuple[Overlap, ...] = ("none", "double-buffered", "bound")


def roles(dataflow: str, m: Count, n: Count, k: Count) -> tuple[Count, Count, Count]:
    """Which of (m, n, k) lies along the rows, along the columns, and streams."""
    if dataflow == "weight-stationary":
        return k, n, m
    if dataflow == "input-stationary":
        return k, m, n
    if dataflow == "output-stationary":
        return m, n, k
    raise ValueError(f"dataflow {dataflow!r} is none of {', '.join(DATAFLOWS)}")


def array_cycles(
    m: Count,
    n: Count,
    k: Count,
    rows: Count,
    columns: Count,
    *,
    dataflow: str,
    overlap: str,
    batch: Count = 1,
) -> Count:
    """Cycles of `batch` independent M x N x K products on an R x C array, operands at hand.

    Products run back to back: ``double-buffered`` fills once for all of them. All counts may be
    int64 arrays. A product with an empty dimension takes 0 cycles.
    """
    return tiled_array_cycles(
        m, n, k, m, n, k, rows, columns, dataflow=dataflow, overlap=overlap, batch=batch
    )


def tiled_array_cycles(
    m: Count,
    n: Count,
    k: Count,
    tile_m: Count,
    tile_n: Count,
    tile_k: Count,
    rows: Count,
    columns: Count,
    *,
    dataflow: str,
    overlap: str,
    batch: Count = 1,
) -> Count:
    """Cycles of the same products cut into outer tiles, ragged ones at the edges.

    Each (fold, streaming tile) pair is a pass. ``none`` pays the overhead once a pass;
    ``double-buffered`` keeps loading across tiles, so that every pass takes max(stream, R) and
    only the last one, which is ragged, is followed by its own stream and the emptying. The order
    of the tiles does not matter, but for where the ragged streaming tile of a product stands: last
    where loading hides behind streaming, first in an output-stationary array, where draining does.
    A single tile is the whole product.
    """
    along_rows, along_columns, stream = roles(dataflow, m, n, k)
    # An empty product is costed as if of extent one and masked at the end: tiles of zero divide.
    tile_rows, tile_columns, tile_stream = (maximum(t, 1) for t in roles(dataflow, tile_m, tile_n, tile_k))
    folds = checked_product(
        batch,
        ragged_sum_ceil(along_rows, tile_rows, rows),
        ragged_sum_ceil(along_columns, tile_columns, columns),
    )
    streams = ceil_div(stream, tile_stream)
    last = stream - (streams - 1) * tile_stream
    if overlap == "bound":
        cycles = checked_product(folds, stream)
    elif overlap == "none":
        overhead = checked_product(streams, 2 * rows + columns - 2)
        cycles = checked_product(folds, checked_sum(stream, overhead))
    elif overlap == "double-buffered":
        per_fold = checked_sum(checked_product(streams - 1, maximum(tile_stream, rows)), maximum(last, rows))
        steady = checked_product(folds, per_fold) - maximum(last, rows)
        cycles = checked_sum(rows, steady, last + rows + columns - 2)
    else:
        raise ValueError(f"overlap {overlap!r} is none of {', '.join(OVERLAPS)}")
    empty = checked_product(folds, stream) == 0
    return where(empty, 0, cycles)


def no_drain_cycles(m: Count, n: Count, k: Count, rows: Count, columns: Count) -> Count:
    """Output-stationary as SCALE-Sim counts it: results leave the array in no time.

    ``ceil(M/R) ceil(N/C) (R + C + K - 2)``; SCALE-Sim prints one less (its largest zero-based
    cycle index). For comparisons only: no RTL variant of ours drains for free.
    """
    return checked_product(ceil_div(m, rows), ceil_div(n, columns), rows + columns + k - 2)


@dataclass(frozen=True, kw_only=True)
class SystolicArray(MatrixUnit):
    """A grid of multiply-accumulate cells with operands marching through."""

    kind: ClassVar[str] = "array"

    dataflow: str = parameter(
        "which operand stays in the cells",
        default="weight-stationary",
        choices=DATAFLOWS,
        knob=DATAFLOWS,
    )
    overlap: str = parameter(
        "whether loading the next fold hides behind the current one",
        default="double-buffered",
        choices=OVERLAPS,
        knob=("none", "double-buffered"),
    )
    formats: tuple[str, ...] = parameter("element formats either operand may have", default=("int8",))
    accumulator_bits: int = parameter("width of a partial sum", default=32, low=1, high=64)
    startup_cycles: int = parameter(
        "cycles that a product takes beside its folds: from its command to the first operand, and from the "
        "last sum to its place; where folds overlap, once for all of them",
        default=0,
        low=0,
        high=65536,
    )
    weight_density_percent: int = parameter(
        "share of weights that are not zero; pairs with the others are skipped", default=100, low=1, high=100
    )
    activation_density_percent: int = parameter("the same of activations", default=100, low=1, high=100)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_formats(self.name, self.formats)
        if self.startup_cycles and self.overlap != "double-buffered":
            raise UserError(
                asked=f"{self.name} with {self.startup_cycles} cycles of startup and overlap {self.overlap}",
                found="a startup that is paid once for a product, and folds that do not follow each other",
                where=f"{self.name}.startup_cycles",
                next_step='set overlap = "double-buffered", or startup_cycles = 0',
            )
        if self.skips and self.overlap != "bound":
            raise UserError(
                asked=f"{self.name} that skips zeros with overlap {self.overlap}",
                found="cells that march in step, where a skipped pair saves no time",
                where=f"{self.name}.overlap",
                next_step='use overlap = "bound", as for lanes fed apart, or densities of 100 percent',
            )

    @property
    def sum_bits(self) -> int:
        """The accumulators' width."""
        return self.accumulator_bits

    def folding(self, formats: Sequence[str]) -> Folding:
        """One element a step, whatever its format; the skew of `array_cycles` beside the streams."""
        overhead = 0 if self.overlap == "bound" else 2 * self.rows + self.columns - 2 + self.startup_cycles
        return Folding(self.dataflow, self.overlap, overhead, word_elements=1, depth_words=self.rows)

    @property
    def skips(self) -> bool:
        """Whether pairs with a zero are left out."""
        return min(self.weight_density_percent, self.activation_density_percent) < 100

    def kept_share(self, second_is_weight: bool) -> float:
        """The share of a product's pairs that are multiplied; both operands may be activations."""
        second = self.weight_density_percent if second_is_weight else self.activation_density_percent
        return self.activation_density_percent * second / 10_000

    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """Accepts what is a product of two operands, in formats that its cells multiply."""
        if not spaces:
            return f"{op_name} does no arithmetic, and {self.name} does nothing else"
        for space in spaces:
            if space.contraction() is None:
                return (
                    f"{op_name} is no plain product of two operands, which is all that {self.name} computes"
                )
        return format_refusal(self.name, self.formats, formats[:2])

    def cycles(self, space: Space) -> int:
        """The law for the product that `space` is. Masked points are not skipped: a fold is whole.

        Of zeros only those of the operands' values are known, not of which operand: taken as weights.
        """
        product = space.contraction()
        if product is None:
            raise ValueError(f"{self.name} was given a space that is no product of two operands")
        side_by_side = product.batch // max(product.steps, 1)
        return int(self.product_cycles(product.m, product.n, product.k, batch=side_by_side)) * product.steps

    def product_cycles(self, m: Count, n: Count, k: Count, *, batch: Count = 1) -> Count:
        """`array_cycles` with this array's size, dataflow and overlap."""
        cycles = array_cycles(
            m, n, k, self.rows, self.columns, dataflow=self.dataflow, overlap=self.overlap, batch=batch
        )
        cycles = where(cycles == 0, 0, cycles + self.startup_cycles)
        percent = self.activation_density_percent * self.weight_density_percent
        return ceil_div(checked_product(cycles, percent), 10_000) if self.skips else cycles

    def peak_macs_per_cycle(self, first: str, second: str) -> int:
        """One per cell; where zeros are skipped, what is skipped is got through too."""
        accepted = format_refusal(self.name, self.formats, (first, second)) is None
        kept = min(self.kept_share(True), self.kept_share(False))
        return ceil(self.rows * self.columns / kept) if accepted else 0

    @property
    def widest_format(self) -> str:
        """The element format that sizes the cell's multiplier."""
        return max(self.formats, key=lambda name: format_named(name).bits)

    def cell_area_um2(self, technology: Technology) -> Sourced:
        """One cell with its registers; a second set of weights, or of sums, is part of it.

        An input-stationary array is the weight-stationary circuit with its operands exchanged. The cells of
        ``bound``, which no circuit is, are taken for double-buffered ones.
        """
        dataflow = "output-stationary" if self.dataflow == "output-stationary" else "weight-stationary"
        overlap = "none" if self.overlap == "none" else "double-buffered"
        return technology.mac_area_um2(self.widest_format, dataflow, overlap)

    def area_um2(self, technology: Technology) -> Sourced:
        """Cells times the area of one."""
        return self.cell_area_um2(technology).times(
            self.rows * self.columns, f"{self.rows} x {self.columns} cells"
        )

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over the cells' area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
