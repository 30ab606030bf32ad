"""Mistakes in the softmax circuits, all within reach of the quick elaborations."""

from __future__ import annotations

from siliform.rtl.common.unit import Mutant

MUTANTS = (
    Mutant(
        "scores compared without a sign",
        "row_maximum.sv",
        "$signed(node[2*n+1]) > $signed(node[2*n+2])",
        "node[2*n+1] > node[2*n+2]",
    ),
    Mutant("the greatest of the row before", "row_maximum.sv", "first_q || beat_q > row_q", "beat_q > row_q"),
    Mutant("empty lanes in a sum", "row_sum.sv", "keep_i[l] ? BeatWidth'(x_i[l]) : '0", "BeatWidth'(x_i[l])"),
    Mutant("distances that wrap", "score_pass.sv", "far[l] ? '1", "far[l] && 1'b0 ? '1"),
    Mutant("a chord that rises", "power_of_two.sv", "power_q - softmax_pkg", "power_q + softmax_pkg"),
    Mutant("a place too few", "multiply_lanes.sv", "5'(Places)", "5'(Places - 1)"),
    Mutant(
        "what is told of a row goes with its first beat",
        "row_buffer.sv",
        "beat_valid && out_ready_i && out_last_o",
        "beat_valid && out_ready_i",
    ),
    Mutant("a buffer a beat too short", "softmax_rows.sv", ".Depth(MaxBeats + 2)", ".Depth(MaxBeats + 1)"),
    Mutant("a beat overwritten", "elastic.sv", "ready_i || !valid_q[Stages-1]", "1'b1"),
    Mutant("no clip above", "clip_lanes.sv", "rounded[l] > One ? One : rounded[l]", "rounded[l]"),
    Mutant("a clip before its settings", "clip_lanes.sv", "x_ready_o = held && free", "x_ready_o = free"),
    Mutant(
        "the shift of the clip without its sign",
        "clip_lanes.sv",
        "SumWidth'($signed({shift,",
        "SumWidth'($unsigned({shift,",
    ),
    Mutant("the octave of the row before", "octave_top.sv", "first_d || beat_q > top_q", "beat_q > top_q"),
    Mutant(
        "counts that are not moved",
        "octave_counts.sv",
        "plane_q[p] >> raised_q",
        "plane_q[p] >> (raised_q & '0)",
    ),
    Mutant(
        "counts of the row before",
        "octave_counts.sv",
        "first_q ? '0 : plane_q[p]",
        "first_q && 1'b0 ? '0 : plane_q[p]",
    ),
    Mutant(
        "powers that are not halved",
        "softmax_online.sv",
        "held_power[l] >> (held_top - held_octave[l])",
        "held_power[l]",
    ),
    Mutant("a buffer too short", "softmax_online.sv", "+ 6 + Division", "+ 5 + Division"),
)
