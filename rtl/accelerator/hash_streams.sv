// `hash_unit` between words: tokens and anchors, or queries, keys and values, as the command's function says.
module hash_streams #(
  parameter int unsigned Size       = 16,
  parameter int unsigned Lanes      = 4,
  parameter int unsigned Bits       = 16,
  parameter int unsigned Anchors    = 32,
  parameter int unsigned Chunks     = 16,
  parameter int unsigned Keys       = 256,
  parameter int unsigned CountWidth = 16,
  localparam int unsigned WordWidth = 8 * Size
) (
  input  logic                      clk_i,
  input  logic                      rst_ni,
  input  logic                      codes_i,  // codes are made; else they are used
  input  logic [CountWidth-1:0]     words_i,  // of a token
  // Tokens or queries; anchors or keys; values: words, and at which levels they are the last.
  input  logic [2:0]                word_valid_i,
  output logic [2:0]                word_ready_o,
  input  logic [2:0][WordWidth-1:0] word_i,
  input  logic [3:0]                a_last_i,
  input  logic [1:0]                b_last_i,
  input  logic [1:0]                values_last_i,
  output logic                      code_valid_o,
  input  logic                      code_ready_i,
  output logic [Bits-1:0]           code_o,
  output logic                      y_valid_o,
  input  logic                      y_ready_i,
  output logic [Lanes-1:0][15:0]    y_o
);

  logic token_ready, query_word_ready, anchor_word_ready, key_word_ready;
  logic x_valid, x_ready, x_set, unused_beat_last;
  logic [8*Lanes-1:0] x;
  assign word_ready_o[1:0] = codes_i ? {anchor_word_ready, token_ready} : {key_word_ready, query_word_ready};

  // That a token is the set's last counts in its last beat, and may be said before.
  word_serializer #(.BeatWidth(8 * Lanes), .Beats(Size / Lanes), .LabelWidth(1)) u_tokens (
    .clk_i, .rst_ni, .word_valid_i(word_valid_i[0] && codes_i), .word_ready_o(token_ready), .word_i(word_i[0]),
    .label_i(&a_last_i[2:0]), .beat_valid_o(x_valid), .beat_ready_i(x_ready), .beat_o(x), .label_o(x_set),
    .last_o(unused_beat_last)
  );

  logic query_valid, query_ready;
  logic [Bits-1:0] query_code;
  logic [Bits/Size-1:0] query_set;
  logic [Bits/Size-1:0][WordWidth:0] query;
  word_collector #(.WordWidth(WordWidth + 1), .Words(Bits / Size)) u_queries (
    .clk_i, .rst_ni, .word_valid_i(word_valid_i[0] && !codes_i), .word_ready_o(query_word_ready),
    .word_i({&a_last_i[2:0], word_i[0]}), .beat_valid_o(query_valid), .beat_ready_i(query_ready), .beat_o(query)
  );
  always_comb begin : signs
    for (int unsigned b = 0; b < Bits; b++) query_code[b] = !query[b/Size][8*(b%Size)+7];
    for (int unsigned w = 0; w < Bits / Size; w++) query_set[w] = query[w][WordWidth];
  end

  logic anchor_valid, anchor_ready, anchor_end, anchor_last, key_valid, key_ready, key_end, key_last;
  logic [Lanes-1:0][7:0] anchor, key_value;
  logic [17:0] mean;
  logic [Bits-1:0][7:0] weight;
  logic [15:0] multiplier;
  logic [5:0] shift;
  logic [Bits-1:0] key_code;
  hash_anchor_beats #(.Size(Size), .Lanes(Lanes), .Bits(Bits), .CountWidth(CountWidth)) u_anchors (
    .clk_i, .rst_ni, .words_i, .word_valid_i(word_valid_i[1] && codes_i), .word_ready_o(anchor_word_ready),
    .word_i(word_i[1]), .word_last_i(b_last_i[0]), .set_last_i(b_last_i[1]), .anchor_valid_o(anchor_valid),
    .anchor_ready_i(anchor_ready), .anchor_o(anchor), .anchor_end_o(anchor_end), .anchor_last_o(anchor_last),
    .mean_o(mean), .weight_o(weight), .multiplier_o(multiplier), .shift_o(shift)
  );
  hash_key_beats #(.Size(Size), .Lanes(Lanes), .Bits(Bits)) u_keys (
    .clk_i, .rst_ni, .code_valid_i(word_valid_i[1] && !codes_i), .code_ready_o(key_word_ready), .code_i(word_i[1]),
    .value_valid_i(word_valid_i[2]), .value_ready_o(word_ready_o[2]), .value_i(word_i[2]),
    .value_end_i(values_last_i[0]), .value_last_i(values_last_i[1]), .key_valid_o(key_valid),
    .key_ready_i(key_ready), .key_code_o(key_code), .key_value_o(key_value), .key_end_o(key_end),
    .key_last_o(key_last)
  );

  hash_unit #(.Lanes(Lanes), .Bits(Bits), .Anchors(Anchors), .Chunks(Chunks), .Keys(Keys)) u_unit (
    .clk_i, .rst_ni, .anchor_valid_i(anchor_valid), .anchor_ready_o(anchor_ready), .anchor_i(anchor),
    .anchor_mean_i(mean), .anchor_weight_i(weight), .anchor_multiplier_i(multiplier), .anchor_shift_i(shift),
    .anchor_end_i(anchor_end), .anchor_last_i(anchor_last), .x_valid_i(x_valid), .x_ready_o(x_ready), .x_i(x),
    .x_last_i(x_set), .code_valid_o, .code_ready_i, .code_o, .key_valid_i(key_valid),
    .key_ready_o(key_ready), .key_code_i(key_code), .key_value_i(key_value), .key_end_i(key_end),
    .key_last_i(key_last), .query_valid_i(query_valid), .query_ready_o(query_ready), .query_code_i(query_code),
    .query_last_i(query_set[Bits/Size-1]), .y_valid_o, .y_ready_i, .y_o
  );

  logic unused;
  assign unused = ^{query, query_set, a_last_i[3], unused_beat_last};

endmodule
