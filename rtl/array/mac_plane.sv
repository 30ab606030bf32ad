// The arithmetic of every cell of the array: sum + activation * weight, as two's complement integers.
//
// This is the one interface of a cell: combinational, an activation and a sum in, a sum out. Sums wrap
// modulo 2**SumWidth; a sum of K products fits if K * 2**(ActWidth + WeightWidth - 2) < 2**(SumWidth - 1).
module mac_plane #(
  parameter int unsigned Rows        = 4,
  parameter int unsigned Columns     = 4,
  parameter int unsigned ActWidth    = 8,
  parameter int unsigned WeightWidth = 8,
  parameter int unsigned SumWidth    = 32
) (
  input  logic [Rows-1:0][Columns-1:0][   ActWidth-1:0] act_i,
  input  logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight_i,
  input  logic [Rows-1:0][Columns-1:0][   SumWidth-1:0] sum_i,
  output logic [Rows-1:0][Columns-1:0][   SumWidth-1:0] sum_o
);

  localparam int unsigned ProductWidth = ActWidth + WeightWidth;

  function automatic logic signed [ProductWidth-1:0] multiply(logic signed [   ActWidth-1:0] act,
                                                              logic signed [WeightWidth-1:0] weight);
    return ProductWidth'(act) * ProductWidth'(weight);
  endfunction

  always_comb begin : cells
    for (int unsigned r = 0; r < Rows; r++) begin
      for (int unsigned c = 0; c < Columns; c++) begin
        sum_o[r][c] = sum_i[r][c] + SumWidth'(multiply(act_i[r][c], weight_i[r][c]));
      end
    end
  end

endmodule
