// Hashes tokens: distances to anchors, their kernels, and the signs of weighted sums of those.
//
// One chunk of one anchor meets the token's in a cycle. Distance and score each pass their beats on through
// registers that a beat leaves when the next is free.
module hash_coder #(
  parameter int unsigned Lanes      = 4,
  parameter int unsigned Bits       = 16,
  parameter int unsigned Anchors    = 32,
  parameter int unsigned Chunks     = 4,
  localparam int unsigned TermsWidth = 18 + 8 * Bits + 16 + 6
) (
  input  logic                  clk_i,
  input  logic                  rst_ni,
  input  logic                  anchor_valid_i,
  output logic                  anchor_ready_o,
  input  logic [Lanes-1:0][7:0] anchor_i,
  input  logic [TermsWidth-1:0] anchor_terms_i,  // mean, weights, multiplier, shift
  input  logic                  anchor_end_i,
  input  logic                  anchor_last_i,
  input  logic                  x_valid_i,
  output logic                  x_ready_o,
  input  logic [Lanes-1:0][7:0] x_i,
  input  logic                  x_last_i,
  output logic                  code_valid_o,
  input  logic                  code_ready_i,
  output logic [Bits-1:0]       code_o
);

  localparam int unsigned DistanceWidth = 16 + $clog2(Lanes * Chunks);

  logic met_valid, met_ready, met_first, met_end, distance_valid, distance_ready;
  logic [Lanes-1:0][7:0] met_x, met_anchor;
  logic [DistanceWidth-1:0] distance;
  logic [TermsWidth+1:0] met_label, label;

  hash_anchors #(.Lanes(Lanes), .Anchors(Anchors), .Chunks(Chunks), .TermsWidth(TermsWidth)) u_anchors (
    .clk_i, .rst_ni,
    .anchor_valid_i, .anchor_ready_o, .anchor_i, .anchor_terms_i, .anchor_end_i, .anchor_last_i,
    .x_valid_i, .x_ready_o, .x_i, .x_last_i,
    .met_valid_o(met_valid), .met_ready_i(met_ready), .met_x_o(met_x), .met_anchor_o(met_anchor),
    .met_first_o(met_first), .met_end_o(met_end), .met_label_o(met_label)
  );

  hash_distance #(.Lanes(Lanes), .DistanceWidth(DistanceWidth), .LabelWidth(TermsWidth + 2)) u_distance (
    .clk_i, .rst_ni,
    .met_valid_i(met_valid), .met_ready_o(met_ready), .x_i(met_x), .anchor_i(met_anchor),
    .first_i(met_first), .end_i(met_end), .label_i(met_label),
    .distance_valid_o(distance_valid), .distance_ready_i(distance_ready), .distance_o(distance),
    .label_o(label)
  );

  hash_score #(.Bits(Bits), .Anchors(Anchors), .DistanceWidth(DistanceWidth)) u_score (
    .clk_i, .rst_ni,
    .distance_valid_i(distance_valid), .distance_ready_o(distance_ready), .distance_i(distance),
    .label_i(label),
    .code_valid_o, .code_ready_i, .code_o
  );

endmodule
