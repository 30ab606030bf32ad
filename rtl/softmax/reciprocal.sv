// The reciprocal of each row's sum to nearest, ceil(20 / BitsPerStage) + 1 cycles later; the tag beside.
//
// Sums wait in a queue as long as the buffer of their rows, which therefore never fills: a row's sum comes
// after its last beat, and goes with it.
module reciprocal #(
  parameter int unsigned TotalWidth   = 32,
  parameter int unsigned TagWidth     = 1,
  parameter int unsigned Depth        = 4,
  parameter int unsigned BitsPerStage = 1
) (
  input  logic                                    clk_i,
  input  logic                                    rst_ni,
  input  logic                                    valid_i,
  input  logic [TotalWidth-1:0]                   total_i,
  input  logic [TagWidth-1:0]                     tag_i,
  output logic                                    valid_o,
  input  logic                                    ready_i,
  output logic [softmax_pkg::ReciprocalWidth-1:0] reciprocal_o,
  output logic [TagWidth-1:0]                     tag_o
);

  logic queue_ready, total_valid, total_ready;
  logic [TotalWidth-1:0] total;
  logic [TagWidth-1:0] tag;

  fifo #(.Width(TagWidth + TotalWidth), .Depth(Depth)) u_totals (
    .clk_i, .rst_ni,
    .in_valid_i(valid_i), .in_ready_o(queue_ready), .in_i({tag_i, total_i}),
    .out_valid_o(total_valid), .out_ready_i(total_ready), .out_o({tag, total})
  );

  divide_nearest #(
    .NumeratorWidth(softmax_pkg::ReciprocalBits + 1), .DenominatorWidth(TotalWidth),
    .QuotientWidth(softmax_pkg::ReciprocalWidth), .BitsPerStage(BitsPerStage), .TagWidth(TagWidth)
  ) u_divide (
    .clk_i, .rst_ni,
    .valid_i(total_valid), .ready_o(total_ready),
    .numerator_i({1'b1, {softmax_pkg::ReciprocalBits{1'b0}}}), .halves_down_i(1'b0),
    .denominator_i(total), .tag_i(tag),
    .valid_o, .ready_i, .quotient_o(reciprocal_o), .tag_o
  );

  logic unused;
  assign unused = queue_ready;

endmodule
