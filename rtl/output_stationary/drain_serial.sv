// Without a second register in each cell: once the last cell is done, the cells' own sums move down, a row a
// step, through a register at the bottom, which frees the cells while the last row waits there.
module drain_serial #(
  parameter int unsigned Rows     = 4,
  parameter int unsigned Columns  = 4,
  parameter int unsigned SumWidth = 32
) (
  input  logic                             clk_i,
  input  logic                             advance_i,
  // A fold's last beat entered i + 1 steps ago.
  input  logic [2*Rows+Columns-2:0]        last_i,
  // All sums move down a row; the cells' bottom row.
  output logic                             shift_o,
  input  logic [Columns-1:0][SumWidth-1:0] bottom_i,
  // A row of sums, the last row first.
  output logic [Columns-1:0][SumWidth-1:0] row_o
);

  logic [Columns-1:0][SumWidth-1:0] row_q;

  assign shift_o = last_i[2*Rows+Columns-3-:Rows] != '0;

  always_ff @(posedge clk_i) begin : bottom
    if (advance_i && shift_o) row_q <= bottom_i;
  end

  assign row_o = row_q;

  logic unused;
  assign unused = ^last_i;

endmodule
