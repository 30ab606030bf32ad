"""Mistakes in the array's modules, of the kind a person makes."""

from __future__ import annotations

from siliform.rtl.common.unit import Mutant

INTEGER_CELLS = (
    Mutant(
        "activations without a sign", "mac_plane.sv", "ProductWidth'(act)", "ProductWidth'($unsigned(act))"
    ),
    Mutant(
        "weights without a sign", "mac_plane.sv", "ProductWidth'(weight)", "ProductWidth'($unsigned(weight))"
    ),
    Mutant("a carry dropped", "mac_plane.sv", "sum_i[r][c] + ", "sum_i[r][c] ^ "),
)
SHIFTED_CELLS = (
    Mutant("a significand without a sign", "mac_shifted.sv", "ProductSig'(b)", "ProductSig'($unsigned(b))"),
    Mutant("half a shift", "mac_shifted.sv", "+ ShiftWidth'(weight_shift", "- ShiftWidth'(weight_shift"),
)
FLOATS = (
    Mutant("subnormals with a leading one", "cell_operands.sv", "(exponent != '0) << M", "(1'b1) << M"),
    Mutant(
        "subnormals one place too low",
        "cell_operands.sv",
        "exponent - Exponent'(exponent != '0)",
        "exponent - Exponent'(1'b1)",
    ),
)
MARCH = (
    Mutant("sums one row short", "array_cells.sv", "sum_q[Rows-1]", "sum_q[Rows-2]"),
    Mutant(
        "a wave without its diagonal", "weights_double.sv", "weight_q[use_now[r+c]]", "weight_q[use_now[c]]"
    ),
    Mutant(
        "rows overwritten early", "weights_double.sv", "RowWidth'(r) <= beat", "RowWidth'(r) <= beat + 1'b1"
    ),
    Mutant(
        "a set used before it is full",
        "array_control.sv",
        "beat_q == RowWidth'(Rows - 1)",
        "beat_q == RowWidth'(Rows - 2)",
    ),
    Mutant(
        "one step too late", "systolic_array.sv", "Latency  = Rows + Columns - 1", "Latency  = Rows + Columns"
    ),
    Mutant("a load that waits", "array_control.sv", "(DoubleBuffered || !busy_i)", "!busy_i"),
    Mutant("a load that does not wait", "array_control.sv", "(DoubleBuffered || !busy_i)", "1'b1"),
    Mutant(
        "steps while a beat waits", "systolic_array.sv", "sum_ready_i || !sum_valid_o", "sum_ready_i || 1'b1"
    ),
)
ACCUMULATOR = (
    Mutant("folds not added up", "accumulator.sv", "sum_accumulate_i ? held_q[row_q][c] : '0", "'0"),
    Mutant("a row never restarted", "accumulator.sv", "sum_last_i ? '0 : row_q", "row_q"),
)
TOTALS = (
    Mutant("halves rounded up", "fixed_to_float.sv", "normal[i][Normal-24] || ", "1'b1 || "),
    Mutant("a remainder overlooked", "fixed_to_float.sv", "normal[i][Normal-26:0] != '0", "1'b0"),
)
