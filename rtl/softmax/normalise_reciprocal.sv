// Rows of exponentials multiplied by the reciprocals of their sums: probabilities in Q.15.
module normalise_reciprocal #(
  parameter int unsigned Lanes        = 4,
  parameter int unsigned GrownWidth   = 25,
  parameter int unsigned TotalWidth   = 32,
  parameter int unsigned Depth        = 4,
  parameter int unsigned BitsPerStage = 1
) (
  input  logic                                             clk_i,
  input  logic                                             rst_ni,
  input  logic                                             grown_valid_i,
  output logic                                             grown_ready_o,
  input  logic                                             grown_last_i,
  input  logic [Lanes-1:0]                                 grown_keep_i,
  input  logic [Lanes-1:0][GrownWidth-1:0]                 grown_i,
  // A row's sum, after its last beat and without asking: there is room.
  input  logic                                             total_valid_i,
  input  logic [TotalWidth-1:0]                            total_i,
  output logic                                             y_valid_o,
  input  logic                                             y_ready_i,
  output logic                                             y_last_o,
  output logic [Lanes-1:0]                                 y_keep_o,
  output logic [Lanes-1:0][softmax_pkg::ProbabilityBits:0] y_o
);

  logic inverse_valid, inverse_ready, held_valid, held_ready, held_last, unused;
  logic [softmax_pkg::ReciprocalWidth-1:0] inverse, factor;
  logic [Lanes-1:0] held_keep;
  logic [Lanes-1:0][GrownWidth-1:0] held;

  reciprocal #(.TotalWidth(TotalWidth), .Depth(Depth), .BitsPerStage(BitsPerStage)) u_reciprocal (
    .clk_i, .rst_ni, .valid_i(total_valid_i), .total_i, .tag_i(1'b0),
    .valid_o(inverse_valid), .ready_i(inverse_ready), .reciprocal_o(inverse), .tag_o(unused)
  );

  row_buffer #(
    .Width(Lanes * (GrownWidth + 1)), .ToldWidth(softmax_pkg::ReciprocalWidth), .Depth(Depth)
  ) u_rows (
    .clk_i, .rst_ni,
    .in_valid_i(grown_valid_i), .in_ready_o(grown_ready_o), .in_last_i(grown_last_i),
    .in_i({grown_keep_i, grown_i}),
    .told_valid_i(inverse_valid), .told_ready_o(inverse_ready), .told_i(inverse),
    .out_valid_o(held_valid), .out_ready_i(held_ready), .out_last_o(held_last),
    .out_o({held_keep, held}), .told_o(factor)
  );

  multiply_lanes #(.Lanes(Lanes), .GrownWidth(GrownWidth), .TagWidth(Lanes + 1)) u_multiply (
    .clk_i, .rst_ni, .valid_i(held_valid), .ready_o(held_ready),
    .grown_i(held), .reciprocal_i(factor), .tag_i({held_last, held_keep}),
    .valid_o(y_valid_o), .ready_i(y_ready_i), .y_o, .tag_o({y_last_o, y_keep_o})
  );

endmodule
