// The marching operands: activations step right, sums step down, both skewed at the edges.
module array_cells #(
  parameter int unsigned Rows           = 4,
  parameter int unsigned Columns        = 4,
  parameter int unsigned ActWidth       = 8,
  parameter int unsigned ActExponent    = 0,
  parameter int unsigned WeightWidth    = 8,
  parameter int unsigned WeightExponent = 0,
  parameter bit          LogWeight      = 1'b0,
  parameter int unsigned SumWidth       = 32
) (
  input  logic                                          clk_i,
  input  logic                                          advance_i,
  input  logic [Rows-1:0][ActWidth-1:0]                 act_i,
  input  logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight_i,
  output logic [Columns-1:0][SumWidth-1:0]              sum_o
);

  logic [Rows-1:0][ActWidth-1:0] entering;
  logic [Rows-1:0][Columns-1:0][ActWidth-1:0] act, act_q;
  logic [Rows-1:0][Columns-1:0][SumWidth-1:0] sum_above, sum, sum_q;

  skew #(.Lanes(Rows), .Width(ActWidth)) u_act_skew (
    .clk_i, .advance_i, .lanes_i(act_i), .lanes_o(entering)
  );

  // Each row is one column to the right of what it was; each plane of sums one row further down.
  always_comb begin : neighbours
    for (int unsigned r = 0; r < Rows; r++) act[r] = (Columns * ActWidth)'({act_q[r], entering[r]});
  end
  assign sum_above = sum_q << (Columns * SumWidth);

  mac_plane #(
    .Rows(Rows), .Columns(Columns), .ActWidth(ActWidth), .ActExponent(ActExponent), .WeightWidth(WeightWidth),
    .WeightExponent(WeightExponent), .LogWeight(LogWeight), .SumWidth(SumWidth)
  ) u_macs (
    .act_i(act), .weight_i, .sum_i(sum_above), .sum_o(sum)
  );

  always_ff @(posedge clk_i) begin : march
    if (advance_i) begin
      act_q <= act;
      sum_q <= sum;
    end
  end

  skew #(.Lanes(Columns), .Width(SumWidth), .Reverse(1'b1)) u_sum_skew (
    .clk_i, .advance_i, .lanes_i(sum_q[Rows-1]), .lanes_o(sum_o)
  );

endmodule
