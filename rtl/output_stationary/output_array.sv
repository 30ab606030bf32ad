// Output-stationary systolic array: sums stay in the cells, activations march right, weights march down.
//
// A fold is a stream of beats, an activation for each row and a weight for each column, whose last beat says
// so; Rows rows of sums follow, the last row first. All registers take a step together, or none while a row
// waits: ready depends on `sum_ready_i` within the cycle, and that of either operand on the other's valid.
module output_array #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned Columns        = 4,
  parameter int unsigned ActWidth       = 8,
  parameter int unsigned ActExponent    = 0,
  parameter int unsigned WeightWidth    = 8,
  parameter int unsigned WeightExponent = 0,
  parameter bit          LogWeight      = 1'b0,
  parameter int unsigned SumWidth       = 32,
  parameter int unsigned TagWidth       = 2,
  parameter bit          DoubleBuffered = 1'b1
) (
  input  logic                                clk_i,
  input  logic                                rst_ni,
  // One weight for each column a beat.
  input  logic                                weight_valid_i,
  output logic                                weight_ready_o,
  input  logic [Columns-1:0][WeightWidth-1:0] weight_i,
  // One activation for each row a beat; the last beat's tag comes out again with the fold's sums.
  input  logic                                act_valid_i,
  output logic                                act_ready_o,
  input  logic                                act_last_i,
  input  logic [TagWidth-1:0]                 act_tag_i,
  input  logic [Rows-1:0][ActWidth-1:0]       act_i,
  // One row of sums a beat.
  output logic                                sum_valid_o,
  input  logic                                sum_ready_i,
  output logic                                sum_last_o,
  output logic [TagWidth-1:0]                 sum_tag_o,
  output logic [Columns-1:0][SumWidth-1:0]    sum_o
);

  logic advance, shift;
  logic [Rows+Columns-2:0] add, first;
  logic [2*Rows+Columns-2:0] last;
  logic [Rows-1:0][Columns-1:0][SumWidth-1:0] sum;

  output_control #(
    .Rows(Rows), .Columns(Columns), .TagWidth(TagWidth), .DoubleBuffered(DoubleBuffered)
  ) u_control (
    .clk_i, .rst_ni,
    .weight_valid_i, .weight_ready_o, .act_valid_i, .act_ready_o, .act_last_i, .act_tag_i,
    .advance_o(advance), .add_o(add), .first_o(first), .last_o(last),
    .sum_valid_o, .sum_ready_i, .sum_last_o, .sum_tag_o
  );

  output_cells #(
    .Rows(Rows), .Columns(Columns), .ActWidth(ActWidth), .ActExponent(ActExponent), .WeightWidth(WeightWidth),
    .WeightExponent(WeightExponent), .LogWeight(LogWeight), .SumWidth(SumWidth)
  ) u_cells (
    .clk_i, .advance_i(advance), .act_i, .weight_i, .add_i(add), .first_i(first), .shift_i(shift), .sum_o(sum)
  );

  if (DoubleBuffered) begin : gen_wave
    assign shift = 1'b0;
    drain_wave #(.Rows(Rows), .Columns(Columns), .SumWidth(SumWidth)) u_drain (
      .clk_i, .advance_i(advance), .last_i(last), .sum_i(sum), .row_o(sum_o)
    );
  end else begin : gen_serial
    drain_serial #(.Rows(Rows), .Columns(Columns), .SumWidth(SumWidth)) u_drain (
      .clk_i, .advance_i(advance), .last_i(last), .shift_o(shift), .bottom_i(sum[Rows-1]), .row_o(sum_o)
    );
  end

endmodule
