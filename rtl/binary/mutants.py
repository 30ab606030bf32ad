"""Mistakes in the binary unit that the regression must catch."""

from __future__ import annotations

from siliform.rtl.common.unit import Mutant

MUTANTS = (
    Mutant("what lies behind the last element is counted", "binary_words.sv", "w_i[c] | ~used", "w_i[c]"),
    Mutant("noise in a row's last word", "binary_words.sv", "x_i[r] & used", "x_i[r]"),
    Mutant("signs by AND count nothing off", "binary_words.sv", "offset_o[r] = x_o[r]", "offset_o[r] = '0"),
    Mutant(
        "-1 times -1 is -1", "binary_cell.sv", "both[i] && alike[i+1]", "both[i] && !x_i[i+1] && alike[i+1]"
    ),
    Mutant("ternary zeros are -1", "binary_cell.sv", "!both[i] || alike[i+1]", "both[i] && alike[i+1]"),
    Mutant(
        "counts go on into the next fold", "binary_counts.sv", "first_q <= ones_last_q", "first_q <= 1'b0"
    ),
    Mutant("the last word twice", "binary_counts.sv", "fold_ready_i || !ones_last_q", "1'b1"),
    Mutant("all ones count once", "binary_rows.sv", "<< doubled_q", "<< (doubled_q && Rows > 4)"),
    Mutant("a cycle between folds", "binary_rows.sv", "(leaves && left_q == LeftWidth'(1))", "1'b0"),
    Mutant("columns of the last row", "binary_rows.sv", "Columns * CountWidth);", "CountWidth);"),
    Mutant("on the threshold is below it", "binary_scale.sv", ">= $signed(factor_q", "> $signed(factor_q"),
    Mutant("rows before their settings", "binary_scale.sv", "!row_first_i || scale_valid_i", "1'b1"),
    Mutant(
        "the next fold's shift",
        "binary_scale.sv",
        "mode_q == Narrow, product, shift_q",
        "mode_q == Narrow, product, scale_shift_i",
    ),
    Mutant(
        "wraps instead of saturating",
        "shift_round_even.sv",
        "assign value_o = fits ?",
        "assign value_o = 1'b1 ?",
    ),
    Mutant("a beat overwritten", "elastic.sv", "ready_i || !valid_q[Stages-1]", "1'b1"),
)
