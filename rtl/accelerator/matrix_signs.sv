// Products of signs: sums of the signs of int8 activations times those of weights, a row of Size sums at a time.
//
// A beat is a word of activations, of which the signs are taken (zero is positive), and the signs of as many
// weights of each column, which are held until all rows have met them. Weights come Size / 8 words for each
// word of a row: column 0's bits first, the lowest for the first activation, set for +1.
module matrix_signs #(
  parameter int unsigned Size       = 16,
  parameter int unsigned HeldWords  = 64,  // of each column: a sum has at most Size times as many terms
  localparam int unsigned WordWidth = 8 * Size
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  act_valid_i,
  output logic                  act_ready_o,
  input  logic [WordWidth-1:0]  act_i,
  input  logic                  act_last_i,  // of its row
  input  logic                  act_free_i,  // in the last row of a block of columns
  input  logic                  weight_valid_i,
  output logic                  weight_ready_o,
  input  logic [WordWidth-1:0]  weight_i,
  output logic                  total_valid_o,
  input  logic                  total_ready_i,
  output logic [Size-1:0][31:0] total_o
);

  localparam int unsigned KeepWidth = $clog2(Size + 1);

  logic [Size-1:0] sign;
  always_comb begin : signs
    for (int unsigned i = 0; i < Size; i++) sign[i] = !act_i[8*i+7];
  end

  logic beat_valid, beat_ready, weight_valid, weight_ready, unused_scale;
  logic [Size*Size-1:0] beat, weight;
  word_collector #(.WordWidth(WordWidth), .Words(Size / 8)) u_collector (
    .clk_i, .rst_ni, .word_valid_i(weight_valid_i), .word_ready_o(weight_ready_o), .word_i(weight_i),
    .beat_valid_o(beat_valid), .beat_ready_i(beat_ready), .beat_o(beat)
  );
  held_words #(.Width(Size * Size), .Depth(HeldWords)) u_held (
    .clk_i, .rst_ni, .in_valid_i(beat_valid), .in_ready_o(beat_ready), .in_i(beat),
    .out_valid_o(weight_valid), .out_ready_i(weight_ready), .out_again_i(act_last_i),
    .out_free_i(act_last_i && act_free_i), .out_o(weight)
  );

  // Both of {-1, +1}, whole words, sums as they are: a sum is as wide as its results, int32.
  binary_unit #(.Rows(1), .Columns(Size), .Width(Size), .CountWidth($clog2(HeldWords * Size + 1))) u_unit (
    .clk_i, .rst_ni, .x_valid_i(act_valid_i), .x_ready_o(act_ready_o), .x_mode_i(2'd0), .x_last_i(act_last_i),
    .x_keep_i(KeepWidth'(Size)), .x_i(sign), .w_valid_i(weight_valid), .w_ready_o(weight_ready), .w_i(weight),
    .scale_valid_i(1'b1), .scale_ready_o(unused_scale), .scale_mode_i(2'd0), .scale_factor_i('0),
    .scale_shift_i('0), .y_valid_o(total_valid_o), .y_ready_i(total_ready_i), .y_o(total_o)
  );

  logic unused;
  assign unused = ^{unused_scale, act_i};

endmodule
