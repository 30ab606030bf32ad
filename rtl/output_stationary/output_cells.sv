// Cells that keep their sums: activations march right, weights march down, products stay where they meet.
//
// Cell (r, c) is r + c steps behind cell (0, 0), as its operands are.
module output_cells #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned Columns        = 4,
  parameter int unsigned ActWidth       = 8,
  parameter int unsigned ActExponent    = 0,
  parameter int unsigned WeightWidth    = 8,
  parameter int unsigned WeightExponent = 0,
  parameter bit          LogWeight      = 1'b0,
  parameter int unsigned SumWidth       = 32
) (
  input  logic                                       clk_i,
  input  logic                                       advance_i,
  input  logic [Rows-1:0][ActWidth-1:0]              act_i,
  input  logic [Columns-1:0][WeightWidth-1:0]        weight_i,
  // For each diagonal r + c: its cells add a product; that product is the first of a sum.
  input  logic [Rows+Columns-2:0]                    add_i,
  input  logic [Rows+Columns-2:0]                    first_i,
  // All sums move down a row instead.
  input  logic                                       shift_i,
  output logic [Rows-1:0][Columns-1:0][SumWidth-1:0] sum_o
);

  logic [Rows-1:0][ActWidth-1:0] act_entering;
  logic [Columns-1:0][WeightWidth-1:0] weight_entering;
  logic [Rows-1:0][Columns-1:0][ActWidth-1:0] act, act_q;
  logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight, weight_q;
  logic [Rows-1:0][Columns-1:0][SumWidth-1:0] sum_in, sum_out, sum_d, sum_q;

  skew #(.Lanes(Rows), .Width(ActWidth)) u_act_skew (
    .clk_i, .advance_i, .lanes_i(act_i), .lanes_o(act_entering)
  );
  skew #(.Lanes(Columns), .Width(WeightWidth)) u_weight_skew (
    .clk_i, .advance_i, .lanes_i(weight_i), .lanes_o(weight_entering)
  );

  // Each row of activations is one column to the right of what it was; all weights one row further down.
  always_comb begin : neighbours
    for (int unsigned r = 0; r < Rows; r++) act[r] = (Columns * ActWidth)'({act_q[r], act_entering[r]});
  end
  assign weight = (Rows * Columns * WeightWidth)'({weight_q, weight_entering});

  mac_plane #(
    .Rows(Rows), .Columns(Columns), .ActWidth(ActWidth), .ActExponent(ActExponent), .WeightWidth(WeightWidth),
    .WeightExponent(WeightExponent), .LogWeight(LogWeight), .SumWidth(SumWidth)
  ) u_macs (
    .act_i(act), .weight_i(weight), .sum_i(sum_in), .sum_o(sum_out)
  );

  always_comb begin : sums
    for (int unsigned r = 0; r < Rows; r++) begin
      for (int unsigned c = 0; c < Columns; c++) begin
        sum_in[r][c] = first_i[r+c] ? '0 : sum_q[r][c];
        sum_d[r][c]  = add_i[r+c] ? sum_out[r][c] : sum_q[r][c];
      end
    end
    if (shift_i) sum_d = sum_q << (Columns * SumWidth);
  end

  always_ff @(posedge clk_i) begin : march
    if (advance_i) begin
      act_q    <= act;
      weight_q <= weight;
      sum_q    <= sum_d;
    end
  end

  assign sum_o = sum_q;

endmodule
