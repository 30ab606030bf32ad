"""Mistakes in the hash-attention engine, of the kind a person makes, which its regression must catch."""

from __future__ import annotations

from siliform.rtl.common.unit import Mutant

_CODER = (
    Mutant("anchors without a sign", "hash_distance.sv", "9'($signed(anchor_i[l]))", "9'(anchor_i[l])"),
    Mutant("distances not begun anew", "hash_distance.sv", "first_q ? '0 : distance_q", "distance_q"),
    Mutant(
        "a distance of each chunk",
        "hash_distance.sv",
        "distance_valid_o = valid && end_q[1]",
        "distance_valid_o = valid",
    ),
    Mutant("a chord that rises", "half_power.v", "(start - ", "(start + "),
    Mutant(
        "an exponent that wraps", "hash_score.sv", "shifted > ProductWidth'({ExponentWidth{1'b1}})", "1'b0"
    ),
    Mutant(
        "means without a sign", "hash_score.sv", "KernelWidth'($signed(mean_q[1]))", "KernelWidth'(mean_q[1])"
    ),
    Mutant(
        "the next anchor's weights",
        "hash_score.sv",
        "<= {kernel_d, weight_q[1], place_q[1]}",
        "<= {kernel_d, weight_q[0], place_q[1]}",
    ),
    Mutant("scores not begun anew", "hash_score.sv", "(place_q[3][1] ? '0 : score_q[b])", "score_q[b]"),
    Mutant("0 counts as negative", "hash_score.sv", "!score_q[b][ScoreWidth-1]", "$signed(score_q[b]) > 0"),
    Mutant("a code overwritten", "hash_score.sv", "code_ready_i || !place_q[4][0]", "1'b1"),
    Mutant("a step too late", "hash_score.sv", "elastic #(.Stages(5))", "elastic #(.Stages(6))"),
    Mutant("a token not kept", "hash_anchors.sv", "if (met && fresh) begin", "if (met) begin"),
    Mutant("a set for one token", "hash_anchors.sv", "!using_q || !final_token", "!using_q"),
    Mutant(
        "tokens before anchors",
        "hash_anchors.sv",
        "x_ready_o      = using_q && fresh",
        "x_ready_o      = fresh",
    ),
)
_MIXER = (
    Mutant(
        "values without a sign",
        "hash_state.sv",
        "ValueWidth'($signed(key_value_i[l]))",
        "ValueWidth'(key_value_i[l])",
    ),
    Mutant("added for subtracted", "hash_state.sv", "row[l][b] - value", "row[l][b] + value"),
    Mutant("a group never restarted", "hash_state.sv", "{key_last_i, !key_last_i}", "{key_last_i, 1'b1}"),
    Mutant(
        "chunks counted as keys", "hash_state.sv", "if (added && chunk_end) {code_q", "if (added) {code_q"
    ),
    Mutant(
        "keys among queries",
        "hash_state.sv",
        "assign key_ready_o   = !reading_q",
        "assign key_ready_o   = 1'b1",
    ),
    Mutant(
        "a query for one chunk",
        "hash_state.sv",
        "reading_q && read_ready_i && chunk_end",
        "reading_q && read_ready_i",
    ),
    Mutant("a bit read twice", "hash_value_sum.v", "(code_i[1])", "(code_i[0])"),
    Mutant("halves away from zero", "hash_quotient.sv", ".halves_down_i(negative)", ".halves_down_i('0)"),
    Mutant(
        "signs left behind", "hash_quotient.sv", "negative_q[l] ? -quotient[l]", "negative[l] ? -quotient[l]"
    ),
)
MUTANTS = _CODER + _MIXER
