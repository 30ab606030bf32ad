"""What the circuits take from the reference, as SystemVerilog: a package of constants, a table of chords."""

from __future__ import annotations

from itertools import count, pairwise

import numpy as np

from siliform.arch.units.softmax import QUOTIENT_BITS, RECIPROCAL_BITS
from siliform.graph_ir.variants import softmax as reference

SCORE_WIDTH = 32  # graph_ir/variants/softmax.py: scores in int32
CLIP_WIDTH = 18  # zeta - gamma and gamma in Q.15 with a sign, below 4: arch/units/softmax.py refuses the rest

#: By how much each chord falls.
FALLS = tuple(before - after for before, after in pairwise(reference.POWERS))


def below_bits() -> int:
    """Bits of a distance, such that exponentials are zero at the greatest one: more need not be told."""
    forms = (reference.base2_exponentials, reference.polynomial_exponentials)
    return next(n for n in count(1) if not any(form(np.array([2**n - 1])).any() for form in forms))


def inverse_ln2() -> tuple[int, int]:
    """Inverse, rounded upwards, and bits: ``below // LN2 == below * inverse >> bits`` for every distance."""
    below = np.arange(2 ** below_bits())
    for bits in count(below_bits()):
        inverse = -(-(1 << bits) // reference.LN2)
        if (below * inverse >> bits == below // reference.LN2).all():
            return inverse, bits
    raise AssertionError("a counter ended")


def package() -> str:
    """``softmax_pkg``: each constant of the reference once, with the width that holds it."""
    inverse, inverse_bits = inverse_ln2()
    square = reference.TURN**2
    widths = {
        "ScoreWidth": SCORE_WIDTH,
        "ScoreBits": reference.SCORE_BITS,
        "BelowWidth": below_bits(),
        "SegmentBits": reference.SEGMENT_BITS,
        "PowerWidth": reference.POWERS[0].bit_length(),
        "FallWidth": max(FALLS).bit_length(),
        # Of a score's bits before the point times log2 e, which is below 2.
        "OctaveWidth": SCORE_WIDTH - reference.SCORE_BITS + 1,
        "Log2EBits": reference.LOG2_E_BITS,
        "Log2EWidth": reference.LOG2_E.bit_length(),
        "InverseBits": inverse_bits,
        "InverseWidth": inverse.bit_length(),
        "Ln2Width": reference.LN2.bit_length(),
        "TurnWidth": reference.TURN.bit_length(),
        "SquareWidth": square.bit_length(),
        "ReciprocalBits": reference.RECIPROCAL_BITS,
        "ReciprocalWidth": RECIPROCAL_BITS,
        "ProbabilityBits": reference.PROBABILITY_BITS,
        "ClipWidth": CLIP_WIDTH,
    }
    values = {
        "Log2E": ("Log2EWidth", reference.LOG2_E),
        "InverseLn2": ("InverseWidth", inverse),
        "Ln2": ("Ln2Width", reference.LN2),
        "Turn": ("TurnWidth", reference.TURN),
        "Offset": ("SquareWidth+1", reference.OFFSET),
        "Base2One": ("PowerWidth", int(reference.base2_exponentials(np.array(0)))),
        "PolynomialOne": ("SquareWidth+1", int(reference.polynomial_exponentials(np.array(0)))),
    }
    assert widths["ProbabilityBits"] + 1 == QUOTIENT_BITS
    lines = [f"  localparam int unsigned {name} = {value};" for name, value in widths.items()]
    for name, (width, value) in values.items():
        bits = width if width.isidentifier() else f"{width}"
        lines.append(f"  localparam logic [{_top(bits)}:0] {name} = {value};")
    text = "\n".join(lines)
    return f"// Written from graph_ir/variants/softmax.py.\npackage softmax_pkg;\n\n{text}\n\nendpackage\n"


def _top(width: str) -> str:
    """The index of the topmost bit of a width."""
    return width.removesuffix("+1") if width.endswith("+1") else f"{width}-1"


def power_table() -> str:
    """``power_table``: where a chord begins, and by how much it falls."""
    power_bits, fall_bits = reference.POWERS[0].bit_length(), max(FALLS).bit_length()
    rows = [
        f"      {index}: {{power_o, fall_o}} = {{{power_bits}'d{power}, {fall_bits}'d{fall}}};"
        for index, (power, fall) in enumerate(zip(reference.POWERS, FALLS, strict=False))
    ]
    text = "\n".join(rows)
    return f"""\
// 2**-(segment / {len(rows)}) in Q.{reference.POWER_BITS}, and by how much it falls up to the next.
// Written from graph_ir/variants/softmax.py.
module power_table (
  input  logic [softmax_pkg::SegmentBits-1:0] segment_i,
  output logic [ softmax_pkg::PowerWidth-1:0] power_o,
  output logic [  softmax_pkg::FallWidth-1:0] fall_o
);

  always_comb begin : look_up
    unique case (segment_i)
{text}
    endcase
  end

endmodule
"""
