"""Counting the ones of a word: a tree of full and half adders, made with PyRTL."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from siliform.rtl.common.combinational import combinational_verilog

if TYPE_CHECKING:
    import pyrtl

#: A bit and the number of adders before it.
Bit = tuple[int, "pyrtl.WireVector"]


def count_bits(width: int) -> int:
    """Bits of the number of ones in a word of that width."""
    return width.bit_length()


def popcount_block(width: int) -> pyrtl.Block:
    """A block of its own with an input ``word_i`` of that width and an output ``count_o``, how many are ones.

    Bits of one weight are added three at a time, those that come from the fewest adders first, and leave one
    sum of that weight and one carry of the next; two that are left over meet in a half adder. A full adder
    makes two bits of three, so that a word takes as many as it has bits more than its count.
    """
    import pyrtl

    if width < 1:
        raise ValueError(f"a popcount of {width} bits")
    block = pyrtl.Block()
    with pyrtl.set_working_block(block):
        word = pyrtl.Input(width, "word_i")
        count = pyrtl.Output(count_bits(width), "count_o")
        count <<= pyrtl.concat_list(list(_sums([(0, word[i]) for i in range(width)])))
    return block


def _sums(bits: list[Bit]) -> Iterator[pyrtl.WireVector]:
    """The count of these bits, the lowest bit first."""
    while bits:
        carries: list[Bit] = []
        while len(bits) > 1:
            bits.sort(key=lambda bit: bit[0])  # stable: bits of one depth keep their order
            taken, bits = bits[:3], bits[3:]
            depth = 1 + taken[-1][0]
            total, carry = _added([wire for _, wire in taken])
            bits.append((depth, total))
            carries.append((depth, carry))
        yield bits[0][1]
        bits = carries


def _added(bits: list[pyrtl.WireVector]) -> tuple[pyrtl.WireVector, pyrtl.WireVector]:
    """Sum and carry of two or three bits."""
    if len(bits) == 2:
        return bits[0] ^ bits[1], bits[0] & bits[1]
    first = bits[0] ^ bits[1]
    return first ^ bits[2], (bits[0] & bits[1]) | (first & bits[2])


def popcount_verilog(width: int, name: str) -> str:
    """The Verilog of `popcount_block` as a module of that name."""
    return combinational_verilog(popcount_block(width), name)
