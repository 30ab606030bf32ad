// Rows of scores to exponentials of their distances to the row's greatest, which the row waits for.
//
// Scores in int32 Q.12, distances saturated to 17 bits: from there on every exponential is zero. Lanes that
// hold nothing count neither for the greatest nor for the sum, whatever they carry.
module score_pass #(
  parameter int unsigned Lanes      = 4,
  parameter int unsigned Depth      = 4,
  parameter bit          Polynomial = 1'b0,
  parameter int unsigned GrownWidth = 25
) (
  input  logic                                         clk_i,
  input  logic                                         rst_ni,
  input  logic                                         x_valid_i,
  output logic                                         x_ready_o,
  input  logic                                         x_last_i,
  input  logic [Lanes-1:0]                             x_keep_i,
  input  logic [Lanes-1:0][softmax_pkg::ScoreWidth-1:0] x_i,
  output logic                                         grown_valid_o,
  input  logic                                         grown_ready_i,
  output logic                                         grown_last_o,
  output logic [Lanes-1:0]                             grown_keep_o,
  output logic [Lanes-1:0][GrownWidth-1:0]             grown_o
);

  logic found_valid, queue_ready, top_valid, top_ready, held_valid, held_ready, held_last;
  logic [softmax_pkg::ScoreWidth-1:0] found, top, greatest;
  logic [Lanes-1:0] held_keep, far;
  logic [Lanes-1:0][softmax_pkg::ScoreWidth-1:0] held, distance;
  logic [Lanes-1:0][softmax_pkg::BelowWidth-1:0] below;

  row_maximum #(.Lanes(Lanes), .Width(softmax_pkg::ScoreWidth)) u_maximum (
    .clk_i, .rst_ni, .valid_i(x_valid_i && x_ready_o), .last_i(x_last_i), .keep_i(x_keep_i), .x_i,
    .valid_o(found_valid), .maximum_o(found)
  );

  // A row's greatest comes after its last beat and goes with it: the queue never fills.
  fifo #(.Width(softmax_pkg::ScoreWidth), .Depth(Depth)) u_greatest (
    .clk_i, .rst_ni,
    .in_valid_i(found_valid), .in_ready_o(queue_ready), .in_i(found),
    .out_valid_o(top_valid), .out_ready_i(top_ready), .out_o(top)
  );

  row_buffer #(
    .Width(Lanes * (softmax_pkg::ScoreWidth + 1)), .ToldWidth(softmax_pkg::ScoreWidth), .Depth(Depth)
  ) u_rows (
    .clk_i, .rst_ni,
    .in_valid_i(x_valid_i), .in_ready_o(x_ready_o), .in_last_i(x_last_i), .in_i({x_keep_i, x_i}),
    .told_valid_i(top_valid), .told_ready_o(top_ready), .told_i(top),
    .out_valid_o(held_valid), .out_ready_i(held_ready), .out_last_o(held_last),
    .out_o({held_keep, held}), .told_o(greatest)
  );

  always_comb begin : distances
    for (int unsigned l = 0; l < Lanes; l++) begin
      distance[l] = greatest - held[l];  // from 0 to 2**32 - 1
      far[l]      = |distance[l][softmax_pkg::ScoreWidth-1:softmax_pkg::BelowWidth];
      below[l]    = far[l] ? '1 : distance[l][softmax_pkg::BelowWidth-1:0];
    end
  end

  exponential_lanes #(
    .Lanes(Lanes), .Polynomial(Polynomial), .GrownWidth(GrownWidth), .TagWidth(Lanes + 1)
  ) u_exponentials (
    .clk_i, .rst_ni, .valid_i(held_valid), .ready_o(held_ready), .below_i(below),
    .tag_i({held_last, held_keep}),
    .valid_o(grown_valid_o), .ready_i(grown_ready_i), .grown_o, .tag_o({grown_last_o, grown_keep_o})
  );

  logic unused;
  assign unused = queue_ready;

endmodule
