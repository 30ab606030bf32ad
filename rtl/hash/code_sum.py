"""Sums over the bits of a code, made with PyRTL: what reads the state of attention by codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from siliform.rtl.common.combinational import combinational_verilog

if TYPE_CHECKING:
    import pyrtl


def sum_width(bits: int, width: int) -> int:
    """Bits of a sum of `bits` numbers of `width` bits and ``bits + 1`` times another one."""
    return width + (2 * bits + 1).bit_length()


def code_sum_block(bits: int, width: int) -> pyrtl.Block:
    """A block that adds numbers with the signs of a code, and a common one ``bits + 1`` times.

    ``code_i`` has a bit for each number, 1 for plus and 0 for minus; ``terms_i`` holds the numbers, the first
    one in the lowest bits, and ``total_i`` the common one, all two's complement of `width` bits. ``sum_o`` is
    two's complement of `sum_width` bits and exact.

    A number is subtracted by its complement and one more: the complements go into one tree of adders, and how
    many of them there are is one more term of it. The constant factor is a sum of shifts.
    """
    import pyrtl

    if bits < 1 or width < 2:
        raise ValueError(f"a sum over {bits} numbers of {width} bits")
    block = pyrtl.Block()
    with pyrtl.set_working_block(block):
        code = pyrtl.Input(bits, "code_i")
        terms = pyrtl.Input(bits * width, "terms_i")
        total = pyrtl.Input(width, "total_i")
        made = pyrtl.Output(sum_width(bits, width), "sum_o")
        minus = [~code[bit] for bit in range(bits)]
        parts = [
            terms[bit * width : (bit + 1) * width] ^ minus[bit].sign_extended(width) for bit in range(bits)
        ]
        parts += [bit.zero_extended(2) for bit in minus]
        shifts = [place for place in range((bits + 1).bit_length()) if (bits + 1) >> place & 1]
        parts += [pyrtl.concat(total, pyrtl.Const(0, place)) if place else total for place in shifts]
        sums, carries = _tree(parts, len(made))
        made <<= sums
        unused = pyrtl.WireVector(1, "unused")
        unused <<= pyrtl.xor_all_bits(pyrtl.concat(*carries))
    return block


def _tree(parts: list[pyrtl.WireVector], most: int) -> tuple[pyrtl.WireVector, list[pyrtl.WireVector]]:
    """The sum of two or more numbers in two's complement, narrow ones first, and the carries that it leaves.

    No sum is wider than `most` bits, which hold the last one: what wraps on the way does no harm.
    """
    carries = []
    while len(parts) > 1:
        parts.sort(key=len)  # stable
        width = min(len(parts[1]) + 1, most)
        total = parts[0].sign_extended(width) + parts[1].sign_extended(width)
        carries.append(total[-1])
        parts = [total[:width], *parts[2:]]
    return parts[0].sign_extended(most), carries


def code_sum_verilog(bits: int, width: int, name: str) -> str:
    """The Verilog of `code_sum_block` as a module of that name."""
    return combinational_verilog(code_sum_block(bits, width), name)
