// What follows the cells: sums of folds added up and, with FloatTotals, rounded to fp32 on their way out.
module totals #(
  parameter int unsigned Columns     = 4,
  parameter int unsigned SumWidth    = 32,
  parameter int unsigned Depth       = 64,
  parameter bit          FloatTotals = 1'b0,
  parameter int          SumStep     = 0  // of a sum's lowest bit, as a power of two: for FloatTotals
) (
  input  logic                             clk_i,
  input  logic                             rst_ni,
  input  logic                             sum_valid_i,
  output logic                             sum_ready_o,
  input  logic                             sum_last_i,
  input  logic                             sum_accumulate_i,
  input  logic                             sum_emit_i,
  input  logic [Columns-1:0][SumWidth-1:0] sum_i,
  output logic                             total_valid_o,
  input  logic                             total_ready_i,
  output logic [Columns-1:0][(FloatTotals ? 32 : SumWidth)-1:0] total_o
);

  logic [Columns-1:0][SumWidth-1:0] total;

  accumulator #(.Columns(Columns), .SumWidth(SumWidth), .Depth(Depth)) u_accumulator (
    .clk_i, .rst_ni,
    .sum_valid_i, .sum_ready_o, .sum_last_i, .sum_accumulate_i, .sum_emit_i, .sum_i,
    .total_valid_o, .total_ready_i, .total_o(total)
  );

  if (FloatTotals) begin : gen_float
    fixed_to_float #(.Lanes(Columns), .Width(SumWidth), .Step(SumStep)) u_round (
      .fixed_i(total), .float_o(total_o)
    );
  end else begin : gen_fixed
    assign total_o = total;
  end

endmodule
