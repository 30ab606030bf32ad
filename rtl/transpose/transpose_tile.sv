// Registers for a tile: written a row at a time, read a column at a time.
//
// Nothing is reset; a column shows whatever the rows held that were not written since.
module transpose_tile #(
  parameter int unsigned Side      = 4,
  parameter int unsigned Width     = 8,
  parameter int unsigned SideWidth = 2
) (
  input  logic                       clk_i,
  input  logic                       write_i,
  input  logic [SideWidth-1:0]       row_i,
  input  logic [Side-1:0][Width-1:0] elements_i,
  input  logic [SideWidth-1:0]       column_i,
  output logic [Side-1:0][Width-1:0] elements_o
);

  logic [Side-1:0][Width-1:0] row_q[Side];

  always_ff @(posedge clk_i) begin : rows
    if (write_i) row_q[row_i] <= elements_i;
  end

  always_comb begin : column
    for (int unsigned r = 0; r < Side; r++) elements_o[r] = row_q[r][column_i];
  end

endmodule
