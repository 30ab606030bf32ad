// Codes and values of keys as they lie in the scratchpad to beats of lanes, each beside its key's code.
//
// A code is a byte a bit: 1, or -1, whose sign says so. It stays until the last beat of its values.
module hash_key_beats #(
  parameter int unsigned Size       = 16,
  parameter int unsigned Lanes      = 4,
  parameter int unsigned Bits       = 16,
  localparam int unsigned WordWidth = 8 * Size
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  code_valid_i,
  output logic                  code_ready_o,
  input  logic [WordWidth-1:0]  code_i,
  input  logic                  value_valid_i,
  output logic                  value_ready_o,
  input  logic [WordWidth-1:0]  value_i,
  input  logic                  value_end_i,   // the key's last word
  input  logic                  value_last_i,  // the group's last key
  output logic                  key_valid_o,
  input  logic                  key_ready_i,
  output logic [Bits-1:0]       key_code_o,
  output logic [Lanes-1:0][7:0] key_value_o,
  output logic                  key_end_o,
  output logic                  key_last_o
);

  logic code_valid, beat_valid, beat_last, end_part, last_part;
  logic [Bits-1:0][7:0] code;

  word_collector #(.WordWidth(WordWidth), .Words(Bits / Size)) u_code (
    .clk_i, .rst_ni, .word_valid_i(code_valid_i), .word_ready_o(code_ready_o), .word_i(code_i),
    .beat_valid_o(code_valid), .beat_ready_i(beat_valid && key_end_o && key_ready_i), .beat_o(code)
  );
  word_serializer #(.BeatWidth(8 * Lanes), .Beats(Size / Lanes), .LabelWidth(2)) u_values (
    .clk_i, .rst_ni, .word_valid_i(value_valid_i), .word_ready_o(value_ready_o), .word_i(value_i),
    .label_i({value_end_i, value_last_i}), .beat_valid_o(beat_valid), .beat_ready_i(code_valid && key_ready_i),
    .beat_o(key_value_o), .label_o({end_part, last_part}), .last_o(beat_last)
  );

  assign key_valid_o = beat_valid && code_valid;
  assign key_end_o   = end_part && beat_last;
  assign key_last_o  = key_end_o && last_part;

  always_comb begin : signs
    for (int unsigned b = 0; b < Bits; b++) key_code_o[b] = !code[b][7];
  end

  logic unused;
  assign unused = ^code;

endmodule
