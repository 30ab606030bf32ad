"""The binary and ternary matrix unit: cells that count ones, words broadcast to rows and columns.

Each of R x C cells holds one sum of a product. In a cycle every row is given one word of A, every column one
word of B; a cell combines its two words bit by bit, counts the ones and adds the count to its sum. A word is
`width` bits, so `width` elements along K of one bit, or half as many of two (ternary)::

    operands              bits of the cell's word          sum
    binary   x binary     a xnor b                         2 P - K
    binary01 x binary     a and b                          2 P - P(a)
    binary01 x binary01   a and b                          P
    ternary  x ternary    +1 products, not -1 products     P - half the bits of all words

A *fold* is R x C sums over the whole of K, S = ceil(K / elements of a word) steps long. There is no skew:
words reach all cells at once. A fold's sums leave the cells together, then the grid a row a cycle, R cycles
long, while the next fold is counted. Hence, for F = batch ceil(M / R) ceil(N / C) folds,

    ``(F - 1) max(S, R) + S + R + 4``

S and R of the last fold, one behind the other, and 4 = 6 - 2: six registers between the last words and the
first row's hand-over (operands, counts, sums of the fold, sums of a row, scaled, rounded), less one because
the first words are taken at the start, and one because R rows follow each other in R - 1.
Rows and columns that a ragged fold does not use are counted and left: a fold is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from siliform.arch.law import Count, ceil_div, checked_product, checked_sum, maximum, where
from siliform.arch.parameter import parameter
from siliform.arch.sourced import Sourced, total
from siliform.arch.unit import element_of
from siliform.arch.units.in_gates import scaled_by_netlist
from siliform.arch.units.matrix import Folding, MatrixUnit
from siliform.graph_ir.errors import UserError
from siliform.graph_ir.formats import format_named
from siliform.graph_ir.space import Space

if TYPE_CHECKING:
    from siliform.arch.technology import Technology

#: What the cells multiply: the formats of rows and of columns.
PAIRS = (("binary", "binary"), ("binary01", "binary"), ("binary01", "binary01"), ("ternary", "ternary"))
SUM_BITS = 32  # sums leave as int32
REGISTERS = 6  # from words in to a row out: see this module's text; rtl/binary


def binary_cycles(
    m: Count,
    n: Count,
    k: Count,
    rows: Count,
    columns: Count,
    word_elements: Count,
    *,
    batch: Count = 1,
) -> Count:
    """Cycles of `batch` M x N x K products on R x C cells that take so many elements of K a cycle.

    Products run back to back. All counts may be int64 arrays. A product with an empty dimension takes 0.
    """
    folds = checked_product(batch, ceil_div(m, rows), ceil_div(n, columns))
    words = ceil_div(k, word_elements)
    before = checked_product(maximum(folds - 1, 0), maximum(words, rows))
    cycles = checked_sum(before, words, rows, REGISTERS - 2)
    return where(checked_product(folds, words) == 0, 0, cycles)


@dataclass(frozen=True, kw_only=True)
class BinaryUnit(MatrixUnit):
    """A grid of cells that multiply words of one- and two-bit elements by counting ones."""

    kind: ClassVar[str] = "binary"

    rows: int = parameter("cells along M", low=1, high=1024, knob=(4, 8, 16, 32, 64))
    columns: int = parameter("cells along N", low=1, high=1024, knob=(8, 16, 32, 64))
    width: int = parameter(
        "bits of each operand that a cell takes in a cycle; even",
        low=2,
        high=1024,
        knob=(16, 32, 64, 128, 256),
    )
    count_bits: int = parameter("width of a cell's count, which bounds K", default=16, low=4, high=30)
    held_words: int = parameter(
        "words of weights that a column holds beside its cells, so that they are read once for all rows of a "
        "product; 0 where they stream",
        default=0,
        low=0,
        high=65536,
    )
    startup_cycles: int = parameter(
        "cycles that a product takes beside its folds: from its command to its first words, and from its "
        "last row of sums to its place; once for all of them",
        default=0,
        low=0,
        high=65536,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width % 2 or self.width >= 2**self.count_bits:
            raise UserError(
                asked=f"{self.name}.width = {self.width} with count_bits = {self.count_bits}",
                found="an odd width" if self.width % 2 else "a word with more ones than a cell can count",
                where=f"{self.name}.width",
                next_step="give an even width, since ternary elements have two bits, below 2**count_bits",
            )

    @property
    def formats(self) -> tuple[str, ...]:
        """Element formats that occur in some pair."""
        return tuple(dict.fromkeys(name for pair in PAIRS for name in pair))

    @property
    def sum_bits(self) -> int:
        """Sums are int32 outside the cells."""
        return SUM_BITS

    def word_elements(self, formats: Sequence[str]) -> int:
        """Elements of K that a word holds."""
        return self.width // max(format_named(name).bits for name in formats)

    def folding(self, formats: Sequence[str]) -> Folding:
        """Sums stay in the cells, words of K stream; rows leave behind the next fold's stream."""
        overhead = self.rows + REGISTERS - 2 + self.startup_cycles
        words = self.word_elements(formats)
        return Folding("output-stationary", "double-buffered", overhead, words, depth_words=1)

    def pair_refusal(self, formats: Sequence[str]) -> str | None:
        """None where the cells multiply operands of these two formats; else a sentence."""
        pair = (element_of(formats[0]), element_of(formats[-1]))
        if pair in PAIRS:
            return None
        known = ", ".join(f"{first} x {second}" for first, second in PAIRS)
        return f"{self.name} multiplies {known}, not {pair[0]} x {pair[1]}"

    def refusal(self, op_name: str, spaces: Sequence[Space], formats: Sequence[str]) -> str | None:
        """Accepts products of two operands whose formats are a pair, if their sums can be counted."""
        if not spaces:
            return f"{op_name} does no arithmetic, and {self.name} does nothing else"
        reason = self.pair_refusal(formats[:2])
        for space in spaces:
            product = space.contraction()
            if product is None:
                return (
                    f"{op_name} is no plain product of two operands, which is all that {self.name} computes"
                )
            if reason is None and self._ones(product.k, formats[:2]) >= 2**self.count_bits:
                return f"{self.name} counts in {self.count_bits} bits, too few for sums of {product.k} terms"
        return reason

    def _ones(self, k: int, formats: Sequence[str]) -> int:
        """Ones that a sum of K terms may count at most: all bits of its words."""
        return self.width * ceil_div(k, self.word_elements(formats))

    def cycles(self, space: Space) -> int:
        """The law for the product that `space` is, its elements two bits wide, since no format is told."""
        product = space.contraction()
        if product is None:
            raise ValueError(f"{self.name} was given a space that is no product of two operands")
        two_bits = ("ternary", "ternary")
        return int(self.product_cycles(product.m, product.n, product.k, two_bits, batch=product.batch))

    def product_cycles(
        self, m: Count, n: Count, k: Count, formats: Sequence[str], *, batch: Count = 1
    ) -> Count:
        """`binary_cycles` with this unit's size, and its startup."""
        words = self.word_elements(formats)
        cycles = binary_cycles(m, n, k, self.rows, self.columns, words, batch=batch)
        return where(cycles == 0, 0, cycles + self.startup_cycles)

    def peak_macs_per_cycle(self, first: str, second: str) -> int:
        """A word's elements in every cell."""
        if self.pair_refusal((first, second)) is not None:
            return 0
        return self.rows * self.columns * self.word_elements((first, second))

    def cell_area_um2(self, technology: Technology) -> Sourced:
        """One cell: a gate and a full adder for each bit of a word, an adder, and three registers.

        These hold a word's count, the sum, and the sum that leaves meanwhile.
        """
        gate = technology.operator_area_um2("mul", "binary")
        full_adder = technology.operator_area_um2("add", "int8").times(1 / 8, "a full adder is an eighth")
        counter = total((gate, full_adder), "um2").times(self.width)
        registers = technology.register_area_um2(self.width.bit_length() + 2 * self.count_bits)
        return total((counter, full_adder.times(self.count_bits), registers), "um2")

    def column_area_um2(self, technology: Technology) -> Sourced:
        """What stands behind one column: a multiplier, and registers for factor, sum, product and result."""
        sum_bits = self.count_bits + 2  # twice a count, less another, with a sign
        share = f"{sum_bits} of {SUM_BITS} bits of one operand"
        multiplier = technology.operator_area_um2("mul", "int32").times(sum_bits / SUM_BITS, share)
        return total((multiplier, technology.register_area_um2(3 * SUM_BITS + 2 * sum_bits)), "um2")

    def area_um2(self, technology: Technology) -> Sourced:
        """The logic, scaled to a netlist; words that are held count as its registers do."""
        return scaled_by_netlist(self, technology, lambda unit: unit.logic_um2(technology))

    def logic_um2(self, technology: Technology) -> Sourced:
        """Cells, what stands behind each column, and the registers of words at hand and of held ones."""
        cells = self.cell_area_um2(technology).times(
            self.rows * self.columns, f"{self.rows} x {self.columns} cells of {self.width} bits"
        )
        columns = self.column_area_um2(technology).times(self.columns)
        held = self.columns * self.held_words
        words = technology.register_area_um2((self.rows + self.columns + held) * self.width)
        return total((cells, columns, words), "um2")

    def leakage_watts(self, technology: Technology) -> Sourced:
        """Logic leakage over the unit's area."""
        return technology.logic_leakage_watts(self.area_um2(technology))
