// One weight in each cell: rows of weights shift down the whole array at once.
//
// Every column moves in the same step, so a new set may only enter while no cell is computing.
module weights_single #(
  parameter int unsigned Rows        = 4,
  parameter int unsigned Columns     = 4,
  parameter int unsigned WeightWidth = 8
) (
  input  logic                                          clk_i,
  input  logic                                          load_i,
  input  logic           [Columns-1:0][WeightWidth-1:0] weight_i,
  output logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight_o
);

  logic [Rows-1:0][Columns-1:0][WeightWidth-1:0] weight_q;

  always_ff @(posedge clk_i) begin : shift_down
    if (load_i) weight_q <= (Rows * Columns * WeightWidth)'({weight_q, weight_i});
  end

  assign weight_o = weight_q;

endmodule
