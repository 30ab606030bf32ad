// The hash-attention engine: a coder, which hashes tokens, and beside it a mixer, which attends by codes.
//
// The two share nothing but the clock: codes go from one to the other through memory, a bit for a bit.
module hash_unit #(
  parameter int unsigned Lanes   = 4,
  parameter int unsigned Bits    = 16,  // of a code
  parameter int unsigned Anchors = 32,  // of a set, at most
  parameter int unsigned Chunks  = 4,   // of Lanes elements in a token or in a row of values, at most
  parameter int unsigned Keys    = 1024 // of a group, at most
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  // A set of anchors, a chunk a beat; what belongs to an anchor counts in the beat that ends it.
  input  logic                  anchor_valid_i,
  output logic                  anchor_ready_o,
  input  logic [Lanes-1:0][7:0] anchor_i,
  input  logic [17:0]           anchor_mean_i,
  input  logic [Bits-1:0][7:0]  anchor_weight_i,
  input  logic [15:0]           anchor_multiplier_i,
  input  logic [5:0]            anchor_shift_i,
  input  logic                  anchor_end_i,
  input  logic                  anchor_last_i,
  // Tokens, a chunk a beat, cut as the anchors are; the last token's last beat says so.
  input  logic                  x_valid_i,
  output logic                  x_ready_o,
  input  logic [Lanes-1:0][7:0] x_i,
  input  logic                  x_last_i,
  output logic                  code_valid_o,
  input  logic                  code_ready_i,
  output logic [Bits-1:0]       code_o,
  // Keys of a group, a chunk of values a beat beside the key's code.
  input  logic                  key_valid_i,
  output logic                  key_ready_o,
  input  logic [Bits-1:0]       key_code_i,
  input  logic [Lanes-1:0][7:0] key_value_i,
  input  logic                  key_end_i,
  input  logic                  key_last_i,
  // Then its queries.
  input  logic                  query_valid_i,
  output logic                  query_ready_o,
  input  logic [Bits-1:0]       query_code_i,
  input  logic                  query_last_i,
  // A query's results, a chunk a beat.
  output logic                  y_valid_o,
  input  logic                  y_ready_i,
  output logic [Lanes-1:0][15:0] y_o
);

  hash_coder #(.Lanes(Lanes), .Bits(Bits), .Anchors(Anchors), .Chunks(Chunks)) u_coder (
    .clk_i, .rst_ni,
    .anchor_valid_i, .anchor_ready_o, .anchor_i,
    .anchor_terms_i({anchor_mean_i, anchor_weight_i, anchor_multiplier_i, anchor_shift_i}),
    .anchor_end_i, .anchor_last_i,
    .x_valid_i, .x_ready_o, .x_i, .x_last_i,
    .code_valid_o, .code_ready_i, .code_o
  );

  hash_mixer #(.Lanes(Lanes), .Bits(Bits), .Chunks(Chunks), .Keys(Keys)) u_mixer (
    .clk_i, .rst_ni,
    .key_valid_i, .key_ready_o, .key_code_i, .key_value_i, .key_end_i, .key_last_i,
    .query_valid_i, .query_ready_o, .query_code_i, .query_last_i,
    .y_valid_o, .y_ready_i, .y_o
  );

endmodule
