"""The insertion network, made with PyRTL: entries are put in their places among sorted ones, one by one.

An entry is a word: a key, of which more is better, over an index that only travels along. Places are sorted,
the best first. An entry goes before those of a smaller key, so that of equal ones the first stays ahead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from siliform.rtl.common.combinational import combinational_verilog

if TYPE_CHECKING:
    import pyrtl


def cell_block(entry_bits: int, index_bits: int) -> pyrtl.Block:
    """One place: what `insertion_block` puts at every one, as a block of its own.

    Inputs ``new_i``; ``here_i``, what the place holds; ``above_i``, what the better place beside it holds;
    ``shift_i``, room must be made whatever is held; ``above_moves_i``, the better place makes room. Outputs
    ``moves_o``, this place makes room, and ``here_o``, what it holds then.
    """
    import pyrtl

    block = pyrtl.Block()
    with pyrtl.set_working_block(block):
        new, here, above = (pyrtl.Input(entry_bits, f"{name}_i") for name in ("new", "here", "above"))
        shift, above_moves = pyrtl.Input(1, "shift_i"), pyrtl.Input(1, "above_moves_i")
        moves_o, here_o = pyrtl.Output(1, "moves_o"), pyrtl.Output(entry_bits, "here_o")
        moves = _moves(new, here, shift, index_bits)
        moves_o <<= moves
        here_o <<= _held(new, here, above, moves, above_moves)
    return block


def insertion_block(places: int, lanes: int, entry_bits: int, index_bits: int) -> pyrtl.Block:
    """`lanes` entries, the lowest first, put in their places among `places`; combinational.

    Inputs ``held_i``, the places, the best in the lowest bits; ``new_i``, the entries; ``shift_i``, the first
    entry was pushed out of better places, and goes before all of these. Outputs ``held_o``; ``carry_o``, what
    the last entry pushed out of the worst place, or itself; ``shift_o``, it did push something out.
    """
    import pyrtl

    block = pyrtl.Block()
    with pyrtl.set_working_block(block):
        held_i = pyrtl.Input(places * entry_bits, "held_i")
        new_i, shift = pyrtl.Input(lanes * entry_bits, "new_i"), pyrtl.Input(1, "shift_i")
        held = pyrtl.chop(held_i, *[entry_bits] * places)[::-1]
        for new in pyrtl.chop(new_i, *[entry_bits] * lanes)[::-1]:
            moves = [_moves(new, here, shift, index_bits) for here in held]
            carry, shifted = pyrtl.select(moves[-1], held[-1], new), moves[-1]
            beside = zip([new, *held], [pyrtl.Const(0, 1), *moves], strict=True)
            held = [
                _held(new, here, above, own, above_moves)
                for here, own, (above, above_moves) in zip(held, moves, beside, strict=False)
            ]
            shift = pyrtl.Const(0, 1)
        held_o, carry_o = pyrtl.Output(places * entry_bits, "held_o"), pyrtl.Output(entry_bits, "carry_o")
        shift_o = pyrtl.Output(1, "shift_o")
        held_o <<= pyrtl.concat_list(held)
        carry_o <<= carry
        shift_o <<= shifted
    return block


def _moves(
    new: pyrtl.WireVector, here: pyrtl.WireVector, shift: pyrtl.WireVector, index_bits: int
) -> pyrtl.WireVector:
    """Whether an entry goes before what a place holds."""
    return shift | (new[index_bits:] > here[index_bits:])


def _held(
    new: pyrtl.WireVector,
    here: pyrtl.WireVector,
    above: pyrtl.WireVector,
    moves: pyrtl.WireVector,
    above_moves: pyrtl.WireVector,
) -> pyrtl.WireVector:
    """What a place holds next: its own, the new one, or what the place above it gives away."""
    import pyrtl

    return pyrtl.select(moves, pyrtl.select(above_moves, above, new), here)


def insertion_verilog(places: int, lanes: int, entry_bits: int, index_bits: int, name: str) -> str:
    """The Verilog of `insertion_block` as a module of that name."""
    return combinational_verilog(insertion_block(places, lanes, entry_bits, index_bits), name)
