// The output-stationary array with its accumulator: products of any depth, one fold of any length or several.
module output_unit #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned Columns        = 4,
  parameter int unsigned ActWidth       = 8,
  parameter int unsigned ActExponent    = 0,
  parameter int unsigned WeightWidth    = 8,
  parameter int unsigned WeightExponent = 0,
  parameter bit          LogWeight      = 1'b0,
  parameter int unsigned SumWidth       = 32,
  parameter bit          FloatTotals    = 1'b0,  // totals in fp32
  parameter int          SumStep        = 0,     // of a sum's lowest bit, as a power of two: for FloatTotals
  parameter bit          DoubleBuffered = 1'b1
) (
  input  logic                                clk_i,
  input  logic                                rst_ni,
  // One weight for each column a beat.
  input  logic                                weight_valid_i,
  output logic                                weight_ready_o,
  input  logic [Columns-1:0][WeightWidth-1:0] weight_i,
  // One activation for each row a beat; beside the last of a fold, the fold's place in its product.
  input  logic                                act_valid_i,
  output logic                                act_ready_o,
  input  logic                                act_last_i,
  input  logic                                act_accumulate_i,
  input  logic                                act_emit_i,
  input  logic [Rows-1:0][ActWidth-1:0]       act_i,
  // One row of the product a beat, the last row of a fold first.
  output logic                                total_valid_o,
  input  logic                                total_ready_i,
  output logic [Columns-1:0][(FloatTotals ? 32 : SumWidth)-1:0] total_o
);

  logic sum_valid, sum_ready, sum_last, sum_accumulate, sum_emit;
  logic [Columns-1:0][SumWidth-1:0] sum;

  output_array #(
    .Rows(Rows), .Columns(Columns), .ActWidth(ActWidth), .ActExponent(ActExponent), .WeightWidth(WeightWidth),
    .WeightExponent(WeightExponent), .LogWeight(LogWeight), .SumWidth(SumWidth), .TagWidth(2),
    .DoubleBuffered(DoubleBuffered)
  ) u_array (
    .clk_i, .rst_ni,
    .weight_valid_i, .weight_ready_o, .weight_i,
    .act_valid_i, .act_ready_o, .act_last_i, .act_tag_i({act_accumulate_i, act_emit_i}), .act_i,
    .sum_valid_o(sum_valid), .sum_ready_i(sum_ready), .sum_last_o(sum_last),
    .sum_tag_o({sum_accumulate, sum_emit}), .sum_o(sum)
  );

  // A fold leaves Rows rows, so that the accumulator holds no more.
  totals #(
    .Columns(Columns), .SumWidth(SumWidth), .Depth(Rows), .FloatTotals(FloatTotals), .SumStep(SumStep)
  ) u_totals (
    .clk_i, .rst_ni,
    .sum_valid_i(sum_valid), .sum_ready_o(sum_ready), .sum_last_i(sum_last),
    .sum_accumulate_i(sum_accumulate), .sum_emit_i(sum_emit), .sum_i(sum),
    .total_valid_o, .total_ready_i, .total_o
  );

endmodule
