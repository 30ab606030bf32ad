// Rows of exponentials divided by their sums, each element to nearest: probabilities in Q.15.
module normalise_divide #(
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

  logic queue_ready, queued_valid, queued_ready, held_valid, held_ready, held_last;
  logic [TotalWidth-1:0] queued, total;
  logic [Lanes-1:0] held_keep;
  logic [Lanes-1:0][GrownWidth-1:0] held;
  logic [Lanes-1:0][GrownWidth+softmax_pkg::ProbabilityBits-1:0] numerator;

  fifo #(.Width(TotalWidth), .Depth(Depth)) u_totals (
    .clk_i, .rst_ni,
    .in_valid_i(total_valid_i), .in_ready_o(queue_ready), .in_i(total_i),
    .out_valid_o(queued_valid), .out_ready_i(queued_ready), .out_o(queued)
  );

  row_buffer #(.Width(Lanes * (GrownWidth + 1)), .ToldWidth(TotalWidth), .Depth(Depth)) u_rows (
    .clk_i, .rst_ni,
    .in_valid_i(grown_valid_i), .in_ready_o(grown_ready_o), .in_last_i(grown_last_i),
    .in_i({grown_keep_i, grown_i}),
    .told_valid_i(queued_valid), .told_ready_o(queued_ready), .told_i(queued),
    .out_valid_o(held_valid), .out_ready_i(held_ready), .out_last_o(held_last),
    .out_o({held_keep, held}), .told_o(total)
  );

  always_comb begin : shift
    for (int unsigned l = 0; l < Lanes; l++) numerator[l] = {held[l], {softmax_pkg::ProbabilityBits{1'b0}}};
  end

  divide_nearest #(
    .Lanes(Lanes), .NumeratorWidth(GrownWidth + softmax_pkg::ProbabilityBits), .DenominatorWidth(TotalWidth),
    .QuotientWidth(softmax_pkg::ProbabilityBits + 1), .BitsPerStage(BitsPerStage), .TagWidth(Lanes + 1)
  ) u_divide (
    .clk_i, .rst_ni, .valid_i(held_valid), .ready_o(held_ready),
    .numerator_i(numerator), .halves_down_i('0), .denominator_i(total), .tag_i({held_last, held_keep}),
    .valid_o(y_valid_o), .ready_i(y_ready_i), .quotient_o(y_o), .tag_o({y_last_o, y_keep_o})
  );

  logic unused;
  assign unused = queue_ready;

endmodule
