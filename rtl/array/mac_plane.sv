// The arithmetic of every cell of the array: sum + activation * weight, exact, in fixed point.
//
// This is the one interface of a cell: combinational, an activation and a sum in, a sum out. What the codes
// of operands mean is told by their exponents' widths (see cell_operands). A sum counts products of the two
// formats' steps and wraps modulo 2**SumWidth, so that sums come out the same in any order.
module mac_plane #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned Columns        = 4,
  parameter int unsigned ActWidth       = 8,
  parameter int unsigned ActExponent    = 0,
  parameter int unsigned WeightWidth    = 8,
  parameter int unsigned WeightExponent = 0,
  parameter bit          LogWeight      = 1'b0,
  parameter int unsigned SumWidth       = 32
) (
  input  logic [Rows-1:0][Columns-1:0][   ActWidth-1:0] act_i,
  input  logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight_i,
  input  logic [Rows-1:0][Columns-1:0][   SumWidth-1:0] sum_i,
  output logic [Rows-1:0][Columns-1:0][   SumWidth-1:0] sum_o
);

  localparam int unsigned ProductWidth = ActWidth + WeightWidth;

  function automatic logic signed [ProductWidth-1:0] multiply(input logic signed [   ActWidth-1:0] act,
                                                              input logic signed [WeightWidth-1:0] weight);
    multiply = ProductWidth'(act) * ProductWidth'(weight);
  endfunction

  if (ActExponent > 0 || WeightExponent > 0 || LogWeight) begin : gen_shifted
    mac_shifted #(
      .Rows(Rows), .Columns(Columns), .ActWidth(ActWidth), .ActExponent(ActExponent),
      .WeightWidth(WeightWidth), .WeightExponent(WeightExponent), .LogWeight(LogWeight), .SumWidth(SumWidth)
    ) u_cells (
      .act_i, .weight_i, .sum_i, .sum_o
    );
  end else begin : gen_integer
    always_comb begin : cells
      for (int unsigned r = 0; r < Rows; r++) begin
        for (int unsigned c = 0; c < Columns; c++) begin
          sum_o[r][c] = sum_i[r][c] + SumWidth'(multiply(act_i[r][c], weight_i[r][c]));
        end
      end
    end
  end

endmodule
